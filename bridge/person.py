"""What a person decides about studies, orders and patients: recorded as facts, decided anew at once, undone by another.

A person may link in spite of a contradiction, once it was shown; never a study whose patient identity was removed.
"""

from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import Literal

from bridge.core.decision import CONTRADICTIONS, STUDY_CONTRADICTIONS, Decision
from bridge.core.errors import BridgeError
from bridge.core.link_decisions import named_by, reference_to, standing
from bridge.core.model import Identifier, Issuer, LinkDecision, OrderReference, Unmerge
from bridge.core.orders import Order
from bridge.core.ports import Outbound
from bridge.core.rules import ACCESSION_NUMBER, FILLER_ORDER_NUMBER, PLACER_ORDER_NUMBER
from bridge.core.struct import Value, encode
from bridge.correlation import Cause, Correlation, Site
from bridge.store.rows import StoredStudy
from bridge.store.store import Store
from bridge.store.transaction import Transaction

ANYTHING = frozenset(CONTRADICTIONS + STUDY_CONTRADICTIONS)  # whatever speaks against a link


class Person(Value):
    """Who decides, when (RFC 3339 in UTC) and why."""

    user: str
    reason: str
    at: str


class NotPossible(BridgeError):
    """What a person asks for cannot be done; the text says why, without patient data."""


class NeedsConfirmation(BridgeError):
    """A link that the rules contradict; `codes` are the contradictions."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__(f"the rules contradict this link: {', '.join(codes)}")
        self.codes = tuple(codes)


class Decided(Value):
    """The study afterwards, and the events owed."""

    study: str
    decision: Decision
    events: tuple[Outbound, ...]


def link(store: Store, site: Site, person: Person, study: str, order: str, confirmed: Collection[str] = ()) -> Decided:
    """Links a study to an order, named by its id or any of its numbers.

    Raises:
        NotPossible: there is no such study or order, several orders have that number, or the study is never linked.
        NeedsConfirmation: contradictions forbid it that are not among those `confirmed`; nothing is changed.
    """

    def work(db: Transaction) -> Decided:
        found = _study(db, study)
        chosen = _order(db, order)
        decided = _apply(db, site, person, found, "link", [reference_to(chosen)], tuple(sorted(confirmed)))
        against = [
            finding.code.removeprefix(_OVERRIDDEN)
            for finding in (*decided.decision.contradictions, *decided.decision.warnings)
            if finding.order in (None, chosen.id)
        ]
        unconfirmed = [code for code in dict.fromkeys(against) if code in ANYTHING and code not in confirmed]
        if unconfirmed:
            raise NeedsConfirmation(unconfirmed)
        if chosen.id not in decided.decision.orders:
            raise NotPossible(f"the study is never linked: {decided.decision.reason}")
        return decided

    return store.transact(work)


def unlink(store: Store, site: Site, person: Person, study: str, order: str | None = None) -> Decided:
    """Forbids the link of a study to an order, or to every order that it is linked to.

    Raises:
        NotPossible: there is no such study or order, or the study is linked to none.
    """

    def work(db: Transaction) -> Decided:
        found = _study(db, study)
        linked = found.decision.orders if found.decision else ()
        orders = [_order(db, order)] if order else list(db.orders(linked).values())
        if not orders:
            raise NotPossible("the study is linked to no order")
        return _apply(db, site, person, found, "unlink", [reference_to(one) for one in orders])

    return store.transact(work)


def undo(store: Store, site: Site, person: Person, study: str, order: str | None = None) -> Decided:
    """Takes back what people decided about a study and an order, or about a study and every order.

    Raises:
        NotPossible: there is no such study or order, or nobody decided anything about them.
    """

    def work(db: Transaction) -> Decided:
        found = _study(db, study)
        decided = [one.order for one in standing(found.decisions) if one.kind != "undo"]
        if order:
            chosen = _order(db, order)
            decided = [one for one in decided if named_by(one, chosen, site.policy)]
        if not decided:
            raise NotPossible("nobody has decided anything about this")
        return _apply(db, site, person, found, "undo", decided)

    return store.transact(work)


def unmerge(
    store: Store, site: Site, person: Person, prior: str, patient: str, *, undone: bool = False
) -> tuple[Outbound, ...]:
    """Takes out every merge and link of two patient identifiers (VALUE, or VALUE^ISSUER), or, `undone`, lets them back.

    Returns the events owed.
    """
    fact = Unmerge(
        at=person.at,
        user=person.user,
        reason=person.reason,
        kind="undo" if undone else "unmerge",
        patient=_identifier(patient),
        prior=_identifier(prior),
    )

    def work(db: Transaction) -> tuple[Outbound, ...]:
        correlation = Correlation(db, site)
        correlation.apply_decisions(_cause(db, person, fact, ""), [fact])
        return tuple(correlation.save())

    return store.transact(work)


_Kind = Literal["link", "unlink", "undo"]
_OVERRIDDEN = "overridden-"


def _apply(
    db: Transaction,
    site: Site,
    person: Person,
    study: StoredStudy,
    kind: _Kind,
    orders: Sequence[OrderReference],
    overrides: tuple[str, ...] = (),
) -> Decided:
    correlation = Correlation(db, site)
    decisions = [
        LinkDecision(
            at=person.at,
            user=person.user,
            reason=person.reason,
            kind=kind,
            study_instance_uid=study.uid,
            order=order,
            overrides=overrides,
        )
        for order in orders
    ]
    correlation.apply_decisions(_cause(db, person, decisions[0], study.channel), decisions)
    events = correlation.save()
    after = db.studies([study.uid])[study.uid].decision
    if after is None:
        raise AssertionError("a study that is stored has a decision")
    return Decided(study.uid, after, tuple(events))


def _cause(db: Transaction, person: Person, fact: LinkDecision | Unmerge, channel: str) -> Cause:
    own_id = blake2b(encode(fact), digest_size=16).hexdigest()
    return Cause(message=own_id, channel=channel, at=person.at, clock=db.clock(), user=person.user)


def _study(db: Transaction, uid: str) -> StoredStudy:
    study = db.studies([uid])[uid]
    if not study.decision:
        raise NotPossible("there is no such study")
    return study


def _order(db: Transaction, name: str) -> Order:
    named = db.owners("order", {(rule, name) for rule in (FILLER_ORDER_NUMBER, PLACER_ORDER_NUMBER, ACCESSION_NUMBER)})
    known = list(db.orders({name}.union(*named.values())).values())
    if not known:
        raise NotPossible("there is no such order")
    if len(known) > 1:
        raise NotPossible(f"several orders have this number: {', '.join(sorted(order.id for order in known))}")
    return known[0]


def _identifier(text: str) -> Identifier:
    value, _, issuer = text.partition("^")
    parts = [part or None for part in issuer.split("&")][:3]
    return Identifier(value, "bridge unmerge", Issuer(*parts) if issuer else None)
