"""Bytes to a field index: what stands at `PID-3[2].4.1` of an HL7 v2 message in ER7 encoding (HL7 2.5.1 chapter 2).

It must never drop a segment: Z segments, unknown names and lines that are no segment at all are kept.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from bridge.core.errors import Invalid
from bridge.formats import hl7_charsets

HL7_NULL = '""'
"""What a sender writes to delete a value (HL7 2.5.1, 2.5.3). An absent value is None."""

_BATCH = frozenset(("FHS", "BHS", "BTS", "FTS"))
_DELIMITERS = frozenset("!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")  # punctuation but the quote, which HL7_NULL is made of
_AHEAD = " \t\x0b\x1c\ufeff"  # of a line: indentation, MLLP's start and end blocks, a byte order mark
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_PATH = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[([1-9][0-9]{0,3})\])?-([1-9][0-9]{0,2})(?:\[([1-9][0-9]{0,3})\])?"
    r"(?:\.([1-9][0-9]{0,2}))?(?:\.([1-9][0-9]{0,2}))?"
)


class Path(NamedTuple):
    """A place in a message, `SEG[occurrence]-field[repetition].component.subcomponent`, counted from 1 everywhere."""

    segment: str
    occurrence: int
    field: int
    repetition: int
    component: int
    subcomponent: int


@lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """`PID-3[2].4.1`, `ORC[2]-3`, `OBR-18`: what is left out is 1. Raises ValueError for anything else."""
    found = _PATH.fullmatch(text)
    if not found:
        raise ValueError(f"not an HL7 path such as PID-3[2].4.1: {text!r}")
    name, *numbers = found.groups()
    return Path(name, *(int(number or 1) for number in numbers))


class Encoding:
    """The delimiters of a message (MSH-1, MSH-2; empty where it declares none) and its escape sequences."""

    __slots__ = ("_codec", "_meanings", "_sequence", "component", "escape", "field", "repetition", "subcomponent")

    def __init__(self, field: str, characters: str, codec: str) -> None:
        self.field = field
        self.component, self.repetition, self.escape, self.subcomponent, truncation = (*characters, *[""] * 5)[:5]
        self._codec = codec
        self._meanings = {"F": field, "S": self.component, "R": self.repetition or "~", "E": self.escape}
        self._meanings |= {"T": self.subcomponent or "&", "P": truncation or "#", "H": "", "N": ""}
        escape = re.escape(self.escape)
        self._sequence = re.compile(
            rf"{escape}(?:([FSRETPHN])|\.(?:br|sp([0-9]{{0,2}}))|X((?:[0-9A-Fa-f]{{2}})+)){escape}"
        )

    def unescape(self, raw: str) -> str:
        """The text with its escape sequences replaced (HL7 2.5.1, 2.7); one that is not known stays as it is."""
        if not self.escape or self.escape not in raw:
            return raw
        return self._sequence.sub(self._meaning, raw)

    def _meaning(self, sequence: re.Match[str]) -> str:
        letter, lines, hexadecimal = sequence.groups()
        meaning: str = sequence[0]
        if letter:
            meaning = self._meanings[letter]
        elif hexadecimal:
            with suppress(UnicodeDecodeError):
                meaning = bytes.fromhex(hexadecimal).decode(self._codec).replace("\0", "")
        else:
            meaning = "\n" * int(lines or 1)
        return meaning

    def repetitions(self, field: str) -> list[str]:
        return field.split(self.repetition) if self.repetition else [field]

    def components(self, repetition: str) -> list[str]:
        """None of an empty repetition."""
        return repetition.split(self.component) if repetition else []

    def subcomponents(self, component: str) -> list[str]:
        return component.split(self.subcomponent) if self.subcomponent else [component]


_encoding = lru_cache(maxsize=64)(Encoding)


class Segment:
    """One segment: its name, which one of that name it is (from 1), and its fields.

    `fields` holds the raw text of each field at its number; 0 is the segment's name, MSH-1 the field separator itself.
    """

    __slots__ = ("_components", "_repetitions", "encoding", "fields", "name", "occurrence")

    def __init__(self, name: str, occurrence: int, raw: str, encoding: Encoding) -> None:
        self.name = name
        self.occurrence = occurrence
        self.encoding = encoding
        self.fields = raw.split(encoding.field)
        self._components: dict[int, list[str]] = {}  # of first repetitions, which are nearly all that is read
        self._repetitions: dict[int, list[str]] = {}
        if name == "MSH":
            self.fields.insert(1, encoding.field)
            self._components = {1: [encoding.field], 2: self.fields[2:3]}

    def field(self, number: int) -> str:
        """The raw text of a field, empty when absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        """The raw text of each repetition of a field; none when the field is empty. Not to be changed."""
        found = self._repetitions.get(number)
        if found is None:
            raw = self.field(number)
            if not raw:
                return []
            found = [raw] if self._is_delimiters(number) else self.encoding.repetitions(raw)
            self._repetitions[number] = found
        return found

    def components(self, number: int, repetition: int = 1) -> list[str]:
        """The raw text of each component of one repetition of a field; none when it is empty. Not to be changed."""
        if repetition > 1:
            repetitions = self.repetitions(number)
            return self.encoding.components(repetitions[repetition - 1]) if repetition <= len(repetitions) else []
        found = self._components.get(number)
        if found is None:
            raw = self.fields[number] if number < len(self.fields) else ""
            found = self.encoding.components(self.encoding.repetitions(raw)[0]) if raw else []
            self._components[number] = found
        return found

    def value(self, number: int, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> str | None:
        """The text of one value, its escape sequences replaced; None when absent, HL7_NULL when it is to be deleted."""
        components = self.components(number, repetition)
        if component > len(components):
            return None
        raw = components[component - 1]
        if self._is_delimiters(number):
            return raw if subcomponent == 1 else None
        subcomponents = self.encoding.subcomponents(raw)
        if subcomponent > len(subcomponents):
            return None
        return self.encoding.unescape(subcomponents[subcomponent - 1]) or None

    @property
    def path(self) -> str:
        """`ORC`, and from the second on `ORC[2]`."""
        return self.name if self.occurrence == 1 else f"{self.name}[{self.occurrence}]"

    def where(self, number: int, repetition: int = 1, component: int = 0) -> str:
        """The path of a place in this segment, without the first repetition and without component 0."""
        path = f"{self.path}-{number}" if repetition == 1 else f"{self.path}-{number}[{repetition}]"
        return f"{path}.{component}" if component else path

    def _is_delimiters(self, number: int) -> bool:
        return number <= 2 and self.name == "MSH"


class Message:
    """The segments of one message in their order. `warnings` name places, never values."""

    __slots__ = ("_by_name", "codec", "encoding", "segments", "warnings")

    def __init__(
        self, segments: tuple[Segment, ...], encoding: Encoding, codec: str, warnings: tuple[str, ...]
    ) -> None:
        self.segments = segments
        self.encoding = encoding
        self.codec = codec
        self.warnings = warnings
        self._by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            self._by_name.setdefault(segment.name, []).append(segment)

    def named(self, name: str) -> Sequence[Segment]:
        """Every segment of that name, in the message's order."""
        return self._by_name.get(name, ())

    def value(self, path: str) -> str | None:
        """The text at `PID-3[2].4.1`; None when absent, HL7_NULL when it is to be deleted.

        Raises ValueError when `path` is not a path.
        """
        name, occurrence, *place = parse_path(path)
        segments = self.named(name)
        return segments[occurrence - 1].value(*place) if occurrence <= len(segments) else None


def parse(body: bytes, charset: str = "ISO-8859-1", stated_charset: str | None = None) -> Message:
    """The field index of one message.

    Line ends (CR, LF, CRLF, mixed), MLLP framing, byte order marks and empty lines are tolerated. A line that is no
    segment belongs to a value with a line break in it, which its sender did not escape: it is kept as the continuation
    of the segment before, with a warning. `stated_charset` is what the transport states, before MSH-18; `charset` holds
    where nothing is stated, or something wrong.

    Raises Invalid: `hl7-empty`, `hl7-no-msh`, `hl7-bad-msh`, `hl7-batch`, `hl7-undecodable`.
    """
    text, codec, warnings = hl7_charsets.decode(body, charset, stated_charset)
    if "\0" in text:  # databases do not store it
        warnings.append("NUL characters in the text: left out")
        text = text.replace("\0", "")
    lines = [line for one in text.replace("\n", "\r").split("\r") if (line := one.lstrip(_AHEAD))]
    if not lines:
        raise Invalid("hl7-empty", "the message has no content")
    if lines[0][:3] in _BATCH:
        raise Invalid("hl7-batch", f"a batch ({lines[0][:3]}) is not read, only single messages are")
    if lines[0][:3] != "MSH":
        raise Invalid("hl7-no-msh", "the message does not begin with an MSH segment")
    encoding = _delimiters(lines[0], codec, warnings)
    pieces: list[list[str]] = []
    for line in lines:
        if line[3:4] in ("", encoding.field) and _SEGMENT_NAME.fullmatch(line, 0, 3):
            pieces.append([line])
        else:
            pieces[-1].append(line)
    if len(pieces) < len(lines):
        number = len(lines) - len(pieces)
        warnings.append(f"lines that are no segments: {number}, read as line breaks in the segments before them")
    segments: list[Segment] = []
    occurrences: dict[str, int] = {}
    for piece in pieces:
        name = piece[0][:3]
        occurrences[name] = occurrence = occurrences.get(name, 0) + 1
        segments.append(Segment(name, occurrence, "\n".join(piece), encoding))
    if occurrences["MSH"] > 1 or not _BATCH.isdisjoint(occurrences):
        raise Invalid("hl7-batch", "several messages in one are not read, only single messages are")
    if "\ufffd" in text:
        warnings.append("U+FFFD in the text: an earlier system read it in another character set than it was written in")
    if "${ATTACH:" in text:
        warnings.append("an ${ATTACH:} token in the text: the engine did not put an attachment back")
    return Message(tuple(segments), encoding, codec, tuple(warnings))


def _delimiters(header: str, codec: str, warnings: list[str]) -> Encoding:
    """The delimiters that MSH-1 and MSH-2 declare: 1 to 5 in MSH-2, the fifth being the truncation character of 2.7."""
    separator = header[3:4]
    characters = header[4:].partition(separator)[0] if separator else ""
    if len(characters) == 5 and characters[2] == characters[3]:
        warnings.append("MSH-2: the escape character is doubled; read as one")
        characters = characters[:3] + characters[4:]
    if not 1 <= len(characters) <= 5:
        raise Invalid("hl7-bad-msh", "MSH-2 does not have one to five delimiters")
    declared = {separator, *characters}
    if len(declared) != 1 + len(characters) or not declared <= _DELIMITERS:
        raise Invalid("hl7-bad-msh", "the delimiters in MSH-1 and MSH-2 are not distinct punctuation marks")
    return _encoding(separator, characters, codec)
