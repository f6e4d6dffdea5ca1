"""Builds the program out of its parts, runs it, and is the only place with a clock."""

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from bridge.amqp import DEAD, Consumer, Publisher, SourceQueue, Topology, declare
from bridge.config import Settings, channels_place, load_channels, placed
from bridge.core.channel import Channel
from bridge.core.errors import ConfigError, Refused, Unavailable
from bridge.core.publishing import Origin
from bridge.correlation import Site
from bridge.deadlines import Deadlines
from bridge.destinations.rabbitmq import destination
from bridge.formats import reading
from bridge.intake import Intake
from bridge.monitoring import Monitoring
from bridge.purge import Purge, Retention
from bridge.relay import Relay
from bridge.sources.rabbitmq import RabbitMQSource
from bridge.store.dialects import readable_by_others
from bridge.store.leases import release
from bridge.store.store import Store

log = logging.getLogger(__name__)

EXIT_BUG = 70
GRACE_SECONDS = 30.0  # to finish what was delivered after SIGTERM, and then to publish what is owed
_STEP_SECONDS = 5.0  # for one step of deadlines or purge to end, and to let go of duties
_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_FIRST_DELAY, _LAST_DELAY = 0.5, 10.0  # seconds between attempts to reach database and broker at the start

_SWITCH_SECONDS = 0.0005  # until another thread's turn: with Python's 0.005 a connection waits for a whole batch
_GC_THRESHOLDS = (20_000, 20, 50)  # a batch makes thousands of values, none of which is part of a cycle

T = TypeVar("T")


def now() -> str:
    """The time in UTC, RFC 3339 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def checked_channels(place: Path) -> list[Channel]:
    """The enabled channels of a folder or file, with all that their formats can check.

    Raises:
        ConfigError: every mistake in every file.
    """
    channels = load_channels(place)
    mistakes = [placed(channel, key, said) for channel in channels for key, said in reading.mistakes(channel)]
    if mistakes:
        raise ConfigError(*mistakes)
    return channels


def topology_of(channels: Sequence[Channel]) -> Topology:
    """What these channels need on the broker."""
    destinations = [destination for channel in channels for destination in channel.destinations]
    return Topology(
        sources=tuple(
            SourceQueue(c.source.queue, c.source.exchange, c.source.bindings, c.source.prefetch, c.source.batch)
            for c in channels
        ),
        event_exchanges=tuple(sorted({one.exchange for one in destinations if one.declare})),
        foreign_exchanges=tuple(sorted({one.exchange for one in destinations if not one.declare})),
    )


def channels_by_queue(channels: Sequence[Channel]) -> dict[str, str]:
    """The name of the channel that reads each queue."""
    return {channel.source.queue: channel.name for channel in channels}


def open_store(settings: Settings) -> Store:
    """The store for `bridge run`.

    Raises:
        ConfigError: the URL is not one of a database, or nothing can be written where it points.
        Unavailable: another process holds the SQLite file.
    """
    store = Store(settings.database_url.get_secret_value())
    store.lock()
    return store


def prepare_store(store: Store) -> None:
    """Brings an empty database up to the schema; looks at the schema of any other.

    Raises:
        ConfigError: the schema is another than this version's.
        Unavailable: the database does not answer.
    """
    if store.is_empty():
        store.migrate()
    store.check_schema()
    if store.file and readable_by_others(store.file):
        log.warning(
            "everybody on this machine can read the database, which holds patient data: chmod 600 %s", store.file
        )


def site_of(settings: Settings, channels: Sequence[Channel], store: Store) -> Site:
    """What is the same for every message."""
    return Site(
        origin=Origin(settings.site, store.epoch()),
        channels={channel.name: channel for channel in channels},
        policy=settings.policy,
        settle_after=settings.settle_after.total_seconds(),
        hold_for=settings.hold_for.total_seconds(),
    )


def retention_of(settings: Settings) -> Retention:
    """How long what is stored is kept."""
    return Retention(settings.retain_messages, settings.retain_bodies, settings.retain_studies)


def _answers(store: Store) -> bool:
    """Whether the database takes a transaction."""
    try:
        with store.write() as db:
            db.messages(["none"])
    except Unavailable:
        return False
    return True


def _once_available(what: str, attempt: Callable[[], T]) -> T | None:
    """What the attempt answers as soon as it can, however long that takes; None when told to stop."""
    delay = _FIRST_DELAY
    while True:
        try:
            return attempt()
        except Unavailable as error:
            log.warning("waiting for the %s: %s", what, error)
        if signal.sigtimedwait(_STOP, delay):
            return None
        delay = min(delay * 2, _LAST_DELAY)


class Bridge:
    """The running service: two connections, a source, intake, deadlines, a relay, and purging.

    Raises:
        Unavailable: the database does not answer.
    """

    def __init__(self, settings: Settings, channels: Sequence[Channel], store: Store, monitoring: Monitoring) -> None:
        self._store = store
        url, topology = settings.broker_url, topology_of(channels)

        def prepare() -> None:
            declare(url, topology, create=settings.amqp_declare == "create")

        self._prepare = prepare
        self._publisher = Publisher(url, prepare, watched={DEAD: monitoring.dead_letters_answered})
        self._consumer = Consumer(url, topology.sources, prepare, time.monotonic, monitoring.queue_answered)
        exchanges = {c.name: {one.name: one.exchange for one in c.destinations} for c in channels}
        send = destination(self._publisher, exchanges)
        self._relay = Relay(store, monitoring.sending(send), time.monotonic)
        site = site_of(settings, channels, store)
        self._deadlines = Deadlines(store, site, now, time.monotonic, self._consumer.caught_up, self._relay.owe)
        owe = monitoring.owing(self._relay.owe)
        retention = retention_of(settings)
        keeps_bodies = retention.bodies is None or bool(retention.bodies)
        clock = self._deadlines.clock
        intake = Intake(store, site, now, owe, settings.limits, clock, keeps_bodies=keeps_bodies)
        self._purge = Purge(store, site, retention, now, time.monotonic)
        receive = monitoring.receiving(intake.receive)
        self._source = RabbitMQSource(
            self._consumer,
            self._publisher,
            channels_by_queue(channels),
            receive,
            answers=monitoring.asking(partial(_answers, store)),
            now=now,
            clock=time.monotonic,
        )

    def start(self) -> bool:
        """Declares what is needed, waiting for the broker as long as it takes, and begins; False when told to stop.

        Raises:
            ConfigError: the broker refuses the login, or an exchange or queue there differs.
        """

        def declared() -> bool:
            self._prepare()
            return True

        if not _once_available("broker", declared):
            return False
        for part in (self._publisher, self._relay, self._consumer, self._source, self._deadlines, self._purge):
            part.start()
        return True

    def drain(self) -> bool:
        """Finishes what was delivered, publishes what is owed, and closes; says whether nothing was left."""
        self._purge.stop(_STEP_SECONDS)
        self._deadlines.stop(_STEP_SECONDS)
        finished = self._source.drain(GRACE_SECONDS)
        finished = self._relay.drain(GRACE_SECONDS) and finished
        self._consumer.stop()
        self._publisher.stop()
        leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)
        leaving.start()
        leaving.join(_STEP_SECONDS)
        return finished

    def _leave(self) -> None:
        with suppress(Unavailable):  # they are taken over soon, then
            release(self._store)


def run(settings: Settings) -> None:
    """Runs the service until SIGTERM or SIGINT; a second one ends it at once, which is safe by design.

    They are blocked and waited for. A handler would run in this thread, which may be about to fall asleep: the signal
    would then wait for the next one.

    Raises:
        ConfigError: settings, channels, schema, login or an existing queue are not what they have to be.
        Unavailable: another process holds the SQLite file, or the address to listen on cannot be had.
    """
    channels = checked_channels(channels_place(settings))
    store = open_store(settings)
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # for every thread that is started from here on
    threading.excepthook = _end
    if settings.site == "default":
        log.warning("site is not set: set BRIDGE_SITE, so that events of two sites can be told apart")
    queues = channels_by_queue(channels)
    monitoring = Monitoring(store, settings.site, queues, settings.http_listen, time.monotonic, now)
    monitoring.start()

    def build() -> Bridge:
        try:
            prepare_store(store)
            return Bridge(settings, channels, store, monitoring)
        except Refused as error:
            raise ConfigError(f"database_url: {error}") from None

    service = _once_available("database", build)
    _tune_interpreter()
    if service and service.start():
        monitoring.running()
        log.info("ready", extra={"channels": ",".join(channel.name for channel in channels), "site": settings.site})
        signal.sigwait(_STOP)
        for number in _STOP:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        monitoring.ending()
        log.info("ending: finishing what was delivered")
        if not service.drain():
            log.warning("ended before everything was published; the rest follows at the next start")
    monitoring.stop()
    store.close()


def _tune_interpreter() -> None:
    """For a process that handles messages in batches beside connections that must answer (decision 0023)."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # modules and settings are no garbage, and need not be looked at
    gc.set_threshold(*_GC_THRESHOLDS)


def _end(failure: threading.ExceptHookArgs) -> None:
    """A thread that died would leave the service deaf: end it, so that it is started again."""
    log.critical("bug: a thread ended", exc_info=failure.exc_value)
    os._exit(EXIT_BUG)
