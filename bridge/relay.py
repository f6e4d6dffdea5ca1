"""The one path out: publishes owed events in their sequence, and forgets each when it is confirmed (DESIGN 7).

Events come from memory as soon as they are durable. At the start, after a failure, on overflow, and when another
process (`bridge link`) has left some, they are read from the outbox, the oldest first, until that is empty; so nothing
owed depends on memory. Of several processes one publishes for all, always from the outbox. What the broker refuses for
itself is kept, with what follows of its study, and tried again at the next start.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from bridge.core.errors import Unavailable
from bridge.core.ports import Delivery, Outbound, Send
from bridge.store import outbox
from bridge.store.leases import Lease
from bridge.store.store import Store

log = logging.getLogger(__name__)

_BATCH = 1000  # events; also the most that are under way
_MOST_IN_MEMORY = 20_000  # events; beyond it they are left in the table
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0  # seconds before another try
_LOOK_EVERY = 1.0  # seconds between two looks for events of a command beside the service
# Seconds that confirmed events may stay in the outbox while others come: a transaction for each few of them would
# take turns with intake's, and what comes next would wait for both.
_SETTLE_AFTER = 0.2
_WARN_EVERY = 60.0  # seconds
_LOOK_BESIDE_OTHERS = 0.2  # the same where other processes leave events all the time


class Relay:
    """One thread that publishes what is owed. `send` answers for each event of a batch, in sequence.

    `monotonic` gives seconds.
    """

    def __init__(self, store: Store, send: Send, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._send = send
        self._monotonic = monotonic
        self._unrouted, self._warn_at = 0, 0.0  # events that no queue took, and that nobody was told of yet
        self._lease = Lease(store, "relay", monotonic)
        self._from_memory = store.file is not None  # events of other processes are in the outbox alone
        self._look_every = _LOOK_EVERY if self._from_memory else _LOOK_BESIDE_OTHERS
        self._changed = threading.Condition()
        self._owed: deque[Outbound] = deque()
        self._confirmed: dict[int, Delivery] = {}  # by row: what the outbox still has to forget
        self._settle_at = 0.0
        self._behind = True  # the outbox may hold events that are not in memory
        self._tries_refused = True  # what the broker refused before this start
        self._last = 0  # the row of the newest event that was seen
        self._draining = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Begins; what the broker refused before is tried once more."""
        self._thread.start()

    def owe(self, events: Sequence[Outbound]) -> None:
        """Takes events that are in the outbox already."""
        with self._changed:
            if not self._from_memory:
                self._behind = self._behind or bool(events)
            elif not self._behind and events:
                skipped = events[0].id != self._last + 1  # another process has left some, which come first
                self._last = events[-1].id
                self._owed.extend(events)
                if skipped or len(self._owed) > _MOST_IN_MEMORY:
                    self._owed.clear()
                    self._behind = True
            self._changed.notify()

    def drain(self, seconds: float) -> bool:
        """Publishes what is owed now, for at most so long, and ends; says whether everything was confirmed."""
        with self._changed:
            self._draining = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        delay = _FIRST_DELAY
        while batch := self._next():
            try:
                complete = self._publish(batch)
            except Unavailable as error:
                log.warning("events wait: %s", error, extra={"events": len(batch)})
                complete = False
            except Exception:
                log.exception("events wait: the relay failed", extra={"events": len(batch)})
                complete = False
            if complete:
                delay = _FIRST_DELAY
                continue
            with self._changed:
                self._owed.clear()
                self._behind = True
                self._changed.wait(delay)
            delay = min(delay * 2, _LAST_DELAY)

    def _next(self) -> list[Outbound]:
        """The next events; none when everything is published and the relay is to end."""
        while True:
            with self._changed:
                pause = _SETTLE_AFTER if self._confirmed else self._look_every
                self._changed.wait_for(lambda: self._behind or self._owed or self._draining, pause)
                settles = bool(self._confirmed) and (self._behind or not self._owed or self._settles())
                if not settles and not self._behind:
                    if self._owed or self._draining:
                        return [self._owed.popleft() for _ in range(min(_BATCH, len(self._owed)))]
                    self._behind = True  # there may be more in the table than was told
            try:
                if settles:
                    self._settle()
                elif batch := self._catch_up():
                    return batch
            except Unavailable as error:
                log.warning("the outbox does not answer: %s", error)
                with self._changed:
                    self._changed.wait(_LAST_DELAY)

    def _catch_up(self) -> list[Outbound]:
        """The oldest events of the table; once it is empty, memory takes over."""
        if not self._lease.held():
            with self._changed:
                self._behind = False  # another process publishes them
            return []
        if self._tries_refused:
            with self._store.write() as db:
                outbox.try_refused(db)
            self._tries_refused = False
        with self._store.read() as db:
            batch = outbox.owed(db, _BATCH)
        if batch:
            self._last = batch[-1].id
            return batch
        with self._changed:
            self._behind = False
        if self._from_memory:
            self._take_missed()
        return []

    def _take_missed(self) -> None:
        """What became durable between the look at the table and the end of `_behind`, when `owe` took nothing."""
        with self._store.read() as db:
            missed = outbox.owed(db, _BATCH)
        with self._changed:
            if self._behind:  # events were skipped or too many in between: the table is read again anyway
                return
            seen = {event.id for event in missed}
            self._owed = deque([*missed, *(event for event in self._owed if event.id not in seen)])
            self._last = max([self._last, *(event.id for event in self._owed)])
            if len(missed) == _BATCH:
                self._owed.clear()
                self._behind = True

    def _publish(self, batch: Sequence[Outbound]) -> bool:
        """Says whether every event was confirmed."""
        deliveries = self._send(batch)
        answered = list(zip(batch, deliveries, strict=True))
        refused = [event.id for event, delivery in answered if delivery is Delivery.REFUSED]
        confirmed = _confirmed(answered)
        if not self._confirmed:
            self._settle_at = self._monotonic() + _SETTLE_AFTER
        self._confirmed |= confirmed
        if refused:
            self._settle(refused)
            self._from_memory = False  # what waits behind them is told apart in the outbox alone
            log.error(
                "the broker refuses events: what follows of their studies waits until the next start",
                extra={"events": len(refused)},
            )
        return len(confirmed) == len(batch)

    def _settles(self) -> bool:
        """Whether what is confirmed has been kept for long enough."""
        return len(self._confirmed) >= _BATCH or self._monotonic() >= self._settle_at

    def _settle(self, refused: Sequence[int] = ()) -> None:
        """Forgets what is confirmed. Until then a crash would have it published once more, with the same ids."""
        with self._store.write() as db:
            counted = outbox.settle(db, self._confirmed)
            outbox.refuse(db, refused)
        self._confirmed = {}
        self._warn_of(counted[Delivery.UNROUTED])

    def _warn_of(self, unrouted: int) -> None:
        """Now and then, with their sum: a site that has no consumer yet sees other warnings, too."""
        self._unrouted += unrouted
        if self._unrouted and self._monotonic() >= self._warn_at:
            log.warning("no queue is bound for events", extra={"events": self._unrouted})
            self._unrouted, self._warn_at = 0, self._monotonic() + _WARN_EVERY


def _confirmed(answered: Iterable[tuple[Outbound, Delivery]]) -> dict[int, Delivery]:
    """By row. What follows in the lane of an event that was not confirmed is sent again with it, in its sequence."""
    confirmed: dict[int, Delivery] = {}
    behind: set[str] = set()  # lanes
    for event, delivery in answered:
        if delivery in (Delivery.FAILED, Delivery.REFUSED):
            behind.add(event.lane)
        elif event.lane not in behind:
            confirmed[event.id] = delivery
    return confirmed
