"""Bytes to a field index: what stands at `PID-3[2].4.1` of an HL7 v2 message in ER7 encoding (HL7 2.5.1 chapter 2).

It must never drop a segment: Z segments, unknown names and lines that are no segment at all are kept.
"""

import codecs
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import hl7_charsets, hl7_iso2022
from bridge.formats.hl7_paths import parse_path
from bridge.formats.lost_characters import LOST

HL7_NULL = '""'
"""What a sender writes to delete a value (HL7 2.5.1, 2.5.3). An absent value is None."""

_BATCH = frozenset(("FHS", "BHS", "BTS", "FTS"))
_DELIMITERS = frozenset("!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")  # punctuation but the quote, which HL7_NULL is made of
_RECOMMENDED = "^~\\&"  # HL7 2.5.1, 2.5.4
_AHEAD = " \t\x0b\x1c\ufeff"  # of a line: indentation, MLLP's start and end blocks, a byte order mark
_END_BLOCK = re.compile(rb"\x1c(?=[\r\n\0]|\Z)")  # MLLP's
_PADDING = b" \t\r\n\0\x0b\x1c\x1a"
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_SEGMENT_BEHIND = re.compile(rb"(?:\A|[\r\n\x0b\x1c])[ \t]*[A-Z][A-Z0-9]{2}[!-/:-@[-`{-~]")
# The segments that facts are read from, and Z segments, in the wrong case, with a zero for an O, with signs
# ahead or blanks behind.
_LIKE_A_SEGMENT = re.compile(
    r"[^A-Za-z0-9]{0,4}(?:EVN|PID|PD1|MRG|PV[12]|[O0]RC|[O0]B[RX]|TQ1|NTE|IPC|Z[A-Z0-9]{2}|SCH|RGS|AI[GLPS]|DG1|MSH"
    r"|[FB][HT]S)[ \t]*",
    re.ASCII | re.IGNORECASE,
)
_LOOKED_AT = 4096  # bytes, to see whether it is HL7 at all
_BYTES_AHEAD = b" \t\r\n\0\x0b\x1c" + codecs.BOM_UTF8
_PADDING_NUL = re.compile(r"(?<=[\r !-/:-@\[-`{-~])\0+|\0+(?=[\r !-/:-@\[-`{-~]|\Z)|\A\0+")
_MOST_PARTS = 999  # splits of a repetition or component; what a path cannot reach stays in one piece
_MOST_NAMED = 10  # segments, in the warnings of one message


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
            with suppress(Invalid):
                meaning = hl7_iso2022.decode(bytes.fromhex(hexadecimal), self._codec).replace("\0", LOST)
        else:
            meaning = "\n" * int(lines or 1)
        return meaning

    def repetitions(self, field: str) -> list[str]:
        return field.split(self.repetition) if self.repetition else [field]

    def components(self, repetition: str) -> list[str]:
        """None of an empty repetition."""
        return repetition.split(self.component, _MOST_PARTS) if repetition else []

    def subcomponents(self, component: str) -> list[str]:
        return component.split(self.subcomponent, _MOST_PARTS) if self.subcomponent else [component]


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
    """The segments of one message in their order.

    `codec` is Python's for the character set that it was read in; `warnings` name places, never values.
    `odd_delimiters`: MSH-1 and MSH-2 are not one to five distinct punctuation marks, so that the delimiters cut values.
    """

    __slots__ = ("_by_name", "codec", "encoding", "odd_delimiters", "segments", "warnings")

    def __init__(
        self,
        segments: tuple[Segment, ...],
        encoding: Encoding,
        codec: str,
        warnings: tuple[str, ...],
        odd_delimiters: bool = False,
    ) -> None:
        self.segments = segments
        self.encoding = encoding
        self.codec = codec
        self.warnings = warnings
        self.odd_delimiters = odd_delimiters
        self._by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            self._by_name.setdefault(segment.name, []).append(segment)

    def named(self, name: str) -> Sequence[Segment]:
        """Every segment of that name, in the message's order."""
        return self._by_name.get(name, ())

    def values(self, path: str) -> list[str]:
        """The texts at every place that a path may mean: without a number, in each segment and each repetition.

        Those that are absent or to be deleted are left out. Raises ValueError when `path` is not a path.
        """
        name, occurrence, field, repetition, component, subcomponent = parse_path(path)
        segments = self.named(name)
        found = [
            segment.value(field, number, component or 1, subcomponent or 1)
            for segment in (segments[occurrence - 1 : occurrence] if occurrence else segments)
            for number in ([repetition] if repetition else range(1, len(segment.repetitions(field)) + 1))
        ]
        return [value for value in found if value and value != HL7_NULL]

    def value(self, path: str) -> str | None:
        """The text at `PID-3[2].4.1`, what is not numbered being the first; None when absent, HL7_NULL when it is to be
        deleted.

        Raises ValueError when `path` is not a path.
        """
        name, occurrence, field, repetition, component, subcomponent = parse_path(path)
        segments = self.named(name)[(occurrence or 1) - 1 :]
        return segments[0].value(field, repetition or 1, component or 1, subcomponent or 1) if segments else None


def parse(
    body: bytes, charset: str = "ISO-8859-1", stated_charset: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> Message:
    """The field index of one message.

    Line ends (CR, LF, CRLF, mixed), MLLP framing, byte order marks and empty lines are tolerated. A line that is no
    segment belongs to a value with a line break in it, which its sender did not escape: it is kept as the continuation
    of the segment before, with a warning; one that may as well be a damaged segment is refused. `stated_charset` is
    what the transport states, before MSH-18; `charset` holds where nothing is stated, or something wrong.

    Memory stays within ten times the message's size and 16 MiB. `max_fields` counts line ends, too, and switches of the
    character set.

    Raises Invalid: `hl7-empty`, `hl7-no-msh`, `hl7-bad-msh`, `hl7-batch`, `hl7-broken-frame`, `hl7-broken-segment`,
    `hl7-undecodable`, `max-fields`, `max-segments`, `max-repetitions`, `max-field-size`.
    """
    warnings: list[str] = []
    body, _ = hl7_charsets.narrow(body)
    start = body[:_LOOKED_AT].lstrip(_BYTES_AHEAD)
    if start and not start.startswith((b"MSH", b"FHS", b"BHS", b"BTS", b"FTS")):
        raise Invalid("hl7-no-msh", "the message does not begin with an MSH segment")
    if b"\x1c" in body:
        body = _unframed(body, warnings)
    body = body.replace(b"\n", b"\r")  # in bytes, which take less memory than text
    text, codec, odd_charset = hl7_charsets.decode(body, charset, stated_charset, limits)
    warnings += odd_charset
    if "\0" in text:  # databases do not store it
        warnings.append("NUL characters in the text: left out where they pad, else a lost character")
        text = _PADDING_NUL.sub("", text).replace("\0", LOST)
    if LOST in text:
        warnings.append("U+FFFD in the text: an earlier system lost characters; no identifier or name with it is used")
    if "${ATTACH:" in text:
        warnings.append("an ${ATTACH:} token in the text: the engine did not put an attachment back")
    size = len(text)
    if size > limits.max_fields and text.count("\r") > limits.max_fields:
        raise limits.exceeded("max_fields")
    lines = [line for one in text.split("\r") if (line := one.lstrip(_AHEAD))]
    header = _header(lines)
    encoding, odd = _delimiters(header, codec, warnings)
    if not odd and text.count(header[: header.find(encoding.field, 4) + 1] or header) > 1:
        raise Invalid("hl7-batch", "another MSH segment stands inside the message: only single messages are read here")
    if size > limits.max_fields and _fields(text, encoding) + len(lines) > limits.max_fields:
        raise limits.exceeded("max_fields")
    repeated = bool(encoding.repetition) and text.count(encoding.repetition) > limits.max_repetitions
    del text  # which may take four times the memory of the body
    segments = _segments(lines, encoding, limits, warnings)
    if repeated:
        _bound_repetitions(segments, encoding.repetition, limits)
    if size > limits.max_field_size:
        largest = max(len(field) for segment in segments for field in segment.fields)
        if largest > limits.max_field_size:
            raise limits.exceeded("max_field_size")
    return Message(segments, encoding, codec, tuple(warnings), odd)


def _bound_repetitions(segments: tuple[Segment, ...], repetition: str, limits: Limits) -> None:
    """An identifier costs far more than its text. OBX is left aside: waveforms and arrays repeat without end."""
    for segment in segments:
        if segment.name != "OBX" and max(field.count(repetition) for field in segment.fields) >= limits.max_repetitions:
            raise limits.exceeded("max_repetitions")


def _unframed(body: bytes, warnings: list[str]) -> bytes:
    """The body up to MLLP's end block (FS CR)."""
    end = _END_BLOCK.search(body)
    if not end:
        return body
    behind = body[end.end() :].strip(_PADDING)
    if _SEGMENT_BEHIND.search(behind):
        if behind.startswith((b"MSH", b"FHS", b"BHS", codecs.BOM_UTF8)):
            raise Invalid("hl7-batch", "another message follows MLLP's end block: only single messages are read here")
        raise Invalid("hl7-broken-frame", "segments follow MLLP's end block")
    if behind:
        warnings.append(f"bytes behind MLLP's end block: {len(behind)}, left out")
    return body[: end.start()]


def _header(lines: list[str]) -> str:
    """The line with MSH, which has to be the first."""
    if not lines:
        raise Invalid("hl7-empty", "the message has no content")
    name = lines[0][:3]
    if name in _BATCH:
        raise Invalid("hl7-batch", f"a batch ({name}) is not one message: only single messages are read here")
    if name != "MSH":
        raise Invalid("hl7-no-msh", "the message does not begin with an MSH segment")
    return lines[0]


def _delimiters(header: str, codec: str, warnings: list[str]) -> tuple[Encoding, bool]:
    """The delimiters that MSH-1 and MSH-2 declare, and whether they are odd.

    One to five in MSH-2, the fifth being the truncation character of 2.7; one that is not declared is not used.
    """
    separator = header[3:4]
    characters, ended, _ = header[4:].partition(separator) if separator else ("", "", "")
    if len(characters) == 5 and characters[2] == characters[3]:
        warnings.append("MSH-2: the escape character is doubled; read as one")
        characters = characters[:3] + characters[4:]
    if not characters and not ended:
        raise Invalid("hl7-bad-msh", "the MSH segment ends before MSH-2")
    declared = {separator, *characters}
    odd = not 1 <= len(characters) <= 5 or len(declared) != 1 + len(characters) or not declared <= _DELIMITERS
    encoding = _encoding(separator, characters[:5] or _RECOMMENDED, codec)
    if odd:
        separators = (encoding.field, encoding.component, encoding.repetition, encoding.subcomponent)
        used = [one for one in separators if one]
        if len(set(used)) < len(used):
            raise Invalid("hl7-bad-msh", "the delimiters in MSH-1 and MSH-2 are not distinct")
        warnings.append("MSH-2: the delimiters are not one to five distinct punctuation marks; they may cut values")
    return encoding, odd


def _fields(text: str, encoding: Encoding) -> int:
    """How many fields there are at most, repetitions included."""
    return text.count(encoding.field) + (text.count(encoding.repetition) if encoding.repetition else 0)


def _segments(lines: list[str], encoding: Encoding, limits: Limits, warnings: list[str]) -> tuple[Segment, ...]:
    pieces: list[list[str]] = []
    ends = ("", encoding.field)
    for line in lines:
        if line[3:4] in ends and _SEGMENT_NAME.fullmatch(line, 0, 3):
            pieces.append([line])
        elif (like := _LIKE_A_SEGMENT.match(line)) and line.startswith(encoding.field, like.end()):
            raise _broken_segment(pieces)
        else:
            pieces[-1].append(line)
    if len(pieces) > limits.max_segments:
        raise limits.exceeded("max_segments")
    segments: list[Segment] = []
    occurrences: dict[str, int] = {}
    for piece in pieces:
        name = piece[0][:3]
        occurrences[name] = occurrence = occurrences.get(name, 0) + 1
        segments.append(Segment(name, occurrence, piece[0] if len(piece) == 1 else "\n".join(piece), encoding))
    if occurrences["MSH"] > 1 or not _BATCH.isdisjoint(occurrences):
        raise Invalid("hl7-batch", "there are several messages: only single messages are read here")
    if len(pieces) < len(lines):
        warnings += _continuations(segments, pieces)
    return tuple(segments)


def _broken_segment(pieces: list[list[str]]) -> Invalid:
    """The error of a line that may be a segment as well as the rest of a value of the last one of `pieces`."""
    number = sum(map(len, pieces)) + 1
    name = pieces[-1][0][:3]
    occurrence = sum(piece[0][:3] == name for piece in pieces)
    path = name if occurrence == 1 else f"{name}[{occurrence}]"
    reason = f"line {number} (empty ones not counted), behind {path}: a damaged segment name, or the rest of a value"
    return Invalid("hl7-broken-segment", reason)


def _continuations(segments: list[Segment], pieces: list[list[str]]) -> list[str]:
    """A warning for each segment that lines were joined to; of very many only the first are named."""
    joined = [
        f"{segment.path}: lines behind it that are no segments: {len(piece) - 1}, read as line breaks in it"
        for segment, piece in zip(segments, pieces, strict=True)
        if len(piece) > 1
    ]
    if len(joined) > _MOST_NAMED:
        joined[_MOST_NAMED:] = [
            f"lines that are no segments behind {len(joined) - _MOST_NAMED} further segments, likewise"
        ]
    return joined
