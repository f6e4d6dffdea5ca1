"""Short tasks over a connection of their own, for the command line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from pika import BlockingConnection
from pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    NackError,
    UnroutableError,
)

from bridge.amqp.parameters import failure, parameters
from bridge.amqp.publisher import OBJECTIONS, Confirmation, Publication
from bridge.amqp.watching import NOT_FOUND
from bridge.core.errors import ConfigError, Unavailable

_LONGEST_BLOCKED = 30.0  # seconds that a command waits for a broker whose memory or disk is short


@contextmanager
def connected(url: str) -> Iterator[BlockingConnection]:
    """A connection for a short task.

    Raises:
        Unavailable: the broker does not answer, takes nothing, or the connection is lost in between.
        ConfigError: the URL is none, or the broker refuses the login or the certificate, or we refuse the broker's.
    """
    stated = parameters(url)
    stated.blocked_connection_timeout = _LONGEST_BLOCKED
    try:
        connection = BlockingConnection(stated)
    except (AMQPError, OSError) as error:
        raise failure(error) from None
    try:
        yield connection
    except ConnectionBlockedTimeout:
        raise Unavailable("the broker takes nothing now: its memory or disk is short") from None
    except AMQPConnectionError as error:
        raise Unavailable(f"the connection to the broker was lost ({type(error).__name__})") from None
    finally:
        with suppress(AMQPError):
            connection.close()


class QueueState(NamedTuple):
    """What is in a queue, and who reads from it."""

    messages: int
    consumers: int


def queue_state(url: str, queue: str) -> QueueState | None:
    """The state of a queue; None where there is no such queue.

    Raises:
        ConfigError: the broker refuses to say.
    """
    with connected(url) as connection:
        try:
            found = connection.channel().queue_declare(queue, passive=True).method
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise ConfigError(f"queue {queue}: the broker says {error.reply_code} {error.reply_text}") from None
            return None
        return QueueState(found.message_count, found.consumer_count)


def publish(url: str, publications: Sequence[Publication]) -> list[Confirmation]:
    """Publishes in this sequence, waiting for each confirm."""
    confirmations = []
    with connected(url) as connection:
        channel = None
        for one in publications:
            if channel is None:
                channel = connection.channel()
                channel.confirm_delivery()
            try:
                channel.basic_publish(one.exchange, one.routing_key, one.body, one.properties, mandatory=True)
                confirmations.append(Confirmation.CONFIRMED)
            except UnroutableError:
                confirmations.append(Confirmation.RETURNED)
            except NackError:
                confirmations.append(Confirmation.LOST)
            except ChannelClosedByBroker as error:
                if error.reply_code not in OBJECTIONS:
                    raise ConfigError(f"exchange {one.exchange}: the broker says {error.reply_text}") from None
                confirmations.append(Confirmation.REFUSED)
                channel = None
    return confirmations


def events(url: str, exchange: str, binding: str, seconds: float | None) -> Iterator[tuple[str, bytes]]:
    """Routing key and body of each event from now on, until none came for `seconds` (None: for ever).

    It reads from a queue of its own, which goes away with the connection. The first thing that it yields is
    `("", b"")`: the queue is bound.
    """
    with connected(url) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        try:
            channel.queue_bind(queue, exchange, binding)
        except ChannelClosedByBroker as error:
            raise ConfigError(f"exchange {exchange}: the broker says {error.reply_text}") from None
        yield "", b""
        for method, _properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=seconds):
            if method is None:
                return
            yield method.routing_key, body
