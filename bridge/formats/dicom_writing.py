"""Writes attributes as a DICOM file that `read_instance` reads like any other (PS3.10 7, explicit VR little endian).

It must never cut, pad or change a value, nor choose between two statements of one attribute: what does not fit its VR
is left out with a warning, and what stands twice with different values is refused.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.formats.dicom_charsets import PADDING
from bridge.formats.dicom_elements import Account, as_written, creator_tag, is_creator, is_private
from bridge.formats.dicom_values import is_text
from bridge.formats.encodings import from_base64
from bridge.formats.lost_characters import LOST

_META = 0x0002  # group
_NOT_OF_AN_OBJECT = (0x0000, 0xFFFE)  # groups of commands and of delimiters
_TRANSFER_SYNTAX_UID = 0x00020010
_SPECIFIC_CHARACTER_SET = 0x00080005
_PATIENT_IDENTITY_REMOVED = 0x00120062
_UTF8 = ("CS", b"ISO_IR 192")  # the character set of all that is written
_PREAMBLE = bytes(128) + b"DICM"

_SHORT = frozenset(vr.value for vr in EXPLICIT_VR_LENGTH_16)
_LONG = frozenset(vr.value for vr in EXPLICIT_VR_LENGTH_32)
_LONGEST_SHORT = 0xFFFE  # bytes; a longer value is written as UN (PS3.5 6.2.2)

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW"))
_INTEGERS = {"SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_FLOATS = {"FD": "d", "FL": "f"}
_TEXT = (_SHORT | _LONG) - _BINARY - {"SQ", "AT", *_INTEGERS, *_FLOATS}
_ASCII = re.compile(r"[-+., ()0-9A-Za-z\\]*")
_FRACTION = re.compile(r"\.0*(?= *(?:\\|$))")  # of an integer: nothing, or zeros
_TAGS = re.compile(r"[0-9A-Fa-f]{8}(?:\\[0-9A-Fa-f]{8})*")
_NOTATION = re.compile(r"[(), ]")  # of (0028,0010)


class Part10(NamedTuple):
    """An object as a DICOM file without its pixel data; `warnings` name places, never values.

    `transfer_syntax_uid` is what the object states for itself (0002,0010). It is not in the file, which is in explicit
    VR little endian whatever the object's own was.
    """

    body: bytes
    warnings: tuple[str, ...]
    transfer_syntax_uid: str | None


@dataclass(slots=True)
class _DataSet:
    """A data set or item while it is written: VR and value by tag and private creator, "" where the tag has a block."""

    place: str  # what precedes a tag in `where`: "", or "00400275[1]."
    elements: dict[tuple[int, str], tuple[str, bytes]] = field(default_factory=dict)
    creators: dict[int, str] = field(default_factory=dict)  # by the tag that reserves their block


@dataclass(slots=True)
class _Sequence:
    tag: int
    creator: str
    items: list[bytes] = field(default_factory=list)


class Writer:
    """One object while it is written, element by element, with the sequences and items that are open.

    `creator` is an element's private creator where its tag does not tell (PS3.19 A.1.1).
    """

    def __init__(self, limits: Limits) -> None:
        self._account = Account(limits)
        self._data_sets = [_DataSet("")]
        self._sequences: list[_Sequence] = []

    def vr(self, tag: int, stated: str | None, creator: str = "") -> str:
        """The VR as stated, the dictionary's where none is (it can be several: `US or SS`), UN where none is known."""
        if stated is None:
            return self._usual_vr(tag, creator)
        return stated if stated in _SHORT or stated in _LONG else "UN"

    def texts(self, tag: int, vr: str, values: Sequence[str | None], creator: str = "") -> None:
        """Writes values that are given as text, numbers and tags too; None is an empty one.

        Raises Invalid: `dicom-malformed` where the attribute has another value already, `max-elements`.
        """
        usual = self._usual_vr(tag, creator) if vr == "UN" else vr  # the bytes in a UN are those of its usual VR
        if usual.startswith("US or"):
            usual = "SS" if any(value and "-" in value for value in values) else "US"
        try:
            value = _value_field(usual, values)
        except (ValueError, OverflowError, struct.error):
            self.unreadable(tag, f"not a value of VR {usual}")
        else:
            self.value(tag, vr if vr == "UN" else usual, value, creator)

    def value(self, tag: int, vr: str, value: bytes, creator: str = "") -> None:
        """Writes a value field. Raises Invalid as `texts`."""
        self._account.charge(1)
        if tag >> 16 in _NOT_OF_AN_OBJECT:
            return
        data_set = self._data_sets[-1]
        if tag == _SPECIFIC_CHARACTER_SET:
            vr, value = _UTF8
        if vr not in _SHORT and vr not in _LONG:
            vr = "UN"  # it is one of several, which the reader can tell
        if is_creator(tag) and not creator:
            data_set.creators[tag] = value.decode("utf-8", "replace").strip(PADDING)
        if data_set.elements.setdefault((tag, creator), (vr, value)) != (vr, value):
            raise self._twice(tag)

    def open_sequence(self, tag: int, creator: str = "") -> None:
        """Begins a sequence. Raises Invalid: `max-nesting`."""
        self._sequences.append(_Sequence(tag, creator))
        if len(self._sequences) > self._account.limits.max_nesting:
            raise self._account.limits.exceeded("max_nesting")

    def open_item(self) -> None:
        """Begins the next item of the open sequence. Raises Invalid: `max-elements`."""
        self._account.charge(1)
        sequence = self._sequences[-1]
        place = f"{self._data_sets[-1].place}{sequence.tag:08X}[{len(sequence.items) + 1}]."
        self._data_sets.append(_DataSet(place))

    def close_item(self) -> None:
        """Ends the open item. Raises Invalid: `dicom-malformed`."""
        content = b"".join(self._encoded(self._data_sets[-1]))
        self._data_sets.pop()
        self._sequences[-1].items.append(struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content)

    def close_sequence(self) -> None:
        """Ends the open sequence. Raises Invalid as `texts`."""
        sequence = self._sequences.pop()
        self.value(sequence.tag, "SQ", b"".join(sequence.items), sequence.creator)

    def part10(self) -> Part10:
        """The object as a file. Raises Invalid: `dicom-malformed`."""
        data_set = self._data_sets[-1]
        data_set.elements[_SPECIFIC_CHARACTER_SET, ""] = _UTF8
        meta = _DataSet("")
        for key in [key for key in data_set.elements if key[0] >> 16 == _META]:
            meta.elements[key] = data_set.elements.pop(key)
        _, syntax = meta.elements.pop((_TRANSFER_SYNTAX_UID, ""), ("UI", b""))
        return Part10(
            b"".join([_PREAMBLE, *self._encoded(meta), *self._encoded(data_set)]),
            tuple(self._account.warnings),
            syntax.decode("utf-8", "replace").strip(PADDING) or None,
        )

    def warn(self, tag: int | None, oddity: str) -> None:
        """Notes what is odd about an element of the open data set, None for itself."""
        self._account.warn(f"{self._where(tag)}: {oddity}")

    def left_out(self, tag: int, vr: str, fault: str) -> None:
        """Notes why an element is not read, unless it is binary, of which nothing would be used."""
        if (vr not in _BINARY and vr != "UN") or is_text(tag):
            self.unreadable(tag, fault)

    def unreadable(self, tag: int, fault: str) -> None:
        """Notes why a value is not read. Of Patient Identity Removed it is still said that there is one: it may be YES.

        Raises Invalid as `texts`.
        """
        self.warn(tag, f"{fault}; left out")
        if tag == _PATIENT_IDENTITY_REMOVED:
            self.value(tag, "CS", LOST.encode())

    def malformed(self, tag: int | None, fault: str) -> Invalid:
        """The error of an element of the open data set, None for itself, that is not made as it has to be."""
        return Invalid("dicom-malformed", f"{self._where(tag)} {fault}")

    def _usual_vr(self, tag: int, creator: str) -> str:
        try:
            if not is_private(tag):
                return dictionary_VR(tag)
            if is_creator(tag) and not creator:
                return "LO"
            return private_dictionary_VR(tag, creator or self._data_sets[-1].creators.get(creator_tag(tag), ""))
        except KeyError:
            return "UN"

    def _twice(self, tag: int) -> Invalid:
        return self.malformed(tag, "stands twice with different values")

    def _where(self, tag: int | None) -> str:
        place = self._data_sets[-1].place
        if tag is None:
            return as_written(place.rstrip(".")) if place else "the object"
        return as_written(f"{place}{tag:08X}")

    def _encoded(self, data_set: _DataSet) -> list[bytes]:
        """The elements in the order of their tags, each private one in a block of its creator."""
        elements: dict[int, tuple[str, bytes]] = {}
        for tag, creator in sorted(data_set.elements, key=_blocks_first):
            element = data_set.elements[tag, creator]
            if creator:
                tag = self._in_block(data_set.creators, tag, creator)
            if elements.setdefault(tag, element) != element:
                raise self._twice(tag)
        for reserving, creator in data_set.creators.items():
            elements.setdefault(reserving, ("LO", creator.encode()))
        return [part for tag in sorted(elements) for part in _element(tag, *elements[tag])]

    def _in_block(self, creators: dict[int, str], tag: int, creator: str) -> int:
        """The whole tag of a private element. A creator without a block gets the one in the tag, else the next free."""
        group = tag & 0xFFFF0000
        for reserving, name in creators.items():
            if name == creator and reserving & 0xFFFF0000 == group:
                break
        else:
            blocks = (group | block for block in (tag >> 8 & 0xFF, *range(0x10, 0x100)))
            reserving = next((one for one in blocks if is_creator(one) and one not in creators), 0)
            if not reserving:
                raise self.malformed(tag, "is in a group with more private creators than there are blocks")
            creators[reserving] = creator
        return group | (reserving & 0xFF) << 8 | tag & 0xFF


def inline_binary(text: str) -> bytes | None:
    """The bytes of an `InlineBinary`; None where it is not base64 (RFC 4648, 4)."""
    try:
        return from_base64(text.encode(errors="replace"))
    except Invalid:
        return None


def _blocks_first(key: tuple[int, str]) -> tuple[bool, int, str]:
    """Sorts tags with the number of a block in them before those without, which get what is left."""
    tag, creator = key
    return tag & 0xFF00 == 0, tag, creator


def _value_field(vr: str, values: Sequence[str | None]) -> bytes:
    """Raises ValueError, OverflowError or struct.error where a value does not fit the VR."""
    text = "\\".join([value or "" for value in values])
    if vr in _TEXT:
        return text.encode()
    if not text:
        return b""
    if not _ASCII.fullmatch(text):  # digits of other scripts are numbers to Python, and so is 1_000
        raise ValueError
    if vr in _FLOATS:  # JSON has no NaN, so that a NaN is a null
        numbers = [float(value or "nan") for value in text.split("\\")]
        if "n" not in text.lower() and (inf in numbers or -inf in numbers):
            raise OverflowError
        return struct.pack(f"<{len(numbers)}{_FLOATS[vr]}", *numbers)
    if vr in _INTEGERS:
        integers = [int(value) for value in _FRACTION.sub("", text).split("\\")]
        return struct.pack(f"<{len(integers)}{_INTEGERS[vr]}", *integers)
    if vr == "AT":
        digits = _NOTATION.sub("", text)
        if _TAGS.fullmatch(digits):
            tags = [int(tag, 16) for tag in digits.split("\\")]
            return b"".join([struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags])
    raise ValueError


def _element(tag: int, vr: str, value: bytes) -> tuple[bytes, bytes]:
    """The head of an element (PS3.5 7.1.2), and its value."""
    group, number, length = tag >> 16, tag & 0xFFFF, len(value)
    if vr in _SHORT and length <= _LONGEST_SHORT:
        return struct.pack("<HH2sH", group, number, vr.encode(), length), value
    return struct.pack("<HH2sHL", group, number, (vr if vr in _LONG else "UN").encode(), 0, length), value
