"""Which of several orders that share a key a study means: the strongest keys, narrowed by request items (DESIGN 4.4).

Nothing here looks at a contradiction: who is left has none.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import NamedTuple

from bridge.core.decision import Finding
from bridge.core.evidence import Compared, Study, ordered, received
from bridge.core.identifiers import comparable_issuers, is_placeholder
from bridge.core.model import Identifier, Request, Stated, Statement
from bridge.core.orders import Order
from bridge.core.patients import Comparison
from bridge.core.policy import Policy
from bridge.core.rules import (
    ACCESSION_NUMBER,
    FILLER_ORDER_NUMBER,
    PLACER_ORDER_NUMBER,
    RULES,
    STUDY_INSTANCE_UID,
    same_number,
)


class Meant(NamedTuple):
    """The orders that are meant, what stays unresolved of them, and whether one number means orders of two issuers."""

    orders: list[Compared]
    unresolved: list[Finding]
    several_issuers: bool


def meant(study: Study, left: Sequence[Compared]) -> Meant:
    """For each accession number that the study lists, the orders that it means; where that is none, of all."""
    kept: dict[str, Compared] = {}
    unresolved: list[Finding] = []
    several_issuers = False
    for orders, items in _groups(study, left):
        strongest = _strongest(orders)
        several_issuers |= _of_several_issuers(strongest)
        chosen = _narrowed(strongest, orders, items, study.persons.policy)
        kept |= {one.order.id: one for one in chosen or strongest}
        if not chosen and _share_all_they_share(strongest) and not all(o.shares(STUDY_INSTANCE_UID) for o in strongest):
            unresolved += [_unresolved(one.order) for one in strongest]
    return Meant([one for _, one in sorted(kept.items())], unresolved, several_issuers)


def requests_without_order(study: Study, candidates: Sequence[Compared], linked: Sequence[Compared]) -> list[Finding]:
    """Each number of a request item for which no order, or not the one that the item names, is linked.

    It is the accession number, else an order number that every linked order states otherwise.
    """
    missing: dict[tuple[str, str], Identifier] = {}
    linked_ids = {one.order.id for one in linked}
    for item, _ in _requests(study):
        rule, number = _number(item)
        if number is None:
            continue
        named = [one for one in candidates if one.shares(rule, number.value)]
        if rule == ACCESSION_NUMBER:
            named = _named(item, named, study.persons.policy) or named
        may_be_linked = rule != ACCESSION_NUMBER and not all(_stated(one.order, rule) for one in linked)
        if not may_be_linked and linked_ids.isdisjoint(one.order.id for one in named):
            missing.setdefault((rule, number.value), number)
    return [Finding("request-without-order", received=received(number)) for number in missing.values()]


def _groups(study: Study, left: Sequence[Compared]) -> list[tuple[Sequence[Compared], Sequence[Request]]]:
    """The orders that share each accession number of the study, with the request items about it; else all."""
    requests = _requests(study)
    groups: list[tuple[Sequence[Compared], Sequence[Request]]] = []
    for number in dict.fromkeys(key.number.value for key in study.keys if key.rule == ACCESSION_NUMBER):
        if named := [one for one in left if one.shares(ACCESSION_NUMBER, number)]:
            groups.append((named, [item for item, accession in requests if accession in (None, number)]))
    return groups or [(left, [item for item, _ in requests])]


def _requests(study: Study) -> list[tuple[Request, str | None]]:
    """Each request item with the accession number that it is about: its own, else that of the header it stands in."""
    return [(item, _accession(item, said)) for said in study.statements for item in said.requests]


def _accession(item: Request, said: Statement) -> str | None:
    stated = (item.accession_number, said.accession_number)
    return next((number.value for number in stated if number and not is_placeholder(number.value)), None)


def _strongest(orders: Sequence[Compared]) -> list[Compared]:
    """Those with the strongest key; among these, those with the next."""
    left = list(orders)
    for rule in RULES:
        left = [one for one in left if one.shares(rule.name)] or left
    return left


def _narrowed(
    strongest: Sequence[Compared], orders: Sequence[Compared], items: Iterable[Request], policy: Policy
) -> list[Compared]:
    """What request items name of those with the strongest keys; empty where they name none.

    When they name one of these, another that they name for this patient is meant with it: one study can be made for
    several requested procedures, and then has the Study Instance UID of one of them.
    """
    strong = {one.order.id for one in strongest}
    named = [(one, item) for item in items for one in _strongest(_named(item, orders, policy))]
    first = [one for one, _ in named if one.order.id in strong]
    found = {
        one.order.id: one
        for one, item in named
        if one in first or (first and one.patient is Comparison.SAME and not _is_elsewhere(one, first, item))
    }
    return list(found.values())


def _is_elsewhere(one: Compared, first: Iterable[Compared], item: Request) -> bool:
    """Whether an item that states no issuer would reach beyond the issuer of the orders that are meant."""
    says_so = item.accession_number is not None and item.accession_number.issuer is not None
    return not says_so and any(_of_two_issuers(one, own) for own in first)


def _named(item: Request, orders: Iterable[Compared], policy: Policy) -> list[Compared]:
    """The orders that a request item names by requested procedure ID, and among these by scheduled procedure step ID.

    A procedure ID is unique within its accession number alone, a step ID within its procedure (DESIGN 4.1): they say
    nothing where these differ.
    """
    procedure, step = item.requested_procedure_id, item.scheduled_procedure_step_id
    own = [one for one in orders if not _has_another_accession(item, one.order, policy)]
    agreeing = [o for o in own if procedure and _value(o.order.requested_procedure_id) == procedure.value]
    open_ones = agreeing or [o for o in own if procedure is None or o.order.requested_procedure_id is None]
    return [o for o in open_ones if step and step.value in _steps(o.order)] or agreeing


def _has_another_accession(item: Request, order: Order, policy: Policy) -> bool:
    number = item.accession_number
    if number is None or is_placeholder(number.value) or not order.accession_numbers:
        return False
    return not any(same_number(number, own, policy) for own in order.accession_numbers)


def _of_several_issuers(orders: Sequence[Compared]) -> bool:
    """Whether one number of the study, stated without an issuer, is two different numbers of the orders.

    Neither procedure nor step IDs tell these apart: they are no more than counters of each issuer.
    """
    by_number = [one for one in orders if not one.shares(STUDY_INSTANCE_UID)]
    return any(_of_two_issuers(one, other) for one, other in combinations(by_number, 2))


def _of_two_issuers(one: Compared, other: Compared) -> bool:
    return any(
        a.rule == b.rule
        and a.received == b.received
        and a.received.issuer is None
        and not comparable_issuers(a.ordered.issuer, b.ordered.issuer)
        for a, b in product(one.shared, other.shared)
    )


def _share_all_they_share(orders: Sequence[Compared]) -> bool:
    """Whether there are two that no key tells apart."""
    return len({frozenset((key.rule, key.received) for key in one.shared) for one in orders}) < len(orders)


def _unresolved(order: Order) -> Finding:
    """One of several requested procedures that nothing tells apart."""
    stated = order.requested_procedure_id
    return Finding("procedure-unresolved", order.id, ordered(stated) if stated else None)


def _number(item: Request) -> tuple[str, Identifier | None]:
    """What names a request, and by which rule."""
    numbers = (
        (ACCESSION_NUMBER, item.accession_number),
        (FILLER_ORDER_NUMBER, item.filler_order_number),
        (PLACER_ORDER_NUMBER, item.placer_order_number),
    )
    return next(((rule, n) for rule, n in numbers if n and not is_placeholder(n.value)), (ACCESSION_NUMBER, None))


def _stated(order: Order, rule: str) -> Identifier | None:
    return order.filler_order_number if rule == FILLER_ORDER_NUMBER else order.placer_order_number


def _value(stated: Stated | None) -> str | None:
    return stated.value if stated else None


def _steps(order: Order) -> set[str | None]:
    return {step.scheduled_procedure_step_id for step in order.scheduled_steps}
