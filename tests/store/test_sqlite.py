"""What is SQLite's alone: its file, its pragmas, and what versions before PostgreSQL have left in it."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.command import upgrade
from alembic.config import Config

from bridge.core.decision import Decision, Verdict
from bridge.core.errors import ConfigError, Unavailable
from bridge.core.model import MessageSource, OrderUpdate, Statement
from bridge.core.struct import encode
from bridge.store.rows import StoredMessage
from bridge.store.store import _MIGRATIONS, Store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{file}")) as made:
        made.migrate()
        yield made


def test_every_commit_is_on_the_disk(store: Store) -> None:
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


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
        connection.exec_driver_sql("INSERT INTO order_update_key VALUES (?, 'placer', 7)", ("P" * 4000,))
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
        assert db.facts({("placer", "P" * 4000)}, OrderUpdate) == {7: update}
        db.add_facts([("m", update), (None, update)])
        study = db.studies(["1.2"])["1.2"]
    assert (study.revision, study.since, study.orders) == (3, "2026-11-23T09:00:00Z", b"[]")
    assert study.statements == {sha256(encode(Statement("1.2"))).hexdigest()[:32]: (Statement("1.2"), 1)}


def test_looking_does_not_create_a_file(file: Path) -> None:
    with pytest.raises(ConfigError, match="no database"):
        Store(f"sqlite:///{file}").check_schema()
    assert not file.exists()


def test_one_service_holds_a_file(store: Store, file: Path) -> None:
    release = store.lock()
    with pytest.raises(Unavailable, match="another bridge"):
        Store(f"sqlite:///{file}").lock()
    release()
    Store(f"sqlite:///{file}").lock()()


def test_a_damaged_database_is_unavailable_and_no_fault_of_the_messages(store: Store, file: Path) -> None:
    with store.write() as db:
        db.save_messages([StoredMessage(f"{n}", "orders", "TRANSFORMED") for n in range(500)])
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(Unavailable), store.write() as db:
        db.save_messages([StoredMessage("1", "orders", "TRANSFORMED")])


def test_a_database_in_memory_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Store("sqlite:///:memory:")
