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
    comparable_issuers,
    compare,
    compare_birth_dates,
    compare_identifiers,
    compare_names,
    compare_sexes,
    identity,
    person_identifiers,
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
    """The keys that an order shares with a study, strongest first; a patient identifier of either side is none."""
    patient_values = {i.value for who in (order.identity, *study.patients) for i in person_identifiers(who)}
    return tuple(
        SharedKey(ours.rule, ours.number, theirs.number)
        for ours in order_keys(order)
        for theirs in study.keys
        if ours.rule == theirs.rule
        and ours.number.value == theirs.number.value
        and comparable_issuers(ours.number.issuer, theirs.number.issuer)
        and ours.number.value not in patient_values
    )


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
        found.append(_patient_differs(order, study))
    if order.status == "cancelled":
        found.append(Finding("order-cancelled", order.id))
    for stated in (order.study_instance_uids, order.accession_numbers):
        if len({number.value for number in stated}) > 1:
            found.append(Finding("order-contradicts-itself", order.id, ordered(stated[-1])))
    return found


def _patient_differs(order: Order, study: Study) -> Finding:
    who = _decisive_patient(order, study)
    pairs = _comparable(order.identity, who)
    if pairs and compare_identifiers(order.identity, who) is False:
        hint = "format-only" if any(_format_only(a.value, b.value) for a, b in pairs) else None
        return Finding("patient-differs", order.id, ordered(pairs[0][0]), received(pairs[0][1]), hint)
    places = _names if compare_names(order.identity, who) is False else _birth_dates
    return Finding("patient-differs", order.id, *places(order.identity, who))


def warnings(order: Order, shared: Sequence[SharedKey], study: Study) -> list[Finding]:
    """What does not fit, and does not forbid the link."""
    who = _decisive_patient(order, study)
    found = []
    if compare_patient(order, study) is not Comparison.DIFFERENT:
        if compare_names(order.identity, who) is False:
            found.append(Finding("patient-name-differs", order.id, *_names(order.identity, who)))
        if compare_birth_dates(order.identity, who) is False:
            found.append(Finding("birth-date-differs", order.id, *_birth_dates(order.identity, who)))
    if compare_sexes(order.identity, who) is False:
        found.append(Finding("sex-differs", order.id, *_sexes(order.identity, who)))
    for rule in (ACCESSION_NUMBER, STUDY_INSTANCE_UID):
        if differing := _differing_key(rule, order, shared, study):
            found.append(Finding(f"{rule}-differs", order.id, *differing))
    if order.status == "discontinued":
        found.append(Finding("order-discontinued", order.id))
    acquired = sorted({s.modality for s in study.statements if s.modality} - DERIVED_MODALITIES)
    if order.modality and acquired and order.modality.value not in acquired:
        found.append(Finding("modality-differs", order.id, ordered(order.modality), Received("00080060", acquired[0])))
    return found


def evidence(order: Order, shared: Sequence[SharedKey], study: Study) -> list[Evidence]:
    """Every comparison that could be made, for people and programs to see."""
    pieces = [Evidence(key.rule, "agrees", order.id, ordered(key.ordered), received(key.received)) for key in shared]
    for rule in (STUDY_INSTANCE_UID, ACCESSION_NUMBER):
        if differing := _differing_key(rule, order, shared, study):
            pieces.append(Evidence(rule, "differs", order.id, *differing))
    who = _decisive_patient(order, study)
    if pairs := _comparable(order.identity, who):
        one, other = min(pairs, key=lambda pair: pair[0].value != pair[1].value)
        pieces.append(
            Evidence("patient-id", _outcome(one.value == other.value), order.id, ordered(one), received(other))
        )
    for key, outcome, places in (
        ("patient-name", compare_names(order.identity, who), _names),
        ("birth-date", compare_birth_dates(order.identity, who), _birth_dates),
        ("sex", compare_sexes(order.identity, who), _sexes),
    ):
        if outcome is not None:
            pieces.append(Evidence(key, _outcome(outcome), order.id, *places(order.identity, who)))
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


def _comparable(one: Identity, other: Identity) -> list[tuple[Identifier, Identifier]]:
    return [
        (a, b)
        for a in person_identifiers(one)
        for b in person_identifiers(other)
        if comparable_issuers(a.issuer, b.issuer)
    ]


def _differing_key(
    rule: str, order: Order, shared: Sequence[SharedKey], study: Study
) -> tuple[Ordered, Received] | None:
    """Both sides state it, and not the same, though something else brought them together."""
    if any(key.rule == rule for key in shared):
        return None
    ours = [key.number for key in order_keys(order) if key.rule == rule]
    theirs = [key.number for key in study.keys if key.rule == rule]
    return (ordered(ours[0]), received(theirs[0])) if ours and theirs else None


def _format_only(one: str, other: str) -> bool:
    """Unequal, but for leading zeros, a check digit, or an issuer glued to it: still different (DESIGN 4.3)."""
    short, long = sorted((one.lstrip("0"), other.lstrip("0")), key=len)
    rest = long.removeprefix(short)
    return bool(short) and (short == long or (rest != long and (len(rest) == 1 or not rest[0].isalnum())))


def _outcome(agrees: bool) -> str:
    return "agrees" if agrees else "differs"


def _names(order: Identity, study: Identity) -> tuple[Ordered, Received]:
    def written(who: Identity) -> str:
        return next((text for n in who.names for text in (n.alphabetic, n.ideographic, n.phonetic) if text), "")

    return Ordered("PID-5", written(order)), Received("00100010", written(study))


def _birth_dates(order: Identity, study: Identity) -> tuple[Ordered, Received]:
    return Ordered("PID-7", order.birth_dates[0]), Received("00100030", study.birth_dates[0])


def _sexes(order: Identity, study: Identity) -> tuple[Ordered, Received]:
    return Ordered("PID-8", order.sex or ""), Received("00100040", study.sex or "")
