"""`bridge explain` for people: one study whole, readable by someone who knows radiology and not the program."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bridge.core.decision import PERSON, Verdict
from bridge.core.events import PublishedOrder, PublishedReport, SeriesSummary
from bridge.correlation.announcing import MEANINGS
from bridge.explain import words
from bridge.explain.comparison import compared, study_findings
from bridge.explain.found import Explanation, Found
from bridge.explain.past import history, merges, people, who_was_told
from bridge.explain.remedies import changes, commands
from bridge.explain.values import age, counted, moment, order_name, patient, shown

_STYLES = {Verdict.MATCHED: "bold green", Verdict.PENDING: "bold yellow"}
_MOST_SERIES = 20
_SETTLED = {"never": "objects may still be coming", "settled": "settled", "reopened": "reopened after it had settled"}


def as_text(found: Found, *, redact: bool, now: str | None = None) -> RenderableType:
    """The first study whole, the others in a line each. With `now` (RFC 3339), it says how long ago things were."""
    if not found.studies:
        return Group(*_orders_only(found, redact))
    first, *others = found.studies
    parts: list[RenderableType] = []
    if others:
        waits = "one that waits" if first.correlation.verdict is not Verdict.MATCHED else "first"
        parts.append(f"{found.number_of_studies} studies have this key. Shown is the {waits}; the others:")
        parts += [f"  bridge explain {one.study.study_instance_uid}   ({_in_short(one, redact)})" for one in others]
        if found.number_of_studies > len(found.studies):
            parts.append(f"  and {found.number_of_studies - len(found.studies)} more")
        parts.append("")
    return Group(*parts, *_study(first, redact, now))


def _study(one: Explanation, redact: bool, now: str | None) -> Iterator[RenderableType]:
    verdict = one.correlation.verdict
    yield Text.assemble((f" {verdict.upper()} ", _STYLES.get(verdict, "bold red")), f"  {_why_in_short(one, redact)}")
    yield Rule(style="dim")
    yield _block("", _about(one, redact, now))
    yield ""
    yield from compared(one, redact)
    yield from _section("About the whole study", study_findings(one, redact))
    yield _block("", _why(one, redact))
    yield ""
    yield from _section("What would change this, without anyone touching the bridge", changes(one, redact))
    yield Text("What a person can do", "bold")
    for command, effect in commands(one, redact):
        yield Text(f" {command}" if not effect else f" {command}\n     {effect}")
    yield ""
    yield from _section("What people decided", people(one, redact))
    yield from _section("Merges and links of its patients", merges(one, redact))
    yield from _section("History", history(one, redact))
    yield _block("", [("Who was told", who_was_told(one))])
    uid = one.study.study_instance_uid
    if not redact:
        yield Text(f"Contains patient data. For a ticket to the vendor:  bridge explain {uid} --redact")
    yield Text(f"The same for programs:  bridge explain {uid} --json      All that wait for a person:  bridge studies")


def _section(title: str, rows: Iterable[Sequence[str]]) -> Iterator[RenderableType]:
    told = list(rows)
    if told:
        yield _block(title, told)
        yield ""


def _block(title: str, rows: Iterable[Sequence[str]]) -> Table:
    """Rows of cells below a title; the last column takes what room there is."""
    told = [tuple(row) for row in rows]
    table = Table(
        box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0), title=title or None, title_justify="left"
    )
    table.title_style = "bold"
    for _ in range(max((len(row) for row in told), default=1)):
        table.add_column(overflow="fold")
    for row in told:
        table.add_row(*(Text(f" {cell}" if i == 0 else cell) for i, cell in enumerate(row)))
    return table


# The study


def _about(one: Explanation, redact: bool, now: str | None) -> Iterator[tuple[str, str]]:
    study, stored = one.study, one.stored
    yield "Study", study.study_instance_uid
    yield "", " · ".join(_acquired(one, redact))
    if len(one.series) > 1:
        for series in one.series[:_MOST_SERIES]:
            objects = counted(series.number_of_instances, "object")
            yield "", f"series {series.modality or 'without modality'} · {objects} · {_instance_numbers(series)}"
    numbers = ", ".join(shown(number.value, redact) for number in study.accession_numbers)
    yield "Accession number", numbers or "none"
    if any(said.strict_issuers is True and number for said, number in stored.statements.values()):
        yield "", "compared with strict issuers, as a channel says: a number without one equals none that has one"
    yield "Patient", patient(study.patient, redact)
    since = f"{moment(stored.since)}{f' ({age(stored.since, now)})' if now else ''}"
    overdue = [f"OVERDUE since {moment(stored.overdue_at)}"] if stored.overdue_at else []
    settled = _SETTLED[stored.settled]
    yield "Since", "   ".join([since, *overdue, settled, f"channel {stored.channel}", f"revision {stored.revision}"])
    for report in one.reports:
        yield "Report", _report(report, redact)
    rejected = Counter(one.stored.rejections.values())
    for code, number in sorted(rejected.items()):
        notes = sorted({note for (_, note), said in stored.rejections.items() if said == code})
        yield "Rejected", f"{counted(number, 'object')}: {MEANINGS.get(code, code)} ({code}), note {', '.join(notes)}"


def _acquired(one: Explanation, redact: bool) -> Iterator[str]:
    """Modality, description, date, station and counts, as far as an object states them."""
    study = one.study
    yield "/".join(study.modalities) or "no modality"
    instance = one.an_object.instance if one.an_object else None
    description = _attribute(one, "00081030") or _attribute(one, "00180015")  # Study Description, Body Part Examined
    if description and not redact:
        yield shown(description, redact)
    if instance and instance.statement.study_date:
        time = _attribute(one, "00080030") or ""
        yield (
            f"{instance.statement.study_date} {time[:2]}:{time[2:4]}"
            if len(time) >= 4
            else instance.statement.study_date
        )
    if instance and instance.station_name:
        yield f"station {shown(instance.station_name, False)}"
    yield f"{study.number_of_series} series, {counted(study.number_of_instances, 'object')}"
    yield from (_instance_numbers(one_series) for one_series in one.series if len(one.series) == 1)


def _attribute(one: Explanation, tag: str) -> str | None:
    """What the channel kept of an object's header (DICOM JSON Model)."""
    values = one.an_object.instance.dicom.get(tag, {}).get("Value") if one.an_object else None
    return str(values[0]) if isinstance(values, list) and values and values[0] is not None else None


def _instance_numbers(series: SeriesSummary) -> str:
    """What the Instance Numbers of a series have between them: information, never a reason."""
    summary = series.instance_numbers
    if summary is None or summary.lowest is None:
        return "no valid Instance Number"
    span = f"{summary.lowest}" if summary.lowest == summary.highest else f"{summary.lowest} to {summary.highest}"
    odd = (("gaps", summary.gaps), ("repeated", summary.duplicates), ("absent", summary.absent))
    told = [f"{number} {name}" for name, number in (*odd, ("invalid", summary.invalid)) if number]
    return f"Instance Number {span} ({', '.join(told)})" if told else f"Instance Number {span}"


# Why


def _in_short(one: Explanation, redact: bool) -> str:
    names = ", ".join(order_name(order, redact) for order in one.orders)
    return f"matched to {names}" if names else f"{one.correlation.verdict}: {one.correlation.reason}"


def _why_in_short(one: Explanation, redact: bool) -> str:
    decided = one.correlation
    if decided.verdict is not Verdict.MATCHED:
        return f"not linked: {words.reason(decided.reason).short}   ({decided.reason})"
    names = ", ".join(order_name(order, redact) for order in one.orders)
    key = words.KEYS.get(decided.rule or "", decided.rule or "")
    return f"linked to {names} by {key}   ({decided.rule})"


def _why(one: Explanation, redact: bool) -> Iterator[tuple[str, str]]:
    decided = one.correlation
    if decided.verdict is Verdict.MATCHED:
        key = words.KEYS.get(decided.rule or "", decided.rule or "")
        yield "Why", words.LINKED_BY_PERSON if decided.rule == PERSON else words.LINKED.format(key=key)
        return
    yield "Why", f"{words.reason(decided.reason).meaning}   ({decided.reason}, docs/correlation.md)"
    others = dict.fromkeys(f.code for f in decided.contradictions if f.code != decided.reason)
    for code in others:
        yield "", f"{words.reason(code).meaning}   ({code})"
    if any(f.hint == "format-only" for f in decided.contradictions):
        yield "", words.HINTS["format-only"].capitalize()
    for order in one.candidates:
        for uid in one.elsewhere.get(order.id, ()):
            yield "Note", f"{order_name(order, redact)} is linked to study {uid} already."
    if decided.reason == "patient-differs" and any(one.elsewhere.values()):
        likely = "Likely cause: the worklist entry of the patient before was kept.   (a hint, not evidence)"
        yield "", likely


# Without a study


def _orders_only(found: Found, redact: bool) -> Iterator[RenderableType]:
    for order in found.orders:
        yield _block("", _order(order, redact))
        yield ""
    for report in found.reports:
        yield Text(f"report of {_report(report, redact)}")
    if found.orders:
        yield "No study shares a number with this yet. Files of the study: bridge inspect shows what they state."
    else:
        yield "No order and no study with this number is known."


def _order(order: PublishedOrder, redact: bool) -> Iterator[tuple[str, str]]:
    yield "Order", f"{order_name(order, redact)}   {order.status or 'no status'}   id {order.id}"
    for label, value in (
        ("Study Instance UID", order.study_instance_uid),
        ("accession number", order.accession_number.value if order.accession_number else None),
        ("placer order number", order.placer_order_number.value if order.placer_order_number else None),
    ):
        yield label, shown(value, redact) if value else "none"
    yield "Patient", patient(order.patient, redact)
    said = (order.source.message_type, order.source.message_control_id, order.source.channel)
    yield "last message", "   ".join(shown(part, False) for part in said if part)


def _report(report: PublishedReport, redact: bool) -> str:
    numbers = (report.filler_order_number, report.placer_order_number, report.accession_number)
    named = " / ".join(shown(number.value, redact) for number in numbers if number)
    said = f"{named}   result status {report.result_status or 'unknown'}"
    return f"{said}   {moment(report.reported_at)}" if report.reported_at else said
