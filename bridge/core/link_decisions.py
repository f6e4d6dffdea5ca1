"""What persons decided about links: which decision stands, and which order it names after later messages.

An order is named by its id, and by its numbers when messages that came later gave it another id; a link must never
pass to another patient's order that way.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from bridge.core.model import LinkDecision, OrderReference
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, is_placeholder
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import DEFAULT_POLICY, Policy
from bridge.core.rules import (
    ACCESSION_NUMBER,
    FILLER_ORDER_NUMBER,
    ORDER_ID,
    PLACER_ORDER_NUMBER,
    Pair,
    order_numbers,
    same_number,
)
from bridge.core.struct import encode

_RANK = {"link": 0, "undo": 1, "unlink": 2}  # at one time: what links least wins


def reference_to(order: Order) -> OrderReference:
    """What a person's decision keeps of an order."""
    numbers = {rule: number for rule, number in reversed(order_numbers(order))}
    procedure = order.requested_procedure_id
    return OrderReference(
        id=order.id,
        placer_order_number=numbers.get(PLACER_ORDER_NUMBER),
        filler_order_number=numbers.get(FILLER_ORDER_NUMBER),
        accession_number=numbers.get(ACCESSION_NUMBER),
        requested_procedure_id=procedure.value if procedure else None,
        patient=order.patient,
    )


def named_by(reference: OrderReference, order: Order, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether a person who named an order so may have meant this one.

    By its id; else by its filler, else its placer order number, else its accession number, the first of these that
    both state, where neither the requested procedure nor, under one placer order, the accession number is another. An
    order without the filler order number or the requested procedure ID that was named is another one.
    """
    if reference.id == order.id:
        return True
    procedure = order.requested_procedure_id
    if reference.requested_procedure_id not in (None, procedure and procedure.value):
        return False
    if reference.filler_order_number and not order.filler_order_number:
        return False
    pairs = (
        (reference.filler_order_number, order.filler_order_number),
        (reference.placer_order_number, order.placer_order_number),
    )
    accession, accessions = reference.accession_number, order.accession_numbers
    shared = not accession or any(same_number(accession, number, policy) for number in accessions)
    for level, (number, own) in enumerate(pairs):
        if number and own and not is_placeholder(number.value):
            return same_number(number, own, policy) and (level == 0 or shared or not accessions)
    return accession is not None and not is_placeholder(accession.value) and shared


def standing(decisions: Iterable[LinkDecision]) -> tuple[LinkDecision, ...]:
    """The newest decision about each order, as it was named, the oldest first; those that were undone are left out."""
    newest = {decision.order.id: decision for decision in sorted(decisions, key=age)}
    return tuple(sorted((one for one in newest.values() if one.kind != "undo"), key=age))


def decided_about(
    decisions: Iterable[LinkDecision], orders: Sequence[Order], persons: Persons = NO_MERGES
) -> dict[str, LinkDecision]:
    """The newest decision about each of these orders, a link or an unlink, by the order's id."""
    found: dict[str, LinkDecision] = {}
    for decision in sorted(decisions, key=age):
        found |= dict.fromkeys((order.id for order in _named(decision, orders, persons)), decision)
    return {order_id: decision for order_id, decision in found.items() if decision.kind != "undo"}


def decision_lookups(decisions: Iterable[LinkDecision]) -> frozenset[Pair]:
    """What the orders are found by that persons named; they also find the study when such an order changes."""
    return frozenset(pair for decision in decisions for pair in _reference_lookups(decision.order))


def _reference_lookups(reference: OrderReference) -> list[Pair]:
    numbers = (
        (FILLER_ORDER_NUMBER, reference.filler_order_number),
        (PLACER_ORDER_NUMBER, reference.placer_order_number),
        (ACCESSION_NUMBER, reference.accession_number),
    )
    return [(rule, number.value) for rule, number in numbers if number] or [(ORDER_ID, reference.id)]


def _named(decision: LinkDecision, orders: Sequence[Order], persons: Persons) -> list[Order]:
    """The order that has the id, else all that have the numbers; those of several patients are never linked."""
    by_id = [order for order in orders if order.id == decision.order.id]
    named = by_id or [order for order in orders if named_by(decision.order, order, persons.policy)]
    return [] if decision.kind == "link" and _several_patients(named, persons) else named


def _several_patients(orders: Sequence[Order], persons: Persons) -> bool:
    return any(compare(a.identity, b.identity, persons) is Comparison.DIFFERENT for a, b in combinations(orders, 2))


def age(decision: LinkDecision) -> tuple[str, int, bytes]:
    """What decisions are sorted by, the oldest first."""
    return decision.at.rstrip("Z"), _RANK[decision.kind], encode(decision)
