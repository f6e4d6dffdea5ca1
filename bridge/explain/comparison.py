"""One order beside a study: what both say, where they say it, and what follows from it."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bridge.core.decision import (
    CONTRADICTIONS,
    PERSON,
    STUDY_CONTRADICTIONS,
    SUGGESTIONS,
    Candidate,
    Evidence,
    Finding,
)
from bridge.core.events import PublishedOrder
from bridge.core.rules import ACCESSION_NUMBER, STUDY_INSTANCE_UID
from bridge.explain import words
from bridge.explain.found import Explanation
from bridge.explain.values import moment, order_name, place, shown

_PATIENT_ID = "patient-id"
_ALONE = ("patient-name", "birth-date", "sex")  # which prove nothing when they agree
_SEQUENCE = list(words.KEYS)

Row = tuple[str, str, str, str, str]  # what, this study, the order, outcome, what follows


def compared(one: Explanation, redact: bool) -> Iterator[RenderableType]:
    """Each order with its comparison: first those that are linked, then the others as they were decided about."""
    orders = (*one.orders, *one.candidates)
    stated = {candidate.order: candidate for candidate in one.correlation.candidates}
    for number, order in enumerate(orders, start=1):
        candidate = stated.get(order.id, Candidate(order.id, (), (), ()))
        title = f"{_kind(one, candidate)} {number} of {len(orders)}"
        yield Text.assemble((title, "bold"), f"   order {_headline(order, redact)}")
        yield Rule(style="dim")
        yield _table(_rows(one, order, candidate, redact))
        yield from (Text(f"  {line}") for line in _told(one, candidate, redact))
        yield ""


def _kind(one: Explanation, candidate: Candidate) -> str:
    if any(order.id == candidate.order for order in one.orders):
        return "Linked order"
    if candidate.keys and set(candidate.keys) <= set(SUGGESTIONS):
        return "Suggested order"
    return "Candidate"


def _headline(order: PublishedOrder, redact: bool) -> str:
    """What the order is called, its status, and what is to be done when."""
    name = order_name(order, redact)
    stated = (("placer", order.placer_order_number), ("accession number", order.accession_number))
    numbers = [f"{label} {shown(number.value, redact)}" for label, number in stated if number]
    procedure = order.procedure.display or order.procedure.code if order.procedure else None
    starts = [step.scheduled_procedure_step_start_date_time for step in order.scheduled_steps]
    parts = (
        f"{name}  ({', '.join(numbers)})" if numbers else name,
        shown(procedure, False) if procedure else None,
        order.modality,
        f"status {order.status}" if order.status else None,
        f"scheduled {moment(min(start for start in starts if start))}" if any(starts) else None,
    )
    return "   ".join(part for part in parts if part)


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
    for _ in range(5):
        table.add_column(overflow="fold")
    table.add_row("  ", Text("this study", "dim"), Text("the order", "dim"), Text("outcome", "dim"), "")
    for label, received, ordered, outcome, follows in rows:
        style = {"DIFFERS": "bold red", "same": "green"}.get(outcome, "")
        table.add_row(Text(f"  {label}"), Text(received), Text(ordered), Text(outcome, style), Text(follows, "dim"))
    return table


def _rows(one: Explanation, order: PublishedOrder, candidate: Candidate, redact: bool) -> list[Row]:
    """Each piece of evidence, and the numbers that are not stated; what links comes first."""
    findings = _findings(one, order.id)
    evidence = [piece for piece in one.correlation.evidence if piece.order == order.id]
    rows = [(piece.key, _row(one, piece, findings, candidate, redact)) for piece in evidence]
    told = {key for key, _ in rows}
    rows += [(key, row) for key, row in _unstated(one, order, redact) if key not in told]
    return [row for _, row in sorted(rows, key=lambda pair: _SEQUENCE.index(pair[0]))]


def _row(one: Explanation, piece: Evidence, findings: Iterable[Finding], candidate: Candidate, redact: bool) -> Row:
    agrees = piece.outcome == "agrees"
    own = [f for f in findings if _about(f, piece)]
    follows = list(dict.fromkeys(f"{_weight(f.code)}: {f.code}" for f in own))
    if not own and agrees and piece.key in candidate.keys:
        follows.append("found by this")
    elif not own and agrees and piece.key in _ALONE:
        follows.append("proves nothing alone")
    if piece.key == _PATIENT_ID and not agrees and not one.merges:
        follows.append("no merge of the two is known")
    follows += dict.fromkeys(words.HINTS[hint] for hint in (piece.hint, *(f.hint for f in own)) if hint)
    if piece.key == PERSON:  # what was said, and by whom, stands below
        return words.KEYS[PERSON], "", piece.ordered.path, "linked" if agrees else "forbidden", "; ".join(follows)
    issuers = _issuers(one, piece) if piece.key == _PATIENT_ID else ("", "")
    received = f"{shown(piece.received.value, redact)}{issuers[0]}  {place(piece.received.tag)}"
    ordered = f"{shown(piece.ordered.value, redact)}{issuers[1]}  {place(piece.ordered.path)}"
    return words.KEYS[piece.key], received, ordered, "same" if agrees else "DIFFERS", "; ".join(follows)


def _issuers(one: Explanation, piece: Evidence) -> tuple[str, str]:
    """Who assigned the patient identifiers of study and order, ` / HOSP`, where that is stated."""
    order = next(order for order in (*one.orders, *one.candidates) if order.id == piece.order)
    sides = ((one.study.patient, piece.received.value), (order.patient, piece.ordered.value))
    issuers = [
        next((number.issuer for number in patient.identifiers if number.value == value), None)
        for patient, value in sides
    ]
    study, ordered = (f" / {issuer.namespace_id or issuer.universal_id}" if issuer else "" for issuer in issuers)
    return shown(study, False), shown(ordered, False)


def _unstated(one: Explanation, order: PublishedOrder, redact: bool) -> Iterator[tuple[str, Row]]:
    """The numbers that would link and that one side does not state."""
    source = " ".join(part for part in (order.source.message_type, order.source.message_control_id) if part)
    none = f"none in {source}" if source else "none"
    if order.study_instance_uid is None:
        yield STUDY_INSTANCE_UID, (words.KEYS[STUDY_INSTANCE_UID], "as above", none, "not stated", "")
    numbers = ", ".join(shown(number.value, redact) for number in one.study.accession_numbers)
    number = shown(order.accession_number.value, redact) if order.accession_number else None
    if not (numbers and number):
        yield ACCESSION_NUMBER, (words.KEYS[ACCESSION_NUMBER], numbers or "none", number or none, "not stated", "")


def _told(one: Explanation, candidate: Candidate, redact: bool) -> Iterator[str]:
    """What suggests the order, and each contradiction and warning in words."""
    for key in candidate.keys:
        if key in SUGGESTIONS:
            says = words.SUGGESTIONS[key]
            yield f"suggestion      {says.short}. {says.meaning} It is never linked by that.   ({key})"
    evidence = [piece for piece in one.correlation.evidence if piece.order == candidate.order]
    for finding in dict.fromkeys(_findings(one, candidate.order)):
        in_table = any(_about(finding, piece) for piece in evidence)
        yield _in_words(finding, redact, with_values=not in_table)


def study_findings(one: Explanation, redact: bool) -> Iterator[tuple[str]]:
    """The contradictions and warnings that are about no single order, in words."""
    known = {order.id for order in (*one.orders, *one.candidates)}
    findings = (*one.correlation.contradictions, *one.correlation.warnings)
    for finding in findings:
        if finding.order not in known:
            yield (_in_words(finding, redact, with_values=True),)


def _in_words(finding: Finding, redact: bool, *, with_values: bool) -> str:
    sides = (
        ("study", finding.received.value, finding.received.tag) if finding.received else None,
        ("order", finding.ordered.value, finding.ordered.path) if finding.ordered else None,
    )
    values = [f"{side} {shown(value, redact)} {place(where)}" for side, value, where in filter(None, sides)]
    told = f"   {', '.join(values)}" if with_values and values and finding.code not in _OF_PERSONS else ""
    return f"{_weight(finding.code):<13}   {words.finding(finding.code)}{told}   ({finding.code})"


_OF_PERSONS = ("linked-by-person", "unlinked-by-person")  # whose values are what a person wrote


def _findings(one: Explanation, order_id: str) -> list[Finding]:
    return [f for f in (*one.correlation.contradictions, *one.correlation.warnings) if f.order == order_id]


def _about(finding: Finding, piece: Evidence) -> bool:
    return finding.ordered == piece.ordered and finding.received == piece.received


def _weight(code: str) -> str:
    return "contradiction" if code in (*CONTRADICTIONS, *STUDY_CONTRADICTIONS) else "warning"
