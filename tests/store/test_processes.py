"""What several processes on one database may count on: duties that one of them has, and turns at what they share."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import update

from bridge.core.errors import Unavailable
from bridge.store import schema
from bridge.store.leases import Lease, all_caught_up, have_caught_up, hold, let_go, release
from bridge.store.rows import StoredMessage
from bridge.store.store import Store
from bridge.store.transaction import Transaction
from tests.localpostgres import LocalPostgres


class Watch:
    """A clock in hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def processes(postgres: LocalPostgres) -> Iterator[list[Store]]:
    """Two stores on one PostgreSQL, as two processes have them."""
    url = postgres.new_database()
    with closing(Store(url)) as one, closing(Store(url)) as other:
        one.migrate()
        yield [one, other]
    postgres.drop_database(url)


def held(store: Store, owner: str, seconds: float = 20.0) -> bool:
    with store.write() as db:
        return hold(db, "relay", owner, seconds)


def test_one_holds_a_duty_until_it_no_longer_renews_it(store: Store) -> None:
    assert held(store, "one")
    assert not held(store, "other")
    assert held(store, "one", -1.0)  # renewed for a time that is over
    assert held(store, "other")
    assert not held(store, "one")
    with store.write() as db:
        assert hold(db, "deadlines", "one", 20.0)  # another duty


def test_who_ends_leaves_every_duty_to_the_others_and_takes_none_of_theirs(store: Store) -> None:
    assert held(store, "one")
    with store.write() as db:
        let_go(db, "other")
    assert not held(store, "other")
    with store.write() as db:
        let_go(db, "one")
    assert held(store, "other")


def test_all_have_caught_up_when_each_that_was_seen_lately_has(store: Store) -> None:
    def says(owner: str, caught_up: bool, seconds: float = 20.0) -> bool:
        with store.write() as db:
            return have_caught_up(db, owner, caught_up, seconds)

    assert says("one", True)
    assert not says("other", False)
    assert not says("one", True)
    assert says("other", True)
    assert not says("dead", False)
    assert says("one", True, 0.0)  # which leaves nobody but itself
    assert says("other", True)
    with store.write() as db:
        let_go(db, "other")
    assert says("one", True)


def test_a_process_that_fell_silent_may_hold_messages_until_it_speaks_again_or_is_forgotten(store: Store) -> None:
    def says(owner: str, forgotten_after: float = 120.0) -> bool:
        with store.write() as db:
            return have_caught_up(db, owner, True, forgotten_after)

    assert says("frozen")
    with store.write() as db:
        db.connection.execute(update(schema.process).values(seen=schema.process.c.seen - 10.0))
    assert not says("one")
    assert says("frozen")
    with store.write() as db:
        db.connection.execute(update(schema.process).values(seen=schema.process.c.seen - 10.0))
    assert not says("one")
    assert says("one", forgotten_after=9.0)


def test_the_process_of_sqlite_has_every_duty(tmp_path: object) -> None:
    with closing(Store(f"sqlite:///{tmp_path}/bridge.db")) as store:
        store.migrate()
        assert Lease(store, "relay", time.monotonic).held()
        assert Lease(store, "relay", time.monotonic).held()
        assert all_caught_up(store, True)
        assert not all_caught_up(store, False)
        release(store)


def test_a_duty_passes_on_when_its_process_ends(processes: list[Store]) -> None:
    watch = Watch()
    first, second = (Lease(store, "relay", watch) for store in processes)
    assert first.held()
    assert not second.held()
    watch.seconds += 6.0
    assert first.held()
    assert not second.held()
    release(processes[0])
    watch.seconds += 1.0
    assert second.held()
    watch.seconds += 6.0
    assert not first.held()


def test_whoever_has_a_duty_is_the_only_one_to_believe_it(processes: list[Store]) -> None:
    """The first stands still for a minute, in which the other one takes over, and then asks at once."""
    watch, other_watch = Watch(), Watch()
    first, second = Lease(processes[0], "relay", watch), Lease(processes[1], "relay", other_watch)
    assert first.held()
    with processes[0].write() as db:
        hold(db, "relay", processes[0].owner, -1.0)
    assert second.held()
    watch.seconds += 60.0
    assert not first.held()


def test_a_duty_lasts_through_a_short_failure_of_the_database_and_no_longer() -> None:
    watch = Watch()
    with LocalPostgres(durable=False) as server, closing(Store(server.new_database())) as store:
        store.migrate()
        lease = Lease(store, "relay", watch)
        assert lease.held()
        server.kill()
        watch.seconds += 6.0
        assert lease.held()
        watch.seconds += 7.0  # others may soon take it over
        with pytest.raises(Unavailable):
            lease.held()
        server.start()
        watch.seconds += 1.0
        assert lease.held()


def test_a_small_write_that_somebody_is_in_the_way_of_is_unavailable(processes: list[Store]) -> None:
    one, other = processes
    with one.write() as db:
        db.messages(["m"])
        with pytest.raises(Unavailable, match="another process"), other.write() as beside:
            beside.messages(["m"])
        with other.write() as beside:
            assert beside.messages(["n"]) == {}


def test_a_transaction_of_more_keys_than_can_be_claimed_takes_its_turn_alone(processes: list[Store]) -> None:
    one, _ = processes
    most = one.most_messages()
    assert most is not None
    assert most >= 10
    ids = [f"m{n}" for n in range(100 * most)]

    def keep(db: Transaction) -> int:
        known = db.messages(ids)
        db.save_messages([StoredMessage(row, "orders", "TRANSFORMED") for row in ids if row not in known])
        return len(known)

    with ThreadPoolExecutor() as threads:
        known = list(threads.map(lambda store: store.transact(keep), processes))
    assert sorted(known) == [0, len(ids)]
