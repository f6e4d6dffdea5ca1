"""An engine that publishes until the broker has confirmed each message, and a consumer that takes every event."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

from bridge.core.events import event_name
from tests.chaos.traffic import Sending

QUEUE = "chaos.events"
_AGAIN = 0.2  # seconds before another try
_ENGINES = 4  # that publish at once
_WAVE = 100  # messages
_LONGEST_LAG = 5.0  # seconds behind its pace that an engine makes up for
_PREFETCH = 200


def connection(url: str) -> pika.BlockingConnection:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 20
    return pika.BlockingConnection(parameters)


class Producer:
    """Engines that publish bursts. What is confirmed, and was routed to a queue, is an obligation of the bridge."""

    def __init__(self, url: str, bursts: Iterator[list[Sending]], per_second: float) -> None:
        self._url = url
        self._bursts = bursts
        self._per_second = per_second / _ENGINES
        self._ending = threading.Event()
        self._turn = threading.Lock()
        self._wave = threading.Condition()  # many messages begin to come
        self.obligations: list[Sending] = []
        self.attempts = 0  # messages of all publications, those that were not confirmed included
        self._threads = [threading.Thread(target=self._run, name="engine", daemon=True) for _ in range(_ENGINES)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Finishes the bursts that are under way."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def wait_for_wave(self, seconds: float) -> bool:
        """Whether many messages began to come within so long."""
        with self._wave:
            return self._wave.wait(seconds)

    def _run(self) -> None:
        left: list[Sending] = []
        due = time.monotonic()
        while left or not self._ending.is_set():
            with suppress(AMQPError, OSError), connection(self._url) as connected:
                channel = connected.channel()
                channel.confirm_delivery()
                while left or not self._ending.wait(max(0.0, due - time.monotonic())):
                    if not left:
                        with self._turn:
                            left = next(self._bursts)
                        due = max(due, time.monotonic() - _LONGEST_LAG) + len(left) / self._per_second
                        if len(left) >= _WAVE:
                            with self._wave:
                                self._wave.notify_all()
                    self._publish(channel, left[0])
                    with self._turn:
                        self.obligations.append(left.pop(0))
            time.sleep(_AGAIN)

    def _publish(self, channel: Any, sending: Sending) -> None:
        """Until it is confirmed. Raises AMQPError when the connection is lost: it may have arrived or not."""
        said = sending.inbound
        properties = pika.BasicProperties(
            content_type=said.content_type,
            content_encoding=said.content_encoding,
            message_id=said.message_id,
            delivery_mode=2,
        )
        key = "hl7.chaos" if said.channel == "orders" else "dicom.chaos"
        while True:
            with self._turn:
                self.attempts += len(sending.rows)
            try:
                channel.basic_publish("bridge.in", key, said.body, properties, mandatory=True)
                return
            except (NackError, UnroutableError):
                time.sleep(_AGAIN)


class Event(NamedTuple):
    """What is remembered of an event."""

    digest: bytes
    name: str  # instance.enriched
    subject: str
    partition: str
    revision: int
    verdict: str | None
    orders: frozenset[str]


class Consumer:
    """Takes every event from a durable queue, and acknowledges it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ending = threading.Event()
        self.events: dict[str, Event] = {}
        self.repeated = 0
        self.differing: set[str] = set()  # ids that came with two bodies
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Takes what is still in the queue."""
        self._ending.set()
        self._thread.join()

    def studies(self) -> list[str]:
        """Those of which there was an event."""
        known = list(self.events.values())
        return sorted({event.partition for event in known if event.name != "message.rejected"})

    def _run(self) -> None:
        while True:
            with suppress(AMQPError, OSError), connection(self._url) as connected:
                channel = connected.channel()
                channel.basic_qos(prefetch_count=_PREFETCH)
                for method, properties, body in channel.consume(QUEUE, inactivity_timeout=1):
                    if method:
                        self._remember(properties, body)
                        channel.basic_ack(method.delivery_tag)
                    elif self._ending.is_set():
                        return
            time.sleep(_AGAIN)

    def _remember(self, properties: Any, body: bytes) -> None:
        said = msgspec.json.decode(body)
        if properties.message_id != said["id"]:
            self.differing.add(said["id"])
        correlation = said["data"].get("correlation") or {}
        event = Event(
            digest=sha256(body).digest(),
            name=event_name(said["type"]),
            subject=said["subject"],
            partition=said["partitionkey"],
            revision=said["data"]["revision"],
            verdict=correlation.get("verdict"),
            orders=frozenset(order["id"] for order in said["data"].get("orders") or ()),
        )
        known = self.events.setdefault(said["id"], event)
        if known is not event:
            self.repeated += 1
            if known.digest != event.digest:
                self.differing.add(said["id"])


def take_all(url: str, queue: str) -> list[tuple[Any, bytes]]:
    """Everything that is in a queue, taken out: (properties, body)."""
    found: list[tuple[Any, bytes]] = []
    with connection(url) as connected:
        channel = connected.channel()
        while True:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                return found
            found.append((properties, body))
