"""What was understood of the messages in a file, for people: readable in 80 columns and without colour."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bridge.core.redaction import printable
from bridge.formats.dicom_elements import as_written
from bridge.formats.dicom_names import attribute_name
from bridge.inspection.facts import Inspected, SegmentSeen

_STYLES = {"TRANSFORMED": "bold green", "FILTERED": "bold yellow", "ERROR": "bold red"}
_ELSEWHERE = ("fact", "source", "identifiers", "requests", "deleted", "dicom")  # shown in their own way
_LINKING = (  # what would link, and is therefore named when it is missing
    "placerOrderNumber",
    "fillerOrderNumber",
    "accessionNumber",
    "accessionNumbers",
    "studyInstanceUIDs",
    "patient.identifiers",
)
_WIDE = 110  # columns, in which a place finds room beside what stands there
_WORD = re.compile(r"UIDs?|ID|AE|[A-Z]?[a-z]+")
_ACRONYMS = ("UIDs", "UID", "ID", "AE")

Row = tuple[str, str, str]  # what it is, what the message says, and where


def as_text(messages: Sequence[Inspected], width: int) -> RenderableType:
    """One message after the other, for a terminal of so many columns."""
    held = Counter(one.file for one in messages)
    parts = [part for one in messages for part in _message(one, held[one.file], width)]
    return Group(*parts, "For programs: --json. Without patient data: --redact")


def _message(one: Inspected, held: int, width: int) -> Iterator[RenderableType]:
    place = f", message {one.number} of {held}" if held > 1 else ""
    yield Text.assemble((f" {one.outcome} ", _STYLES[one.outcome]), f"  {printable(one.file)}{place}")
    yield _table(None, _about(one), width)
    for number, fact in enumerate(one.facts, start=1):
        title = fact["fact"].replace("-", " ").capitalize()
        yield _table(f"{title} {number} of {len(one.facts)}", _said(fact), width)
        if fact.get("dicom"):
            yield _table("Kept for events", _attributes(fact["dicom"]), width)
    if one.segments:
        yield _table("Segments", _segments(one.segments), width)


def _table(title: str | None, rows: Iterable[Row], width: int) -> RenderableType:
    """Places stand in a column of their own, in a narrow terminal each behind or below what stands there."""
    table = Table(box=None, show_header=False, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for _ in range(3 if width >= _WIDE else 2):
        table.add_column(overflow="fold")
    before = None
    for label, value, place in rows:
        cells = [Text("" if label == before else label), Text(printable(value)), Text(place, "dim")]
        if width < _WIDE:
            beside = "\n" not in value and cell_len(f"{label}{value}{place}") < width - 14  # of longer labels
            cells[1:] = [Text("  " if beside else "\n").join(cell for cell in cells[1:] if cell)]
        table.add_row(*cells)
        before = label
    return Padding(table, (0, 0, 1, 1), expand=False)


def _about(one: Inspected) -> Iterator[Row]:
    classes = dict.fromkeys(fact.get("sopClassName") for fact in one.facts)
    stated = (one.message_type, *classes, _after("version", one.version), _after("control ID", one.message_control_id))
    sources = [fact["source"] for fact in one.facts if "source" in fact]
    sender = (sources[0]["sendingApplication"], sources[0]["sendingFacility"]) if sources else ()
    read_as = (one.content_type, f"{one.size} bytes", one.charset, f"channel {one.channel}")
    reason = ("code", [one.code]), ("why", [one.reason])
    for label, parts in (("message", stated), ("sender", sender), ("read as", read_as), *reason):
        if any(parts):
            yield label, ", ".join(part for part in parts if part), ""
    for warning in one.warnings:
        yield "warning", warning, ""


def _said(fact: dict[str, Any]) -> Iterator[Row]:
    """What was read, what the message says, and the place where it says so."""
    placed: dict[str, list[dict[str, Any]]] = {}
    for one in fact["identifiers"]:
        placed.setdefault(one["field"].partition(".")[0], []).append(one)
    deleted = fact.get("deleted", ())
    for name, value in fact.items():
        for one in placed.get(name, ()):
            yield _words(one["field"]), _identifier(one), _place(one)
        match name:
            case "instanceNumber":
                yield _words(name), _instance_number(value), "(0020,0013) Instance Number"
            case "patient":
                for inner, one in value.items():
                    if inner != "identifiers" or not one:
                        yield from _unplaced(f"patient.{inner}", one, deleted)
            case _ if name not in placed and name not in _ELSEWHERE:
                yield from _unplaced(name, value, deleted)


def _unplaced(name: str, value: Any, deleted: Collection[str]) -> Iterator[Row]:
    """A value, or each of several; nothing about what is absent, unless it is what links."""
    several = value if isinstance(value, list) else [value]
    for one in several:
        if one is not None and one is not False:
            yield _words(name), _line(one), ""
    if name in deleted:
        yield _words(name), 'deleted ("")', ""
    elif name in _LINKING and several in ([], [None]):
        yield _words(name), "none", ""


def _line(value: Any) -> str:
    """A value of the JSON in one line, but a scheduled step in one for each of its attributes."""
    match value:
        case {"alphabetic": _}:
            return " = ".join(group for group in value.values() if group)
        case {"display": _}:
            system = f"({value['system']})" if value["system"] else None
            return " ".join(part for part in (value["code"], value["display"], system) if part)
        case {"scheduledProcedureStepID": _}:
            said = ((_words(name), _line(one)) for name, one in value.items() if one not in (None, []))
            return "\n".join(f"{re.sub('(scheduled|procedure step) ', '', name)} {line}" for name, line in said)
        case dict():
            return " ".join(_line(one) for one in value.values() if one)
        case list():
            return ", ".join(_line(one) for one in value)
    return str(value)


def _identifier(one: dict[str, Any]) -> str:
    issuer = " ".join(part for part in one["issuer"].values() if part) if one["issuer"] else None
    return ", ".join(part for part in (one["value"], _after("issuer", issuer), _after("type", one["typeCode"])) if part)


def _place(one: dict[str, Any]) -> str:
    place = as_written(one["tag"]) if "tag" in one else one["path"]
    return f"{place} {one['name']}" if one["name"] else str(place)


def _instance_number(number: dict[str, Any]) -> str:
    """Value and status, then what stands in the header, then what the SOP class asks for."""
    lines = [number["status"] if number["value"] is None else f"{number['value']}, {number['status']}"]
    if number["raw"] is not None:
        lines.append(f'"{number["raw"]}" in the header, VR {number["vr"]}')
    if number["flags"]:
        lines.append(f"flags: {', '.join(number['flags'])}")
    required, met = number["requirement"].values()
    lines.append(
        f"type {required} in this SOP class: {'met' if met else 'NOT MET'}" if required else "SOP class unknown"
    )
    return "\n".join(lines)


def _attributes(model: dict[str, Any]) -> Iterator[Row]:
    """The DICOM JSON Model of what the channel keeps."""
    for tag, element in model.items():
        values = element.get("Value", [])
        if isinstance(values, list):
            several = element["vr"] == "SQ" and f"{len(values)} item{'s' * (len(values) != 1)}"
            values = several or "\\".join(_value(one) for one in values)
        yield attribute_name(tag) or "private", values, as_written(tag)


def _value(value: Any) -> str:
    if value is None:
        return ""
    return "=".join(value.values()) if isinstance(value, dict) else str(value)


def _segments(segments: Sequence[SegmentSeen]) -> Iterator[Row]:
    """All that the message has, each name where it first stands."""
    counts = Counter(one.segment for one in segments)
    fields: dict[str, int] = {}
    for one in segments:
        fields[one.segment] = max(one.fields, fields.get(one.segment, 0))
    names = {one.segment: one.name for one in segments}
    for segment, count in counts.items():
        unnamed = "locally defined" if segment.startswith("Z") else "no name known"
        yield f"{segment} x {count}", names[segment] or unnamed, f"up to {segment}-{fields[segment]}"


def _after(label: str, value: str | None) -> str | None:
    return f"{label} {value}" if value else None


def _words(name: str) -> str:
    """`placer order number` for `placerOrderNumber`, `request accession number` for `requests.accessionNumber`."""
    outer, _, inner = name.rpartition(".")
    words = [word if word in _ACRONYMS else word.lower() for word in _WORD.findall(inner)]
    label = " ".join(words).replace("sop ", "SOP ")
    return f"{outer.removesuffix('s')} {label}" if outer else label
