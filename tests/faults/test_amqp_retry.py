"""While the database does not answer, messages are kept for a while and then given back, and nothing piles up."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pika
import pytest

from bridge.amqp import DEAD, Consumer, Publisher, SourceQueue
from bridge.core.ports import Inbound, Outcome, Rejection, Verb
from bridge.localbroker import LocalBroker
from bridge.sources.rabbitmq import RabbitMQSource
from tests.conftest import PATIENCE, Service
from tests.faults.traffic import QUEUE, Traffic, until

NAME = "test.in"
PREFETCH, BATCH = 500, 10


class Database:
    """Takes messages, or does not; keeps what it took."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.taken: list[Inbound] = []
        self.largest = 0  # batch
        self.refused = threading.Event()

    def receive(self, batch: Sequence[Inbound]) -> list[Outcome]:
        if not self.there.is_set():
            self.refused.set()
            return [Outcome(Verb.RETRY)] * len(batch)
        self.taken += batch
        self.largest = max(self.largest, len(batch))
        return [Outcome(Verb.ACCEPTED)] * len(batch)


class Rejecting(Database):
    """Takes none for readable."""

    def receive(self, batch: Sequence[Inbound]) -> list[Outcome]:
        return [Outcome(Verb.REJECTED, (Rejection("1" * 32, one, "empty", "it has no bytes"),)) for one in batch]


class Queue:
    """The queue that the source reads."""

    def __init__(self, url: str) -> None:
        self.connect(url)

    def connect(self, url: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.channel.queue_declare(NAME, durable=True, arguments={"x-queue-type": "quorum"})

    def publish(self, *bodies: bytes) -> None:
        for body in bodies:
            self.channel.basic_publish("", NAME, body)

    def waiting(self) -> int:
        return int(self.channel.queue_declare(NAME, passive=True).method.message_count)


@pytest.fixture
def queue(amqp_url: str) -> Iterator[Queue]:
    made = Queue(amqp_url)
    yield made
    made.channel.queue_delete(NAME)
    made.connection.close()


@contextmanager
def source(url: str, database: Database, keep_for: float) -> Iterator[RabbitMQSource]:
    """The source on the queue, ended in order."""
    publisher = Publisher(url, lambda: None)
    consumer = Consumer(
        url, [SourceQueue(NAME, "", (), PREFETCH, BATCH)], lambda: None, time.monotonic, lambda _queue, _waiting: None
    )
    made = RabbitMQSource(
        consumer,
        publisher,
        {NAME: "images"},
        database.receive,
        answers=database.there.is_set,
        now=lambda: "2026-11-23T09:00:00Z",
        clock=time.monotonic,
        keep_for=keep_for,
    )
    for part in (publisher, consumer, made):
        part.start()
    try:
        yield made
        assert made.drain(PATIENCE)
    finally:
        consumer.stop()
        publisher.stop()


def bodies(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def all_taken(database: Database, count: int) -> Callable[[], bool]:
    return lambda: len({one.body for one in database.taken}) == count


def all_came_again(database: Database, count: int) -> Callable[[], bool]:
    """Taken as they were kept, and as the broker delivered them again: the ledger knows each by its content."""
    return lambda: len({one.body for one in database.taken if one.redelivered}) == count


def is_read(broker: LocalBroker, queue: str) -> bool:
    """Whether anybody asks for messages; a queue still counts readers that hold messages and ask for none."""
    return queue in broker.control("list_consumers")


def test_while_messages_are_kept_no_more_are_asked_for_and_then_each_is_taken_once(
    amqp_url: str, queue: Queue, broker: LocalBroker
) -> None:
    database = Database()
    queue.publish(*bodies(5))
    with source(amqp_url, database, keep_for=PATIENCE):
        assert database.refused.wait(PATIENCE)
        until(lambda: not is_read(broker, NAME))
        queue.publish(*(b"later %d" % number for number in range(20)))
        assert queue.waiting() == 20
        database.there.set()
        until(all_taken(database, 25))
    assert len(database.taken) == 25
    assert not any(message.redelivered for message in database.taken)
    assert queue.waiting() == 0


def test_no_more_are_handed_over_together_than_the_channel_says(amqp_url: str, queue: Queue) -> None:
    database = Database()
    database.there.set()
    queue.publish(*bodies(BATCH * 20))
    with source(amqp_url, database, keep_for=PATIENCE):
        until(all_taken(database, BATCH * 20))
    assert database.largest == BATCH


def test_what_is_kept_for_too_long_is_the_brokers_again_until_the_database_answers(amqp_url: str, queue: Queue) -> None:
    database = Database()
    queue.publish(*bodies(5))
    with source(amqp_url, database, keep_for=0.0):
        assert database.refused.wait(PATIENCE)
        until(lambda: queue.waiting() == 5)
        database.there.set()
        until(all_came_again(database, 5))
    assert queue.waiting() == 0


def test_told_to_end_while_the_database_is_gone_it_ends_and_keeps_nothing(amqp_url: str, queue: Queue) -> None:
    database = Database()
    queue.publish(*bodies(5))
    with source(amqp_url, database, keep_for=PATIENCE):
        assert database.refused.wait(PATIENCE)
    until(lambda: queue.waiting() == 5)


def test_a_connection_that_is_lost_meanwhile_costs_nothing(amqp_url: str, queue: Queue, broker: LocalBroker) -> None:
    database = Database()
    queue.publish(*bodies(5))
    with source(amqp_url, database, keep_for=PATIENCE):
        assert database.refused.wait(PATIENCE)
        queue.connection.close()
        broker.control("close_all_connections", "maintenance")
        queue.connect(amqp_url)
        until(lambda: queue.waiting() == 5)
        database.there.set()
        until(all_came_again(database, 5))
    assert queue.waiting() == 0


def test_what_was_delivered_from_a_queue_that_is_deleted_meanwhile_is_taken(
    amqp_url: str, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database()
    queue.publish(*bodies(5))
    with source(amqp_url, database, keep_for=PATIENCE):
        assert database.refused.wait(PATIENCE)
        queue.channel.queue_delete(NAME)
        queue.connection.close()
        until(lambda: "broker connection ended" in caplog.text)
        queue.connect(amqp_url)
        database.there.set()
        until(all_taken(database, 5))


def test_a_letter_that_no_queue_takes_yet_does_not_keep_the_process_from_ending(amqp_url: str, queue: Queue) -> None:
    queue.channel.exchange_declare(DEAD, "topic", durable=True)
    queue.publish(b"")

    def waiting() -> list[threading.Timer]:  # pika and pytest-timeout have timers, too
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
        return [one for one in timers if one.function.__module__ == RabbitMQSource.__module__]

    with source(amqp_url, Rejecting(), keep_for=PATIENCE):
        assert all(timer.daemon for timer in until(waiting))
        queue.channel.queue_declare(DEAD, durable=True)
        queue.channel.queue_bind(DEAD, DEAD, "#")
    assert queue.channel.basic_get(DEAD, auto_ack=True)[2] == b""


def test_the_service_stops_reading_while_its_database_is_locked_and_goes_on_by_itself(
    service: Service, amqp_url: str, broker: LocalBroker
) -> None:
    service.start()
    traffic = Traffic(amqp_url)
    other = sqlite3.connect(service.folder / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    traffic.publish(20)
    service.wait_for("not stored")
    until(lambda: not is_read(broker, "bridge.dicom"))
    other.execute("ROLLBACK")
    other.close()
    service.wait_for("messages are taken again")
    traffic.complete(service)
    with traffic.channel() as channel:
        channel.queue_delete(QUEUE)
