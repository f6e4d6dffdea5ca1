"""Both neighbours of the service: an engine that counts what the broker has confirmed, and a consumer of events.

Each object is an obligation: it must end in the ledger, and its event must come. Both survive faults as real ones do:
the engine publishes again what was not confirmed, and the consumer's queue is durable.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from tests.conftest import PATIENCE, Service, name_of
from tests.samples import ROOT, ct

QUEUE = "test.events"
_A_MOMENT = 0.05  # seconds between two looks at what gives no signal

T = TypeVar("T")


class Traffic:
    """Objects of studies that have no order: one `instance.pending` is owed for each."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._obligations: set[str] = set()
        self._next = 0
        self._bodies: dict[str, bytes] = {}  # by event id
        self._subjects: set[str] = set()
        self.bind()

    @contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """An AMQP channel of an administrator; the broker may just be coming back."""
        connection = until(lambda: _connected(self._url))
        try:
            yield connection.channel()
        finally:
            with suppress(AMQPError):
                connection.close()

    def bind(self) -> None:
        """The consumer's queue and its binding."""
        with self.channel() as channel:
            channel.exchange_declare("bridge.events", "topic", durable=True)
            channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(QUEUE, "bridge.events", "#")

    def publish(self, count: int) -> None:
        """So many objects, each until it is confirmed."""
        wanted = [self._next + number for number in range(count)]
        self._next += count
        while wanted:
            with suppress(AMQPError), self.channel() as channel:
                channel.confirm_delivery()
                while wanted:
                    number = wanted[0]
                    body = ct(number, study=f"{ROOT}.1.{number}")
                    stated = pika.BasicProperties(content_type="application/dicom", delivery_mode=2)
                    channel.basic_publish("bridge.in", "dicom.CT", body, stated, mandatory=True)
                    self._obligations.add(f"{ROOT}.3.{number}")
                    wanted.pop(0)

    def complete(self, service: Service, *, unrouted: int = 0) -> None:
        """Waits until every obligation is met, but for events that no queue wanted, and judges what a user sees."""
        while len(missing := self._obligations - self._subjects) > unrouted:
            with suppress(AMQPError), self.channel() as channel:
                for method, properties, body in channel.consume(QUEUE, inactivity_timeout=PATIENCE):
                    missing = self._obligations - self._subjects
                    assert method is not None, f"{len(missing)} events have not come; {service.log[-3:]}"
                    self._take(properties.message_id, body)
                    channel.basic_ack(method.delivery_tag)
                    if len(self._obligations - self._subjects) <= unrouted:
                        break
        assert service.stop() == 0, service.log[-5:]
        status = service.status()
        stored = (status["messages"]["TRANSFORMED"], status["instances"])
        assert stored == (len(self._obligations), len(self._obligations)), status
        assert status["messages"]["ERROR"] == status["outbox"]["QUEUED"] == 0
        assert status["outbox"]["UNROUTED"] == unrouted
        assert "FAILED" not in status["outbox"]

    def _take(self, event_id: str, body: bytes) -> None:
        assert self._bodies.setdefault(event_id, body) == body, "one id, two bodies"
        event = json.loads(body)
        if name_of(event) == "instance.pending":
            self._subjects.add(event["subject"])

    def readers(self, queue: str = "bridge.dicom") -> int:
        """How many read from a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.consumer_count)

    def waiting(self, queue: str = "bridge.dicom") -> int:
        """How many messages of a queue were not given to anybody."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)


def _connected(url: str) -> pika.BlockingConnection | None:
    try:
        return pika.BlockingConnection(pika.URLParameters(url))
    except AMQPError:
        return None


def until(look: Callable[[], T | None]) -> T:
    """What `look` finds, once it finds something: for what gives no signal."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(_A_MOMENT)
    return found
