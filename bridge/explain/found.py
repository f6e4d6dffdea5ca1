"""What has a number, and all that is known of it: each study with its verdict, its orders, and how it came to that."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bridge.core.decision import SUGGESTIONS, Decision, Verdict
from bridge.core.events import (
    Correlation,
    PublishedOrder,
    PublishedReport,
    PublishedStudy,
    SeriesSummary,
)
from bridge.core.facts import fact_keys
from bridge.core.model import IdentityChange, Report, Unmerge
from bridge.core.orders import Order
from bridge.core.publishing import correlation, published_order, published_report, published_study
from bridge.core.redaction import redacted
from bridge.core.rules import (
    ACCESSION_NUMBER,
    FILLER_ORDER_NUMBER,
    PLACER_ORDER_NUMBER,
    affecting,
    linking,
    order_lookups,
)
from bridge.core.struct import Value
from bridge.correlation import series_of
from bridge.correlation.studies import Studies
from bridge.explain.causes import named
from bridge.store.rows import HistoryEntry, StoredInstance, StoredStudy
from bridge.store.transaction import Transaction

_WAITING_FIRST = (Verdict.CONFLICT, Verdict.AMBIGUOUS, Verdict.PENDING, Verdict.MATCHED)
_MOST = 50  # studies that are explained: a placeholder as a number may find thousands
_RULE_OF_LEVEL = {"filler": FILLER_ORDER_NUMBER, "placer": PLACER_ORDER_NUMBER, "accession": ACCESSION_NUMBER}

_decode_orders = msgspec.json.Decoder(tuple[PublishedOrder, ...]).decode
_decode_reports = msgspec.json.Decoder(tuple[PublishedReport, ...]).decode


class Explanation(Value):
    """One study: the orders linked to it, the other candidates, and what people and messages did.

    `series` has the summary of the Instance Numbers, `reports` are as they were published. `elsewhere` names, for a
    candidate that is not linked, the studies that it is linked to; `causes` what is known of the history's messages.
    `merges` and `unmerges` are all that concern the identifiers of the study's and the candidates' patients.
    """

    study: PublishedStudy
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    candidates: tuple[PublishedOrder, ...]
    history: tuple[HistoryEntry, ...]
    stored: StoredStudy
    series: tuple[SeriesSummary, ...]
    reports: tuple[PublishedReport, ...]
    an_object: StoredInstance | None
    elsewhere: dict[str, tuple[str, ...]]
    causes: dict[str, str]
    merges: tuple[IdentityChange, ...]
    unmerges: tuple[Unmerge, ...]


class Found(Value):
    """What has a key: the studies, those first that wait for a person; where there is none, the orders and reports.

    `number_of_studies` is how many have it; of very many only some are explained.
    """

    studies: tuple[Explanation, ...] = ()
    orders: tuple[PublishedOrder, ...] = ()
    reports: tuple[PublishedReport, ...] = ()
    number_of_studies: int = 0


def find(db: Transaction, key: str) -> Found:
    """The study that a UID is of; else every study that has the key, or shares one with an order that has it, or that
    such an order is suggested to; else the orders and reports that have it."""
    if own := db.studies_holding(key):
        return _explained(db, db.studies(own))
    reports: list[Report] = []
    orders = db.orders({key, *db.owners_of_value("order", key)})
    uids = set(db.owners_of_value("study", key))
    if not orders and not uids:
        reports = list(db.facts({(level, key) for level in _RULE_OF_LEVEL}, Report).values())
        orders = db.orders(_owners(db, "order", _order_keys(reports)))
    uids |= _owners(db, "study", linking(pair for order in orders.values() for pair in order_lookups(order)))
    known = _stored(db, uids) if uids else {}
    known = known or _suggested(db, orders)
    if known:
        return _explained(db, known)
    return Found(
        orders=tuple(published_order(order) for order in orders.values()),
        reports=tuple(published_report(report) for report in reports),
    )


def _stored(db: Transaction, uids: Iterable[str]) -> dict[str, StoredStudy]:
    """Of one that was purged only what people decided is found."""
    return {uid: study for uid, study in db.studies(set(uids)).items() if study.decision}


def _explained(db: Transaction, known: dict[str, StoredStudy]) -> Found:
    studies = sorted(known.values(), key=_waiting_first)
    return Found(tuple(_explanation(db, study) for study in studies[:_MOST]), number_of_studies=len(studies))


def _owners(db: Transaction, side: str, keys: Iterable[tuple[str, str]]) -> set[str]:
    return {owner for owners in db.owners(side, frozenset(keys)).values() for owner in owners}


def _order_keys(reports: Sequence[Report]) -> set[tuple[str, str]]:
    """What the orders of these reports are found by."""
    keys = {pair for report in reports for pair in fact_keys(report)}
    return {(_RULE_OF_LEVEL[level], value) for level, value in keys if level in _RULE_OF_LEVEL}


def _suggested(db: Transaction, orders: dict[str, Order]) -> dict[str, StoredStudy]:
    """The studies that one of these orders is suggested to."""
    studies = db.studies(_owners(db, "study", affecting(p for order in orders.values() for p in order_lookups(order))))
    return {
        uid: study
        for uid, study in studies.items()
        if study.decision and orders.keys() & {candidate.order for candidate in study.decision.candidates}
    }


def _waiting_first(study: StoredStudy) -> tuple[int, str]:
    return _WAITING_FIRST.index(study.decision.verdict) if study.decision else 0, study.uid


def _explanation(db: Transaction, study: StoredStudy) -> Explanation:
    decision = study.decision or Decision(Verdict.PENDING)
    history = tuple(db.history(study.uid))
    known = db.orders({*decision.orders, *(candidate.order for candidate in decision.candidates)})
    published = {order_id: published_order(order) for order_id, order in known.items()}
    published |= {order.id: order for order in _decode_orders(study.orders)}  # as consumers were told
    others = [c.order for c in decision.candidates if c.order not in decision.orders]
    merges, unmerges = _merges(db, study, known.values())
    return Explanation(
        study=published_study(study.uid, study.current_statements(), series_of(study)),
        correlation=correlation(decision, history[-1].previous if history else None),
        orders=tuple(published[order_id] for order_id in decision.orders if order_id in published),
        candidates=tuple(published[order_id] for order_id in others if order_id in published),
        history=history,
        stored=study,
        series=series_of(study, Studies(db).instance_numbers(study)),
        reports=_decode_reports(study.reports),
        an_object=db.an_object_of(study.uid),
        elsewhere=_elsewhere(db, study.uid, decision, known),
        causes=named(db, history),
        merges=merges,
        unmerges=unmerges,
    )


def _elsewhere(db: Transaction, uid: str, decision: Decision, known: dict[str, Order]) -> dict[str, tuple[str, ...]]:
    """Of each candidate that shares a key and is not linked, the other studies that it is linked to."""
    orders = [
        known[c.order]
        for c in decision.candidates
        if c.order in known and c.order not in decision.orders and not set(c.keys) <= set(SUGGESTIONS)
    ]
    sharing = db.studies(_owners(db, "study", linking(p for order in orders for p in order_lookups(order))) - {uid})
    linked = [(order, study.uid) for study in sharing.values() if study.decision for order in study.decision.orders]
    return {order.id: tuple(sorted(u for o, u in linked if o == order.id)) for order in orders}


def _merges(
    db: Transaction, study: StoredStudy, orders: Iterable[Order]
) -> tuple[tuple[IdentityChange, ...], tuple[Unmerge, ...]]:
    """The merges and links of patients, and what people undid of them, that lead to a patient of study or orders."""
    patients = [statement.patient for statement in study.current_statements()] + [order.patient for order in orders]
    missing = {number.value for patient in patients for number in patient.identifiers}
    seen: set[str] = set()
    found: dict[int, IdentityChange | Unmerge] = {}
    while missing:
        facts = db.facts({("patient", value) for value in missing}, IdentityChange, Unmerge)
        found |= facts
        seen |= missing
        missing = {value for fact in facts.values() for level, value in fact_keys(fact) if level == "patient"} - seen
    known = [fact for _, fact in sorted(found.items())]
    return (
        tuple(fact for fact in known if isinstance(fact, IdentityChange)),
        tuple(fact for fact in known if isinstance(fact, Unmerge)),
    )


def as_json(found: Found, *, redact: bool) -> Any:
    """`{"study", "correlation", "orders", "history"}` of one study; of several, the list of them under `studies`."""
    shown: list[dict[str, Any]] = [
        {"study": one.study, "correlation": one.correlation, "orders": one.orders, "history": one.history}
        for one in found.studies
    ] or [{"study": None, "correlation": None, "orders": found.orders, "history": ()}]
    answer = msgspec.to_builtins(shown[0] if len(shown) == 1 else {"studies": shown, "total": found.number_of_studies})
    return redacted(answer) if redact else answer
