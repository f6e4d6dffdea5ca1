"""How one order compares with a study: shared keys, evidence, contradictions and warnings (DESIGN 4.3, 4.4).

A contradiction forbids the link; a warning never does.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bridge.core.decision import PERSON, Evidence, Finding, Ordered, Received
from bridge.core.model import Identifier, LinkDecision, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import (
    Comparison,
    Identity,
    birth_date_pairs,
    compare,
    compare_birth_dates,
    compare_identifiers,
    compare_names,
    compare_sexes,
    identifier_pairs,
    identity,
    name_pairs,
)
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.rules import (
    Key,
    acquired_modalities,
    order_keys,
    ordered_modalities,
    same_number,
    scheduled_days,
    study_days,
    study_keys,
)
from bridge.core.struct import Value, encode


class Departure(Value):
    """An object that another header under its SOP Instance UID put into another study, or gave another patient.

    Both studies know it: `other_study` is the one where it is now, or the one where it was; None is the same study.
    """

    sop_instance_uid: str
    other_study: str | None = None


class StudyFacts(Value):
    """What is known of one study: each distinct statement of its current, unrejected objects, and what befell them.

    `rejections` are the codes (DCM) of the notes that took objects out, `decisions` what persons decided about it.
    """

    statements: tuple[Statement, ...]
    rejections: tuple[str, ...] = ()
    departures: tuple[Departure, ...] = ()
    decisions: tuple[LinkDecision, ...] = ()


class Study(NamedTuple):
    """What is known of a study: each distinct statement of its objects, and what follows from them all.

    `patients` are those that the statements give, `whole` all of them together: what each leaves out, another may say.
    """

    statements: tuple[Statement, ...]
    patients: tuple[Identity, ...]
    whole: Identity
    keys: tuple[Key, ...]
    persons: Persons


def study_of(statements: Iterable[Statement], persons: Persons = NO_MERGES) -> Study:
    """The study that these statements make up; their sequence does not matter."""
    said = tuple(sorted(dict.fromkeys(statements), key=encode))
    if any(s.strict_issuers is True for s in said):  # one object is enough, whichever came first
        persons = persons.strict()
    patients = tuple(dict.fromkeys(identity(s.patient) for s in said))
    whole = Identity(
        identifiers=tuple(dict.fromkeys(number for who in patients for number in who.identifiers)),
        names=tuple(dict.fromkeys(name for who in patients for name in who.names)),
        birth_dates=tuple(dict.fromkeys(date for who in patients for date in who.birth_dates)),
        sex=next((who.sex for who in patients if who.sex), None),
    )
    return Study(said, patients, whole, study_keys(said, persons), persons)


class SharedKey(NamedTuple):
    """One key that an order and the study share."""

    rule: str
    ordered: Identifier
    received: Identifier


class Compared(NamedTuple):
    """One order beside the study.

    `shared` are the keys they share, strongest first; `differing` those of which both state another value. `who` is the
    one of the study's patient statements, or all of them together, that decided the comparison `patient`.
    """

    order: Order
    shared: tuple[SharedKey, ...]
    differing: tuple[SharedKey, ...]
    patient: Comparison
    who: Identity

    def shares(self, rule: str, value: str | None = None) -> bool:
        return any(key.rule == rule and value in (None, key.received.value) for key in self.shared)


def compared(order: Order, study: Study) -> Compared:
    ours = order_keys(order, study.persons)
    shared = tuple(
        SharedKey(a.rule, a.number, b.number)
        for a in ours
        for b in study.keys
        if a.rule == b.rule and same_number(a.number, b.number, study.persons.policy)
    )
    patients = dict.fromkeys((*study.patients, study.whole))
    outcomes = [(compare(order.identity, who, study.persons), who) for who in patients]
    for decisive in (Comparison.DIFFERENT, Comparison.SAME, Comparison.UNKNOWN):  # one difference is enough
        if (who := next((who for outcome, who in outcomes if outcome is decisive), None)) is not None:
            return Compared(order, shared, _differing(ours, shared, study), decisive, who)
    raise ValueError("a study without objects is compared with nothing")


def _differing(ours: tuple[Key, ...], shared: Iterable[SharedKey], study: Study) -> tuple[SharedKey, ...]:
    """What both sides state, and not the same, though something else brings them together."""
    agreeing = {key.rule for key in shared}
    first: dict[str, SharedKey] = {}
    for a in ours:
        for b in study.keys:
            if a.rule == b.rule and a.rule not in agreeing:
                first.setdefault(a.rule, SharedKey(a.rule, a.number, b.number))
    return tuple(first.values())


def contradictions(one: Compared, study: Study, decision: LinkDecision | None) -> list[Finding]:
    """Why this order must not be linked to this study; empty where nothing speaks against it."""
    order, found = one.order, []
    if one.patient is Comparison.DIFFERENT:
        differing = patient_difference(order.identity, one.who, study.persons)
        found.append(Finding("patient-differs", order.id, *differing))
    if order.status == "cancelled":
        found.append(Finding("order-cancelled", order.id))
    for stated in (order.study_instance_uids, order.accession_numbers):
        if len({number.value for number in stated}) > 1:
            found.append(Finding("order-contradicts-itself", order.id, ordered(stated[-1])))
    if decision and decision.kind == "unlink":
        found.append(Finding("unlinked-by-person", order.id, *_of_person(decision)))
    return found


def patient_difference(
    one: Identity, other: Identity, persons: Persons = NO_MERGES
) -> tuple[Ordered, Received, str | None]:
    """What shows that two identities differ, and the hint that it may be a matter of writing."""
    if compare_identifiers(one, other, persons) is False:
        pairs = identifier_pairs(one, other, persons)
        alike = [(a, b) for a, b in pairs if _format_only(a.value, b.value)]
        a, b = (alike or pairs)[0]
        return ordered(a), received(b), "format-only" if alike else None
    return *(_names if compare_names(one, other) is False else _birth_dates)(one, other, False), None


def warnings(one: Compared, study: Study) -> list[Finding]:
    """What does not fit, and does not forbid the link."""
    order, who, found = one.order, one.who, []
    if one.patient is not Comparison.DIFFERENT:
        if compare_names(order.identity, who) is False:
            found.append(Finding("patient-name-differs", order.id, *_names(order.identity, who, False)))
        if compare_birth_dates(order.identity, who) is False:
            found.append(Finding("birth-date-differs", order.id, *_birth_dates(order.identity, who, False)))
    if compare_sexes(order.identity, who) is False:
        found.append(Finding("sex-differs", order.id, *_sexes(order.identity, who)))
    for rule, ours, theirs in one.differing:
        found.append(Finding(f"{rule}-differs", order.id, ordered(ours), received(theirs)))
    if order.status == "discontinued":
        found.append(Finding("order-discontinued", order.id))
    acquired = acquired_modalities(study.statements)
    if order.modality and acquired and acquired.isdisjoint(ordered_modalities(order)):
        found.append(Finding("modality-differs", order.id, ordered(order.modality), _modality(acquired)))
    return found


def linked_by_person(order: Order, decision: LinkDecision) -> Finding:
    """The warning that a person decided this link."""
    return Finding("linked-by-person", order.id, *_of_person(decision))


def evidence(one: Compared, study: Study, decision: LinkDecision | None) -> list[Evidence]:
    """Every comparison that could be made, for people and programs to see."""
    order, who = one.order, one.who
    pieces = [
        Evidence(key.rule, "agrees", order.id, ordered(key.ordered), received(key.received)) for key in one.shared
    ]
    pieces += [
        Evidence(key.rule, "differs", order.id, ordered(key.ordered), received(key.received)) for key in one.differing
    ]
    if decision:
        pieces.append(Evidence(PERSON, _outcome(decision.kind == "link"), order.id, *_of_person(decision)))
    if (agrees := compare_identifiers(order.identity, who, study.persons)) is not None:
        pieces.append(_identifiers(order, who, agrees, study.persons))
    for key, agrees, places in (
        ("patient-name", compare_names(order.identity, who), _names),
        ("birth-date", compare_birth_dates(order.identity, who), _birth_dates),
    ):
        if agrees is not None:
            pieces.append(Evidence(key, _outcome(agrees), order.id, *places(order.identity, who, agrees)))
    if (agrees := compare_sexes(order.identity, who)) is not None:
        pieces.append(Evidence("sex", _outcome(agrees), order.id, *_sexes(order.identity, who)))
    return pieces


def is_same_day_s(one: Compared, study: Study) -> bool:
    """Whether the order is for the study's patient, one of its modalities and its day: a suggestion, never a link."""
    return (
        one.patient is Comparison.SAME
        and not ordered_modalities(one.order).isdisjoint(acquired_modalities(study.statements))
        and not scheduled_days(one.order).isdisjoint(study_days(study.statements))
    )


def ordered(number: Identifier | Stated) -> Ordered:
    """An order's value with its HL7 path."""
    return Ordered(number.where, number.value)


def received(number: Identifier | Stated) -> Received:
    """An object's value with its DICOM tag."""
    return Received(number.where, number.value)


def _of_person(decision: LinkDecision) -> tuple[Ordered, Received]:
    said = f"{decision.user}, {decision.at}: {decision.reason}"
    return Ordered(f"bridge {decision.kind}", said), Received("0020000D", decision.study_instance_uid)


def _modality(acquired: Iterable[str]) -> Received:
    return Received("00080060", min(acquired))


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


def _identifiers(order: Order, who: Identity, agrees: bool, persons: Persons) -> Evidence:
    """Two identifiers that are equal as they stand, rather than two that are one person's by a merge."""
    pairs = [(a, b) for a, b in identifier_pairs(order.identity, who, persons) if persons.agree(a, b) is agrees]
    one, other = next(((a, b) for a, b in pairs if same_number(a, b, persons.policy)), pairs[0])
    hint = "merged" if agrees and not same_number(one, other, persons.policy) else None
    return Evidence("patient-id", _outcome(agrees), order.id, ordered(one), received(other), hint)


def _names(order: Identity, study: Identity, agrees: bool) -> tuple[Ordered, Received]:
    one, other = next((a, b) for a, b, outcome in name_pairs(order, study) if outcome is agrees)
    return Ordered("PID-5", one), Received("00100010", other)


def _birth_dates(order: Identity, study: Identity, agrees: bool) -> tuple[Ordered, Received]:
    one, other = next((a, b) for a, b, outcome in birth_date_pairs(order, study) if outcome is agrees)
    return Ordered("PID-7", one), Received("00100030", other)


def _sexes(order: Identity, study: Identity) -> tuple[Ordered, Received]:
    return Ordered("PID-8", order.sex or ""), Received("00100040", study.sex or "")
