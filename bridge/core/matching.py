"""Which orders a study belongs to (DESIGN 4.4).

Everything is decided anew from all that is known, so the verdict cannot depend on what arrived first. A link needs a
shared key and a patient that is not contradicted; what is merely likely is never linked.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from bridge.core.decision import Candidate, Decision, Finding, Verdict
from bridge.core.evidence import (
    CONTRADICTIONS,
    SharedKey,
    Study,
    compare_patient,
    contradictions,
    evidence,
    ordered,
    patient_difference,
    received,
    shared_keys,
    study_of,
    warnings,
)
from bridge.core.model import Identifier, Request, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import Comparison, Identity, compare, is_placeholder
from bridge.core.rules import ACCESSION_NUMBER, RULES, STUDY_INSTANCE_UID

Shared = dict[str, tuple[SharedKey, ...]]  # by order id


def decide(statements: Iterable[Statement], orders: Iterable[Order]) -> Decision:
    """The verdict about the study that these statements make up, given every order that shares a key with it.

    The result depends on the sets of statements and orders alone, never on their sequence.
    """
    study = study_of(statements)
    if any(s.patient_identity_removed for s in study.statements):
        return Decision(Verdict.PENDING, "patient-identity-removed")
    known = [order for _, order in sorted({order.id: order for order in orders}.items())]
    shared, about_study = _without_dummies(known, {order.id: shared_keys(order, study) for order in known})
    return _Case(study, [order for order in known if shared[order.id]], shared).decision(about_study)


def _without_dummies(orders: Sequence[Order], shared: Shared) -> tuple[Shared, list[Finding]]:
    """A Study Instance UID that orders of different patients carry is a dummy, and no key (DESIGN 4.2)."""
    holders: dict[str, list[Order]] = {}
    stated: dict[str, Identifier] = {}
    for order in orders:
        for key in shared[order.id]:
            if key.rule == STUDY_INSTANCE_UID:
                holders.setdefault(key.received.value, []).append(order)
                stated[key.received.value] = key.received
    dummies = {uid for uid, group in holders.items() if _different_patients(group)}
    left = {
        order_id: tuple(k for k in keys if k.rule != STUDY_INSTANCE_UID or k.received.value not in dummies)
        for order_id, keys in shared.items()
    }
    return left, [Finding("study-instance-uid-shared", received=received(stated[uid])) for uid in sorted(dummies)]


def _different_patients(orders: Iterable[Order]) -> bool:
    return any(compare(a.identity, b.identity) is Comparison.DIFFERENT for a, b in combinations(orders, 2))


class _Case:
    """One study and its candidates, while the verdict is found step by step."""

    def __init__(self, study: Study, candidates: Sequence[Order], shared: Shared) -> None:
        self.study = study
        self.candidates = candidates
        self.shared = shared
        self.patient = {order.id: compare_patient(order, study) for order in candidates}
        self.contradictions = {order.id: contradictions(order, study) for order in candidates}
        self.requests = [request for statement in study.statements for request in statement.requests]

    def decision(self, about_study: Sequence[Finding]) -> Decision:
        if clash := self._objects_of_different_patients():
            return self._describe(Verdict.CONFLICT, about_study, reason=clash.code, against=[clash])
        if not self.candidates:
            return self._describe(Verdict.PENDING, about_study, reason="no-order")
        by_uid, by_accession = self._sharing(STUDY_INSTANCE_UID), self._sharing(ACCESSION_NUMBER)
        if by_uid and by_accession and not by_uid & by_accession:
            found = [
                Finding("keys-disagree", o.id, ordered(key.ordered), received(key.received))
                for o in self.candidates
                for key in self.shared[o.id]
            ]
            return self._describe(Verdict.CONFLICT, about_study, reason="keys-disagree", against=found)
        left = [order for order in self.candidates if not self.contradictions[order.id]]
        if not left:
            codes = {finding.code for found in self.contradictions.values() for finding in found}
            return self._describe(Verdict.CONFLICT, about_study, reason=next(c for c in CONTRADICTIONS if c in codes))
        kept, unresolved = self._keep(left)
        findings = [*about_study, *unresolved, *self._requests_without_order(kept)]
        if not self._one_patient(kept):
            return self._describe(Verdict.AMBIGUOUS, findings, reason="several-orders")
        if any(self.patient[o.id] is Comparison.UNKNOWN and o.id not in by_uid for o in kept):
            return self._describe(Verdict.AMBIGUOUS, findings, reason="patient-unverified")
        return self._describe(Verdict.MATCHED, findings, kept=kept)

    def _objects_of_different_patients(self) -> Finding | None:
        for one, other in combinations(self.study.patients, 2):
            if compare(one, other) is Comparison.DIFFERENT:
                _, differing, hint = patient_difference(one, other)
                return Finding("objects-of-different-patients", received=differing, hint=hint)
        return None

    def _sharing(self, rule: str) -> set[str]:
        return {order.id for order in self.candidates if self._shares(order, rule)}

    def _shares(self, order: Order, rule: str, value: str | None = None) -> bool:
        return any(key.rule == rule and value in (None, key.received.value) for key in self.shared[order.id])

    def _keep(self, left: Sequence[Order]) -> tuple[list[Order], list[Finding]]:
        """For each accession number that the study lists, the orders that it means; where that is none, of all."""
        kept: dict[str, Order] = {}
        unresolved: list[Finding] = []
        for number in dict.fromkeys(k.number.value for k in self.study.keys if k.rule == ACCESSION_NUMBER):
            named = [order for order in left if self._shares(order, ACCESSION_NUMBER, number)]
            items = [r for r in self.requests if r.accession_number is None or r.accession_number.value == number]
            meant, narrowed = self._meant(named, items)
            kept |= {order.id: order for order in meant}
            if len(meant) > 1 and not narrowed and not all(self._shares(o, STUDY_INSTANCE_UID) for o in meant):
                unresolved += map(_unresolved, meant)
        chosen = list(kept.values()) or self._meant(left, self.requests)[0]
        return sorted(chosen, key=lambda order: order.id), unresolved

    def _meant(self, orders: Sequence[Order], items: Sequence[Request]) -> tuple[list[Order], bool]:
        """Those with the strongest keys, narrowed to what request items name, and whether any did.

        When they name one of the strongest, another that they name for this patient is meant with it: one study can
        be made for several requested procedures, and then has the Study Instance UID of one of them.
        """
        strongest = self._strongest(orders)
        named = {order.id: order for item in items for order in self._strongest(_named(item, orders))}
        if any(order.id in named for order in strongest):
            return [o for o in named.values() if o in strongest or self.patient[o.id] is Comparison.SAME], True
        return strongest, False

    def _strongest(self, orders: Sequence[Order]) -> list[Order]:
        """Those with the strongest key; among these, those with the next."""
        left = list(orders)
        for rule in RULES:
            left = [order for order in left if self._shares(order, rule.name)] or left
        return left

    def _requests_without_order(self, kept: Sequence[Order]) -> list[Finding]:
        """Each accession number of a request item for which no order, or not the one that the item names, is linked."""
        linked = {order.id for order in kept}
        missing: dict[str, Identifier] = {}
        for item in self.requests:
            number = item.accession_number
            if number and not is_placeholder(number.value):
                of_number = [o for o in self.candidates if self._shares(o, ACCESSION_NUMBER, number.value)]
                if linked.isdisjoint(o.id for o in _named(item, of_number) or of_number):
                    missing.setdefault(number.value, number)
        return [Finding("request-without-order", received=received(number)) for number in missing.values()]

    def _one_patient(self, orders: Sequence[Order]) -> bool:
        """Two orders are one patient's when they say so, or the same, or when both are the patient of the study."""

        def together(one: Order, other: Order) -> bool:
            outcome = compare(one.identity, other.identity)
            if outcome is Comparison.UNKNOWN and (one.identity != other.identity or one.identity == Identity()):
                return self.patient[one.id] is self.patient[other.id] is Comparison.SAME
            return outcome is not Comparison.DIFFERENT

        return all(together(one, other) for one, other in combinations(orders, 2))

    def _describe(
        self,
        verdict: Verdict,
        findings: Sequence[Finding],
        *,
        reason: str | None = None,
        against: Sequence[Finding] = (),
        kept: Sequence[Order] = (),
    ) -> Decision:
        """The verdict with all that led to it; when linked, only what is linked is warned about."""
        warned = {order.id: warnings(order, self.study) for order in self.candidates}
        rules = (rule.name for rule in RULES if any(self._shares(order, rule.name) for order in kept))
        return Decision(
            verdict=verdict,
            reason=reason,
            rule=next(rules, None),
            orders=tuple(order.id for order in kept),
            evidence=tuple(e for o in self.candidates for e in evidence(o, self.shared[o.id], self.study)),
            warnings=(*findings, *(finding for order in kept or self.candidates for finding in warned[order.id])),
            contradictions=(*against, *(f for order in self.candidates for f in self.contradictions[order.id])),
            candidates=tuple(
                Candidate(
                    order.id,
                    keys=tuple(dict.fromkeys(key.rule for key in self.shared[order.id])),
                    contradictions=_codes(self.contradictions[order.id]),
                    warnings=_codes(warned[order.id]),
                )
                for order in self.candidates
            ),
        )


def _codes(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(finding.code for finding in findings))


def _unresolved(order: Order) -> Finding:
    """One of several requested procedures under one accession number that nothing narrows."""
    stated = order.requested_procedure_id
    return Finding("procedure-unresolved", order.id, ordered(stated) if stated else None)


def _named(item: Request, orders: Sequence[Order]) -> list[Order]:
    """The orders that a request item names by requested procedure ID, and among these by scheduled procedure step ID.

    A step ID is unique within its procedure alone (DESIGN 4.1): it says nothing where the procedures differ.
    """
    procedure, step = item.requested_procedure_id, item.scheduled_procedure_step_id
    agreeing = [o for o in orders if procedure and _value(o.requested_procedure_id) == procedure.value]
    open_ones = agreeing or [o for o in orders if procedure is None or o.requested_procedure_id is None]
    return [o for o in open_ones if step and step.value in _steps(o)] or agreeing


def _value(stated: Stated | None) -> str | None:
    return stated.value if stated else None


def _steps(order: Order) -> set[str | None]:
    return {step.scheduled_procedure_step_id for step in order.scheduled_steps}
