"""What would change a verdict: by itself, when messages come, and by a command that a person gives."""

from collections.abc import Iterator
from shlex import quote

from bridge.core.decision import PERSON, Verdict
from bridge.core.events import PublishedOrder
from bridge.core.link_decisions import standing
from bridge.core.model import Identifier
from bridge.explain import words
from bridge.explain.found import Explanation
from bridge.explain.past import standing_unmerges
from bridge.explain.values import identifier, order_name, reference_name

_NOT_BY_A_PERSON = ("patient-identity-removed", "no-instances", "incorrect-worklist-entry")
_MOST_MERGES = 5
_WHY = '--reason "…"'


def changes(one: Explanation, redact: bool) -> Iterator[tuple[str, str, str]]:
    """Numbered: what would have to happen, and what follows from it."""
    for number, (change, effect) in enumerate(dict.fromkeys(_changes(one, redact)), start=1):
        yield str(number), change, effect


def _changes(one: Explanation, redact: bool) -> Iterator[words.Change]:
    decided = one.correlation
    if decided.verdict is Verdict.MATCHED:
        yield from words.PERSONS_CHANGES if decided.rule == PERSON else words.MATCHED_CHANGES
        return
    names = {order.id: order_name(order, redact) for order in one.candidates}
    if decided.reason not in {code for candidate in decided.candidates for code in candidate.contradictions}:
        yield from _about(words.reason(decided.reason), "the order")
    for candidate in decided.candidates:
        name = names.get(candidate.order, candidate.order)
        for code in candidate.contradictions:
            yield from _about(words.reason(code), name)
        for key in candidate.keys:
            if key in words.SUGGESTIONS:
                yield from _about(words.SUGGESTIONS[key], name)


def _about(said: words.Words, order: str) -> Iterator[words.Change]:
    return ((change.replace("{order}", order), effect.replace("{order}", order)) for change, effect in said.changes)


def commands(one: Explanation, redact: bool) -> Iterator[tuple[str, str]]:
    """A command as it can be typed, and what it does."""
    decided, uid = one.correlation, one.study.study_instance_uid
    if decided.verdict is Verdict.MATCHED:
        for order in one.orders:
            yield f"bridge unlink {uid} {order.id} {_WHY}", f"if the link to {order_name(order, redact)} is wrong"
    elif decided.reason in _NOT_BY_A_PERSON:
        yield "nothing by a command: such a study is never linked", ""
    else:
        for order in one.candidates:
            yield f"bridge link {uid} {order.id} {_WHY}", _effect_of_linking(one, order, redact)
        if not one.candidates:
            yield f"bridge link {uid} ORDER {_WHY}", "links it to the order with that number, if you know it"
    known = {order.id for order in (*one.orders, *one.candidates)}
    for decision in standing(one.stored.decisions):
        order_id = decision.order.id if decision.order.id in known else quote(reference_name(decision.order, redact))
        yield f"bridge {decision.kind} {uid} {order_id} --undo {_WHY}", f"takes back what {decision.user} decided"
    yield from _unmerges(one, redact)
    if decided.verdict is not Verdict.MATCHED and one.candidates and decided.reason not in _NOT_BY_A_PERSON:
        yield "Before that, look at the images and at the request forms.", "If in doubt, leave it: nothing is lost."


def _effect_of_linking(one: Explanation, order: PublishedOrder, redact: bool) -> str:
    """That it links, and what it asks about before."""
    contradictions = next(c.contradictions for c in one.correlation.candidates if c.order == order.id)
    of_study = [f.code for f in one.correlation.contradictions if f.code in words.REASONS]
    overridden = [code for code in dict.fromkeys((*contradictions, *of_study)) if code != "unlinked-by-person"]
    asks = f"; asks again, as it overrides {', '.join(overridden)}" if overridden else ""
    return f"links it to {order_name(order, redact)}{asks}"


def _unmerges(one: Explanation, redact: bool) -> Iterator[tuple[str, str]]:
    """The latest merges of the patients, to be taken out; and those that were taken out, to be let back."""
    if redact:
        return
    taken_out = standing_unmerges(one.unmerges)
    for unmerge in taken_out:
        yield _unmerge(unmerge.prior, unmerge.patient, "--undo "), f"takes back what {unmerge.user} decided"
    apart = {frozenset((unmerge.prior.value, unmerge.patient.value)) for unmerge in taken_out}
    told = dict.fromkeys(
        _unmerge(prior, number)
        for change in sorted(one.merges, key=lambda change: change.message_time, reverse=True)
        if change.kind != "unlink"
        for prior in change.prior_identifiers
        for number in change.patient_identifiers
        if frozenset((prior.value, number.value)) not in apart
    )
    for command in list(told)[:_MOST_MERGES]:
        yield command, "if the merge or link of these two patients was wrong"


def _unmerge(prior: Identifier, survivor: Identifier, how: str = "") -> str:
    pair = " ".join(quote(identifier(number, False)) for number in (prior, survivor))
    return f"bridge unmerge {pair} {how}{_WHY}"
