"""Watches the service at work: wraps its ports, asks the database now and then, and says what it found.

It is told over HTTP and to systemd. Where neither is wanted, nothing is asked.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bridge import __version__, metrics
from bridge.core.errors import BridgeError
from bridge.core.ports import Inbound, Outbound, Outcome, Receive, Send, Verb
from bridge.health import Health, listen, notify, report, systemd_listens
from bridge.metrics import Delays
from bridge.store import outbox
from bridge.store.store import Store

_THREADS = ("source", "relay", "deadlines", "purge", "amqp-consumer", "amqp-publisher")
_ASK_EVERY = 2.0  # seconds between two questions to the database
_COUNT_EVERY = 15.0  # seconds between two counts
_COUNTING_SHARE = 20  # counting takes at most one part in so many of the time


class Monitoring:
    """What the service is watched by.

    `sources` gives the channel of each queue; `clock` gives seconds, `now` the time in RFC 3339.
    """

    def __init__(
        self,
        store: Store,
        site: str,
        sources: Mapping[str, str],
        address: tuple[str, int] | None,
        clock: Callable[[], float],
        now: Callable[[], str],
    ) -> None:
        self._store = store
        self._sources = sources
        self._address = address
        self._clock, self._now = clock, now
        self._delays = Delays(clock, now)
        self._retrying = False
        self._oldest: str | None = None  # when the oldest event that is owed was decided
        self._stopped = threading.Event()
        self._health = Health(clock, _THREADS, [*map(_source, sources.values()), "publisher", "database"])
        metrics.identify(__version__, site)
        metrics.oldest_owed(self._age_of_oldest)

    # The service at work

    def receiving(self, receive: Receive) -> Receive:
        """The same `receive`, watched."""
        measured = self._delays.receiving(metrics.measured(receive, self._clock))

        def watched(batch: Sequence[Inbound]) -> Sequence[Outcome]:
            with self._health.busy("source"):
                outcomes = measured(batch)
            self._database_takes(not any(outcome.verb is Verb.RETRY for outcome in outcomes))
            return outcomes

        return watched

    def asking(self, answers: Callable[[], bool]) -> Callable[[], bool]:
        """The same `answers`, which says whether the database takes messages again, watched."""

        def watched() -> bool:
            answer = answers()
            self._database_takes(answer)
            return answer

        return watched

    def _database_takes(self, messages: bool) -> None:
        self._retrying = not messages
        metrics.retrying(self._retrying)
        if self._retrying:
            self._health.failed("database", "takes no messages")

    def owing(self, owed: Callable[[Sequence[Outbound]], None]) -> Callable[[Sequence[Outbound]], None]:
        """The same `owed`, for what `receiving` leads to."""
        return self._delays.owing(owed)

    def sending(self, send: Send) -> Send:
        """The same `send`, watched."""
        return self._delays.sending(send)

    def queue_answered(self, queue: str, waiting: int) -> None:
        """The broker answered the consumer: so many messages wait in a queue."""
        channel = self._sources[queue]
        metrics.waiting_at_broker(channel, waiting)
        self._health.answered(_source(channel))

    def dead_letters_answered(self, waiting: int) -> None:
        """The broker answered the publisher: so many dead letters wait."""
        metrics.dead_letters(waiting)
        self._health.answered("publisher")

    # The watching

    def start(self) -> None:
        """Begins, before the service does.

        Raises:
            Unavailable: the address to listen on cannot be had.
        """
        if self._address:
            listen(self._address, self._health)
        if self._address or systemd_listens():
            threading.Thread(target=self._ask, name="database", daemon=True).start()
            threading.Thread(target=report, args=(self._health, self._stopped), name="health", daemon=True).start()

    def running(self) -> None:
        self._health.running()

    def ending(self) -> None:
        self._health.ending()
        notify("STOPPING=1")

    def stop(self) -> None:
        """Asks and says nothing more."""
        self._stopped.set()

    def _ask(self) -> None:
        count_at = self._clock()
        while not self._stopped.is_set():
            began = self._clock()
            try:
                if began >= count_at:
                    self._count()
                    count_at = self._clock() + max(_COUNT_EVERY, _COUNTING_SHARE * (self._clock() - began))
                else:
                    with self._store.read() as db:
                        db.clock()
            except BridgeError as error:
                self._health.failed("database", str(error))
            else:
                if not self._retrying:
                    self._health.answered("database")
            self._stopped.wait(_ASK_EVERY)

    def _count(self) -> None:
        with self._store.read() as db:
            found, oldest = db.glance(), outbox.owed(db, 1)
        self._oldest = oldest[0].time if oldest else None
        metrics.outbox(found["outbox"]["QUEUED"], found["outbox"]["REFUSED"])
        metrics.studies(found["studies"])

    def _age_of_oldest(self) -> float:
        if self._oldest is None:
            return 0.0
        now, then = datetime.fromisoformat(self._now()), datetime.fromisoformat(self._oldest)
        return max(0.0, (now - then).total_seconds())


def _source(channel: str) -> str:
    """What is asked for the consumer of a channel's queue."""
    return f"source {channel}"
