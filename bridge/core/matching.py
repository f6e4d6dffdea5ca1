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
    received,
    shared_keys,
    study_of,
    warnings,
)
from bridge.core.model import Identifier, Statement
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, person_identifiers
from bridge.core.rules import ACCESSION_NUMBER, RULES, STUDY_INSTANCE_UID

Shared = dict[str, tuple[SharedKey, ...]]  # by order id


def decide(statements: Iterable[Statement], orders: Iterable[Order]) -> Decision:
    """The verdict about the study that these statements make up, given every order that shares a key with it.

    The result depends on the sets of statements and orders alone, never on their sequence.
    """
    study = study_of(statements)
    if any(s.patient_identity_removed for s in study.statements):
        return Decision(Verdict.PENDING, "patient-identity-removed")
    known = sorted(orders, key=lambda order: order.id)
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

    def decision(self, about_study: Sequence[Finding]) -> Decision:
        if clash := self._objects_of_different_patients():
            return self._describe(Verdict.CONFLICT, about_study, reason=clash.code, against=[clash])
        if not self.candidates:
            return self._describe(Verdict.PENDING, about_study, reason="no-order")
        by_uid, by_accession = self._named_by(STUDY_INSTANCE_UID), self._named_by(ACCESSION_NUMBER)
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
                numbers = person_identifiers(other)
                return Finding("objects-of-different-patients", received=received(numbers[0]) if numbers else None)
        return None

    def _named_by(self, rule: str) -> set[str]:
        return {order.id for order in self.candidates if self._shares(order, rule)}

    def _shares(self, order: Order, rule: str, value: str | None = None) -> bool:
        return any(key.rule == rule and value in (None, key.received.value) for key in self.shared[order.id])

    def _keep(self, left: Sequence[Order]) -> tuple[list[Order], list[Finding]]:
        """For each accession number that the study lists, its orders with the strongest keys; else of all."""
        kept: dict[str, Order] = {}
        unresolved: list[Finding] = []
        for number in dict.fromkeys(k.number.value for k in self.study.keys if k.rule == ACCESSION_NUMBER):
            chosen = self._strongest([o for o in left if self._shares(o, ACCESSION_NUMBER, number)], number)
            kept.update({order.id: order for order in chosen})
            unresolved += _unresolved(chosen)
        chosen = list(kept.values()) or self._strongest(left, None)
        return sorted(chosen, key=lambda order: order.id), unresolved

    def _strongest(self, orders: Sequence[Order], number: str | None) -> list[Order]:
        """Those with the strongest key, then with the next; narrowed by what the study's requests name."""
        left = list(orders)
        for rule in RULES:
            left = [order for order in left if self._shares(order, rule.name)] or left
        requests = [
            request
            for statement in self.study.statements
            for request in statement.requests
            if number is None or request.accession_number is None or request.accession_number.value == number
        ]
        procedures = {r.requested_procedure_id.value for r in requests if r.requested_procedure_id}
        left = [o for o in left if o.requested_procedure_id and o.requested_procedure_id.value in procedures] or left
        steps = {r.scheduled_procedure_step_id.value for r in requests if r.scheduled_procedure_step_id}
        return [o for o in left if steps & {s.scheduled_procedure_step_id for s in o.scheduled_steps}] or left

    def _requests_without_order(self, kept: Sequence[Order]) -> list[Finding]:
        listed = [r.accession_number for s in self.study.statements for r in s.requests if r.accession_number]
        missing = {
            number.value: number
            for number in listed
            if not any(self._shares(order, ACCESSION_NUMBER, number.value) for order in kept)
        }
        return [Finding("request-without-order", received=received(number)) for number in missing.values()]

    def _one_patient(self, orders: Sequence[Order]) -> bool:
        """Two orders are one patient's when they say so, or when both are the patient of the study."""

        def together(one: Order, other: Order) -> bool:
            outcome = compare(one.identity, other.identity)
            if outcome is Comparison.UNKNOWN and one.identity != other.identity:
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
        warned = {order.id: warnings(order, self.shared[order.id], self.study) for order in self.candidates}
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
                    contradictions=tuple(f.code for f in self.contradictions[order.id]),
                    warnings=tuple(f.code for f in warned[order.id]),
                )
                for order in self.candidates
            ),
        )


def _unresolved(chosen: Sequence[Order]) -> list[Finding]:
    """Several requested procedures under one accession number, and nothing narrows them."""
    if len({order.requested_procedure_id for order in chosen}) < 2:
        return []
    return [
        Finding("procedure-unresolved", o.id, ordered(o.requested_procedure_id) if o.requested_procedure_id else None)
        for o in chosen
    ]
