"""Why a study is linked to an order, or why not: the answer to `bridge explain`, for people and for programs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bridge.core.decision import Decision, Verdict
from bridge.core.events import Correlation, PublishedOrder, PublishedPatient, PublishedStudy
from bridge.core.orders import Order
from bridge.core.publishing import correlation, published_order, published_study
from bridge.core.redaction import HIDDEN, redacted
from bridge.core.rules import linking, order_lookups
from bridge.core.struct import Value
from bridge.correlation import series_of
from bridge.store.rows import HistoryEntry
from bridge.store.transaction import Transaction

_STYLES = {Verdict.MATCHED: "bold green", Verdict.PENDING: "bold yellow"}
_WAITING_FIRST = (Verdict.CONFLICT, Verdict.AMBIGUOUS, Verdict.PENDING, Verdict.MATCHED)

# What a person can do with each reason: what it means, and what would change it without anyone touching the bridge.
_MEANINGS = {
    "no-order": (
        "No order shares a Study Instance UID or an accession number with this study.",
        "an order with one of them arrives, or the objects come again with the order's accession number",
    ),
    "patient-identity-removed": (
        "The header says Patient Identity Removed (0012,0062) YES: such a study is never linked.",
        "objects of this study arrive that do not say so, and these are sent again without it",
    ),
    "objects-of-different-patients": (
        "The objects of this one study name different patients.",
        "the modality or PACS corrects the patient and sends the objects again",
    ),
    "keys-disagree": (
        "The Study Instance UID names one order, the accession number another.",
        "the order or the object that has the wrong one is corrected and sent again",
    ),
    "patient-differs": (
        "A key is shared, but the order is for another patient: a link would put these images into another record.",
        "the order of the right patient arrives, or the objects come again with the right accession number",
    ),
    "order-cancelled": (
        "The only order that shares a key is cancelled.",
        "the order is restored, or another order with this key arrives",
    ),
    "order-contradicts-itself": (
        "The order gives two different values for one identifier.",
        "the order is sent again with one value",
    ),
    "several-orders": (
        "Orders of different patients share a key with this study, and it does not say enough about its own.",
        "the objects come again with a patient ID, or one of the orders is corrected",
    ),
    "patient-unverified": (
        "An accession number is shared, but nothing shows that both sides mean one patient.",
        "one side states a patient identifier that the other has, or the order states the Study Instance UID",
    ),
}


class Explanation(Value):
    """One study: the orders linked to it, and the other candidates."""

    study: PublishedStudy
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    candidates: tuple[PublishedOrder, ...]
    history: tuple[HistoryEntry, ...]


class Found(Value):
    """What has a key: the studies, those first that wait for a person; where there is none, the orders."""

    studies: tuple[Explanation, ...] = ()
    orders: tuple[PublishedOrder, ...] = ()


def find(db: Transaction, key: str) -> Found:
    """Every study that has the key itself, or shares one with an order that has it."""
    known = db.orders(db.owners_of_value("order", key)).values()
    keys = linking(key for order in known for key in order_lookups(order))
    sharing = {uid for owners in db.owners("study", keys).values() for uid in owners}
    uids = {*db.studies_holding(key), *db.owners_of_value("study", key), *sharing}
    if not uids:
        return Found(orders=tuple(published_order(order) for order in known))
    studies = [_explanation(db, uid) for uid in sorted(uids)]
    return Found(tuple(sorted(studies, key=lambda one: _WAITING_FIRST.index(one.correlation.verdict))))


def _explanation(db: Transaction, uid: str) -> Explanation:
    study = db.studies([uid])[uid]
    decision = study.decision or Decision(Verdict.PENDING)
    history = tuple(db.history(uid))
    known = db.orders([candidate.order for candidate in decision.candidates])
    return Explanation(
        study=published_study(uid, study.current_statements(), series_of(study)),
        correlation=correlation(decision, history[-1].previous if history else None),
        orders=_published(known, decision.orders),
        candidates=_published(known, [c.order for c in decision.candidates if c.order not in decision.orders]),
        history=history,
    )


def _published(known: dict[str, Order], ids: Sequence[str]) -> tuple[PublishedOrder, ...]:
    return tuple(published_order(known[order_id]) for order_id in ids if order_id in known)


def as_json(found: Found, *, redact: bool) -> Any:
    """`{"study", "correlation", "orders", "history"}` of one study; of several, the list of them under `studies`."""
    shown: list[dict[str, Any]] = [
        {"study": one.study, "correlation": one.correlation, "orders": one.orders, "history": one.history}
        for one in found.studies
    ] or [{"study": None, "correlation": None, "orders": found.orders, "history": ()}]
    answer = msgspec.to_builtins(shown[0] if len(shown) == 1 else {"studies": shown})
    return redacted(answer) if redact else answer


def as_text(found: Found, *, redact: bool) -> RenderableType:
    """The first study whole, the others in a line each."""
    if not found.studies:
        return _orders_only(found.orders, redact)
    first, *others = found.studies
    parts: list[RenderableType] = []
    if others:
        parts.append(f"{len(found.studies)} studies have this key; the others:")
        parts += [f"  {one.study.study_instance_uid}  {one.correlation.verdict}" for one in others]
        parts.append("")
    return Group(*parts, *_study(first, redact))


def _orders_only(orders: Sequence[PublishedOrder], redact: bool) -> RenderableType:
    lines = [f"order {_name(order, redact)}  {order.status}  {_patient(order.patient, redact)}" for order in orders]
    return Group(*lines, "No study shares a key with it yet.")


def _study(one: Explanation, redact: bool) -> list[RenderableType]:
    study, decided = one.study, one.correlation
    numbers = ", ".join(_shown(number.value, redact) for number in study.accession_numbers) or "none"
    meaning, change = _MEANINGS.get(decided.reason or "", ("", ""))
    title = Text.assemble(
        (f" {decided.verdict.upper()} ", _STYLES.get(decided.verdict, "bold red")), f"  {_why(one, redact)}"
    )
    facts = _grid()
    facts.add_row("Study", study.study_instance_uid)
    facts.add_row(
        "",
        f"{'/'.join(study.modalities) or 'no modality'}, {study.number_of_series} series, "
        f"{study.number_of_instances} object{'s' * (study.number_of_instances != 1)}, accession number {numbers}",
    )
    facts.add_row("Patient", _patient(study.patient, redact))
    if one.history:
        facts.add_row("Since", f"{one.history[-1].at}, revision {one.history[-1].revision}")
    parts: list[RenderableType] = [title, Padding(facts, (0, 0, 1, 1))]
    for order in (*one.orders, *one.candidates):
        parts.append(Padding(_candidate(one, order, redact), (0, 0, 1, 1)))
    if meaning:
        why = _grid()
        why.add_row("Why", meaning)
        why.add_row("What would change it", change)
        parts.append(Padding(why, (0, 0, 1, 1)))
    parts.append(Padding(_history(one), (0, 0, 0, 1)))
    if not redact:
        parts.append(" Contains patient data; --redact hides it. For programs: --json")
    return parts


def _why(one: Explanation, redact: bool) -> str:
    decided = one.correlation
    if decided.verdict is Verdict.MATCHED:
        return f"linked by {decided.rule} to {', '.join(_name(order, redact) for order in one.orders)}"
    return f"not linked: {decided.reason}"


def _candidate(one: Explanation, order: PublishedOrder, redact: bool) -> RenderableType:
    """One order beside the study: each comparison with both values and their places."""
    decided = one.correlation
    linked = order in one.orders
    shown = _grid(title=f"{'Order' if linked else 'Candidate'} {_name(order, redact)}, {order.status}")
    shown.add_row("", "this study", "the order", "outcome", style="dim")
    for piece in decided.evidence:
        if piece.order == order.id:
            received, ordered = _shown(piece.received.value, redact), _shown(piece.ordered.value, redact)
            places = f"{received}  {_tag(piece.received.tag)}", f"{ordered}  {piece.ordered.path}"
            shown.add_row(piece.key, *places, "agrees" if piece.outcome == "agrees" else "DIFFERS")
    for kind, findings in (("contradiction", decided.contradictions), ("warning", decided.warnings)):
        for finding in findings:
            if finding.order == order.id:
                shown.add_row(kind, finding.code, finding.hint or "", "")
    return shown


def _history(one: Explanation) -> RenderableType:
    shown = _grid(title="History")
    for entry in one.history:
        before = entry.previous.verdict if entry.previous else "new"
        message = entry.message_id or entry.message
        shown.add_row(entry.at, f"{before} -> {entry.verdict}", message, ", ".join(entry.events) or "-")
    return shown


def _grid(title: str | None = None) -> Table:
    return Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left", title_style="bold")


def _shown(value: str, redact: bool) -> str:
    return HIDDEN if redact else value


def _tag(tag: str) -> str:
    """`0020000D` as (0020,000D); a path through sequences stays as it is."""
    return f"({tag[:4]},{tag[4:]})" if len(tag) == 8 else tag


def _name(order: PublishedOrder, redact: bool) -> str:
    number = order.filler_order_number or order.placer_order_number or order.accession_number
    return order.id if redact or number is None else number.value


def _patient(patient: PublishedPatient, redact: bool) -> str:
    if redact:
        return HIDDEN
    numbers = " / ".join(identifier.value for identifier in patient.identifiers) or "no identifier"
    name = patient.name
    names = " = ".join(n for n in (name.alphabetic, name.ideographic, name.phonetic) if n) if name else "no name"
    return f"{numbers}  {names}  born {patient.birth_date or '?'}  {patient.sex or ''}".rstrip()
