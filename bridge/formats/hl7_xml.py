"""HL7 v2 in XML to the same message in ER7 text: an engine's `<HL7Message>`, and HL7 v2.xml (ANSI/HL7 V2 XML-2003).

It must never drop a segment or a character, nor let text become a delimiter; a place that cannot be told is refused.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import xml_events

_STRUCTURE = re.compile(r"[A-Z][A-Z0-9]{2}_[A-Za-z0-9]{2,3}|ACK|MCF")  # HL7 table 0354
_SEVERAL_MESSAGES = re.compile(r".*batch.*|.*messages|file", re.IGNORECASE)
_GROUP = re.compile(r"[A-Z][A-Z0-9_]*\.[A-Z][A-Z0-9_]*")  # ORM_O01.PATIENT
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_HEADERS = frozenset(("MSH", "FHS", "BHS"))  # their first two fields are the delimiters
_NUMBERS = {str(number): number for number in range(1, 1000)}  # of a field, component or subcomponent
_LEVELS = 3  # field, component, subcomponent
_LINE_BREAK = r"\r\n?|\n"


class Er7(NamedTuple):
    """A message in ER7 encoding, CR after every segment; `warnings` name places, never values."""

    text: str
    warnings: tuple[str, ...]


def er7(body: bytes, charset: str | None, limits: Limits = DEFAULT_LIMITS) -> Er7:
    """The message in ER7 text: every value at the path that its elements' names say, whatever their order.

    In `<HL7Message>` (Mirth Connect) text is taken as it is, escape sequences included; only a field or component
    separator in it, which the engine never leaves there, is escaped, with a warning. In v2.xml text is the value
    itself, so every delimiter in it is escaped, and `<escape V=".br"/>` is an escape sequence. In both, a line break in
    a value is written `\\.br\\`; white space that has a line break in it, and nothing else, is layout. MSH-1 and MSH-2
    are `|` and `^~\\&` where they are missing. A field, component or subcomponent that is left out before another one
    counts as a field.

    `charset` is what the transport states. Raises Invalid: `hl7-xml-unknown-root`, `hl7-xml-batch`,
    `hl7-xml-malformed`, `hl7-bad-msh`, `max-elements`, `max-segments`, `max-fields`, `max-field-size`,
    and those of `xml_events.parse`.
    """
    writer = _Writer(limits)
    warnings = xml_events.parse(body, writer, charset=charset, limits=limits)
    if writer.escaped:
        warnings += (f"field or component separators in the text of the XML: {writer.escaped}, escaped",)
    return Er7("".join(writer.segments), warnings)


def _is_blank(text: str) -> bool:
    return not text.strip(" \t\r\n")  # XML 1.0, 2.3


class _Element:
    """An open segment, field, component or subcomponent."""

    __slots__ = ("highest", "name", "number", "parts", "ready", "text")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number  # of a segment: its occurrence
        self.parts: dict[int, list[str]] = {}  # what is in it, in ER7, by number; only a field repeats
        self.highest = 0  # of these numbers
        self.ready: list[str] = []  # its own text up to the last escape element, in ER7
        self.text: list[str] = []  # what came since

    def joined(self, separator: str) -> str:
        return separator.join(self.parts[number][0] if number in self.parts else "" for number in self._numbers())

    def repeated(self, separator: str) -> list[str]:
        return [separator.join(self.parts.get(number, ())) for number in self._numbers()]

    def _numbers(self) -> range:
        return range(1, self.highest + 1)


class _Delimiters:
    """MSH-1 and MSH-2. One that is not declared is empty."""

    component: str
    repetition: str
    escape: str
    subcomponent: str

    def __init__(self, field: str, characters: str, *, is_v2xml: bool) -> None:
        """Raises Invalid: `hl7-bad-msh`."""
        declared = characters
        if len(characters) == 5 and characters[2] == characters[3]:  # the escape character doubled, as some write it
            declared = characters[:3] + characters[4:]
        if len(field) != 1 or len({field, *declared}) < 1 + len(declared) or not (field + declared).isprintable():
            raise Invalid("hl7-bad-msh", "the delimiters in MSH-1 and MSH-2 are not one and some more, all distinct")
        self.characters = characters
        self.field = field
        self.component, self.repetition, self.escape, self.subcomponent = [*declared, "", "", ""][:4]
        self.letters = {self.field: "F", self.component: "S"}
        if is_v2xml:
            self.letters |= {self.repetition: "R", self.escape: "E", self.subcomponent: "T"}
        self.letters.pop("", None)
        self.special: re.Pattern[str] = re.compile(f"[{re.escape(''.join(self.letters))}]|{_LINE_BREAK}")


class _Writer:
    """Receives the events of a document and writes its segments."""

    def __init__(self, limits: Limits) -> None:
        self.segments: list[str] = []
        self.escaped = 0  # separators in the text of <HL7Message>
        self._limits = limits
        self._root = ""
        self._is_v2xml = False
        self._groups = 0  # open ones
        self._open: list[_Element] = []  # a segment, and what is open in it
        self._in_escape = False
        self._occurrences: Counter[str] = Counter()
        self._declared: _Delimiters | None = None  # not yet told: MSH-1 and MSH-2 can be open
        self._elements = 0  # of the document so far
        self._fields = 0  # of the whole message so far, with repetitions and gaps
        self._size = 0  # of the open field's text, in characters

    def start(self, name: str, attributes: Mapping[str, str], /) -> None:
        self._elements += 1
        if self._elements > self._limits.max_elements:
            raise self._limits.exceeded("max_elements")
        if self._in_escape:
            raise self._malformed("an element inside an escape element")
        if name == "escape" and self._is_v2xml and len(self._open) > 1:
            self._start_escape(attributes.get("V", ""))
        elif self._open:
            self._start_part(name)
        elif not self._root:
            self._start_root(name)
        elif _SEGMENT.fullmatch(name):
            self._start_segment(name)
        elif self._is_v2xml and _GROUP.fullmatch(name):
            self._groups += 1
        else:
            raise self._malformed("an element that is neither a segment nor a group of segments")

    def data(self, text: str, /) -> None:
        if len(self._open) > 1 and not self._in_escape:
            self._open[-1].text.append(text)
            self._grow(len(text))
        elif not _is_blank(text):
            raise self._malformed("text outside the fields")

    def end(self, name: str, /) -> None:
        if self._in_escape:
            self._in_escape = False
        elif len(self._open) > 1:
            self._end_part()
        elif self._open:
            self._end_segment()
        elif self._groups:
            self._groups -= 1

    def _start_root(self, name: str) -> None:
        self._root = name
        self._is_v2xml = name != "HL7Message"
        if _SEVERAL_MESSAGES.fullmatch(name):
            raise Invalid("hl7-xml-batch", "several messages in one XML document are not read, only single ones are")
        if self._is_v2xml and not _STRUCTURE.fullmatch(name):
            reason = "the root is neither HL7Message nor a message structure of HL7 v2.xml, such as ORM_O01"
            raise Invalid("hl7-xml-unknown-root", reason)
        self._declared = _Delimiters("|", "^~\\&", is_v2xml=self._is_v2xml)

    def _start_segment(self, name: str) -> None:
        if len(self.segments) >= self._limits.max_segments:
            raise self._limits.exceeded("max_segments")
        self._occurrences[name] += 1
        self._open = [_Element(name, self._occurrences[name])]
        if name in _HEADERS:
            self._declared = None

    def _start_part(self, name: str) -> None:
        """A field in a segment, a component in a field, a subcomponent in a component."""
        within = self._open[-1]
        level = len(self._open)  # of the part: 1 for a field
        prefix, _, digits = name.rpartition(".")
        number = _NUMBERS.get(digits)
        if number is None or not prefix or (prefix != within.name and (level == 1 or not self._is_v2xml)):
            raise self._malformed("an element whose name does not say which part of this place it is")
        if level > _LEVELS:
            raise self._malformed("an element inside a subcomponent")
        if within.ready or not _is_blank("".join(within.text)):
            raise self._malformed("text beside elements")
        within.text.clear()
        if level == 1:
            self._size = 0
            self._count(1)
        elif number in within.parts:
            raise self._malformed(f"part {number} twice")
        if number > within.highest:
            self._count(number - within.highest - 1)  # what is left out
            within.highest = number
        self._open.append(_Element(name, number))

    def _start_escape(self, sequence: str) -> None:
        """`<escape V="H"/>` is `\\H\\`."""
        element, delimiters = self._open[-1], self._delimiters
        if element.parts or delimiters.special.search(sequence) or not (sequence and delimiters.escape):
            raise self._malformed("an escape element that cannot be written as an escape sequence")
        element.ready += self._escape("".join(element.text)), f"{delimiters.escape}{sequence}{delimiters.escape}"
        element.text.clear()
        self._in_escape = True
        self._grow(len(sequence) + 2)

    def _end_part(self) -> None:
        element = self._open[-1]
        within = self._open[-2]
        if len(self._open) == 2 and within.name in _HEADERS and element.number <= 2:
            written = self._delimiter_field(element)
        elif element.parts:
            if not _is_blank("".join(element.text)):
                raise self._malformed("text beside elements")
            written = element.joined(self._separator(element))
        else:
            text = "".join(element.text)
            is_layout = "\n" in text and _is_blank(text) and not element.ready
            written = "" if is_layout else "".join((*element.ready, self._escape(text)))
        self._open.pop()
        within.parts.setdefault(element.number, []).append(written)

    def _separator(self, element: _Element) -> str:
        """Between the parts of a field or component."""
        separator = self._delimiters.component if len(self._open) == 2 else self._delimiters.subcomponent
        if element.highest > 1 and not separator:
            raise self._malformed("several parts, and MSH-2 does not declare what separates them")
        return separator

    def _delimiter_field(self, element: _Element) -> str:
        """MSH-1 or MSH-2, which are needed before anything else is written."""
        if self._declared or element.parts or element.ready:
            raise self._malformed("delimiters that are not plain text before the other fields")
        return "".join(element.text).strip()

    def _end_segment(self) -> None:
        (segment,) = self._open
        delimiters = self._delimiters
        if any(len(repetitions) > 1 for repetitions in segment.parts.values()) and not delimiters.repetition:
            raise self._malformed("a repeated field, and MSH-2 does not declare what separates repetitions")
        fields = segment.repeated(delimiters.repetition)
        if segment.name in _HEADERS:
            fields = [delimiters.characters, *fields[2:]]
        if any(len(field) > self._limits.max_field_size for field in fields):
            raise self._limits.exceeded("max_field_size")
        self.segments.append(delimiters.field.join([segment.name, *fields]) + "\r")
        self._open = []

    @property
    def _delimiters(self) -> _Delimiters:
        if not self._declared:
            field, characters = ("".join(self._open[0].parts.get(number, ())) for number in (1, 2))
            self._declared = _Delimiters(field or "|", characters or "^~\\&", is_v2xml=self._is_v2xml)
        return self._declared

    def _escape(self, text: str) -> str:
        return self._delimiters.special.sub(self._sequence, text)

    def _sequence(self, special: re.Match[str]) -> str:
        delimiters = self._delimiters
        if not delimiters.escape:
            raise self._malformed("text that has to be escaped, and MSH-2 declares no escape character")
        letter = delimiters.letters.get(special[0], ".br")
        self.escaped += letter != ".br" and not self._is_v2xml
        return f"{delimiters.escape}{letter}{delimiters.escape}"

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > self._limits.max_field_size:
            raise self._limits.exceeded("max_field_size")

    def _count(self, fields: int) -> None:
        self._fields += fields
        if self._fields > self._limits.max_fields:
            raise self._limits.exceeded("max_fields")

    def _malformed(self, reason: str) -> Invalid:
        return Invalid("hl7-xml-malformed", f"{self._place()}: {reason}")

    def _place(self) -> str:
        """Where the writer is, `PID[2]-3[2].4`, in names that have been looked at."""
        if not self._open:
            return f"after {len(self.segments)} segments"
        segment, *parts = self._open
        path = segment.name if segment.number == 1 else f"{segment.name}[{segment.number}]"
        for level, part in enumerate(parts):
            path += f".{part.number}" if level else f"-{part.number}"
            repetition = len(segment.parts.get(part.number, ())) + 1
            if not level and repetition > 1:
                path += f"[{repetition}]"
        return path
