"""Every kind of fact has a name to be stored under, and is found by what it is about."""

from typing import get_args

import pytest

from bridge.core.facts import KINDS, NAMES, fact_keys
from bridge.core.model import HL7Fact, LinkDecision, OrderReference, PersonFact, Unmerge
from tests.core.builders import number

AT = "2026-01-01T08:00:00Z"


def test_every_fact_of_a_message_or_a_person_has_a_name() -> None:
    assert {*KINDS.values()} == {*get_args(HL7Fact), *get_args(PersonFact)}
    assert {NAMES[kind]: kind for kind in KINDS.values()} == KINDS


@pytest.mark.parametrize("kind", ["link", "unlink", "undo"])
def test_a_person_s_decision_is_found_by_its_study(kind: str) -> None:
    order = OrderReference("o-1", filler_order_number=number("F1", "ORC-3.1"))

    assert fact_keys(LinkDecision(AT, "anna", "seen", kind, "1.2.3", order)) == {("study", "1.2.3")}


def test_what_takes_a_merge_back_is_found_by_both_identifiers() -> None:
    undone = Unmerge(AT, "anna", "two people", "unmerge", number("1^HOSP", "PID-3.1"), number("2^HOSP", "MRG-1.1"))

    assert fact_keys(undone) == {("patient", "1"), ("patient", "2")}
