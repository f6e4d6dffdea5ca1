"""What persons decided outlasts later messages, and never passes to another order or patient by a number."""

from typing import Literal

import pytest
from msgspec.structs import replace

from bridge.core.link_decisions import decided_about, decision_lookups, named_by, reference_to, standing
from bridge.core.model import Identifier, LinkDecision, OrderReference, OrderUpdate
from bridge.core.orders import Order, assemble
from tests.core.builders import JANE, JOHN, decided, order, update

FULL = order("F1^RIS", placer="P1^HIS", accession="A1", rp="R1", patient=JANE)

Kind = Literal["link", "unlink", "undo"]


def kinds(decisions: list[LinkDecision], *orders: Order) -> dict[str, str]:
    """What stands about each order."""
    return {order_id: one.kind for order_id, one in decided_about(decisions, orders).items()}


def test_a_reference_keeps_the_id_and_every_number() -> None:
    said = reference_to(FULL)

    assert (said.id, said.requested_procedure_id) == (FULL.id, "R1")
    numbers = [said.placer_order_number, said.filler_order_number, said.accession_number]
    assert [number and number.value for number in numbers] == ["P1", "F1", "A1"]


def test_a_placeholder_is_no_number_of_a_reference() -> None:
    said = reference_to(order("0", placer="NONE", accession="A1"))

    assert (said.filler_order_number, said.placer_order_number) == (None, None)
    assert said.accession_number == Identifier("A1", "OBR-18")


# Which order is named


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        (FULL, True),
        (order("F1^RIS"), True),  # the filler order number alone
        (order("F1", accession="A7", rp="R1"), True),  # its accession number was corrected
        (order("F2^RIS", placer="P1^HIS", accession="A1", rp="R1"), False),  # another filler order of the same placer
        (order("F1^LAB", accession="A1"), False),  # another filler
        (order("F1^RIS", rp="R2"), False),  # another requested procedure
        (order("", placer="P1^HIS"), True),
        (order("", placer="P1^HIS", accession="A1"), True),
        (order("", placer="P1^HIS", accession="A2"), False),  # another filler order, as its accession number shows
        (order("", placer="P1^CLINIC", accession="A1"), False),  # another placer
        (order("", placer="P2", accession="A1"), False),
        (order("", accession="A1"), True),
        (order("", accession="A1", rp="R2"), False),
        (order("", accession="A2"), False),
    ],
)
def test_an_order_is_named_by_its_strongest_number_that_both_state(reference: Order, named: bool) -> None:
    said = replace(reference_to(reference), id="o-gone")

    assert named_by(said, FULL) is named


@pytest.mark.parametrize("without", [order("", placer="P1^HIS", rp="R1"), order("F1^RIS", placer="P1^HIS")])
def test_an_order_without_what_a_person_named_it_by_is_another_one(without: Order) -> None:
    assert not named_by(replace(reference_to(FULL), id="o-gone"), without)


def test_an_order_is_named_by_its_id_whatever_became_of_its_numbers() -> None:
    assert named_by(OrderReference(FULL.id, filler_order_number=Identifier("F7", "ORC-3.1")), FULL)


def test_a_placeholder_names_nothing() -> None:
    zero = Identifier("0", "ORC-3.1")

    assert not named_by(OrderReference("o-gone", filler_order_number=zero), order("0"))
    assert not named_by(
        OrderReference("o-gone", accession_number=Identifier("NONE", "OBR-18")), order(accession="NONE")
    )
    assert not named_by(OrderReference("o-gone"), FULL)


# Which decision stands


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ("link", "unlink", {"unlink"}),
        ("unlink", "link", {"link"}),
        ("link", "undo", set()),
        ("undo", "unlink", {"unlink"}),
    ],
)
def test_the_newest_decision_about_an_order_stands(first: Kind, second: Kind, stands: set[str]) -> None:
    decisions = [
        decided(second, FULL, at="2026-02-01T08:00:00.5Z"),
        decided(first, FULL, at="2026-02-01T08:00:00Z"),
    ]

    assert set(kinds(decisions, FULL).values()) == stands
    assert {one.kind for one in standing(decisions)} == stands


@pytest.mark.parametrize(
    ("kinds_at_once", "stands"),
    [(("link", "undo"), set()), (("undo", "unlink"), {"unlink"}), (("link", "undo", "unlink"), {"unlink"})],
)
def test_at_one_moment_what_links_least_stands(kinds_at_once: tuple[Kind, ...], stands: set[str]) -> None:
    decisions = [decided(kind, FULL) for kind in kinds_at_once]

    assert {one.kind for one in standing(decisions)} == stands
    assert {one.kind for one in standing(decisions[::-1])} == stands


def test_what_was_decided_about_other_orders_is_not_touched() -> None:
    other = order("F2^RIS", placer="P1^HIS", accession="A2")
    decisions = [decided("link", FULL), decided("unlink", other, at="2026-02-02T08:00:00Z")]

    assert kinds(decisions, FULL, other) == {FULL.id: "link", other.id: "unlink"}
    assert [one.kind for one in standing(decisions)] == ["link", "unlink"]


# After later messages


def assembled(*updates: OrderUpdate) -> list[Order]:
    return list(assemble(updates).values())


def test_a_decision_stands_when_the_order_gets_its_filler_order_number_later() -> None:
    (before,) = assembled(placed := update("", placer="P1", accession="A1", patient=JANE))
    (after,) = assembled(placed, update("F1", placer="P1", accession="A1"))

    assert before.id != after.id
    assert kinds([decided("link", before)], after) == {after.id: "link"}


def test_a_decision_stands_about_every_filler_order_that_the_placer_order_became() -> None:
    (before,) = assembled(placed := update("", placer="P1", patient=JANE))
    after = assembled(placed, update("F1", placer="P1", accession="A1"), update("F2", placer="P1", accession="A2"))

    assert kinds([decided("link", before)], *after) == dict.fromkeys((one.id for one in after), "link")


def test_a_decision_about_one_of_them_goes_before_that_about_all() -> None:
    (before,) = assembled(placed := update("", placer="P1", patient=JANE))
    one, other = assembled(placed, update("F1", placer="P1"), update("F2", placer="P1"))
    decisions = [decided("link", before), decided("unlink", one, at="2026-02-02T08:00:00Z")]

    assert kinds(decisions, one, other) == {one.id: "unlink", other.id: "link"}


def test_an_order_that_has_the_id_is_meant_and_no_other_that_has_a_number() -> None:
    named = order("", placer="P1", patient=JANE)
    other = order("F9", placer="P1", patient=JANE)

    assert kinds([decided("link", named)], named, other) == {named.id: "link"}


def test_a_number_that_two_patients_orders_have_links_neither() -> None:
    gone = order("", placer="P1", patient=JANE)
    janes, johns = order("F1", placer="P1", patient=JANE), order("F9", placer="P1", patient=JOHN)

    assert kinds([decided("link", gone)], janes, johns) == {}


def test_a_number_that_two_patients_orders_have_unlinks_both() -> None:
    gone = order("", placer="P1", patient=JANE)
    janes, johns = order("F1", placer="P1", patient=JANE), order("F9", placer="P1", patient=JOHN)

    assert kinds([decided("unlink", gone)], janes, johns) == {janes.id: "unlink", johns.id: "unlink"}


# What the store looks up


def test_the_orders_that_were_named_are_looked_up_by_every_number() -> None:
    assert decision_lookups([decided("link", FULL)]) == {
        ("filler-order-number", "F1"),
        ("placer-order-number", "P1"),
        ("accession-number", "A1"),
    }


def test_an_order_without_numbers_is_looked_up_by_its_id() -> None:
    nameless = order("", uid="1.1")

    assert decision_lookups([decided("unlink", nameless)]) == {("order-id", nameless.id)}
