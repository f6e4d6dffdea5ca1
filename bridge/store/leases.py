"""What one process of a site does for all of them, and which one: taken over when that one dies or stands still.

SQLite has one process, which does everything.
"""

from collections.abc import Callable

from sqlalchemy import delete, or_, select

from bridge import metrics
from bridge.core.errors import Unavailable
from bridge.store import schema as t
from bridge.store.dialects import clock_of, insert_into
from bridge.store.store import Store
from bridge.store.transaction import Transaction

_RENEWED_EVERY = 5.0  # seconds
_TAKEN_OVER_AFTER = 20.0  # seconds by the database's clock
# A process that fell silent may still hold messages: until it speaks again, or its broker has had to notice.
_SILENT, _FORGOTTEN_AFTER = 5.0, 120.0  # seconds
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
                taken = hold(db, self._name, self._store.owner, _TAKEN_OVER_AFTER)
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
        return have_caught_up(db, store.owner, caught_up, _FORGOTTEN_AFTER)


def release(store: Store) -> None:
    """Leaves every duty to the others, as this process ends."""
    if not store.file:
        with store.write() as db:
            let_go(db, store.owner)


def hold(db: Transaction, name: str, owner: str, seconds: float) -> bool:
    """Takes or renews a duty; says whether it is this process's for so long."""
    now = _now(db)
    statement = insert_into(t.lease, db.connection.dialect.name).values(name=name, owner=owner, until=now + seconds)
    taken = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": statement.excluded.owner, "until": statement.excluded.until},
        where=or_(t.lease.c.owner == owner, t.lease.c.until < now),
    ).returning(t.lease.c.owner)
    return db.connection.execute(taken).first() is not None


def let_go(db: Transaction, owner: str) -> None:
    """Gives back whatever a process holds, and forgets it."""
    db.connection.execute(delete(t.lease).where(t.lease.c.owner == owner))
    db.connection.execute(delete(t.process).where(t.process.c.owner == owner))


def have_caught_up(db: Transaction, owner: str, caught_up: bool, forgotten_after: float) -> bool:
    """Says how this process stands; returns whether all that were seen within so long say that they have.

    One that fell silent is not known to have: the broker may have given it messages since.
    """
    now = _now(db)
    # First, our own row among them: two that begin to speak again would each wait for the other's row.
    db.connection.execute(delete(t.process).where(t.process.c.seen < now - forgotten_after))
    seen = insert_into(t.process, db.connection.dialect.name).values(owner=owner, seen=now, caught_up=caught_up)
    stated = {"seen": seen.excluded.seen, "caught_up": seen.excluded.caught_up}
    db.connection.execute(seen.on_conflict_do_update(index_elements=["owner"], set_=stated))
    late = or_(t.process.c.caught_up.is_(False), t.process.c.seen < now - _SILENT)
    waiting = select(t.process.c.owner).where(late).limit(1)
    return db.connection.execute(waiting).first() is None


def _now(db: Transaction) -> float:
    """Seconds by the database's clock, which the processes share."""
    return float(db.connection.scalar(clock_of(db.connection.dialect.name)) or 0.0)
