"""A desk whose calendar is in hand: what was received long ago is purged, and what is left is looked at."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, func, select, text

from bridge.core.decision import Decision
from bridge.core.orders import Order
from bridge.correlation.orders import Orders
from bridge.correlation.people import People
from bridge.correlation.verdicts import Verdicts
from bridge.intake import Intake
from bridge.purge import Retention, rfc3339, steps, supposed
from bridge.store import schema as t
from tests.desk import Desk, in_jumps

SHORT = Retention(timedelta(days=9), timedelta(days=3), timedelta(days=40))


class Archive(Desk):
    """Everything that is received, decided or due has the time `at`, which only `days_pass` moves."""

    def __init__(self, folder: Path, database_url: str | None = None, *, keeps_bodies: bool = True) -> None:
        super().__init__(folder, database_url=database_url)
        self.at = datetime(2026, 11, 23, 9, tzinfo=UTC)

        def now() -> str:
            self.at += timedelta(microseconds=1)
            return rfc3339(self.at)

        self.now: Callable[[], str] = now
        self.deadlines = in_jumps(self.store, self.site, now, lambda: self.seconds, lambda: self.caught_up, self._owed)
        clock = self.deadlines.clock
        self.intake = Intake(self.store, self.site, now, self._owed, clock=clock, keeps_bodies=keeps_bodies)
        self.deadlines.tick()

    def days_pass(self, days: float) -> None:
        """Everything that is due happens, in the first day where there are several."""
        for part in (min(days, 1.0), max(days - 1.0, 0.0)):
            self.at += timedelta(days=part)
            self.wait(part * 86400)

    def purge(self, retention: Retention = SHORT) -> Counter[str]:
        return sum((step.removed for step in steps(self.store, self.site, retention, self.now())), Counter())

    def supposed(self, retention: Retention = SHORT) -> Counter[str]:
        return supposed(self.store, self.site, retention, self.now())

    def rows(self) -> dict[str, int]:
        """How many there are in each table that has some, but for those about processes."""
        with self.store.read() as db:
            counts = {name: self._count(db.connection, table) for name, table in t.metadata.tables.items()}
        return {name: count for name, count in counts.items() if count and name not in ("lease", "process")}

    def _count(self, connection: Any, table: Table) -> int:
        return int(connection.scalar(select(func.count()).select_from(table)))

    def afresh(self) -> dict[str, tuple[Decision, tuple[Order, ...]]]:
        """The verdict about each stored study, decided anew from what is stored now."""
        with self.store.read() as db:
            uids = db.connection.execute(select(t.study.c.uid)).scalars().all()
            verdicts = Verdicts(db, Orders(db), People(db, self.site.policy))
            return {uid: verdicts.of(study) for uid, study in db.studies(uids).items()}

    def stored_orders(self) -> set[str]:
        with self.store.read() as db:
            return set(db.connection.execute(select(t.imaging_order.c.id)).scalars())

    def broken_keys(self) -> list[Any]:
        """The rows that point to nothing; PostgreSQL has none of these at any time."""
        if self.store.file is None:
            return []
        with self.store.read() as db:
            return list(db.connection.execute(text("PRAGMA foreign_key_check")))
