"""Publishes with confirms: many under way at once, each answered; one that the broker objects to alone is found out."""

import logging
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile
from typing import Any, TypeAlias

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ShortStringTooLong,
    UnsupportedAMQPFieldException,
)
from pika.spec import Basic, BasicProperties

from bridge import metrics
from bridge.amqp.connection import Connection
from bridge.amqp.watching import watch

log = logging.getLogger(__name__)

Properties: TypeAlias = BasicProperties

# On what is dead-lettered: our id of the message, and when it was rejected.
MESSAGE_HEADER, REJECTED_AT_HEADER = "bridge-message", "bridge-rejected-at"
OUR_HEADERS = frozenset({"bridge-error", "bridge-reason", "bridge-channel", MESSAGE_HEADER, REJECTED_AT_HEADER})

_MAX_UNCONFIRMED = 1000
_MAX_UNCONFIRMED_BYTES = 16 * 1024 * 1024
_MOST_STRIKES = 3  # so often a publication ends the AMQP channel, alone, until it is refused

# Reply codes (AMQP 0-9-1, 1.2) by which the broker objects to what was published: content too large, precondition
# failed; frame, syntax and command errors, which end the connection. Others are about rights, or an exchange.
OBJECTIONS = frozenset({311, 406, 501, 502, 503})
_CANNOT_BE_ENCODED = (ShortStringTooLong, UnsupportedAMQPFieldException, struct.error, AssertionError)


class Confirmation(StrEnum):
    """What the broker says of one publication."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"  # confirmed, and no queue took it
    LOST = "lost"  # not taken for now, or the connection was lost before it was confirmed: publish it again
    REFUSED = "refused"  # it cannot be encoded, or ended the AMQP channel three times, alone: it never will be taken


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
    """Publishes with confirms, mandatory and persistent; everything that was submitted is answered.

    `watched` are queues to look at, each with who is told how many messages wait in it. Where one is gone, the
    connection begins again, so that `prepare` declares it, or says that it is missing.
    """

    def __init__(
        self, url: str, prepare: Callable[[], None], watched: Mapping[str, Callable[[int], None]] | None = None
    ) -> None:
        self._watched = watched or {}
        self._connection = Connection(url, "publisher", prepare=prepare, opened=self._opened, lost=self._lost)
        self._channel: Channel | None = None
        self._submitted: deque[_Batch] = deque()  # the only part that other threads touch
        self._waiting: deque[tuple[_Batch, int]] = deque()
        self._unconfirmed: dict[int, tuple[_Batch, int]] = {}  # by delivery tag, ascending
        self._unconfirmed_bytes = 0
        self._returned: set[str] = set()
        self._suspected = 0  # so many of those that come next go alone, as one of them ended the channel
        self._strikes = 0  # how often the first of them did, alone
        self._last_tag = 0
        self._blocked = False

    def start(self) -> None:
        self._connection.start()

    def stop(self) -> None:
        self._connection.stop()
        self._lost(None)

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
            and len(self._unconfirmed) < (1 if self._suspected else _MAX_UNCONFIRMED)
            and self._unconfirmed_bytes < _MAX_UNCONFIRMED_BYTES
        ):
            self._publish(self._channel, *self._waiting.popleft())

    def _publish(self, channel: Channel, batch: _Batch, index: int) -> None:
        one = batch.publications[index]
        try:
            channel.basic_publish(one.exchange, one.routing_key, one.body, one.properties, mandatory=True)
        except _CANNOT_BE_ENCODED as error:
            self._refuse(batch, index, type(error).__name__)
            return
        self._last_tag += 1
        self._unconfirmed[self._last_tag] = (batch, index)
        self._unconfirmed_bytes += len(one.body)

    def _opened(self, connection: SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
        self._blocked = False
        metrics.blocked(False)
        self._open_channel(connection)
        for queue, told in self._watched.items():
            watch(connection, queue, told, absent=self._connection.begin_again)

    def _open_channel(self, connection: SelectConnection) -> None:
        connection.channel(on_open_callback=self._prepare_channel)

    def _set_blocked(self, blocked: bool) -> None:
        log.warning("the broker blocks publishing" if blocked else "the broker takes messages again")
        self._blocked = blocked
        metrics.blocked(blocked)
        self._pump()

    def _prepare_channel(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._use(channel))

    def _use(self, channel: Channel) -> None:
        self._channel, self._last_tag = channel, 0
        self._pump()

    def _on_return(self, _channel: Channel, _method: Any, properties: Properties, _body: bytes) -> None:
        self._returned.add(_key(properties))

    def _on_confirm(self, frame: Any) -> None:
        """A confirm of one tag, or of every open tag up to it (`multiple`)."""
        self._connection.proven()
        method = frame.method
        confirmed = isinstance(method, Basic.Ack)
        tags = [method.delivery_tag]
        if method.multiple:
            tags = list(takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))
        for tag in tags:
            batch, index = self._unconfirmed.pop(tag)
            publication = batch.publications[index]
            self._unconfirmed_bytes -= len(publication.body)
            self._suspected, self._strikes = max(self._suspected - 1, 0), 0
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

    def _refuse(self, batch: _Batch, index: int, reason: str) -> None:
        self._suspected, self._strikes = 0, 0  # what is left goes together again, until the next one is found
        log.error("the broker refuses a message: %s", reason, extra={"size": len(batch.publications[index].body)})
        self._answer(batch, index, Confirmation.REFUSED)

    def _suspect(self, reason: str) -> None:
        """One of what was under way is objected to: all of it comes again, alone; what was alone is nearer to its end.

        The broker's own words are no part of the log: they may quote what it objects to.
        """
        under_way = list(self._unconfirmed.values())
        self._forget()
        self._waiting.extendleft(reversed(under_way))
        if len(under_way) > 1:
            self._suspected, self._strikes = len(under_way), 0
            return
        self._suspected = max(self._suspected, 1)
        self._strikes += len(under_way)
        if self._strikes == _MOST_STRIKES:
            self._refuse(*self._waiting.popleft(), reason)

    def _channel_closed(self, channel: Channel, reason: Exception) -> None:
        self._channel = None
        if isinstance(reason, ChannelClosedByBroker) and (objection := _objection(reason)):
            log.warning("the broker objects to what was published", extra={"code": objection, "strikes": self._strikes})
            self._suspect(objection)
            self._open_channel(channel.connection)
        else:
            self._connection.begin_again(reason)

    def _lost(self, reason: BaseException | None) -> None:
        """What was under way or waits is answered, but for what is to be found out about on the next connection."""
        self._channel = None
        if objection := _objection(reason):
            self._suspect(objection)
            return
        self._pump()
        unanswered = [*self._unconfirmed.values(), *self._waiting]
        self._forget()
        self._waiting.clear()
        self._suspected, self._strikes = 0, 0
        for batch, index in unanswered:
            self._answer(batch, index, Confirmation.LOST)

    def _forget(self) -> None:
        self._unconfirmed.clear()
        self._unconfirmed_bytes = 0
        self._returned.clear()


def _objection(reason: BaseException | None) -> str | None:
    """The reply code, where the broker ended a channel or connection because of what was published."""
    if isinstance(reason, ChannelClosedByBroker | ConnectionClosedByBroker) and reason.reply_code in OBJECTIONS:
        return str(reason.reply_code)
    return None


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


def bare(refused: Publication) -> Publication:
    """The same body without what its sender had put around it: only its type, its id, and our headers."""
    said = refused.properties
    ours = {name: value for name, value in (said.headers or {}).items() if name in OUR_HEADERS}
    kept = {name: getattr(said, name) for name in ("content_type", "content_encoding", "message_id")}
    return replace(refused, properties=properties(**kept, headers=ours))
