"""The path out: order, confirmation and restart of what is owed, with a real outbox."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bridge.core.errors import Unavailable
from bridge.core.ports import Delivery, Outbound
from bridge.relay import Relay
from bridge.store import outbox
from bridge.store.store import Store
from bridge.store.transaction import Transaction
from tests.faults.traffic import until

PATIENCE = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'bridge.db'}")
    made.migrate()
    yield made
    made.close()


def owe(store: Store, count: int, first: int = 0) -> list[Outbound]:
    events = [
        Outbound(0, "images", f"instance.enriched.{n}", f"id-{n}", "t", "2026-11-23T09:00:00Z", b"{}", {})
        for n in range(first, first + count)
    ]
    with store.write() as db:
        return db.owe(events)


def left(store: Store) -> list[str]:
    with store.read() as db:
        return [event.event_id for event in outbox.owed(db, 10_000)]


def counters(store: Store) -> dict[str, int]:
    with store.read() as db:
        return db.figures()["outbox"]


class Broker:
    """A destination that answers as it is told, and keeps what was confirmed."""

    def __init__(self, *answers: Delivery | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []

    def send(self, batch: Sequence[Outbound]) -> Sequence[Delivery]:
        answer = self.answers.pop(0) if self.answers else Delivery.SENT
        if isinstance(answer, Exception):
            raise answer
        if answer is not Delivery.FAILED:
            self.sent += [event.event_id for event in batch]
        return [answer] * len(batch)


def test_what_was_owed_before_the_start_goes_out_first_and_in_sequence(store: Store) -> None:
    owe(store, 2500)
    broker = Broker()
    relay = Relay(store, broker.send, time.monotonic)
    relay.start()
    relay.owe(owe(store, 3, first=2500))
    assert relay.drain(PATIENCE)
    assert broker.sent == [f"id-{n}" for n in range(2503)]
    assert left(store) == []
    assert counters(store) == {"QUEUED": 0, "SENT": 2503}


def test_what_was_not_confirmed_is_sent_again_from_the_oldest_on(store: Store) -> None:
    broker = Broker(Delivery.FAILED, Unavailable("gone"), RuntimeError("bug"))
    relay = Relay(store, broker.send, time.monotonic)
    relay.start()
    relay.owe(owe(store, 5))
    relay.owe(owe(store, 5, first=5))
    assert relay.drain(PATIENCE)
    assert broker.sent == [f"id-{n}" for n in range(10)]
    assert counters(store)["SENT"] == 10


def test_an_event_without_a_queue_is_counted_and_not_kept(store: Store) -> None:
    relay = Relay(store, Broker(Delivery.UNROUTED).send, time.monotonic)
    relay.start()
    relay.owe(owe(store, 1))
    assert relay.drain(PATIENCE)
    assert counters(store) == {"QUEUED": 0, "UNROUTED": 1}


def test_nothing_is_lost_when_more_is_owed_than_fits_into_memory(store: Store) -> None:
    first_batch, go_on = threading.Event(), threading.Event()
    broker = Broker()

    def slow(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        first_batch.set()
        go_on.wait(PATIENCE)
        return broker.send(batch)

    relay = Relay(store, slow, time.monotonic)
    relay.start()
    relay.owe(owe(store, 1))
    first_batch.wait(PATIENCE)
    for thousand in range(22):
        relay.owe(owe(store, 1000, first=1 + thousand * 1000))
    go_on.set()
    assert relay.drain(PATIENCE * 2)
    assert broker.sent == [f"id-{n}" for n in range(22_001)]
    assert left(store) == []


def test_events_that_another_process_left_come_in_their_sequence_while_others_are_owed(store: Store) -> None:
    sent: list[str] = []
    done = threading.Event()

    def send(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        sent.extend(event.event_id for event in batch)
        if len(sent) >= 3:
            done.set()
        return [Delivery.SENT] * len(batch)

    relay = Relay(store, send, time.monotonic)
    relay.start()
    relay.owe(owe(store, 1))
    owe(store, 1, first=1)  # of `bridge link`: the relay is not told
    relay.owe(owe(store, 1, first=2))
    assert done.wait(PATIENCE)
    assert relay.drain(PATIENCE)
    assert sent == ["id-0", "id-1", "id-2"]


def event_of(study: str, name: str) -> Outbound:
    return Outbound(0, "images", "k", name, "t", "2026-11-23T09:00:00Z", b"{}", {"partitionkey": study})


def test_an_event_that_the_broker_refuses_holds_back_its_study_alone(store: Store) -> None:
    class Choosy(Broker):
        def send(self, batch: Sequence[Outbound]) -> Sequence[Delivery]:
            taken = [event for event in batch if event.event_id != "bad"]
            self.sent += [event.event_id for event in taken]
            return [Delivery.SENT if event in taken else Delivery.REFUSED for event in batch]

    def relayed(broker: Broker, *events: Outbound) -> list[str]:
        with store.write() as db:
            db.owe(events)
        relay = Relay(store, broker.send, time.monotonic)
        relay.start()
        assert relay.drain(PATIENCE)
        return broker.sent

    assert relayed(Choosy(), event_of("1.1", "first"), event_of("1.1", "bad"), event_of("1.2", "other")) == [
        "first",
        "other",
    ]
    with store.write() as db:
        db.owe([event_of("1.1", "waits"), event_of("1.3", "third")])
        assert [event.event_id for event in outbox.owed(db, 10)] == ["third"]
        assert db.figures()["refused"] == {"all": 1}
    assert relayed(Broker()) == ["bad", "waits", "third"]  # the next start tries again


def test_what_follows_an_event_that_was_not_confirmed_is_sent_again_behind_it(store: Store) -> None:
    """A consumer that keeps what came last ends with the newest state of a study."""
    sent: list[str] = []

    def send(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        first_time = not sent
        sent.extend(event.event_id for event in batch)
        return [Delivery.FAILED if first_time and event.event_id == "matched" else Delivery.SENT for event in batch]

    with store.write() as db:
        db.owe([event_of("1.1", "matched"), event_of("1.2", "other"), event_of("1.1", "unlinked")])
    relay = Relay(store, send, time.monotonic)
    relay.start()
    assert relay.drain(PATIENCE)
    assert sent == ["matched", "other", "unlinked", "matched", "unlinked"]
    assert counters(store) == {"QUEUED": 0, "SENT": 3}


def test_events_that_are_told_of_while_the_outbox_is_looked_at_go_out_once_and_in_sequence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source commits, and tells of it, between the two looks of a relay that has just started; ids have a gap."""
    with store.write() as db:
        outbox.settle(db, {event.id: Delivery.SENT for event in db.owe([event_of("1.1", "before")])})
    broker = Broker()
    relay = Relay(store, broker.send, time.monotonic)
    look, looks = store.read, itertools.count(1)

    def read() -> AbstractContextManager[Transaction]:
        if next(looks) == 2:
            relay.owe(owe(store, 1))
            relay.owe(owe(store, 1, first=1))
        return look()

    monkeypatch.setattr(store, "read", read)
    relay.start()
    assert relay.drain(PATIENCE)
    assert broker.sent == ["id-0", "id-1"]


def test_what_is_confirmed_and_not_forgotten_yet_is_not_published_again_where_the_next_fails(store: Store) -> None:
    broker = Broker(Delivery.SENT, Delivery.SENT, Delivery.FAILED)

    def send(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        if len(broker.sent) == 1:  # while one is published the next becomes owed: nothing is forgotten in between
            relay.owe(owe(store, 1, first=2))
        return broker.send(batch)

    owe(store, 1)
    relay = Relay(store, send, time.monotonic)
    relay.start()
    until(lambda: not left(store))  # the outbox was read, and memory has taken over
    relay.owe(owe(store, 1, first=1))
    until(lambda: len(broker.sent) == 3 and not left(store))
    assert relay.drain(PATIENCE)
    assert broker.sent == ["id-0", "id-1", "id-2"]
    assert counters(store) == {"QUEUED": 0, "SENT": 3}


def test_a_site_without_consumers_is_warned_once_a_minute(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, 10.0, 59.0, 61.0))
    seconds = 0.0
    called = threading.Semaphore(0)

    def send(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        nonlocal seconds
        seconds = next(times)
        called.release()
        return [Delivery.UNROUTED] * len(batch)

    relay = Relay(store, send, lambda: seconds)
    relay.start()
    for number in range(4):
        relay.owe(owe(store, 1, first=number))
        assert called.acquire(timeout=PATIENCE)
        until(lambda: not left(store))  # they are forgotten, and counted, in the sequence of the times
    assert relay.drain(PATIENCE)
    warned = [record.__dict__["events"] for record in caplog.records if "no queue is bound" in record.message]
    assert warned == [1, 3]
