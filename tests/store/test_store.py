"""The database: schema, durability, and what several readers and writers see."""

import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from bridge.core.decision import Decision, Verdict
from bridge.core.errors import ConfigError, Unavailable
from bridge.core.model import MessageSource, OrderUpdate, Statement
from bridge.core.struct import encode
from bridge.store.rows import StoredMessage
from bridge.store.schema import metadata
from bridge.store.store import _MIGRATIONS, Store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
def store(file: Path) -> Store:
    made = Store(f"sqlite:///{file}")
    made.migrate()
    return made


def message(number: int) -> StoredMessage:
    return StoredMessage(f"{number}", "orders", "TRANSFORMED", received_at="2026-11-23T09:00:00Z")


def test_the_migrations_make_the_tables_that_the_code_states(store: Store) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_every_commit_is_on_the_disk(store: Store) -> None:
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_migrating_again_keeps_everything(store: Store) -> None:
    epoch = store.epoch()
    with store.write() as db:
        db.save_messages([message(1)])
    before, after = store.migrate()
    assert before == after
    assert store.epoch() == epoch
    with store.read() as db:
        assert db.messages(["1"]) == {"1": message(1)}


def test_an_older_database_keeps_what_is_in_it(file: Path) -> None:
    older = Store(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    update = OrderUpdate(message_time="", order_control="NW", source=MessageSource(message_control_id="C1"))
    with older._engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO message (id, channel, status, attempts, duplicates, rejections, size, received_at)"
            " VALUES ('m', 'orders', 'TRANSFORMED', 1, 0, 0, 1, '')"
        )
        connection.exec_driver_sql("INSERT INTO order_update VALUES (7, 'm', ?, 1)", (encode(update),))
        connection.exec_driver_sql("INSERT INTO order_update_key VALUES ('F-1', 'filler', 7)")
        connection.exec_driver_sql(
            "INSERT INTO study VALUES ('1.2', 'images', 'pending', 3, ?, '', '2026-11-23T09:00:00Z')",
            (encode(Decision(Verdict.PENDING, "no-order")),),
        )
        # As version 0.2 wrote it: without a study date.
        doc = encode(Statement("1.2")).replace(b',"studyDate":null', b"")
        connection.exec_driver_sql("INSERT INTO statement VALUES ('1.2', ?, ?, 1)", (sha256(doc).hexdigest()[:32], doc))
    before, after = older.migrate()
    assert before < after
    with older.write() as db:
        assert db.facts({("filler", "F-1")}, OrderUpdate) == {7: update}
        db.add_facts([("m", update), (None, update)])
        study = db.studies(["1.2"])["1.2"]
    assert (study.revision, study.since, study.orders) == (3, "2026-11-23T09:00:00Z", b"[]")
    assert study.statements == {sha256(encode(Statement("1.2"))).hexdigest()[:32]: (Statement("1.2"), 1)}


def test_two_databases_have_two_epochs(store: Store, tmp_path: Path) -> None:
    other = Store(f"sqlite:///{tmp_path / 'other.db'}")
    other.migrate()
    assert other.epoch() != store.epoch()


def test_a_schema_of_another_version_is_refused_with_what_to_do(store: Store, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigError, match="run bridge migrate"):
        store.check_schema()


def test_looking_does_not_create_a_database(file: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        Store(f"sqlite:///{file}").check_schema()
    assert not file.exists()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.write() as db:
            db.save_messages([message(1)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.read() as db:
        assert db.messages(["1"]) == {}


def test_one_service_holds_a_sqlite_file(store: Store, file: Path) -> None:
    release = store.lock()
    with pytest.raises(Unavailable, match="another bridge"):
        Store(f"sqlite:///{file}").lock()
    release()
    Store(f"sqlite:///{file}").lock()()


def test_a_lost_database_is_unavailable_and_says_no_value(store: Store, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE message")
    connection.close()
    with pytest.raises(Unavailable) as failure, store.write() as db:
        db.save_messages([StoredMessage("1", "orders", "ERROR", reason="SECRET")])
    assert "SECRET" not in str(failure.value)


def test_a_damaged_database_is_unavailable_and_no_fault_of_the_messages(store: Store, file: Path) -> None:
    with store.write() as db:
        db.save_messages([message(n) for n in range(500)])
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(Unavailable), store.write() as db:
        db.save_messages([message(1)])


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Store(url)


def test_sets_larger_than_one_statement_takes_are_read_and_written_whole(store: Store) -> None:
    with store.write() as db:
        db.save_messages([message(n) for n in range(1200)])
        keys = [(("accession-number", f"A{n}"), f"order-{n}") for n in range(1200)]
        db.save_owners("order", keys, [])
        db.save_owners("order", [], keys[:600])
    with store.read() as db:
        assert len(db.messages([str(n) for n in range(1200)])) == 1200
        owners = db.owners("order", [key for key, _ in keys])
    assert [len(owners[key]) for key, _ in keys] == [0] * 600 + [1] * 600
