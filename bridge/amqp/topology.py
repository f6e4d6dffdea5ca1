"""What the bridge needs on the broker (DESIGN 3.3): exchanges, quorum queues, bindings, dead letters."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from bridge.amqp.oneshot import connected
from bridge.amqp.watching import NOT_FOUND
from bridge.core.errors import ConfigError

DEAD = "bridge.dead"  # exchange and queue of what cannot be read

# The broker's own limit is a last resort: it counts every lost connection and every look, so that a small one, as
# RabbitMQ 4 has by default, would take good messages out of a queue (DESIGN 7). We count attempts ourselves.
DEAD_ARGUMENTS = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}
SOURCE_ARGUMENTS = {
    **DEAD_ARGUMENTS,
    "x-dead-letter-exchange": DEAD,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
_EXCHANGE = {"exchange_type": "topic", "durable": True}


@dataclass(frozen=True)
class SourceQueue:
    """A queue to read from, and the topic exchange that feeds it; `batch` messages are handed over at most."""

    name: str
    exchange: str
    bindings: tuple[str, ...]
    prefetch: int
    batch: int


@dataclass(frozen=True)
class Topology:
    """Everything on the broker that the bridge needs."""

    sources: tuple[SourceQueue, ...]
    event_exchanges: tuple[str, ...]
    foreign_exchanges: tuple[str, ...] = ()  # to publish to, which somebody else declares


def declare(url: str, topology: Topology, *, create: bool) -> None:
    """Declares exchanges, queues and bindings; with `create` false only checks that they exist.

    Raises:
        Unavailable: the broker does not answer.
        ConfigError: some exist and differ, or are missing, or the broker refuses the login; a line for each.
    """
    bindings = [(DEAD, DEAD, "#"), *((s.name, s.exchange, key) for s in topology.sources for key in s.bindings)]
    wrong: list[str] = []
    with connected(url) as connection:
        for name, declared in _declarations(topology):
            with _noting(wrong, connection, name) as channel:
                declared(channel, passive=not create)
        _look_at_foreign(topology, connection, wrong)
        if wrong:
            raise ConfigError(*wrong)
        for queue, exchange, key in bindings if create else ():
            with _noting(wrong, connection, f"queue {queue}") as channel:
                channel.queue_bind(queue, exchange, key)
    if wrong:
        raise ConfigError(*wrong)


def compare(url: str, topology: Topology) -> list[str]:
    """What `declare` would create, without creating it.

    Raises:
        Unavailable: the broker does not answer.
        ConfigError: some exist and differ, or the broker refuses the login; a line for each.
    """
    absent: list[str] = []
    wrong: list[str] = []
    with connected(url) as connection:
        for name, declared in _declarations(topology):
            try:
                declared(connection.channel(), passive=True)
            except ChannelClosedByBroker as error:
                if error.reply_code == NOT_FOUND:
                    absent.append(name)
                    continue
            with _noting(wrong, connection, name) as channel:  # only now the broker compares
                declared(channel, passive=False)
        _look_at_foreign(topology, connection, wrong)
    if wrong:
        raise ConfigError(*wrong)
    return absent


_Declaration = Callable[..., Any]  # takes an AMQP channel and `passive`


def _declarations(topology: Topology) -> Iterator[tuple[str, _Declaration]]:
    """Every exchange and queue: what it is called in reports, and what declares it."""
    for exchange in _exchanges(topology):
        yield f"exchange {exchange}", partial(BlockingChannel.exchange_declare, exchange=exchange, **_EXCHANGE)
    queues = [(DEAD, DEAD_ARGUMENTS), *((source.name, SOURCE_ARGUMENTS) for source in topology.sources)]
    for queue, arguments in queues:
        yield f"queue {queue}", partial(BlockingChannel.queue_declare, queue=queue, durable=True, arguments=arguments)


def _look_at_foreign(topology: Topology, connection: BlockingConnection, wrong: list[str]) -> None:
    for exchange in topology.foreign_exchanges:
        with _noting(wrong, connection, f"exchange {exchange}, which its owner declares") as channel:
            channel.exchange_declare(exchange, passive=True)


def _exchanges(topology: Topology) -> list[str]:
    return sorted({source.exchange for source in topology.sources} | {*topology.event_exchanges, DEAD})


# "inequivalent arg 'x-queue-type' for queue 'bridge.hl7' in vhost '/': received the value 'quorum' of type 'longstr'
# but current is none", and "received 'topic' but current is 'direct'".
_DIFFERS = re.compile(r"inequivalent arg '([^']+)' for .*: received (.+?) but current is (.+)", re.DOTALL)
_TYPED = re.compile(r"(?:the value )?'?(.*?)'?(?: of type '\w+')?")


@contextmanager
def _noting(wrong: list[str], connection: BlockingConnection, what: str) -> Iterator[BlockingChannel]:
    """An AMQP channel for one step; notes what the broker says against it."""
    channel = connection.channel()
    try:
        yield channel
    except ChannelClosedByBroker as error:
        wrong.append(f"{what}: {_said(error)}")
    else:
        channel.close()


def _said(error: ChannelClosedByBroker) -> str:
    if differs := _DIFFERS.fullmatch(error.reply_text.removeprefix("PRECONDITION_FAILED - ")):
        argument, wanted, current = differs[1], *(_TYPED.fullmatch(part) for part in differs.groups()[1:])
        return (
            f"{argument} is {current[1] if current else differs[3]}, and the bridge needs "
            f"{wanted[1] if wanted else differs[2]}: delete it, so that bridge run declares it, or set "
            "BRIDGE_AMQP_DECLARE=check to use one of your own"
        )
    return f"the broker says {error.reply_code} {error.reply_text}"


def remove(url: str, topology: Topology, queues: Sequence[str]) -> None:
    """Removes these queues, and the exchanges of the topology to which then nothing is bound."""
    with connected(url) as connection:
        for queue in queues:
            connection.channel().queue_delete(queue)
        for exchange in _exchanges(topology):
            with suppress(ChannelClosedByBroker):
                connection.channel().exchange_delete(exchange, if_unused=True)
