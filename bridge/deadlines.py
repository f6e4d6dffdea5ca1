"""Studies that have become quiet, and studies that wait too long for an order (DESIGN 4.5, 7).

The clock runs only while the source is connected and has drained its queues: after a pause nothing settles, and nothing
is overdue, for want of messages that are waiting at the broker. It is kept in the database, so that a restart neither
starts a wait anew nor ends it early. Of several processes one moves the clock, and only while all have caught up.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from bridge.core.errors import BridgeError, Unavailable
from bridge.core.ports import Outbound
from bridge.correlation import Correlation, Site
from bridge.periodic import Periodic
from bridge.store.leases import Lease, all_caught_up
from bridge.store.store import Store
from bridge.store.transaction import Transaction

log = logging.getLogger(__name__)

_TICK, _TICK_BESIDE_OTHERS = 0.2, 1.0  # seconds
_MOST = 50  # studies of one transaction: the source gets its turn after it
_STOOD_STILL = 5.0  # seconds between two looks, after which nobody knows what has come in between
_PUT_OFF = 3600.0  # seconds until a study is tried again that a bug made fail
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
        *,
        longest_step: float = _STOOD_STILL,
    ) -> None:
        self._longest_step = longest_step
        self._store = store
        self._site = site
        self._now = now
        self._monotonic = monotonic
        self._caught_up = caught_up
        self._owed = owed
        self._alone = store.file is not None
        self._lease = Lease(store, "deadlines", monotonic)
        self._saved_every = _SAVED_EVERY if self._alone else 0.0  # the others look at what is saved
        with store.read() as db:
            self._clock = self._saved = db.clock()
        self._looked = monotonic()
        self._was_caught_up = False
        self._thread = Periodic("deadlines", self._tick_all, _TICK if self._alone else _TICK_BESIDE_OTHERS)

    def clock(self) -> float:
        """Seconds that the source was connected and its queues were drained, since the database was made."""
        return self._clock

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        self._thread.stop(seconds)

    def tick(self) -> int:
        """Moves the clock on and handles what is due by then; returns how many deadlines that were.

        Raises:
            Unavailable: the database does not answer; the deadlines stay.
        """
        caught_up = all_caught_up(self._store, self._caught_up())
        if not self._lease.held():
            self._was_caught_up = False
            with self._store.read() as db:
                self._clock = self._saved = db.clock()
            return 0
        self._move_on(caught_up=caught_up)
        with self._store.read() as db:
            is_due = bool(db.due(self._clock, 1))
        if is_due:
            try:
                return self._handled(_MOST)
            except BridgeError:
                raise
            except Exception:
                log.exception("a due study could not be handled: each alone")
                return self._each_alone()
        if self._clock - self._saved > self._saved_every:
            with self._store.write() as db:
                db.save_clock(self._clock)
            self._saved = self._clock
        return 0

    def _handled(self, most: int) -> int:
        """Handles so many deadlines in one transaction."""
        handled, events = self._store.transact(partial(self._handle, most))
        self._saved = self._clock
        self._owed(events)
        return handled

    def _each_alone(self) -> int:
        """One study that a bug makes fail keeps no other one waiting: it is tried again later."""
        handled = 0
        while handled < _MOST:
            try:
                if not self._handled(1):
                    break
            except BridgeError:
                raise
            except Exception:
                log.exception("bug: a due study is put off; please report this")
                self._store.transact(self._put_off)
            handled += 1
        return handled

    def _put_off(self, db: Transaction) -> None:
        first = {(one.study, one.kind): (self._clock + _PUT_OFF, one.message) for one in db.due(self._clock, 1)}
        db.save_deadlines(first, ())

    def _handle(self, most: int, db: Transaction) -> tuple[int, list[Outbound]]:
        """What is due, once nobody else can change its studies: an object may have come in between."""
        correlation = Correlation(db, self._site)
        correlation.prepare_due(db.due(self._clock, most))
        due = [one for one in db.due(self._clock, most) if correlation.is_prepared(one)]
        for one in due:
            correlation.apply_due(one, self._now(), self._clock)
        events = correlation.save()
        db.save_clock(self._clock)
        return len(due), events

    def _move_on(self, *, caught_up: bool) -> None:
        """Time counts between two looks that both found the sources connected and their queues drained."""
        looked = self._monotonic()
        passed, self._looked = looked - self._looked, looked
        caught_up = caught_up and passed < self._longest_step  # else this process, or the database, stood still
        if caught_up and self._was_caught_up:
            self._clock += passed
        self._was_caught_up = caught_up

    def _tick_all(self) -> None:
        try:
            while self.tick() == _MOST and not self._thread.ending.wait(0.01):
                pass
        except Unavailable as error:
            log.warning("deadlines wait: %s", error)
