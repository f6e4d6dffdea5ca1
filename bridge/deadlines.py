"""Studies that have become quiet, and studies that wait too long for an order (DESIGN 4.5, 7).

The clock runs only while the source is connected and has drained its queues: after a pause nothing settles, and nothing
is overdue, for want of messages that are waiting at the broker. It is kept in the database, so that a restart neither
starts a wait anew nor ends it early.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from bridge.core.errors import Unavailable
from bridge.core.ports import Outbound
from bridge.correlation import Correlation, Site
from bridge.store.store import Store

log = logging.getLogger(__name__)

_TICK = 0.2  # seconds
_MOST = 50  # studies of one transaction: the source gets its turn after it
_SAVED_EVERY = 5.0  # seconds of the clock that a crash may cost


class Deadlines:
    """One thread that moves the clock on and handles what is due.

    `monotonic` gives seconds, `now` the time in RFC 3339; `caught_up` says whether the clock may run; `owed` is told of
    events as soon as they are durable.
    """

    def __init__(
        self,
        store: Store,
        site: Site,
        now: Callable[[], str],
        monotonic: Callable[[], float],
        caught_up: Callable[[], bool],
        owed: Callable[[Sequence[Outbound]], None],
    ) -> None:
        self._store = store
        self._site = site
        self._now = now
        self._monotonic = monotonic
        self._caught_up = caught_up
        self._owed = owed
        with store.read() as db:
            self._clock = self._saved = db.clock()
        self._looked = monotonic()
        self._was_caught_up = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)

    def clock(self) -> float:
        """Seconds that the source was connected and its queues were drained, since the database was made."""
        return self._clock

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def tick(self) -> int:
        """Moves the clock on and handles what is due by then; returns how many deadlines that were.

        Raises:
            Unavailable: the database does not answer; the deadlines stay.
        """
        self._move_on()
        with self._store.read() as db:
            due = db.due(self._clock, _MOST)
        if due:
            with self._store.write() as db:
                due = db.due(self._clock, _MOST)  # an object may have come in between
                correlation = Correlation(db, self._site)
                correlation.prepare_due(due)
                for one in due:
                    correlation.apply_due(one, self._now(), self._clock)
                events = correlation.save()
                db.save_clock(self._clock)
            self._saved = self._clock
            self._owed(events)
        elif self._clock - self._saved >= _SAVED_EVERY:
            with self._store.write() as db:
                db.save_clock(self._clock)
            self._saved = self._clock
        return len(due)

    def _move_on(self) -> None:
        """Time counts between two looks that both found the source connected and its queues drained."""
        looked, caught_up = self._monotonic(), self._caught_up()
        if caught_up and self._was_caught_up:
            self._clock += looked - self._looked
        self._looked, self._was_caught_up = looked, caught_up

    def _run(self) -> None:
        while not self._stopping.wait(_TICK):
            try:
                while self.tick() == _MOST and not self._stopping.wait(0.01):
                    pass
            except Unavailable as error:
                log.warning("deadlines wait: %s", error)
