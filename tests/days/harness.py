"""Runs hospital days through the bridge and compares what became of them with each other and with the oracle.

Each day is received twice, on two databases: as it happened, and in any other sequence with duplicates. A day's
identifiers are its own, so that many days share a database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

from bridge.config import load_channels
from bridge.core.model import Identifier, LinkDecision, Unmerge
from bridge.core.ports import Inbound, Verb
from bridge.core.publishing import Origin
from bridge.correlation import Cause, Correlation, Site
from bridge.intake import Intake
from bridge.store.store import Store
from tests.conftest import REPOSITORY
from tests.days import rendering
from tests.days.messages import Day, Group, Message, Number, ObjectMessage, OrderMessage, PersonLink, PersonUnmerge
from tests.days.oracle import Expected, OrderName, expected

_CHANNELS = {channel.name: channel for channel in load_channels(REPOSITORY / "channels")}
_LARGEST_BATCH = 6
_NOW = "2050-01-01T09:00:00.000000Z"

Sent = Inbound | LinkDecision | Unmerge


@dataclass(frozen=True)
class Answer:
    """What the bridge says of a study."""

    verdict: str
    reason: str | None
    orders: frozenset[OrderName]

    def fits(self, one: Expected | None) -> bool:
        return (
            one is not None and (self.verdict, self.orders) == (one.verdict, one.orders) and self.reason in one.reasons
        )


Answers = dict[str, Answer]

# Of an object that was corrected into another study, whichever version came first.
_NEVER_SEEN = Answer("pending", "no-instances", frozenset())


@dataclass(frozen=True)
class Discrepancy:
    """A study about which the two sequences differ, or one of them and the oracle."""

    day: Day
    study: str
    kind: str  # sequence, oracle, wrong-link
    text: str

    def __str__(self) -> str:
        messages = "\n".join(f"  {message}" for message in self.day)
        return f"{self.kind}: study {self.study}\n{self.text}\n{messages}"


class Engine:
    """The bridge's way in, on a database of its own."""

    def __init__(self, file: Path) -> None:
        self._store = Store(f"sqlite:///{file}", durable=False)
        self._store.migrate()
        self._site = Site(Origin("days", "epoch"), _CHANNELS)
        self._intake = Intake(self._store, self._site, lambda: _NOW, lambda _: None)

    def receive(self, batch: Sequence[Sent]) -> None:
        """All messages in one transaction, and then what people decided meanwhile."""
        messages = [one for one in batch if isinstance(one, Inbound)]
        for message, outcome in zip(messages, self._intake.receive(messages), strict=True):
            if outcome.verb is not Verb.ACCEPTED:
                raise AssertionError(f"{outcome} of {message}")
        decisions = [one for one in batch if not isinstance(one, Inbound)]
        if decisions:
            with self._store.write() as db:
                correlation = Correlation(db, self._site)
                cause = Cause(message="", channel="images", at=_NOW, clock=0.0, user="ada")
                correlation.apply_decisions(cause, decisions)
                correlation.save()

    def answers(self, prefix: str, studies: Iterable[str]) -> Answers:
        uids = {study: rendering.uid(prefix, study) for study in studies}
        with self._store.read() as db:
            stored = db.studies(uids.values())
            decisions = {study: stored[uid].decision for study, uid in uids.items() if uid in stored}
            orders = db.orders({order for decision in decisions.values() if decision for order in decision.orders})

        def name(order_id: str) -> OrderName:
            order = orders[order_id]
            procedure = order.requested_procedure_id
            return (
                _number(prefix, order.filler_order_number),
                _number(prefix, order.placer_order_number),
                frozenset(one for one in (_number(prefix, number) for number in order.accession_numbers) if one),
                procedure.value if procedure else "",
            )

        return {
            study: Answer(decision.verdict, decision.reason, frozenset(map(name, decision.orders)))
            if (decision := decisions.get(study))
            else _NEVER_SEEN
            for study in uids
        }

    def close(self) -> None:
        self._store.close()


def _number(prefix: str, identifier: Identifier | None) -> Number | None:
    if identifier is None:
        return None
    issuer = identifier.issuer
    site = rendering.site_of(issuer.namespace_id, issuer.universal_id) if issuer else None
    return Number(rendering.short(prefix, identifier.value), site)


class Hospital:
    """Two engines, and the days that they have seen."""

    def __init__(self, folder: Path, first_day: int = 0) -> None:
        self._engines = tuple(Engine(folder / name) for name in ("one.db", "other.db"))
        self._next_day = 1_000_000 + first_day

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def run(self, days: Sequence[Day], r: Random) -> list[Discrepancy]:
        """Several days at once, as their batches share transactions; the first discrepancy of each day."""
        prefixes = [self._prefix() for _ in days]
        sent = [
            {message: _sent(message, prefix) for message in set(day)}
            for day, prefix in zip(days, prefixes, strict=True)
        ]
        for engine, sequence in zip(self._engines, (list, lambda day: _shuffled(day, r)), strict=True):
            lanes = [
                _batches([messages[one] for one in sequence(day)], r) for day, messages in zip(days, sent, strict=True)
            ]
            for batches in zip_longest(*lanes, fillvalue=()):
                engine.receive([message for batch in batches for message in batch])
        found = (self._compare(day, prefix) for day, prefix in zip(days, prefixes, strict=True))
        return [discrepancy for discrepancy in found if discrepancy]

    def minimised(self, found: Discrepancy, r: Random) -> Discrepancy:
        """The same kind of discrepancy with as few messages as possible."""
        smaller = True
        while smaller:
            smaller = False
            for index in reversed(range(len(found.day))):
                day = found.day[:index] + found.day[index + 1 :]
                again = self.find(day, r, found.kind)
                if again:
                    found, smaller = again, True
        return found

    def find(self, day: Day, r: Random, kind: str) -> Discrepancy | None:
        for _ in range(6 if kind == "sequence" else 1):
            for found in self.run([day], r):
                if found.kind == kind:
                    return found
        return None

    def _prefix(self) -> str:
        self._next_day += 1
        return str(self._next_day)

    def _compare(self, day: Day, prefix: str) -> Discrepancy | None:
        possible = list(expected(day))
        studies = {uid for one in possible for uid in one}
        one, other = (engine.answers(prefix, studies) for engine in self._engines)
        for study in sorted(studies):
            said, said_again = one[study], other[study]
            wanted = [answers[study] for answers in possible]
            text = f"  bridge {said}\n  again  {said_again}\n  oracle {' or '.join(map(str, dict.fromkeys(wanted)))}"
            if not any(said.fits(expectation) for expectation in wanted):
                kind = "wrong-link" if _crosses(day, study, said, wanted) else "oracle"
                return Discrepancy(day, study, kind, text)
            if said != said_again:
                return Discrepancy(day, study, "sequence", text)
        return None


def _sent(message: Message, prefix: str) -> Sent:
    if isinstance(message, PersonLink | PersonUnmerge):
        return rendering.decision(message, prefix)
    return rendering.inbound(message, prefix)


def _shuffled(day: Day, r: Random) -> list[Message]:
    """The day in any sequence, some of it sent twice."""
    messages = [*day, *(message for message in day if r.random() < 0.2)]
    r.shuffle(messages)
    return messages


def _batches(messages: Sequence[Sent], r: Random) -> list[Sequence[Sent]]:
    batches: list[Sequence[Sent]] = []
    start = 0
    while start < len(messages):
        end = start + r.randint(1, _LARGEST_BATCH)
        batches.append(messages[start:end])
        start = end
    return batches


def _crosses(day: Day, study: str, said: Answer, wanted: Sequence[Expected]) -> bool:
    """Whether it links an order of one true person to a study of another, which the oracle does not."""
    seen = {one.true_person for one in day if isinstance(one, ObjectMessage) and one.study == study}
    linked = said.orders - {order for one in wanted for order in one.orders}
    return any(seen.isdisjoint(_people(day, order)) for order in linked)


def _people(day: Day, order: OrderName) -> set[int]:
    """Who an order is for, truly: by all messages about it."""
    filler, placer, accessions, _ = order
    return {
        message.true_person
        for message in day
        if isinstance(message, OrderMessage)
        for group in message.groups
        if (group.filler == filler if filler else group.placer == placer if placer else _stated(group) & accessions)
    }


def _stated(group: Group) -> set[Number]:
    return {procedure.accession for procedure in group.procedures if procedure.accession}
