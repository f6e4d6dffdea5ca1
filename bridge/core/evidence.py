"""How one candidate order compares with a study: shared keys, evidence, contradictions and warnings (DESIGN 4.3, 4.4).

A contradiction forbids the link; a warning never does. Their codes are stable and documented in docs/correlation.md.
"""

from collections.abc import Iterable, Sequence

from bridge.core.decision import Evidence, Finding, Ordered, Received
from bridge.core.model import Identifier, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import (
    Comparison,
    Identity,
    birth_date_pairs,
    comparable_issuers,
    compare,
    compare_birth_dates,
    compare_identifiers,
    compare_names,
    compare_sexes,
    identifier_pairs,
    identity,
    name_pairs,
)
from bridge.core.rules import ACCESSION_NUMBER, STUDY_INSTANCE_UID, Key, order_keys, study_keys
from bridge.core.struct import Value

# Contradictions, the gravest first.
CONTRADICTIONS = ("patient-differs", "order-cancelled", "order-contradicts-itself")

# Objects that are made from other objects say nothing about what was acquired (PS3.3 C.7.3.1.1.1).
DERIVED_MODALITIES = frozenset({"SR", "KO", "PR", "SEG", "REG", "RWV", "DOC", "OT", "AU"})


class Study(Value):
    """What is known of a study: each distinct statement of its objects, and what follows from them all."""

    statements: tuple[Statement, ...]
    patients: tuple[Identity, ...]
    keys: tuple[Key, ...]


def study_of(statements: Iterable[Statement]) -> Study:
    """The study that these statements make up; their sequence does not matter."""
    said = tuple(sorted(statements, key=repr))
    patients = tuple(dict.fromkeys(identity(s.patient) for s in said))
    return Study(said, patients, study_keys(said))


class SharedKey(Value):
    """One key that an order and the study share."""

    rule: str
    ordered: Identifier
    received: Identifier


def shared_keys(order: Order, study: Study) -> tuple[SharedKey, ...]:
    """The keys that an order shares with a study, strongest first."""
    return tuple(
        SharedKey(ours.rule, ours.number, theirs.number)
        for ours in order_keys(order)
        for theirs in study.keys
        if ours.rule == theirs.rule and _same(ours, theirs)
    )


def _same(one: Key, other: Key) -> bool:
    return one.number.value == other.number.value and comparable_issuers(one.number.issuer, other.number.issuer)


def compare_patient(order: Order, study: Study) -> Comparison:
    """An order's patient against everything that the study says of its own: one difference is enough."""
    outcomes = {compare(order.identity, who) for who in study.patients}
    if Comparison.DIFFERENT in outcomes:
        return Comparison.DIFFERENT
    return Comparison.SAME if Comparison.SAME in outcomes else Comparison.UNKNOWN


def contradictions(order: Order, study: Study) -> list[Finding]:
    """Why this order must not be linked to this study; empty where nothing speaks against it."""
    found = []
    if compare_patient(order, study) is Comparison.DIFFERENT:
        differing = patient_difference(order.identity, _decisive_patient(order, study))
        found.append(Finding("patient-differs", order.id, *differing))
    if order.status == "cancelled":
        found.append(Finding("order-cancelled", order.id))
    for stated in (order.study_instance_uids, order.accession_numbers):
        if len({number.value for number in stated}) > 1:
            found.append(Finding("order-contradicts-itself", order.id, ordered(stated[-1])))
    return found


def patient_difference(one: Identity, other: Identity) -> tuple[Ordered, Received, str | None]:
    """What shows that two identities differ, and the hint that it may be a matter of writing."""
    pairs = identifier_pairs(one, other)
    if pairs and compare_identifiers(one, other) is False:
        alike = [(a, b) for a, b in pairs if _format_only(a.value, b.value)]
        a, b = (alike or pairs)[0]
        return ordered(a), received(b), "format-only" if alike else None
    return *(_names if compare_names(one, other) is False else _birth_dates)(one, other, False), None


def warnings(order: Order, study: Study) -> list[Finding]:
    """What does not fit, and does not forbid the link."""
    who = _decisive_patient(order, study)
    found = []
    if compare_patient(order, study) is not Comparison.DIFFERENT:
        if compare_names(order.identity, who) is False:
            found.append(Finding("patient-name-differs", order.id, *_names(order.identity, who, False)))
        if compare_birth_dates(order.identity, who) is False:
            found.append(Finding("birth-date-differs", order.id, *_birth_dates(order.identity, who, False)))
    if compare_sexes(order.identity, who) is False:
        found.append(Finding("sex-differs", order.id, *_sexes(order.identity, who)))
    for rule in (ACCESSION_NUMBER, STUDY_INSTANCE_UID):
        if differing := _differing_key(rule, order, study):
            found.append(Finding(f"{rule}-differs", order.id, *differing))
    if order.status == "discontinued":
        found.append(Finding("order-discontinued", order.id))
    if differing := _differing_modality(order, study):
        found.append(Finding("modality-differs", order.id, *differing))
    return found


def evidence(order: Order, shared: Sequence[SharedKey], study: Study) -> list[Evidence]:
    """Every comparison that could be made, for people and programs to see."""
    pieces = [Evidence(key.rule, "agrees", order.id, ordered(key.ordered), received(key.received)) for key in shared]
    for rule in (STUDY_INSTANCE_UID, ACCESSION_NUMBER):
        if differing := _differing_key(rule, order, study):
            pieces.append(Evidence(rule, "differs", order.id, *differing))
    who = _decisive_patient(order, study)
    for key, agrees, places in (
        ("patient-id", compare_identifiers(order.identity, who), _identifiers),
        ("patient-name", compare_names(order.identity, who), _names),
        ("birth-date", compare_birth_dates(order.identity, who), _birth_dates),
    ):
        if agrees is not None:
            pieces.append(Evidence(key, _outcome(agrees), order.id, *places(order.identity, who, agrees)))
    if (agrees := compare_sexes(order.identity, who)) is not None:
        pieces.append(Evidence("sex", _outcome(agrees), order.id, *_sexes(order.identity, who)))
    return pieces


def ordered(number: Identifier | Stated) -> Ordered:
    """An order's value with its HL7 path."""
    return Ordered(number.where, number.value)


def received(number: Identifier | Stated) -> Received:
    """An object's value with its DICOM tag."""
    return Received(number.where, number.value)


def _decisive_patient(order: Order, study: Study) -> Identity:
    """The one of the study's patient statements that decided the comparison with this order."""
    decided = compare_patient(order, study)
    return next(who for who in study.patients if compare(order.identity, who) is decided)


def _differing_key(rule: str, order: Order, study: Study) -> tuple[Ordered, Received] | None:
    """Both sides state it, and not the same, though something else brought them together."""
    ours = [key for key in order_keys(order) if key.rule == rule]
    theirs = [key for key in study.keys if key.rule == rule]
    if not ours or not theirs or any(_same(a, b) for a in ours for b in theirs):
        return None
    return ordered(ours[0].number), received(theirs[0].number)


def _differing_modality(order: Order, study: Study) -> tuple[Ordered, Received] | None:
    acquired = sorted({s.modality for s in study.statements if s.modality} - DERIVED_MODALITIES)
    if order.modality is None or not acquired:
        return None
    if not {order.modality.value, *(step.modality for step in order.scheduled_steps)}.isdisjoint(acquired):
        return None
    return ordered(order.modality), Received("00080060", acquired[0])


def _format_only(one: str, other: str) -> bool:
    """Unequal, but for leading zeros, a check digit, or an issuer glued to it: still different (DESIGN 4.3)."""
    short, long = sorted((one.lstrip("0"), other.lstrip("0")), key=len)
    if not short or short == long:
        return bool(short)
    ahead, behind = long.removesuffix(short), long.removeprefix(short)
    if behind != long and len(behind) == 1:
        return True
    return any(
        rest != long and (rest.isalpha() or not rest[edge].isalnum()) for rest, edge in ((ahead, -1), (behind, 0))
    )


def _outcome(agrees: bool) -> str:
    return "agrees" if agrees else "differs"


# The two values that led to an outcome, and their places.


def _identifiers(order: Identity, study: Identity, agrees: bool) -> tuple[Ordered, Received]:
    one, other = next((a, b) for a, b in identifier_pairs(order, study) if (a.value == b.value) is agrees)
    return ordered(one), received(other)


def _names(order: Identity, study: Identity, agrees: bool) -> tuple[Ordered, Received]:
    one, other = next((a, b) for a, b, outcome in name_pairs(order, study) if outcome is agrees)
    return Ordered("PID-5", one), Received("00100010", other)


def _birth_dates(order: Identity, study: Identity, agrees: bool) -> tuple[Ordered, Received]:
    one, other = next((a, b) for a, b, outcome in birth_date_pairs(order, study) if outcome is agrees)
    return Ordered("PID-7", one), Received("00100030", other)


def _sexes(order: Identity, study: Identity) -> tuple[Ordered, Received]:
    return Ordered("PID-8", order.sex or ""), Received("00100040", study.sex or "")
