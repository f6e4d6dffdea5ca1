"""What the broker does not take, of events and of dead letters, is neither lost nor sent without end."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pika
from pika.exceptions import NackError

from bridge.amqp import Publisher
from bridge.core.ports import Outbound
from bridge.destinations.rabbitmq import destination
from bridge.localbroker import LocalBroker
from bridge.relay import Relay
from bridge.store import outbox
from bridge.store.store import Store
from tests.conftest import PATIENCE, Engine, Service
from tests.faults.traffic import until

UNREADABLE, FILLER = b"this is no HL7 message", b"filler"


def test_an_event_that_cannot_be_sent_keeps_no_other_study_waiting_and_is_not_tried_without_end(
    tmp_path: Path, amqp_url: str
) -> None:
    def event(name: str, correlation_id: str | None = None) -> Outbound:
        stated = {"partitionkey": name}
        time = "2026-11-23T09:00:00Z"
        return Outbound(0, "images", "k", name, "t", time, b"{}", stated, correlation_id=correlation_id)

    publisher = Publisher(amqp_url, lambda: None)
    with (
        closing(Store(f"sqlite:///{tmp_path / 'bridge.db'}")) as store,
        pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection,
    ):
        store.migrate()
        channel = connection.channel()
        channel.exchange_declare("test.events", "topic", auto_delete=True)
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "test.events", "#")
        with store.write() as db:
            db.owe([event("first"), event("too long", "x" * 300), event("last")])
        publisher.start()
        relay = Relay(store, destination(publisher, {"images": {"events": "test.events"}}), lambda: 0.0)
        relay.start()
        assert relay.drain(PATIENCE)
        publisher.stop()
        taken = [channel.basic_get(queue, auto_ack=True)[1] for _ in range(3)]
        assert [said.message_id for said in taken if said] == ["first", "last"]
        with store.read() as db:
            assert db.figures()["outbox"] == {"QUEUED": 1, "SENT": 2}
            assert outbox.owed(db, 10) == []


@contextmanager
def full(broker: LocalBroker, queue: str, url: str) -> Iterator[None]:
    """The queue takes nothing for a while."""

    def takes(most: int) -> None:
        definition = f'{{"max-length":{most},"overflow":"reject-publish"}}'
        broker.control("set_policy", "full", f"^{queue}$", definition, "--apply-to", "queues")

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()

        def refuses() -> bool:
            try:
                channel.basic_publish("bridge.dead", "filler", FILLER)
            except NackError:
                return True
            return False

        takes(1)
        until(refuses)
        try:
            yield
        finally:
            takes(100_000)
            broker.control("clear_policy", "full")


@contextmanager
def letter_that_waits(broker: LocalBroker, service: Service, engine: Engine, url: str) -> Iterator[None]:
    """The service has started, and rejects a message that `bridge.dead` does not take meanwhile."""
    service.start()
    with full(broker, "bridge.dead", url):
        engine.hl7(UNREADABLE)
        service.wait_for("not dead-lettered yet")
        yield


def letters(engine: Engine) -> list[bytes]:
    """What was dead-lettered."""
    return [body for _, body in engine.dead_letters() if body != FILLER]


def test_a_message_that_waits_to_be_dead_lettered_is_one_letter_however_often_the_connection_is_lost(
    broker: LocalBroker, service: Service, engine: Engine, amqp_url: str
) -> None:
    with letter_that_waits(broker, service, engine, amqp_url):
        for _ in range(3):
            [reader] = [
                line.split("\t")[0]
                for line in broker.control("list_connections", "pid", "client_properties").splitlines()
                if "bridge consumer" in line or "dicom-bridge consumer" in line
            ]
            broker.control("close_connection", reader, "test")
            service.wait_for("rejected")
            service.wait_for("not dead-lettered yet")
    assert service.stop() == 0  # every letter that was under way is confirmed, or given up
    assert letters(engine) == [UNREADABLE]


def test_a_second_sigterm_ends_at_once_and_the_letter_follows_at_the_next_start(
    broker: LocalBroker, service: Service, engine: Engine, amqp_url: str
) -> None:
    with letter_that_waits(broker, service, engine, amqp_url):
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("ending")
        assert service.stop() == -signal.SIGTERM
    service.start()
    service.wait_for("rejected")
    assert service.stop() == 0
    assert letters(engine) == [UNREADABLE]
