"""What the bridge needs on the broker (DESIGN 3.3): exchanges, quorum queues, bindings, dead letters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from bridge.amqp.oneshot import connected
from bridge.core.errors import ConfigError

DEAD = "bridge.dead"  # exchange and queue of what cannot be read

# The broker's own limit is a last resort: it counts every lost connection and every look, so that a small one, as
# RabbitMQ 4 has by default, would take good messages out of a queue (DESIGN 7). We count attempts ourselves.
_QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
_SOURCE_QUEUE = {
    **_QUORUM,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


@dataclass(frozen=True)
class SourceQueue:
    """A queue to read from, and the topic exchange that feeds it."""

    name: str
    exchange: str
    bindings: tuple[str, ...]
    prefetch: int


@dataclass(frozen=True)
class Topology:
    """Everything on the broker that the bridge needs."""

    sources: tuple[SourceQueue, ...]
    event_exchanges: tuple[str, ...]


def declare(url: str, topology: Topology, *, create: bool) -> None:
    """Declares exchanges, queues and bindings; with `create` false only checks that they exist.

    Raises:
        Unavailable: the broker does not answer.
        ConfigError: one of them exists and differs, or is missing, or the broker refuses the login.
    """
    queues = [(DEAD, _QUORUM), *((source.name, _SOURCE_QUEUE) for source in topology.sources)]
    bindings = [(DEAD, DEAD, "#"), *((s.name, s.exchange, key) for s in topology.sources for key in s.bindings)]
    with connected(url) as connection:
        for exchange in _exchanges(topology):
            with _declaring(connection, f"exchange {exchange}") as channel:
                channel.exchange_declare(exchange, "topic", durable=True, passive=not create)
        for queue, arguments in queues:
            with _declaring(connection, f"queue {queue}") as channel:
                channel.queue_declare(queue, durable=True, passive=not create, arguments=arguments)
        for queue, exchange, key in bindings if create else ():
            with _declaring(connection, f"queue {queue}") as channel:
                channel.queue_bind(queue, exchange, key)


def _exchanges(topology: Topology) -> list[str]:
    return sorted({source.exchange for source in topology.sources} | {*topology.event_exchanges, DEAD})


@contextmanager
def _declaring(connection: BlockingConnection, what: str) -> Iterator[BlockingChannel]:
    channel = connection.channel()
    try:
        yield channel
    except ChannelClosedByBroker as error:
        raise ConfigError(f"{what}: the broker says {error.reply_code} {error.reply_text}") from None
    channel.close()


def remove(url: str, topology: Topology, queues: Sequence[str]) -> None:
    """Removes these queues, and the exchanges of the topology to which then nothing is bound."""
    with connected(url) as connection:
        for queue in queues:
            connection.channel().queue_delete(queue)
        for exchange in _exchanges(topology):
            with suppress(ChannelClosedByBroker):
                connection.channel().exchange_delete(exchange, if_unused=True)
