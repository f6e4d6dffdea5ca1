"""The kinds of facts, as they are called where they are stored, and which keys a fact is found by."""

from collections.abc import Iterable
from typing import Any

from msgspec import UnsetType

from bridge.core.model import (
    Appointment,
    HL7Fact,
    Identifier,
    IdentityChange,
    LinkDecision,
    OrderUpdate,
    PatientUpdate,
    PersonFact,
    Report,
    Unmerge,
)
from bridge.core.orders import family_keys
from bridge.core.rules import Pair

KINDS: dict[str, type[HL7Fact] | type[PersonFact]] = {
    "order-update": OrderUpdate,
    "patient-update": PatientUpdate,
    "identity-change": IdentityChange,
    "report": Report,
    "appointment": Appointment,
    "link-decision": LinkDecision,
    "unmerge": Unmerge,
}
NAMES: dict[type[Any], str] = {fact: name for name, fact in KINDS.items()}


def fact_keys(fact: HL7Fact | PersonFact) -> frozenset[Pair]:
    """The keys (level, bare value) of what a fact is about: orders by their numbers, patients by their identifiers."""
    match fact:
        case OrderUpdate():
            return family_keys(fact)
        case PatientUpdate():
            return _keys("patient", fact.patient_identifiers)
        case IdentityChange():
            return _keys("patient", (*fact.patient_identifiers, *fact.prior_identifiers))
        case Report():
            return (
                _keys("filler", (fact.filler_order_number,))
                | _keys("placer", (fact.placer_order_number,))
                | _keys("accession", fact.accession_numbers)
                | frozenset(("study", uid.value) for uid in fact.study_instance_uids)
            )
        case Appointment():
            return _keys("filler", fact.filler_order_numbers) | _keys("placer", fact.placer_order_numbers)
        case LinkDecision():
            return frozenset({("study", fact.study_instance_uid)})
        case Unmerge():
            return _keys("patient", (fact.patient, fact.prior))


def _keys(level: str, identifiers: Iterable[Identifier | None] | UnsetType | None) -> frozenset[Pair]:
    if identifiers is None or isinstance(identifiers, UnsetType):
        return frozenset()
    return frozenset((level, identifier.value) for identifier in identifiers if identifier)
