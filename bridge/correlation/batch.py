"""One batch: loads what its facts need, works in memory, and writes in sets.

A study is decided anew from everything that is known of it and never patched, so that the end does not depend on what
arrived first. Whoever shares an old or a new key with what changed is decided again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bridge.core.decision import Decision, Verdict
from bridge.core.events import PublishedReport
from bridge.core.evidence import Departure, StudyFacts
from bridge.core.facts import fact_keys
from bridge.core.known_patients import as_known
from bridge.core.link_decisions import decision_lookups
from bridge.core.matching import decide
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
from bridge.core.persons import Persons
from bridge.core.ports import Outbound
from bridge.core.publishing import changes, correlation, published_order, published_report
from bridge.core.reports import report_lookups, reports_about
from bridge.core.rules import (
    Pair,
    affecting,
    linking,
    order_lookups,
    predecessor_lookups,
    study_lookups,
    successor_lookups,
    suggesting,
    suggestions,
)
from bridge.core.struct import encode
from bridge.correlation.announcing import Announcer, decided, previous
from bridge.correlation.cause import Cause, Site
from bridge.correlation.orders import Orders
from bridge.correlation.people import People, patient_keys
from bridge.correlation.studies import Studies
from bridge.store.rows import Due, HistoryEntry, StoredInstance, StoredStudy
from bridge.store.transaction import Transaction


class Correlation:
    """The state of everything that one transaction touches; it lives as long as that."""

    def __init__(self, db: Transaction, site: Site) -> None:
        self._db = db
        self._site = site
        self._orders = Orders(db)
        self._people = People(db, site.policy)
        self._studies = Studies(db)
        self._reports: dict[Pair, dict[bytes, Report]] = {}
        self._announcer = Announcer(site)
        self._new_facts: list[tuple[str | None, HL7Fact | PersonFact]] = []
        self._history: list[tuple[str, HistoryEntry]] = []
        self._linked_orders: dict[str, tuple[Order, ...]] = {}  # by study, as they are known
        self._deadlines: dict[tuple[str, str], tuple[float, str] | None] = {}  # None: it is no more

    def prepare(self, facts: Sequence[Fact]) -> None:
        """Loads what these facts will need in sets; what turns out to be needed beyond it is loaded when it is."""
        order_facts = [fact for fact in facts if isinstance(fact, OrderUpdate | Appointment)]
        named = self._orders.prepare(order_facts)
        instances = [fact for fact in facts if isinstance(fact, Instance)]
        self._studies.load_instances({one.sop_instance_uid for one in instances})
        reached = self._studies.under(affecting(named))
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
        uids = [one.statement.study_instance_uid for one in instances]
        self._load_reports({key for uid in uids for key in report_lookups(uid, orders)} if uids else set())

    # What messages and people say

    def apply(self, cause: Cause, facts: Sequence[Fact]) -> None:
        """What one message says."""
        order_facts = [fact for fact in facts if isinstance(fact, OrderUpdate | Appointment)]
        if order_facts:
            changed = self._orders.apply(order_facts)
            self._decide_all(self._studies_of(changed), cause)
        for fact in facts:
            if isinstance(fact, Instance):
                self._apply_instance(cause, fact)
                continue
            self._new_facts.append((cause.message, fact))
            if isinstance(fact, PatientUpdate | IdentityChange):
                self._apply_patient(cause, fact)
            elif isinstance(fact, Report):
                self._apply_report(cause, fact)

    def apply_decision(self, cause: Cause, decision: LinkDecision | Unmerge) -> None:
        """What a person decided."""
        self._new_facts.append((None, decision))
        if isinstance(decision, Unmerge):
            self._apply_patient(cause, decision)
        elif (study := self._studies.decide(decision)).channel:
            self._decide(study, cause)

    def _apply_patient(self, cause: Cause, fact: PatientUpdate | IdentityChange | Unmerge) -> None:
        """Every order of whoever may be this patient is seen in another light, and so is every study."""
        self._people.load({value for _, value in fact_keys(fact)})
        keys = patient_keys(self._people.add(fact))
        affected = self._studies_of(self._orders.under(keys))
        if not isinstance(fact, PatientUpdate):
            affected |= self._studies.under(keys)
        self._decide_all(affected, cause)

    def _apply_report(self, cause: Cause, report: Report) -> None:
        keys = fact_keys(report)
        self._load_reports(keys)
        for key in keys:
            self._reports[key][encode(report)] = report
        named = {uid for level, uid in keys if level == "study"}
        named |= self._studies_of(self._orders.under(_order_keys(keys)))
        self._decide_all(named, cause)

    def _apply_instance(self, cause: Cause, instance: Instance) -> None:
        """One object. Under a known SOP Instance UID the same header says nothing new, another one replaces it."""
        known = self._studies.instance(instance.sop_instance_uid)
        if known and (known.instance == instance or _newer(known.instance, instance)):
            return
        study = self._studies.open(instance.statement.study_instance_uid, cause.channel)
        affected: set[str] = set()
        if known:
            affected |= self._moved(known.instance, instance)
            self._studies.take_out(known.instance)
        stored = StoredInstance(cause.message, cause.channel, instance)
        new_statement = self._studies.put(stored)
        spoken_of, turned = self._studies.note(instance, known.instance if known else None)
        self._quiet_from_now(study, cause)
        self._decide_all(affected | spoken_of - {study.uid}, cause)
        may_differ = new_statement or known or study.decision is None or study.uid in spoken_of
        published_all = may_differ and self._decide(study, cause, replaced=known is not None)
        rejected = self._studies.rejection_of(instance) is not None
        for one in turned if published_all and not rejected else [*turned, stored]:
            self._publish_instance(one, cause)

    def _moved(self, known: Instance, arrived: Instance) -> set[str]:
        """What an object that came again with another header leaves behind; returns the study that it left."""
        before, after = known.statement.study_instance_uid, arrived.statement.study_instance_uid
        if before != after:
            self._studies.depart(before, known.sop_instance_uid, after)
            self._studies.depart(after, known.sop_instance_uid, before)
            return {before}
        one, other = identity(known.statement.patient), identity(arrived.statement.patient)
        persons = self._people.persons((*one.identifiers, *other.identifiers))
        if compare(one, other, persons) is Comparison.DIFFERENT:
            self._studies.depart(after, known.sop_instance_uid, "")
        return set()

    def _publish_instance(self, stored: StoredInstance, cause: Cause) -> None:
        """What the verdict about its study, or a note, says of one object."""
        [study] = self._studies.load([stored.instance.statement.study_instance_uid])
        if rejection := self._studies.rejection_of(stored.instance):
            self._announcer.rejected(study, stored, self._linked(study), rejection, cause)
        else:
            self._announcer.instances(study, [stored], self._linked(study), None, cause)

    # Who is affected

    def _studies_of(self, orders: Iterable[Order]) -> set[str]:
        """The studies that share a key with one of these orders, or to which one of them may be suggested."""
        keys: set[Pair] = set()
        for order in orders:
            keys |= affecting(order_lookups(order))
            for predecessor in self._orders.under(predecessor_lookups(order)):
                keys |= linking(order_lookups(predecessor))
            keys |= suggesting(order, self._people.persons(order.identity.identifiers))
        return self._studies.under(keys)

    def _decide_all(self, uids: Iterable[str], cause: Cause) -> None:
        for study in self._studies.load(set(uids)):
            if study.decision:
                self._decide(study, cause)

    # Verdicts

    def _decide(self, study: StoredStudy, cause: Cause, *, replaced: bool = False) -> bool:
        """Decides a study again and owes what its consumers must know; says whether that included its objects."""
        before, orders_before = study.decision, study.orders
        decision, linked = self._decision(study)
        orders, reports = encode([published_order(order) for order in linked]), self._reports_of(study, linked)
        reported = reports is not None and encode(reports) != study.reports
        if decision == before and orders == orders_before and not replaced and not reported:
            return False
        study.revision += 1
        study.decision, study.orders = decision, orders
        if before is None or before.verdict is not decision.verdict:
            study.since, study.overdue_at = cause.at, None
        self._hold(study, before, cause)
        self._studies.changed(study)
        names = self._announce(study, before, orders_before, linked, cause)
        if reported and reports is not None:
            study.reports = encode(reports)
            names += ["study.reported"] * self._announcer.reported(study, linked, reports, cause)
        if study.settled == "settled" and {"study.matched", "study.amended"} & set(names):
            names += self._settled(("study.ready",), study, cause, reopened=False)
        self._remember(study, before, cause, names)
        if decision.verdict is Verdict.MATCHED and orders != orders_before:
            self._announcer.instances(study, self._studies.objects(study), linked, before, cause)
            return True
        return False

    def _decision(self, study: StoredStudy) -> tuple[Decision, tuple[Order, ...]]:
        """The verdict from all that is known, and the orders that it links. What only suggests is looked at last."""
        statements = study.current_statements()
        facts = StudyFacts(
            statements,
            rejections=tuple(sorted(set(study.rejections.values()))),
            departures=tuple(Departure(uid, other or None) for uid, other in sorted(study.departures)),
            decisions=study.decisions,
        )
        keys = linking(study_lookups(statements)) | decision_lookups(study.decisions)
        orders = {order.id: order for order in self._orders.under(keys)}
        replaced = [order for order in orders.values() if order.status == "cancelled"]
        orders |= {o.id: o for order in replaced for o in self._orders.under(successor_lookups(order))}
        persons, known = self._as_known(facts, orders)
        decision = decide(facts, known.values(), persons)
        if decision.verdict is not Verdict.MATCHED:
            suggested = {o.id: o for o in self._orders.under(suggestions(statements, persons)) if o.id not in orders}
            if suggested:
                persons, known = self._as_known(facts, orders | suggested)
                decision = decide(facts, known.values(), persons)
        linked = tuple(known[order_id] for order_id in decision.orders)
        self._linked_orders[study.uid] = linked
        return decision, linked

    def _as_known(self, facts: StudyFacts, orders: Mapping[str, Order]) -> tuple[Persons, dict[str, Order]]:
        """The orders with what is known of their patients."""
        identifiers = [i for statement in facts.statements for i in statement.patient.identifiers]
        identifiers += [i for order in orders.values() for i in order.patient.identifiers]
        persons = self._people.persons(identifiers)
        return persons, {
            order_id: as_known(order, self._people.updates(order.patient.identifiers), persons)
            for order_id, order in orders.items()
        }

    def _linked(self, study: StoredStudy) -> tuple[Order, ...]:
        """The linked orders of a study whose verdict stands."""
        if study.uid not in self._linked_orders:
            orders = {order.id: order for order in self._orders.named(decided(study).orders)}
            _, known = self._as_known(StudyFacts(study.current_statements()), orders)
            self._linked_orders[study.uid] = tuple(known.values())
        return self._linked_orders[study.uid]

    def _announce(
        self, study: StoredStudy, before: Decision | None, orders_before: bytes, linked: Sequence[Order], cause: Cause
    ) -> list[str]:
        """Owes the events that a new verdict calls for; returns their names."""
        decision = decided(study)
        names = []
        if before and set(before.orders) - set(decision.orders):
            names.append("study.unlinked")
        other = before is None or before.verdict is not decision.verdict or before.orders != decision.orders
        if decision.verdict is not Verdict.PENDING and (other or decision.verdict is not Verdict.MATCHED):
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
        )
        self._history.append((study.uid, entry))

    # Reports

    def _load_reports(self, keys: Iterable[Pair]) -> None:
        missing = {key for key in keys if key not in self._reports}
        if missing:
            self._reports.update({key: {} for key in missing})
            for report in self._db.facts(missing, Report).values():
                for key in fact_keys(report) & missing:
                    self._reports[key][encode(report)] = report

    def _reports_of(self, study: StoredStudy, linked: Sequence[Order]) -> tuple[PublishedReport, ...] | None:
        """The reports that are known for a matched study; None where there are none."""
        if not linked:
            return None
        keys = report_lookups(study.uid, linked)
        self._load_reports(keys)
        known = {content: report for key in keys for content, report in self._reports[key].items()}
        if not known:
            return None
        persons = self._people.persons(i for order in linked for i in order.identity.identifiers)
        about = reports_about(study.uid, linked, known.values(), persons)
        return tuple(published_report(report) for report in about) or None

    # Time

    def prepare_due(self, due: Sequence[Due]) -> None:
        studies = self._studies.load({one.study for one in due})
        self._orders.named({order for study in studies if study.decision for order in study.decision.orders})

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
                ("study.settled", "study.ready") if matched else ("study.settled",), study, cause, reopened=reopened
            )
        else:
            study.overdue_at = at
            study.revision += 1
            names = ["study.overdue"] * self._announcer.overdue(study, cause)
        self._studies.changed(study)
        self._remember(study, study.decision, cause, names)

    def _settled(self, names: Iterable[str], study: StoredStudy, cause: Cause, *, reopened: bool) -> list[str]:
        linked, numbers = self._linked(study), self._studies.instance_numbers(study)
        return [
            name for name in names if self._announcer.settled(name, study, linked, numbers, cause, reopened=reopened)
        ]

    def _quiet_from_now(self, study: StoredStudy, cause: Cause) -> None:
        if study.settled == "settled":
            study.settled = "reopened"
        self._deadlines[study.uid, "settle"] = (cause.clock + self._site.settles_after(study.channel), cause.message)

    def _hold(self, study: StoredStudy, before: Decision | None, cause: Cause) -> None:
        """A study waits for its order from the moment that it has none."""
        waits, waited = _waits(study.decision), _waits(before)
        if waits and not waited:
            self._deadlines[study.uid, "hold"] = (cause.clock + self._site.holds_for(study.channel), cause.message)
        elif waited and not waits:
            self._deadlines[study.uid, "hold"] = None

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
