"""Which orders a study belongs to (DESIGN 4.4).

Everything is decided anew from all that is known, so the verdict cannot depend on what arrived first. A link needs a
shared key and a patient that is not contradicted, or a person who decides it; what is merely likely is never linked.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from msgspec.structs import replace

from bridge.core.decision import (
    CONTRADICTIONS,
    PATIENT_MODALITY_DAY,
    PERSON,
    REPLACEMENT,
    STUDY_CONTRADICTIONS,
    Candidate,
    Decision,
    Finding,
    Received,
    Verdict,
)
from bridge.core.evidence import (
    Compared,
    Departure,
    SharedKey,
    Study,
    StudyFacts,
    compared,
    contradictions,
    evidence,
    is_same_day_s,
    linked_by_person,
    ordered,
    patient_difference,
    received,
    study_of,
    warnings,
)
from bridge.core.link_decisions import age, decided_about
from bridge.core.model import Identifier, LinkDecision
from bridge.core.narrowing import meant, requests_without_order
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, identity
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.rules import ACCESSION_NUMBER, RULES, STUDY_INSTANCE_UID, replaces

# A person's link goes before these only where that person saw them: they may come later, and could harm.
_TO_BE_SEEN = frozenset({"patient-differs", "objects-of-different-patients", "order-cancelled"})

_INCORRECT_WORKLIST_ENTRY = "113038"  # DCM, Incorrect Modality Worklist Entry (PS3.16 CID 7010)


def decide(study: StudyFacts, orders: Iterable[Order], persons: Persons = NO_MERGES) -> Decision:
    """The verdict about a study, given every order that may be linked or suggested, and who is who.

    The result depends on the sets of statements, orders and decisions alone, never on their sequence.
    """
    moved = _moved(study.departures)
    if not study.statements and _INCORRECT_WORKLIST_ENTRY in study.rejections:
        finding = Finding("incorrect-worklist-entry")
        return Decision(Verdict.CONFLICT, finding.code, warnings=moved, contradictions=(finding,))
    if not study.statements:
        return Decision(Verdict.PENDING, "no-instances", warnings=moved)
    if any(s.patient_identity_removed for s in study.statements):
        return Decision(Verdict.PENDING, "patient-identity-removed", warnings=moved)
    said = study_of(study.statements, persons)
    known = [order for _, order in sorted({order.id: order for order in orders}.items())]
    left, dummies = _without_dummies([compared(order, said) for order in known], persons)
    return _Case(said, left, decided_about(study.decisions, known, persons)).decision((*moved, *dummies))


def _moved(departures: Iterable[Departure]) -> tuple[Finding, ...]:
    """One warning for each other study, and one for all objects that were given another patient."""
    studies = {departure.other_study for departure in departures if departure.other_study}
    found = [Finding("object-moved", received=Received("0020000D", uid)) for uid in sorted(studies)]
    renamed = {departure.sop_instance_uid for departure in departures if not departure.other_study}
    if renamed:
        found.append(Finding("object-patient-changed", received=Received("00080018", min(renamed))))
    return tuple(found)


def _without_dummies(orders: Sequence[Compared], persons: Persons) -> tuple[list[Compared], list[Finding]]:
    """A Study Instance UID that orders of different patients carry, whatever their status, is no key (DESIGN 4.2)."""
    holders: dict[str, list[Compared]] = {}
    stated: dict[str, Identifier] = {}
    for one in orders:
        for key in one.shared:
            if key.rule == STUDY_INSTANCE_UID:
                holders.setdefault(key.received.value, []).append(one)
                stated[key.received.value] = key.received
    dummies = {uid for uid, group in holders.items() if _different_patients(group, persons)}
    left = [
        one._replace(
            shared=tuple(k for k in one.shared if k.rule != STUDY_INSTANCE_UID or k.received.value not in dummies)
        )
        for one in orders
    ]
    return left, [Finding("study-instance-uid-shared", received=received(stated[uid])) for uid in sorted(dummies)]


def _different_patients(orders: Iterable[Compared], persons: Persons) -> bool:
    return any(
        compare(a.order.identity, b.order.identity, persons) is Comparison.DIFFERENT for a, b in combinations(orders, 2)
    )


class _Outcome(NamedTuple):
    """What keys and patients lead to, before a person's link is looked at."""

    verdict: Verdict
    reason: str | None = None
    kept: Sequence[Compared] = ()
    unresolved: Sequence[Finding] = ()
    against: Sequence[Finding] = ()  # what forbids every link of the study


class _Case:
    """One study and the orders beside it, while the verdict is found step by step."""

    def __init__(self, study: Study, orders: Sequence[Compared], decisions: Mapping[str, LinkDecision]) -> None:
        self.study = study
        self.orders = orders
        self.decisions = decisions
        self.candidates = [one for one in orders if one.shared]
        self.named = {order_id for order_id, decision in decisions.items() if decision.kind == "link"}  # by a person
        self.contradictions = {one.order.id: contradictions(one, study, decisions.get(one.order.id)) for one in orders}
        self.moved = {one.order.id for one in orders if one.order.id in self.named and self._is_another_s(one.order)}
        for order_id in self.moved:
            self.contradictions[order_id] = self.contradictions[order_id] or [Finding("patient-differs", order_id)]

    def decision(self, about_study: Sequence[Finding]) -> Decision:
        """The verdict with all that led to it. A person's link adds to what the rules link."""
        found = self._outcome()
        by_person = self._by_person(found)
        chosen = {one.order.id for one in by_person}
        rules_link = found.kept if found.verdict is Verdict.MATCHED else ()
        matched = {one.order.id for one in rules_link if not self._differs_from_any(one, by_person)}
        linked = [one for one in self.orders if one.order.id in matched or one.order.id in chosen]
        unseen = {code for order_id in self.named - chosen for code in self._unseen(order_id, found)}
        if unseen and not linked:
            found = found._replace(verdict=Verdict.CONFLICT, reason=_gravest(unseen))
        about = linked or found.kept
        suggested = {} if linked else self._suggested()
        shown = [one for one in self.orders if one.shared or one.order.id in self.named or one.order.id in suggested]
        against = {one.order.id: self.contradictions[one.order.id] for one in shown if one.order.id not in chosen}
        warned = {
            one.order.id: [
                *(self._overridden(one.order, found) if one.order.id in chosen else ()),
                *warnings(one, self.study),
            ]
            for one in shown
        }
        rules = (rule.name for rule in RULES if any(one.shares(rule.name) for one in linked if one.order.id in matched))
        return Decision(
            verdict=Verdict.MATCHED if linked else found.verdict,
            reason=None if linked else found.reason,
            rule=next(rules, PERSON if chosen else None),
            orders=tuple(one.order.id for one in linked),
            evidence=tuple(e for one in shown for e in evidence(one, self.study, self.decisions.get(one.order.id))),
            warnings=(
                *about_study,
                *(_overridden(finding) for finding in found.against if chosen and finding.order is None),
                *(found.unresolved if matched or not chosen else ()),
                *(requests_without_order(self.study, self.candidates, about) if about else ()),
                *(finding for one in linked or shown for finding in warned[one.order.id]),
            ),
            contradictions=(
                *(finding for finding in found.against if not chosen or finding.order in against),
                *(finding for findings in against.values() for finding in findings),
            ),
            candidates=tuple(
                Candidate(
                    one.order.id,
                    keys=(
                        *dict.fromkeys(key.rule for key in one.shared),
                        *((PERSON,) if one.order.id in self.named else ()),
                        *suggested.get(one.order.id, ()),
                    ),
                    contradictions=_codes(against.get(one.order.id, ())),
                    warnings=_codes(warned[one.order.id]),
                )
                for one in shown
            ),
        )

    def _by_person(self, found: _Outcome) -> list[Compared]:
        """What persons link, of one patient: of links to several, the newest counts."""
        named = [one for one in self.orders if one.order.id in self.named and self._holds(one.order.id, found)]
        kept: list[Compared] = []
        for one in sorted(named, key=lambda one: age(self.decisions[one.order.id]), reverse=True):
            if not self._differs_from_any(one, kept):
                kept.append(one)
        return kept

    def _differs_from_any(self, one: Compared, others: Iterable[Compared]) -> bool:
        return any(_different_patients([one, other], self.study.persons) for other in others)

    def _is_another_s(self, order: Order) -> bool:
        """Whether an order that a person linked has become another patient's since."""
        seen = identity(self.decisions[order.id].order.patient)
        return compare(seen, order.identity, self.study.persons) is Comparison.DIFFERENT

    def _holds(self, order_id: str, found: _Outcome) -> bool:
        """Whether a person's link goes before all that forbids it."""
        return not self._unseen(order_id, found)

    def _unseen(self, order_id: str, found: _Outcome) -> set[str]:
        """What forbids a person's link and was not there, or not confirmed, when that person looked."""
        if order_id in self.moved:
            return {"patient-differs"}
        codes = {finding.code for finding in (*self.contradictions[order_id], *found.against)}
        return codes & _TO_BE_SEEN - {*self.decisions[order_id].overrides}

    def _overridden(self, order: Order, found: _Outcome) -> list[Finding]:
        """That a person linked an order, and what in spite of."""
        against = [*(finding for finding in found.against if finding.order == order.id), *self.contradictions[order.id]]
        return [linked_by_person(order, self.decisions[order.id]), *map(_overridden, against)]

    def _outcome(self) -> _Outcome:
        if different := self._objects_of_different_patients():
            return _Outcome(Verdict.CONFLICT, reason="objects-of-different-patients", against=different)
        considered = {one.order.id for one in self.candidates} | self.named
        forbidden = {finding.code for order_id in considered for finding in self.contradictions[order_id]}
        if not self.candidates and not forbidden:
            return _Outcome(Verdict.PENDING, reason="no-order")
        by_uid, by_accession = self._sharing(STUDY_INSTANCE_UID), self._sharing(ACCESSION_NUMBER)
        if by_uid and by_accession and not by_uid & by_accession:
            disagreeing = [
                Finding("keys-disagree", one.order.id, ordered(key.ordered), received(key.received))
                for one in self.candidates
                for key in one.shared
            ]
            return _Outcome(Verdict.CONFLICT, reason="keys-disagree", against=disagreeing)
        left = [one for one in self.candidates if not self.contradictions[one.order.id]]
        if not left:
            return _Outcome(Verdict.CONFLICT, reason=_gravest(forbidden))
        if codes := self._against_own_uid():
            return _Outcome(Verdict.CONFLICT, reason=_gravest(codes))
        kept, unresolved, several_issuers = meant(self.study, left)
        if several_issuers or not self._one_patient(kept):
            return _Outcome(Verdict.AMBIGUOUS, reason="several-orders", kept=kept, unresolved=unresolved)
        if any(one.patient is Comparison.UNKNOWN and one.order.id not in by_uid for one in kept):
            return _Outcome(Verdict.AMBIGUOUS, reason="patient-unverified", kept=kept, unresolved=unresolved)
        return _Outcome(Verdict.MATCHED, kept=kept, unresolved=unresolved)

    def _against_own_uid(self) -> set[str]:
        """What contradicts every order that the study's own UID names; a person's unlink leaves the others to choose.

        Such a study is not of another order that has its accession number as well: the modality took it for this one.
        """
        own = [one for one in self.candidates if any(_is_own_uid(key) for key in one.shared)]
        codes = [{finding.code for finding in self.contradictions[one.order.id]} for one in own]
        return set().union(*codes) - {"unlinked-by-person"} if all(codes) else set()

    def _objects_of_different_patients(self) -> list[Finding]:
        """What the first two patients who differ state, each."""
        for one, other in combinations(self.study.patients, 2):
            if compare(one, other, self.study.persons) is Comparison.DIFFERENT:
                shown = [patient_difference(*pair, self.study.persons) for pair in ((other, one), (one, other))]
                return [Finding("objects-of-different-patients", received=said, hint=hint) for _, said, hint in shown]
        return []

    def _sharing(self, rule: str) -> set[str]:
        return {one.order.id for one in self.candidates if one.shares(rule)}

    def _one_patient(self, orders: Sequence[Compared]) -> bool:
        """Two orders are one patient's when they say so, or the same, or when both are the patient of one object."""

        def together(one: Compared, other: Compared) -> bool:
            ours, theirs, persons = one.order.identity, other.order.identity, self.study.persons
            outcome = compare(ours, theirs, persons)
            if outcome is not Comparison.UNKNOWN or _are_one_order(one.order, other.order):
                return outcome is not Comparison.DIFFERENT
            same = [
                [compare(identity, who, persons) is Comparison.SAME for who in self.study.patients]
                for identity in (ours, theirs)
            ]
            return (ours == theirs and bool(ours.names)) or any(map(all, zip(*same, strict=True)))

        return all(together(one, other) for one, other in combinations(orders, 2))

    def _suggested(self) -> dict[str, tuple[str, ...]]:
        """The orders that share no key and are suggested, by id, each with the codes of why."""
        cancelled = [one.order for one in self.candidates if one.order.status == "cancelled"]
        policy = self.study.persons.policy
        reasons = {
            one.order.id: (
                *((PATIENT_MODALITY_DAY,) if is_same_day_s(one, self.study) else ()),
                *((REPLACEMENT,) if any(replaces(one.order, order, policy) for order in cancelled) else ()),
            )
            for one in self.orders
            if not one.shared
        }
        return {order_id: codes for order_id, codes in reasons.items() if codes}


def _are_one_order(one: Order, other: Order) -> bool:
    """Whether they are two requested procedures of one filler, else placer order."""
    if one.filler_order_number or other.filler_order_number:
        return one.filler_order_number == other.filler_order_number
    return one.placer_order_number is not None and one.placer_order_number == other.placer_order_number


def _overridden(finding: Finding) -> Finding:
    return replace(finding, code=f"overridden-{finding.code}")


def _is_own_uid(key: SharedKey) -> bool:
    return key.rule == STUDY_INSTANCE_UID and key.received.where == "0020000D"


def _gravest(codes: Container[str]) -> str:
    return next(code for code in STUDY_CONTRADICTIONS + CONTRADICTIONS if code in codes)


def _codes(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.code for finding in findings))
