"""The keys under which orders and studies find each other (DESIGN 4.2). A new rule is one row of `RULES`.

Lookups are what the store indexes, as (rule, bare value): every key, and more. They may find
too much, never too little.
"""

from collections.abc import Callable, Collection, Iterable
from itertools import islice, product

from bridge.core.decision import PATIENT_MODALITY_DAY
from bridge.core.model import Identifier, OrderNumbers, Patient, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import Identity, birth_date_pairs, comparable_issuers, identity, is_placeholder
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import DEFAULT_POLICY, Policy
from bridge.core.struct import Value

Pair = tuple[str, str]  # rule and bare value


class Key(Value):
    """One value that can be shared; the store indexes (`rule`, `value`), issuers are compared afterwards."""

    rule: str
    number: Identifier


class Rule(Value):
    """How orders and studies come to share a key: two pure functions. The strongest rule stands first in `RULES`."""

    name: str
    strength: int
    of_order: Callable[[Order], Iterable[Identifier | Stated | None]]
    of_statement: Callable[[Statement], Iterable[Identifier | Stated | None]]


STUDY_INSTANCE_UID = "study-instance-uid"
ACCESSION_NUMBER = "accession-number"
FILLER_ORDER_NUMBER, PLACER_ORDER_NUMBER = "filler-order-number", "placer-order-number"

RULES = (
    Rule(
        STUDY_INSTANCE_UID,
        1,
        lambda order: order.study_instance_uids,
        lambda said: (Stated(said.study_instance_uid, "0020000D"), *(r.study_instance_uid for r in said.requests)),
    ),
    Rule(
        ACCESSION_NUMBER,
        2,
        lambda order: order.accession_numbers,
        lambda said: (said.accession_number, *(r.accession_number for r in said.requests)),
    ),
    Rule(
        FILLER_ORDER_NUMBER,
        3,
        lambda order: (order.filler_order_number,),
        lambda said: (r.filler_order_number for r in said.requests),
    ),
    Rule(
        PLACER_ORDER_NUMBER,
        3,
        lambda order: (order.placer_order_number,),
        lambda said: (r.placer_order_number for r in said.requests),
    ),
)

# What finds, and never links.
PATIENT_ID, OTHER_PATIENT_ID = "patient-id", "other-patient-id"
ORDER_ID = "order-id"
_REPLACES = {rule: f"replaces-{rule}" for rule in (FILLER_ORDER_NUMBER, PLACER_ORDER_NUMBER)}

_LINKING = frozenset(rule.name for rule in RULES)
_AFFECTING = _LINKING | {PATIENT_MODALITY_DAY, ORDER_ID}

# Objects that are made from other objects say nothing about what was acquired (PS3.3 C.7.3.1.1.1).
DERIVED_MODALITIES = frozenset({"SR", "KO", "PR", "SEG", "REG", "RWV", "DOC", "OT", "AU"})


def order_keys(order: Order, persons: Persons = NO_MERGES) -> tuple[Key, ...]:
    """The keys under which an order can be found; with `persons`, those that merges leave."""
    own = _values_of_patient((*order.patient.identifiers, *order.identity.identifiers), persons)
    return tuple(dict.fromkeys(key for rule in RULES for key in _keys(rule, rule.of_order(order), own)))


def study_keys(statements: Iterable[Statement], persons: Persons = NO_MERGES) -> tuple[Key, ...]:
    """The same for a study."""
    said = tuple(statements)
    own = _values_of_patient([number for s in said for number in s.patient.identifiers], persons)
    keys = dict.fromkeys(key for rule in RULES for s in said for key in _keys(rule, rule.of_statement(s), own))
    # Where one object names the issuer of a number, another that leaves it out does not open it to other issuers.
    issued = {(key.rule, key.number.value) for key in keys if key.number.issuer}
    return tuple(key for key in keys if key.number.issuer or (key.rule, key.number.value) not in issued)


def _values_of_patient(identifiers: Collection[Identifier], persons: Persons) -> frozenset[str]:
    """Of any type, and those that merges make the patient's, too."""
    return persons.values_of(identifiers).union(number.value for number in identifiers)


def _keys(rule: Rule, stated: Iterable[Identifier | Stated | None], patient_values: frozenset[str]) -> Iterable[Key]:
    """A placeholder, or a value that is a patient's identifier of any type, is no key (DESIGN 4.2)."""
    for number in stated:
        if number is None or is_placeholder(number.value) or number.value in patient_values:
            continue
        yield Key(rule.name, number if isinstance(number, Identifier) else Identifier(number.value, number.where))


def same_number(one: Identifier, other: Identifier, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether two numbers of one kind are the same, as far as their issuers tell."""
    return one.value == other.value and comparable_issuers(one.issuer, other.issuer, policy)


# What the store looks up, in both directions.


def order_lookups(order: Order) -> frozenset[Pair]:
    """Everything that an order is found by: more than what links."""
    keys = {(key.rule, key.number.value) for key in order_keys(order)}
    numbers = {(rule, number.value) for rule, number in order_numbers(order)} or {(ORDER_ID, order.id)}
    replaced = {(_REPLACES[rule], value) for rule, value in predecessor_lookups(order)}
    return suggesting(order).union(keys, numbers, replaced, _patient_lookups(order.patient))


def order_numbers(order: Order) -> list[tuple[str, Identifier]]:
    """What names an order, each with its rule: its numbers, whether they are keys or not, but for placeholders."""
    stated = (
        (FILLER_ORDER_NUMBER, order.filler_order_number),
        (PLACER_ORDER_NUMBER, order.placer_order_number),
        *((ACCESSION_NUMBER, number) for number in order.accession_numbers),
    )
    return [(rule, number) for rule, number in stated if number and not is_placeholder(number.value)]


def study_lookups(statements: Iterable[Statement]) -> frozenset[Pair]:
    """The same for a study."""
    said = tuple(statements)
    keys = {(key.rule, key.number.value) for key in study_keys(said)}
    return suggestions(said).union(keys, *(_patient_lookups(s.patient) for s in said))


def _patient_lookups(patient: Patient) -> set[Pair]:
    """A patient counts once, by the identifier that stands first; the others only find."""
    return {(OTHER_PATIENT_ID if i else PATIENT_ID, number.value) for i, number in enumerate(patient.identifiers)}


def linking(pairs: Iterable[Pair]) -> frozenset[Pair]:
    """Those of the lookups that link."""
    return frozenset(pair for pair in pairs if pair[0] in _LINKING)


def affecting(pairs: Iterable[Pair]) -> frozenset[Pair]:
    """Those of an order's lookups by which studies must be decided again when the order changes."""
    return frozenset(pair for pair in pairs if pair[0] in _AFFECTING)


# What is suggested: the same patient, an acquired modality, and a scheduled day that is the study's date.


def suggestions(statements: Iterable[Statement], persons: Persons = NO_MERGES) -> frozenset[Pair]:
    """What orders are looked up by, to suggest them to a study; with `persons`, under every number of its patient."""
    said = tuple(statements)
    patients = {value for s in said for value in _patient_values(identity(s.patient), persons)}
    return _patient_modality_day(patients, acquired_modalities(said), study_days(said))


def suggesting(order: Order, persons: Persons = NO_MERGES) -> frozenset[Pair]:
    """What studies are looked up by, to suggest an order to them."""
    return _patient_modality_day(
        _patient_values(order.identity, persons), ordered_modalities(order), scheduled_days(order)
    )


def _patient_modality_day(
    patients: Collection[str], modalities: Collection[str], days: Collection[str]
) -> frozenset[Pair]:
    return frozenset((PATIENT_MODALITY_DAY, " ".join(parts)) for parts in product(patients, modalities, days))


def _patient_values(who: Identity, persons: Persons) -> frozenset[str]:
    """By each identifier; by the birth date only for who has none: many people share one. No placeholder dates."""
    stated = persons.values_of(number for number in who.identifiers if not is_placeholder(number.value))
    return stated or frozenset(date for date, _, _ in birth_date_pairs(who, who))


def acquired_modalities(statements: Iterable[Statement]) -> frozenset[str]:
    return frozenset(s.modality for s in statements if s.modality) - DERIVED_MODALITIES


def study_days(statements: Iterable[Statement]) -> frozenset[str]:
    return frozenset(s.study_date for s in statements if s.study_date)


def ordered_modalities(order: Order) -> frozenset[str]:
    stated = (order.modality.value if order.modality else None, *(step.modality for step in order.scheduled_steps))
    return frozenset(modality for modality in stated if modality)


def scheduled_days(order: Order) -> frozenset[str]:
    """`YYYY-MM-DD`, in the sender's time zone."""
    starts = (step.scheduled_procedure_step_start_date_time for step in order.scheduled_steps)
    return frozenset(start[:10] for start in starts if start)


# What is suggested: the order that stands in a cancelled one's place.


def replaces(successor: Order, order: Order, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether one order says that it replaces the other (ORC-1 RO), by its filler, else its placer order number."""
    named = successor.replaces or OrderNumbers()
    pairs = (
        (named.filler_order_number, order.filler_order_number),
        (named.placer_order_number, order.placer_order_number),
    )
    comparable = ((a, b) for a, b in pairs if a and b and not is_placeholder(a.value))
    return any(same_number(a, b, policy) for a, b in islice(comparable, 1))


def successor_lookups(order: Order) -> frozenset[Pair]:
    """What the successors of a cancelled order are found by; nothing for an order that is not cancelled."""
    if order.status != "cancelled":
        return frozenset()
    return frozenset((_REPLACES[rule], number.value) for rule, number in order_numbers(order) if rule in _REPLACES)


def predecessor_lookups(order: Order) -> frozenset[Pair]:
    """What the order is found by that this one replaces."""
    named = order.replaces or OrderNumbers()
    stated = ((FILLER_ORDER_NUMBER, named.filler_order_number), (PLACER_ORDER_NUMBER, named.placer_order_number))
    return frozenset((rule, number.value) for rule, number in stated if number and not is_placeholder(number.value))
