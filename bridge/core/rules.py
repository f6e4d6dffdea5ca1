"""The keys under which orders and studies find each other (DESIGN 4.2). A new rule is one row of `RULES`."""

from collections.abc import Callable, Iterable

from bridge.core.model import Identifier, Patient, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import is_placeholder
from bridge.core.struct import Value

Pair = tuple[str, str]  # rule and bare value


class Key(Value):
    """One value that can be shared; the store indexes (`rule`, `value`), issuers are compared afterwards."""

    rule: str
    number: Identifier


class Rule(Value):
    """How orders and studies come to share a key: two pure functions. The strongest rule stands first in `RULES`."""

    name: str
    of_order: Callable[[Order], Iterable[Identifier | Stated | None]]
    of_statement: Callable[[Statement], Iterable[Identifier | Stated | None]]


STUDY_INSTANCE_UID = "study-instance-uid"
ACCESSION_NUMBER = "accession-number"
PATIENT_ID, OTHER_PATIENT_ID = "patient-id", "other-patient-id"  # find, and never link

RULES = (
    Rule(
        STUDY_INSTANCE_UID,
        lambda order: order.study_instance_uids,
        lambda said: (Stated(said.study_instance_uid, "0020000D"), *(r.study_instance_uid for r in said.requests)),
    ),
    Rule(
        ACCESSION_NUMBER,
        lambda order: order.accession_numbers,
        lambda said: (said.accession_number, *(r.accession_number for r in said.requests)),
    ),
)

_LINKING = frozenset(rule.name for rule in RULES)


def order_keys(order: Order) -> tuple[Key, ...]:
    """The keys under which an order can be found."""
    own = {number.value for number in order.patient.identifiers}
    return tuple(dict.fromkeys(key for rule in RULES for key in _keys(rule, rule.of_order(order), own)))


def study_keys(statements: Iterable[Statement]) -> tuple[Key, ...]:
    """The keys under which a study can be found."""
    said = tuple(statements)
    own = {number.value for s in said for number in s.patient.identifiers}
    keys = dict.fromkeys(key for rule in RULES for s in said for key in _keys(rule, rule.of_statement(s), own))
    # Where one object names the issuer of a number, another that leaves it out does not open it to other issuers.
    issued = {(key.rule, key.number.value) for key in keys if key.number.issuer}
    return tuple(key for key in keys if key.number.issuer or (key.rule, key.number.value) not in issued)


def _keys(rule: Rule, stated: Iterable[Identifier | Stated | None], patient_values: set[str]) -> Iterable[Key]:
    """A placeholder, or a value that is a patient's identifier of any type, is no key (DESIGN 4.2)."""
    for number in stated:
        if number is None or is_placeholder(number.value) or number.value in patient_values:
            continue
        yield Key(rule.name, number if isinstance(number, Identifier) else Identifier(number.value, number.where))


def order_lookups(order: Order) -> frozenset[Pair]:
    """Everything that a person may look an order up by: (rule, bare value); more than what links."""
    numbers = (
        ("placer-order-number", order.placer_order_number),
        ("filler-order-number", order.filler_order_number),
    )
    keys = {(key.rule, key.number.value) for key in order_keys(order)}
    keys |= {(name, number.value) for name, number in numbers if number}
    return frozenset(keys | _patient_lookups(order.patient))


def study_lookups(statements: Iterable[Statement]) -> frozenset[Pair]:
    """The same for a study."""
    said = tuple(statements)
    keys = {(key.rule, key.number.value) for key in study_keys(said)}
    return frozenset(keys.union(*(_patient_lookups(s.patient) for s in said)))


def _patient_lookups(patient: Patient) -> set[Pair]:
    """A patient counts once, by the identifier that stands first; the others only find."""
    return {(OTHER_PATIENT_ID if i else PATIENT_ID, number.value) for i, number in enumerate(patient.identifiers)}


def linking(keys: Iterable[Pair]) -> frozenset[Pair]:
    """Those of the keys that link."""
    return frozenset(key for key in keys if key[0] in _LINKING)
