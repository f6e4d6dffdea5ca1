"""What the store promises on every database: schema, transactions, and what several readers and writers see."""

import multiprocessing
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from multiprocessing.synchronize import Barrier

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bridge.core.errors import ConfigError, Unavailable
from bridge.core.model import LinkDecision, OrderReference
from bridge.store.rows import StoredMessage
from bridge.store.schema import metadata
from bridge.store.store import Store
from bridge.store.transaction import Transaction


def message(number: int) -> StoredMessage:
    return StoredMessage(f"{number}", "orders", "TRANSFORMED", received_at="2026-11-23T09:00:00Z")


def execute(store: Store, statement: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_the_migrations_make_the_tables_that_the_code_states(store: Store) -> None:
    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_keeps_everything(store: Store) -> None:
    epoch = store.epoch()
    with store.write() as db:
        db.save_messages([message(1)])
    before, after = store.migrate()
    assert before == after
    assert store.epoch() == epoch
    with store.read() as db:
        assert db.messages(["1"]) == {"1": message(1)}


def migrate(url: str, others: Barrier) -> tuple[tuple[str | None, str], str]:
    """Revisions and epoch, of a process of its own."""
    with closing(Store(url)) as store:
        assert store.is_empty()
        others.wait(30)
        revisions = store.migrate()
        store.check_schema()
        return revisions, store.epoch()


def test_two_processes_migrate_one_empty_database_at_the_same_moment(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, spawn.Pool(2) as processes:
        others = manager.Barrier(2)
        made = processes.starmap_async(migrate, [(database_url, others)] * 2).get(60)
    (first, epoch), (second, same_epoch) = sorted(made, key=lambda one: one[0][0] is not None)
    assert first[0] is None
    assert second == (first[1], first[1])
    assert epoch == same_epoch


def test_an_empty_database_is_told_from_one_in_use(database_url: str) -> None:
    with closing(Store(database_url)) as store:
        assert store.is_empty()
        store.migrate()
        assert not store.is_empty()
        store.check_schema()


def test_looking_does_not_create_anything(database_url: str) -> None:
    with closing(Store(database_url)) as store:
        with pytest.raises(ConfigError, match="bridge migrate"):
            store.check_schema()
        assert store.is_empty()


def test_a_schema_of_another_version_is_refused_with_what_to_do(store: Store) -> None:
    execute(store, "UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(ConfigError, match="run bridge migrate"):
        store.check_schema()
    execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="a later version has used it"):
        store.check_schema()


def test_what_the_work_of_a_transaction_returns_is_returned_once_it_is_committed(store: Store) -> None:
    def work(db: Transaction) -> int:
        db.save_messages([message(1)])
        return 42

    assert store.transact(work) == 42
    with store.read() as db:
        assert db.messages(["1"]) == {"1": message(1)}


def fail(db: Transaction) -> None:
    db.save_messages([message(1)])
    raise ZeroDivisionError


def with_transact(store: Store) -> None:
    store.transact(fail)


def with_write(store: Store) -> None:
    with store.write() as db:
        fail(db)


@pytest.mark.parametrize("run", [with_transact, with_write])
def test_a_failed_transaction_leaves_nothing(store: Store, run: Callable[[Store], None]) -> None:
    with pytest.raises(ZeroDivisionError):
        run(store)
    with store.read() as db:
        assert db.messages(["1"]) == {}


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    with store.read() as reader:
        assert reader.messages(["1"]) == {}
        with store.write() as db:
            db.save_messages([message(1)])
        assert reader.messages(["1"]) == {}
        assert reader.figures()["messages"] == {}
    with store.read() as reader:
        assert reader.messages(["1"]) == {"1": message(1)}


@pytest.mark.timeout(60)
def test_what_is_decided_from_the_same_rows_is_decided_one_after_the_other(store: Store, database_url: str) -> None:
    """In two stores as two processes have them, each of which looks at the rows in a sequence of its own."""
    rounds = 15
    with store.write() as db:
        db.save_messages([message(number) for number in range(4)])

    def count(sequence: list[str]) -> None:
        def work(db: Transaction) -> None:
            for row_id in sequence:
                row = db.messages([row_id])[row_id]
                db.save_messages([msgspec.structs.replace(row, duplicates=row.duplicates + 1)])

        with closing(Store(database_url)) as own:
            for _ in range(rounds):
                own.transact(work)

    with ThreadPoolExecutor() as threads:
        list(threads.map(count, (["0", "1", "2", "3"], ["3", "2", "1", "0"], ["2", "0"])))
    with store.read() as db:
        rows = db.messages(["0", "1", "2", "3"])
    assert [rows[f"{n}"].duplicates for n in range(4)] == [rounds * times for times in (3, 2, 3, 2)]


KEY = ("accession-number", "A1")
LOOKS: dict[str, Callable[[Transaction], object]] = {
    "messages": lambda db: db.messages(["m"]),
    "facts": lambda db: db.facts({("filler", "F1")}, LinkDecision),
    "orders": lambda db: db.orders(["o"]),
    "studies": lambda db: db.studies(["1.2"]),
    "instances": lambda db: db.instances(["1.2.1.1"]),
    "owners": lambda db: db.owners("order", [KEY]),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_who_looks_for_what_another_has_looked_for_waits_for_what_he_does(
    store: Store, database_url: str, look: Callable[[Transaction], object]
) -> None:
    """Also where nothing is stored yet, so that there is no row which could be locked."""

    def same(db: Transaction) -> set[str]:
        look(db)
        return db.owners("order", [KEY])[KEY]

    with closing(Store(database_url)) as other, ThreadPoolExecutor() as threads:
        with store.write() as db:
            look(db)
            found = threads.submit(other.transact, same)
            wait([found], timeout=0.3)  # it ends in that time if it does not wait for us
            db.save_owners("order", [(KEY, "o1")], [])
        assert found.result(30) == {"o1"}


def test_a_table_that_is_gone_is_the_databases_fault_and_no_messages(store: Store) -> None:
    execute(store, "DROP TABLE study")
    with pytest.raises(Unavailable), store.write() as db:
        db.studies(["1.2"])


def test_no_error_says_a_value_that_was_to_be_stored(store: Store) -> None:
    order = OrderReference("order")
    decision = LinkDecision("2026-11-23T09:00:00Z", "ada", "SECRET", "link", "1.2", order)
    with pytest.raises(Exception) as failure, store.write() as db:  # noqa: PT011 - whichever it is
        db.add_facts([("no message SECRET", decision)])
    assert "SECRET" not in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "postgresql://localhost/x", "sqlite://"])
def test_a_database_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url"):
        Store(url)


def test_two_databases_have_two_epochs(store: Store, database_url: str) -> None:
    epoch = store.epoch()
    execute(store, "DELETE FROM setting")
    with closing(Store(database_url)) as anew:
        anew.migrate()
        assert anew.epoch() not in ("", epoch)
