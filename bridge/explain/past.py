"""What happened to a study: its verdicts with the message or person that led to each, decisions of people, merges."""

from collections import Counter
from collections.abc import Iterator

from bridge.core.events import Previous
from bridge.core.link_decisions import standing
from bridge.core.model import IdentityChange, LinkDecision, Unmerge
from bridge.explain.found import Explanation
from bridge.explain.values import identifier, moment, order_name, reference_name, shown
from bridge.store.rows import HistoryEntry

_MOST = 40  # entries of one list
_BY_TIME = {"study.settled": "settled: no new object came", "study.overdue": "overdue: it has waited too long"}
_BY_NEWS = {"study.amended": "what is known of the link or its orders changed", "study.reported": "a report is known"}


def history(one: Explanation, redact: bool) -> Iterator[tuple[str, ...]]:
    """Time, what became of the study, the message or person that led to it, and the events that were published."""
    names = {order.id: order_name(order, redact) for order in (*one.orders, *one.candidates)}
    if len(one.history) > _MOST:
        yield "…", f"{len(one.history) - _MOST} earlier"
    for entry in one.history[-_MOST:]:
        events = ", ".join(entry.events) or "-"
        yield moment(entry.at), _change(entry, names), _cause(one, entry), events


def _change(entry: HistoryEntry, names: dict[str, str]) -> str:
    now = _state(Previous(entry.verdict, entry.orders), names)
    before = entry.previous
    if entry.replayed:
        return f"{now}, published again"
    if before is None or (before.verdict, before.orders) != (entry.verdict, entry.orders):
        return f"{_state(before, names) if before else 'new'} → {now}"
    told = [said for name, said in (_BY_TIME | _BY_NEWS).items() if name in entry.events]
    return "; ".join(told) or f"{now}, with other evidence"


def _state(one: Previous, names: dict[str, str]) -> str:
    orders = ", ".join(names.get(order, order) for order in one.orders)
    return f"{one.verdict} to {orders}" if orders else str(one.verdict)


def _cause(one: Explanation, entry: HistoryEntry) -> str:
    if entry.user:
        return f"{shown(entry.user, False)} (bridge command)"
    if set(entry.events) & _BY_TIME.keys():
        return "time"
    said = one.causes.get(entry.message, "message")
    return shown(f"{said}   {entry.message_id or entry.message[:12]}", False)


def who_was_told(one: Explanation) -> str:
    counts = Counter(event for entry in one.history for event in entry.events)
    told = ", ".join(f"{event} {count}" for event, count in sorted(counts.items()))
    return f"{told or 'nobody yet'}   (events of single objects, instance.*, are not counted here)"


def people(one: Explanation, redact: bool) -> Iterator[tuple[str, ...]]:
    """Time, user, what was decided, why, and whether it still holds."""
    decisions: list[LinkDecision | Unmerge] = [*one.stored.decisions, *one.unmerges]
    decisions.sort(key=lambda decision: decision.at)
    links = standing(one.stored.decisions)
    unmerges = standing_unmerges(one.unmerges)
    if len(decisions) > _MOST:
        yield "…", f"{len(decisions) - _MOST} earlier"
    for decision in decisions[-_MOST:]:
        holds = decision in links if isinstance(decision, LinkDecision) else decision in unmerges
        state = "" if decision.kind == "undo" else "holds" if holds else "undone, or decided otherwise later"
        reason = shown(decision.reason, redact)
        yield moment(decision.at), shown(decision.user, False), _decided(decision, redact), f"“{reason}”", state


def _decided(decision: LinkDecision | Unmerge, redact: bool) -> str:
    if isinstance(decision, Unmerge):
        pair = f"{identifier(decision.prior, redact)} and {identifier(decision.patient, redact)}"
        return f"took back: {pair} are two people" if decision.kind == "undo" else f"{pair} are two people"
    order = reference_name(decision.order, redact)
    told = {"link": f"linked it to {order}", "unlink": f"forbade the link to {order}"}
    return told.get(decision.kind, f"took back what was decided about {order}")


def standing_unmerges(unmerges: tuple[Unmerge, ...]) -> list[Unmerge]:
    """Those that no later decision about the same two identifiers took back."""
    newest = {_pair(one): one for one in sorted(unmerges, key=lambda one: one.at)}
    return [one for one in newest.values() if one.kind == "unmerge"]


def _pair(one: Unmerge) -> frozenset[str]:
    return frozenset((one.prior.value, one.patient.value))


def merges(one: Explanation, redact: bool) -> Iterator[tuple[str, ...]]:
    """Time, message, and who became whom."""
    told = dict.fromkeys(
        _merge(change, redact) for change in sorted(one.merges, key=lambda change: change.message_time)
    )
    if len(told) > _MOST:
        yield "…", f"{len(told) - _MOST} earlier"
    yield from list(told)[-_MOST:]


def _merge(change: IdentityChange, redact: bool) -> tuple[str, ...]:
    source = change.source
    message = " ".join(part for part in (source.message_type, source.message_control_id) if part)
    prior = ", ".join(identifier(number, redact) for number in change.prior_identifiers)
    person = ", ".join(identifier(number, redact) for number in change.patient_identifiers)
    said = {
        "merge": f"{prior} became {person}",
        "link": f"{prior} and {person} are one person",
        "unlink": f"{prior} and {person} are no longer linked",
    }
    return moment(change.message_time), shown(message or change.event, False), said[change.kind]
