"""One batch: loads what its facts need, works in memory, and writes in sets.

A study is decided anew from everything that is known of it and never patched, so that the end does not depend on what
arrived first. Whoever shares an old or a new key with what changed is decided again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bridge.core.decision import Decision, Verdict
from bridge.core.facts import fact_keys
from bridge.core.model import (
    Appointment,
    Fact,
    HL7Fact,
    IdentityChange,
    Instance,
    LinkDecision,
    OrderUpdate,
    PatientUpdate,
    PersonFact,
    Report,
    Unmerge,
)
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, identity
from bridge.core.ports import Outbound
from bridge.core.publishing import changes, correlation, published_order
from bridge.core.reports import report_lookups
from bridge.core.rules import (
    Pair,
    affecting,
    linking,
    predecessor_lookups,
    study_lookups,
    suggesting,
)
from bridge.core.struct import encode
from bridge.correlation.announcing import Announcer, decided, last_other, previous
from bridge.correlation.cause import Cause, Site
from bridge.correlation.orders import Orders
from bridge.correlation.people import People, patient_keys
from bridge.correlation.studies import Studies
from bridge.correlation.verdicts import Verdicts
from bridge.store.rows import Due, HistoryEntry, StoredInstance, StoredStudy
from bridge.store.transaction import Transaction


@dataclass
class _Message:
    """What one message leads to while it is applied."""

    affected: set[str] = field(default_factory=set)  # studies that may be decided otherwise
    objects: list[StoredInstance] = field(default_factory=list)  # to tell of: they came, or a note turned them
    retold: set[str] = field(default_factory=set)  # studies of whose objects something else was told before


class Correlation:
    """The state of everything that one transaction touches; it lives as long as that."""

    def __init__(self, db: Transaction, site: Site) -> None:
        self._db = db
        self._site = site
        self._orders = Orders(db)
        self._people = People(db, site.policy)
        self._studies = Studies(db)
        self._verdicts = Verdicts(db, self._orders, self._people)
        self._announcer = Announcer(site, self._studies.objects)
        self._new_facts: list[tuple[str | None, HL7Fact | PersonFact]] = []
        self._history: list[tuple[str, HistoryEntry]] = []
        self._deadlines: dict[tuple[str, str], tuple[float, str] | None] = {}  # None: it is no more

    def prepare(self, facts: Sequence[Fact]) -> None:
        """Loads what these facts will need in sets; what turns out to be needed beyond it is loaded when it is."""
        order_facts = [fact for fact in facts if isinstance(fact, OrderUpdate | Appointment)]
        described = self._orders.prepare(order_facts).values()
        instances = [fact for fact in facts if isinstance(fact, Instance)]
        self._studies.load_instances({one.sop_instance_uid for one in instances})
        reached = self._studies.under(affecting(key for order in described for key in self._orders.lookups(order)))
        studies = self._studies.load(reached | {one.statement.study_instance_uid for one in instances})
        self._studies.load_few_objects([one for one in studies if one.uid in reached])
        said = [one.statement for one in instances]
        said += [statement for study in studies for statement in study.current_statements()]
        keys = {key for statement in said for key in study_lookups([statement])}
        orders = self._orders.under(linking(keys))
        self._studies.load_keys(keys)
        patients = [order.patient for order in orders] + [statement.patient for statement in said]
        values = {identifier.value for patient in patients for identifier in patient.identifiers}
        stated = [fact for fact in facts if not isinstance(fact, Instance)]
        values |= {value for fact in stated for level, value in fact_keys(fact) if level == "patient"}
        updates = [fact for fact in stated if isinstance(fact, OrderUpdate)]
        values |= {one.value for update in updates for one in update.patient_identifiers or ()}
        self._people.load(values)
        self._verdicts.load_reports(report_lookups((study.uid for study in studies), [*orders, *described]))

    # What messages and people say

    def apply(self, cause: Cause, facts: Sequence[Fact]) -> None:
        """What one message says. All of it is known before anything is decided: nothing is taken back in between."""
        order_facts = [fact for fact in facts if isinstance(fact, OrderUpdate | Appointment)]
        message = _Message()
        if order_facts:
            message.affected |= self.studies_of(self._orders.apply(order_facts))
        for fact in facts:
            if isinstance(fact, Instance):
                self._apply_instance(cause, fact, message)
                continue
            self._new_facts.append((cause.message, fact))
            if isinstance(fact, PatientUpdate | IdentityChange):
                message.affected |= self._apply_patient(fact)
            elif isinstance(fact, Report):
                message.affected |= self._apply_report(fact)
        self._decide_all(message, cause)

    def apply_decisions(self, cause: Cause, decisions: Sequence[LinkDecision | Unmerge]) -> None:
        """What a person decided at once."""
        message = _Message()
        for decision in decisions:
            self._new_facts.append((None, decision))
            if isinstance(decision, Unmerge):
                message.affected |= self._apply_patient(decision)
            else:
                message.affected.add(self._studies.decide(decision).uid)
        self._decide_all(message, cause)

    def _apply_patient(self, fact: PatientUpdate | IdentityChange | Unmerge) -> set[str]:
        """Every order of whoever may be this patient is seen in another light, and so is every study."""
        self._people.load({value for _, value in fact_keys(fact)})
        keys = patient_keys(self._people.add(fact))
        affected = self.studies_of(self._orders.under(keys))
        return affected if isinstance(fact, PatientUpdate) else affected | self._studies.under(keys)

    def _apply_report(self, report: Report) -> set[str]:
        keys = self._verdicts.add_report(report)
        named = {uid for level, uid in keys if level == "study"}
        return named | self.studies_of(self._orders.under(_order_keys(keys)))

    def _apply_instance(self, cause: Cause, instance: Instance, message: _Message) -> None:
        """One object. Under a known SOP Instance UID the same header says nothing new, another one replaces it."""
        known = self._studies.instance(instance.sop_instance_uid)
        if known and known.instance == instance:
            return
        study = self._studies.open(instance.statement.study_instance_uid, cause.channel)
        if known and _newer(known.instance, instance):
            message.affected |= self._moved(instance, known.instance)
            return
        if known:
            moved = self._moved(known.instance, instance)
            message.affected |= moved
            message.retold |= moved
            self._studies.take_out(known.instance)
        stored = StoredInstance(cause.message, cause.channel, instance)
        new_statement = self._studies.put(stored)
        spoken_of, turned = self._studies.note(instance, known.instance if known else None)
        message.objects += [stored, *turned]
        message.affected |= spoken_of
        message.retold |= {one.instance.statement.study_instance_uid for one in turned}
        for uid in {study.uid} | message.retold:
            self._quiet_from_now(uid, cause)
        if new_statement or known or study.decision is None:
            message.affected.add(study.uid)

    def _moved(self, known: Instance, current: Instance) -> set[str]:
        """What is remembered where an object has another study or patient than under an older header.

        Returns the studies that are concerned.
        """
        before, after = known.statement.study_instance_uid, current.statement.study_instance_uid
        if before != after:
            self._studies.depart(before, known.sop_instance_uid, after)
            self._studies.depart(after, known.sop_instance_uid, before)
            return {before, after}
        one, other = identity(known.statement.patient), identity(current.statement.patient)
        persons = self._people.persons((*one.identifiers, *other.identifiers))
        if compare(one, other, persons) is Comparison.DIFFERENT:
            self._studies.depart(after, known.sop_instance_uid, "")
        return {after}

    # Who is affected

    def studies_of(self, orders: Collection[Order]) -> set[str]:
        """The studies that share a key with one of these orders, or to which one of them may be suggested."""
        self._people.load({one.value for order in orders for one in order.identity.identifiers})
        keys: set[Pair] = set()
        for order in orders:
            keys |= affecting(self._orders.lookups(order))
            for predecessor in self._orders.under(predecessor_lookups(order)):
                keys |= linking(self._orders.lookups(predecessor))
            keys |= suggesting(order, self._people.persons(order.identity.identifiers))
        return self._studies.under(keys)

    def _decide_all(self, message: _Message, cause: Cause) -> None:
        """Decides studies again, then tells of the objects that came, of whose study nothing was told anew."""
        told = set()
        for study in self._studies.load(message.affected | message.retold):
            if study.channel and self._decide(study, cause, retold=study.uid in message.retold):
                told.add(study.uid)
        for stored in message.objects:
            [study] = self._studies.load([stored.instance.statement.study_instance_uid])
            if rejection := self._studies.rejection_of(stored.instance):
                self._announcer.rejected(study, stored, self._verdicts.linked(study), rejection, cause)
            elif study.uid not in told:
                self._announcer.instances(study, [stored], self._verdicts.linked(study), None, cause)

    # Verdicts

    def _decide(self, study: StoredStudy, cause: Cause, *, retold: bool) -> bool:
        """Decides a study again and owes what its consumers must know; says whether that included its objects."""
        before, orders_before = study.decision, study.orders
        decision, linked = self._verdicts.of(study)
        orders, reports = encode([published_order(order) for order in linked]), self._verdicts.reports(study, linked)
        reported = bool(linked) and encode(reports) != study.reports
        changed = decision != before or orders != orders_before
        if not (changed or reported or retold):
            return False
        study.revision += 1
        study.decision, study.orders = decision, orders
        if before is None or before.verdict is not decision.verdict:
            study.since = cause.at
        self._hold(study, before, cause)
        self._studies.changed(study)
        names = self._announce(study, before, orders_before, linked, cause)
        study.reports = encode(reports)
        if reported:
            names += ["study.reported"] * self._announcer.reported(study, linked, reports, cause)
        enriches = decision.verdict is Verdict.MATCHED and orders != orders_before
        if enriches:
            self._announcer.instances(study, self._studies.objects(study), linked, before, cause)
        if study.settled == "settled" and decision.verdict is Verdict.MATCHED and changed:
            names += self._settled(("study.ready",), study, before, cause, reopened=False)
        self._remember(study, before, cause, names)
        return enriches

    def _announce(
        self, study: StoredStudy, before: Decision | None, orders_before: bytes, linked: Sequence[Order], cause: Cause
    ) -> list[str]:
        """Owes the events that a new verdict calls for; returns their names."""
        decision = decided(study)
        names = []
        ended = before and before.verdict is not decision.verdict and decision.verdict is Verdict.PENDING
        if ended or (before and set(before.orders) - set(decision.orders)):
            names.append("study.unlinked")
        other = before is None or before.verdict is not decision.verdict or before.orders != decision.orders
        told_anew = decision != before and decision.verdict is not Verdict.MATCHED
        if decision.verdict is not Verdict.PENDING and (other or told_anew):
            names.append(f"study.{decision.verdict}")
        names = [name for name in names if self._announcer.study(name, study, linked, before, cause)]
        if decision.verdict is Verdict.MATCHED and before and not other:
            changed = changes(_published(before, orders_before), _published(decision, study.orders))
            if changed and self._announcer.amended(study, linked, changed, before, cause):
                names.append("study.amended")
        return names

    def _remember(self, study: StoredStudy, before: Decision | None, cause: Cause, events: Sequence[str]) -> None:
        decision = decided(study)
        entry = HistoryEntry(
            revision=study.revision,
            at=cause.at,
            verdict=decision.verdict,
            reason=decision.reason,
            orders=decision.orders,
            previous=previous(before),
            message=cause.message,
            message_id=cause.message_id,
            events=tuple(events),
            user=cause.user,
            replayed=cause.replayed,
        )
        self._history.append((study.uid, entry))

    # Time

    def prepare_due(self, due: Sequence[Due]) -> None:
        studies = self._studies.load({one.study for one in due})
        self._orders.named({order for study in studies if study.decision for order in study.decision.orders})

    def is_prepared(self, due: Due) -> bool:
        """Whether its study was loaded, and is nobody else's to change now."""
        return self._studies.is_loaded(due.study)

    def apply_due(self, due: Due, at: str, clock: float) -> None:
        """A deadline has come: the study is quiet, or has been without an order for too long."""
        self._deadlines[due.study, due.kind] = None
        [study] = self._studies.load([due.study])
        cause = Cause(due.message, study.channel, at, clock)
        if due.kind == "settle":
            reopened = study.settled == "reopened"
            study.settled = "settled"
            study.revision += 1
            matched = decided(study).verdict is Verdict.MATCHED
            names = self._settled(
                ("study.settled", "study.ready") if matched else ("study.settled",),
                study,
                study.decision,
                cause,
                reopened=reopened,
            )
        else:
            study.overdue_at = at
            study.revision += 1
            names = ["study.overdue"] * self._announcer.overdue(study, cause)
        self._studies.changed(study)
        self._remember(study, study.decision, cause, names)

    def _settled(
        self, names: Iterable[str], study: StoredStudy, before: Decision | None, cause: Cause, *, reopened: bool
    ) -> list[str]:
        linked, numbers = self._verdicts.linked(study), self._studies.instance_numbers(study)
        return [
            name
            for name in names
            if self._announcer.settled(name, study, linked, numbers, before, cause, reopened=reopened)
        ]

    # Once more

    def apply_replay(self, uid: str, cause: Cause) -> bool:
        """Tells all that is current of a study again, with what was before it; False where there is no such study."""
        [study] = self._studies.load([uid])
        if study.decision is None:
            return False
        history = self._db.history(uid)
        before = last_other(history)
        study.revision += 1
        self._studies.changed(study)
        linked = self._verdicts.linked(study)
        names = self._announce(study, before, study.orders, linked, cause)
        if reports := self._verdicts.reports(study, linked):
            names += ["study.reported"] * self._announcer.reported(study, linked, reports, cause)
        self._announcer.instances(study, self._studies.objects(study), linked, before, cause)
        for stored in self._studies.rejected(study):
            if rejection := self._studies.rejection_of(stored.instance):
                self._announcer.rejected(study, stored, linked, rejection, cause)
        if study.settled == "settled":
            told = ("study.settled", "study.ready")[: 1 + (study.decision.verdict is Verdict.MATCHED)]
            reopened = sum("study.settled" in entry.events and not entry.replayed for entry in history) > 1
            names += self._settled(told, study, study.decision, cause, reopened=reopened)
        if study.overdue_at:
            names += ["study.overdue"] * self._announcer.overdue(study, cause)
        self._remember(study, before, cause, names)
        return True

    def _quiet_from_now(self, uid: str, cause: Cause) -> None:
        [study] = self._studies.load([uid])
        if study.settled == "settled":
            study.settled = "reopened"
            self._studies.changed(study)
        self._deadlines[study.uid, "settle"] = (cause.clock + self._site.settles_after(study.channel), cause.message)

    def _hold(self, study: StoredStudy, before: Decision | None, cause: Cause) -> None:
        """A study waits for its order from the moment that it has none."""
        waits, waited = _waits(study.decision), _waits(before)
        if waits and not waited:
            self._deadlines[study.uid, "hold"] = (cause.clock + self._site.holds_for(study.channel), cause.message)
        elif waited and not waits:
            self._deadlines[study.uid, "hold"] = study.overdue_at = None

    def turned(self) -> list[Verdict]:
        """The new verdict, for each time that a study's verdict became another one."""
        entries = [entry for _, entry in self._history]
        return [one.verdict for one in entries if one.previous is None or one.previous.verdict is not one.verdict]

    def save(self) -> list[Outbound]:
        """Writes everything, and returns the events owed with their rows."""
        db = self._db
        db.add_facts(self._new_facts)
        self._orders.save()
        self._studies.save()
        moved = {key: deadline for key, deadline in self._deadlines.items() if deadline}
        db.save_deadlines(moved, self._deadlines.keys() - moved.keys())
        db.add_history(self._history)
        return db.owe(self._announcer.events)


_RULES = {"filler": "filler-order-number", "placer": "placer-order-number", "accession": "accession-number"}


def _order_keys(keys: Iterable[Pair]) -> set[Pair]:
    """The keys of orders that a report names them by."""
    return {(_RULES[level], value) for level, value in keys if level in _RULES}


def _published(decision: Decision, orders: bytes) -> dict[str, Any]:
    """What an event of a study says of its verdict and its orders, but for what was before."""
    said = msgspec.to_builtins(correlation(decision, None))
    return {"correlation": said, "orders": msgspec.json.decode(orders)}


def _waits(decision: Decision | None) -> bool:
    return decision is not None and decision.verdict is Verdict.PENDING and decision.reason == "no-order"


def _newer(known: Instance, arrived: Instance) -> bool:
    """Whether the known object was corrected later than the one that arrives (0400,0562)."""
    return (known.attributes_modified_at or "") > (arrived.attributes_modified_at or "")
