"""What one process of a site does for all of them, and which one: taken over when that one dies or stands still.

SQLite has one process, which does everything.
"""

from collections.abc import Callable

from bridge import metrics
from bridge.core.errors import Unavailable
from bridge.store.store import Store

_RENEWED_EVERY = 5.0  # seconds
_TAKEN_OVER_AFTER = 20.0  # seconds by the database's clock
_TRUSTED_FOR = 12.0  # seconds since it was renewed, by our own clock: well before another one may take it over


class Lease:
    """One duty, by its name. `held` is asked before each piece of the work; it costs a statement every few seconds."""

    def __init__(self, store: Store, name: str, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._name = name
        self._monotonic = monotonic
        self._renewed: float | None = None
        self._asked = float("-inf")
        metrics.lease(name, lambda: store.file is not None or self._trusted(monotonic()))

    def held(self) -> bool:
        """Whether the duty is this process's now.

        Raises:
            Unavailable: the database does not answer, and nobody can know any more.
        """
        if self._store.file:
            return True
        now = self._monotonic()
        if now - self._asked < (_RENEWED_EVERY if self._renewed is not None else 1.0):
            return self._trusted(now)
        self._asked = now
        try:
            with self._store.write() as db:
                taken = db.hold(self._name, self._store.owner, _TAKEN_OVER_AFTER)
        except Unavailable:
            if self._trusted(now):
                return True
            self._renewed = None
            raise
        self._renewed = now if taken else None
        return taken

    def _trusted(self, now: float) -> bool:
        return self._renewed is not None and now - self._renewed < _TRUSTED_FOR


def all_caught_up(store: Store, caught_up: bool) -> bool:
    """Tells the other processes whether this one has handled all that it was given; returns whether all have."""
    if store.file:
        return caught_up
    with store.write() as db:
        return db.all_caught_up(store.owner, caught_up, _TAKEN_OVER_AFTER)


def release(store: Store) -> None:
    """Leaves every duty to the others, as this process ends."""
    if not store.file:
        with store.write() as db:
            db.release(store.owner)
