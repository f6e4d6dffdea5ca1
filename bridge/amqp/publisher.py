"""Publishes with confirms: many under way at once, each answered."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from bridge.amqp.connection import Connection

log = logging.getLogger(__name__)

Properties: TypeAlias = BasicProperties

MESSAGE_HEADER = "bridge-message"  # our id of a message, on what is dead-lettered

_MAX_UNCONFIRMED = 1000
_MAX_UNCONFIRMED_BYTES = 16 * 1024 * 1024


class Confirmation(StrEnum):
    """What the broker says of one publication."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # confirmed, and no queue took it
    LOST = "lost"  # refused, or the connection was lost before it was confirmed


@dataclass(frozen=True)
class Publication:
    """One message to publish; `key` tells it from the others that are under way, and is also in its properties."""

    exchange: str
    routing_key: str
    body: bytes
    properties: Properties
    key: str


Done = Callable[[list[Confirmation]], None]


@dataclass
class _Batch:
    publications: Sequence[Publication]
    done: Done
    confirmations: list[Confirmation]
    open: int


class Publisher:
    """Publishes with confirms, mandatory and persistent; everything that was submitted is answered."""

    def __init__(self, url: str, prepare: Callable[[], None]) -> None:
        self._connection = Connection(url, "publisher", prepare=prepare, opened=self._opened, lost=self._lost)
        self._channel: Channel | None = None
        self._submitted: deque[_Batch] = deque()  # the only part that other threads touch
        self._waiting: deque[tuple[_Batch, int]] = deque()
        self._unconfirmed: dict[int, tuple[_Batch, int]] = {}  # by delivery tag, ascending
        self._unconfirmed_bytes = 0
        self._returned: set[str] = set()
        self._last_tag = 0
        self._blocked = False
        self._usable = threading.Event()

    def start(self) -> None:
        self._connection.start()

    def stop(self) -> None:
        self._connection.stop()
        self._lost()

    def submit(self, publications: Sequence[Publication], done: Done) -> None:
        """Publishes in this sequence; `done` is called once, on the connection's thread, with all confirmations.

        Without a connection they wait for the next one.
        """
        batch = _Batch(publications, done, [Confirmation.LOST] * len(publications), len(publications))
        if not publications:
            done(batch.confirmations)
            return
        self._submitted.append(batch)
        self._connection.call(self._pump)

    def _pump(self) -> None:
        while self._submitted:
            batch = self._submitted.popleft()
            self._waiting.extend((batch, index) for index in range(len(batch.publications)))
        while (
            self._waiting
            and self._channel is not None
            and self._channel.is_open
            and not self._blocked
            and len(self._unconfirmed) < _MAX_UNCONFIRMED
            and self._unconfirmed_bytes < _MAX_UNCONFIRMED_BYTES
        ):
            batch, index = self._waiting.popleft()
            publication = batch.publications[index]
            self._last_tag += 1
            self._unconfirmed[self._last_tag] = (batch, index)
            self._unconfirmed_bytes += len(publication.body)
            self._channel.basic_publish(
                publication.exchange,
                publication.routing_key,
                publication.body,
                publication.properties,
                mandatory=True,
            )

    def _opened(self, connection: SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
        connection.channel(on_open_callback=self._prepare_channel)

    def _set_blocked(self, blocked: bool) -> None:
        log.warning("the broker blocks publishing" if blocked else "the broker takes messages again")
        self._blocked = blocked
        self._pump()

    def _prepare_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._use(channel))

    def _use(self, channel: Channel) -> None:
        self._channel, self._last_tag, self._blocked = channel, 0, False
        self._usable.set()
        self._pump()

    def _on_return(self, _channel: Channel, _method: Any, properties: Properties, _body: bytes) -> None:
        self._returned.add(_key(properties))

    def _on_confirm(self, frame: Any) -> None:
        """A confirm of one tag, or of every open tag up to it (`multiple`)."""
        method = frame.method
        confirmed = isinstance(method, Basic.Ack)
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
        for tag in tags:
            batch, index = self._unconfirmed.pop(tag)
            publication = batch.publications[index]
            self._unconfirmed_bytes -= len(publication.body)
            if confirmed and publication.key in self._returned:
                self._returned.discard(publication.key)
                self._answer(batch, index, Confirmation.RETURNED)
            else:
                self._answer(batch, index, Confirmation.CONFIRMED if confirmed else Confirmation.LOST)
        self._pump()

    def _answer(self, batch: _Batch, index: int, confirmation: Confirmation) -> None:
        batch.confirmations[index] = confirmation
        batch.open -= 1
        if not batch.open:
            batch.done(batch.confirmations)

    def _channel_closed(self, _channel: Channel, reason: Exception) -> None:
        self._usable.clear()
        self._connection.begin_again(reason)

    def _lost(self) -> None:
        self._usable.clear()
        self._channel = None
        self._pump()
        unanswered = [*self._unconfirmed.values(), *self._waiting]
        self._unconfirmed.clear()
        self._unconfirmed_bytes = 0
        self._waiting.clear()
        self._returned.clear()
        for batch, index in unanswered:
            self._answer(batch, index, Confirmation.LOST)


def _key(properties: Properties) -> str:
    return str((properties.headers or {}).get(MESSAGE_HEADER) or properties.message_id)


def properties(**stated: Any) -> Properties:
    """The properties of a persistent message of ours."""
    return BasicProperties(delivery_mode=2, app_id="hl7-dicom-bridge", **stated)


def with_headers(known: Properties, headers: Mapping[str, Any]) -> Properties:
    """The same properties with further headers.

    `expiration` would end a dead letter, and the broker refuses another login's `user_id`: both become headers.
    """
    stated = {name: value for name, value in vars(known).items() if value is not None}
    moved = {
        f"bridge-{name.replace('_', '-')}": stated.pop(name) for name in ("expiration", "user_id") if name in stated
    }
    return BasicProperties(**stated | {"headers": {**(known.headers or {}), **moved, **headers}})
