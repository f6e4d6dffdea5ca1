"""The bridge without a broker: intake, deadlines and what people decide, on a real database, with a clock in hand."""

import itertools
import json
from collections.abc import Collection, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from bridge import person
from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.policy import DEFAULT_POLICY, Policy
from bridge.core.ports import Inbound, Outbound, Verb
from bridge.core.publishing import Origin
from bridge.correlation import Site
from bridge.deadlines import Deadlines
from bridge.intake import Intake
from bridge.store.rows import StoredStudy
from bridge.store.store import Store
from tests.conftest import REPOSITORY, name_of

CHANNELS = load_channels(REPOSITORY / "channels")

in_jumps = partial(Deadlines, longest_step=inf)  # under a clock that a test moves on by hours


class Desk:
    """One site on a database of its own (SQLite in `folder` if none is given), with every event that became owed."""

    def __init__(
        self,
        folder: Path,
        channels: Sequence[Channel] = CHANNELS,
        limits: Limits = DEFAULT_LIMITS,
        policy: Policy = DEFAULT_POLICY,
        database_url: str | None = None,
    ) -> None:
        self.store = Store(database_url or f"sqlite:///{folder / 'bridge.db'}", durable=False)
        if self.store.is_empty():
            self.store.migrate()
        self.site = Site(Origin("test", "epoch"), {channel.name: channel for channel in channels}, policy)
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.outbound: list[Outbound] = []
        self.seconds = 0.0
        self.caught_up = True
        ticks = itertools.count()

        def now() -> str:
            minute, second = divmod(next(ticks), 60)
            return f"2026-11-23T09:{minute % 60:02}:{second:02}.000000Z"

        self.now = now
        self.deadlines = in_jumps(self.store, self.site, now, lambda: self.seconds, lambda: self.caught_up, self._owed)
        self.intake = Intake(self.store, self.site, now, self._owed, limits, self.deadlines.clock)
        self.deadlines.tick()

    def _owed(self, events: Sequence[Outbound]) -> None:
        self.outbound += events
        self.events += [json.loads(event.body) for event in events]

    def close(self) -> None:
        """Lets go of the database's connections, which PostgreSQL's driver insists on."""
        self.store.close()

    def receive(self, *messages: Inbound) -> list[Verb]:
        return [outcome.verb for outcome in self.intake.receive(messages)]

    def wait(self, seconds: float) -> None:
        """Lets time pass and handles everything that is due by then."""
        self.seconds += seconds
        while self.deadlines.tick():
            pass

    def somebody(self, reason: str = "looked at both") -> person.Person:
        return person.Person("ada", reason, self.now())

    def link(self, study: str, order: str, confirmed: Collection[str] = ()) -> None:
        self._owed(person.link(self.store, self.site, self.somebody(), study, order, confirmed).events)

    def unlink(self, study: str, order: str | None = None) -> None:
        self._owed(person.unlink(self.store, self.site, self.somebody(), study, order).events)

    def undo(self, study: str, order: str | None = None) -> None:
        self._owed(person.undo(self.store, self.site, self.somebody(), study, order).events)

    def unmerge(self, prior: str, patient: str, *, undone: bool = False) -> None:
        self._owed(person.unmerge(self.store, self.site, self.somebody(), prior, patient, undone=undone))

    def study(self, uid: str) -> StoredStudy:
        with self.store.read() as db:
            return db.studies([uid])[uid]

    def verdict(self, uid: str) -> tuple[str, str | None]:
        decision = self.study(uid).decision
        assert decision is not None
        return decision.verdict, decision.reason

    def linked(self, uid: str) -> list[str]:
        """The filler (else placer) order numbers of the linked orders."""
        decision = self.study(uid).decision
        assert decision is not None
        with self.store.read() as db:
            orders = db.orders(decision.orders).values()
        numbers = (order.filler_order_number or order.placer_order_number for order in orders)
        return sorted(number.value for number in numbers if number)

    def figures(self) -> dict[str, dict[str, int]]:
        with self.store.read() as db:
            return db.figures()

    def links(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Verdict and orders of every study."""
        with self.store.read() as db:
            studies = db.studies({e["partitionkey"] for e in self.events if name_of(e) != "message.rejected"})
        return {uid: (s.decision.verdict, s.decision.orders) for uid, s in studies.items() if s.decision}

    def names(self) -> list[str]:
        return [name_of(event) for event in self.events]

    def take(self) -> list[str]:
        """The names of the events since the last time."""
        names = self.names()[getattr(self, "_taken", 0) :]
        self._taken = len(self.events)
        return names


def hl7(body: bytes, **properties: Any) -> Inbound:
    return Inbound("orders", body, **properties)


def dicom(body: bytes, **properties: Any) -> Inbound:
    return Inbound("images", body, **properties)
