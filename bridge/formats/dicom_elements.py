"""Finds where each element of a DICOM data set stands in its bytes, and refuses a data set that is cut short.

It never decodes, shortens or repairs a value. pydicom's own reader is not used (the tests hold this one against it over
every file at hand): of a file that was cut it gives out the shortened value, which may be somebody else's accession
number, and it reports through warnings and logs, which belong to the whole process and quote values.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from bridge.core.errors import Invalid

MAX_INFLATED = 64 * 1024 * 1024  # bytes
MAX_NESTING = 32  # sequences within sequences

_UNDEFINED = 0xFFFFFFFF  # length
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SPECIFIC_CHARACTER_SET = 0x00080005
_TRANSFER_SYNTAX_UID = 0x00020010

_BIG_ENDIAN = b"1.2.840.10008.1.2.2"
_DEFLATED = {  # of these the whole data set is deflated (PS3.5 A.5, A.7, A.13)
    b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.4.95",
    b"1.2.840.10008.1.2.4.205",
}

# Explicit VRs with a length of 16 and of 32 bits (PS3.5 7.1.2).
_SHORT = {vr.value.encode(): vr.value for vr in EXPLICIT_VR_LENGTH_16}
_LONG = {vr.value.encode(): vr.value for vr in EXPLICIT_VR_LENGTH_32}

# Pixel Data, Float Pixel Data and Double Float Pixel Data end the header.
_at_pixels = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010}).__contains__


class Element(NamedTuple):
    """Where a value stands; `vr` as stated, None in implicit VR."""

    vr: str | None
    start: int
    stop: int


class _Bytes(NamedTuple):
    """What a data set and all its items have in common: their bytes, and how to unpack numbers in their order."""

    body: bytes
    max_nesting: int
    explicit: Callable[[bytes, int], tuple[int, int, bytes, int]]  # group, element, VR, 16-bit length
    implicit: Callable[[bytes, int], tuple[int, int, int]]  # group, element, 32-bit length
    length: Callable[[bytes, int], tuple[int]]
    sequence_end: bytes
    order: str  # "<" or ">"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set, or one item of a sequence: its elements by tag, each still in its bytes."""

    elements: dict[int, Element]
    character_sets: bytes  # the value of (0008,0005) that applies here, an item's own or its parent's (PS3.5 7.5.3)
    implicit: bool
    depth: int
    source: _Bytes

    def raw(self, tag: int) -> bytes | None:
        """The value field as it is; None when there is no such element."""
        element = self.elements.get(tag)
        return None if element is None else self.source.body[element.start : element.stop]

    @property
    def order(self) -> str:
        """The byte order of numbers, as `struct` writes it."""
        return self.source.order

    def items(self, tag: int) -> list["DataSet"]:
        """The items of a sequence, none when it is absent or empty.

        Raises Invalid, code `dicom-malformed`, where the bytes are not those of items.
        """
        items: list[DataSet] = []
        element = self.elements.get(tag)
        if element is None:
            return items
        source, position = _of_items(self.source, element.vr), element.start
        while position < element.stop:
            kind, length, position = _delimiter(source, position, element.stop, tag)
            if kind == _SEQUENCE_END:
                break
            if kind != _ITEM:
                raise Invalid("dicom-malformed", f"{tag_name(tag)} is a sequence, but not made of items")
            stop = element.stop if length == _UNDEFINED else position + length
            if stop > element.stop:
                raise _beyond(source, element.stop, tag)
            item, position = _data_set(
                source,
                position,
                stop,
                implicit=self.implicit or _looks_implicit(source.body, position),
                depth=self.depth + 1,
                character_sets=self.character_sets,
                ends=_ITEM_END.__eq__ if length == _UNDEFINED else _never,
            )
            items.append(item)
            if length == _UNDEFINED:
                position += 8  # the delimiter
        return items


def tag_name(tag: int) -> str:
    """A tag as the standard writes it: `(0008,0050)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read_part10(
    body: bytes, *, max_inflated: int = MAX_INFLATED, max_nesting: int = MAX_NESTING
) -> tuple[DataSet, DataSet]:
    """The File Meta Information and the data set of a DICOM file, the latter up to its pixel data.

    Preamble, prefix and File Meta Information may be missing (PS3.10 7.1); what is stated about the encoding is not
    trusted where the bytes say otherwise. Raises Invalid: `dicom-not-dicom`, `dicom-truncated`, `dicom-malformed`,
    `dicom-too-deep`, `dicom-inflated-too-large`.
    """
    start = 132 if body[128:132] == b"DICM" else 0
    if start == 0 and not _looks_like_group_2_or_8(body):
        raise Invalid("dicom-not-dicom", "no DICM prefix at byte 128, and no data set at byte 0")
    little = _bytes(body, "<", max_nesting)
    meta, position = _meta(little, start)
    syntax = (meta.raw(_TRANSFER_SYNTAX_UID) or b"").strip(b" \0")

    source, whole = little, True
    if syntax in _DEFLATED:
        inflated, whole = _inflate(body[position:], max_inflated)
        source, position = _bytes(inflated, "<", max_nesting), 0
    if _is_big_endian(source.body, position, stated=syntax == _BIG_ENDIAN):
        source = _bytes(source.body, ">", max_nesting)

    implicit = _looks_implicit(source.body, position)
    main, end = _data_set(source, position, len(source.body), implicit=implicit, ends=_at_pixels)
    if end == len(source.body) and not whole:
        raise Invalid("dicom-truncated", "the deflated data set is cut short")
    return meta, main


def _bytes(body: bytes, order: str, max_nesting: int) -> _Bytes:
    explicit, implicit, length = _UNPACK[order]
    return _Bytes(body, max_nesting, explicit, implicit, length, struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0), order)


_UNPACK = {
    order: (
        struct.Struct(f"{order}HH2sH").unpack_from,
        struct.Struct(f"{order}HHL").unpack_from,
        struct.Struct(f"{order}L").unpack_from,
    )
    for order in "<>"
}


def _looks_like_group_2_or_8(body: bytes) -> bool:
    return body[:2] in (b"\x02\0", b"\x08\0", b"\0\x08") and len(body) >= 8


def _looks_implicit(body: bytes, position: int) -> bool:
    """Whether the two bytes after a tag are no VR; as a length they would be one only above 16 KB."""
    vr = body[position + 4 : position + 6]
    return not (vr.isalpha() and vr.isupper())


def _is_big_endian(body: bytes, position: int, *, stated: bool) -> bool:
    """The byte order is seen where the data set starts with group 0008, as nearly all do."""
    group = body[position : position + 2]
    return group == b"\0\x08" or (stated and group != b"\x08\0")


def _inflate(deflated: bytes, max_inflated: int) -> tuple[bytes, bool]:
    """The inflated bytes, and whether the deflated ones were all there."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, max_inflated)
        if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
            raise Invalid("dicom-inflated-too-large", f"more than {max_inflated} bytes when inflated")
    except zlib.error:
        raise Invalid("dicom-malformed", "the deflated data set cannot be inflated") from None
    return inflated, inflater.eof


def _meta(source: _Bytes, start: int) -> tuple[DataSet, int]:
    """Group 0002, whatever its group length says: explicit VR little endian (PS3.10 7.1), implicit in some files."""
    implicit = _looks_implicit(source.body, start)
    return _data_set(source, start, len(source.body), implicit=implicit, ends=lambda tag: tag >> 16 != 2)


def _data_set(
    source: _Bytes,
    start: int,
    stop: int,
    *,
    implicit: bool,
    ends: Callable[[int], bool],
    depth: int = 0,
    character_sets: bytes = b"",
) -> tuple[DataSet, int]:
    elements, position = _walk(source, start, stop, implicit, depth, ends)
    if 0 in elements:  # a file that was written to its full size, but not filled; no data set has (0000,0000)
        tags = list(elements)
        raise _ends_after(source, len(source.body), tags[max(tags.index(0) - 1, 0)])
    stated = elements.get(_SPECIFIC_CHARACTER_SET)
    if stated is not None:
        character_sets = source.body[stated.start : stated.stop]
    return DataSet(elements, character_sets, implicit, depth, source), position


def _walk(
    source: _Bytes, start: int, stop: int, implicit: bool, depth: int, ends: Callable[[int], bool]
) -> tuple[dict[int, Element], int]:
    """The elements from `start`, and the position at `stop` or of the first element whose tag `ends` the data set."""
    if depth > source.max_nesting:
        raise Invalid("dicom-too-deep", f"more than {source.max_nesting} sequences within each other")
    body, unpack_explicit, unpack_implicit = source.body, source.explicit, source.implicit
    elements: dict[int, Element] = {}
    position, tag = start, 0
    while position < stop:
        if stop - position < 8:
            raise _ends_after(source, stop, tag)
        vr: str | None = None
        if implicit:
            group, number, length = unpack_implicit(body, position)
            tag = group << 16 | number
            if ends(tag):
                return elements, position
            position += 8
        else:
            group, number, stated_vr, length = unpack_explicit(body, position)
            tag = group << 16 | number
            if ends(tag):
                return elements, position
            position += 8
            vr = _SHORT.get(stated_vr)
            if vr is None:
                vr = _LONG.get(stated_vr)
                if vr is not None:
                    if stop - position < 4:
                        raise _beyond(source, stop, tag)
                    length = source.length(body, position)[0]
                    position += 4
                elif stated_vr == b"  " or (stated_vr.isalpha() and stated_vr.isupper()):
                    vr = stated_vr.decode("ascii")  # unknown: as pydicom, taken to have a length of 16 bits
                else:
                    length = source.length(body, position - 4)[0]  # no VR at all, as some writers and all delimiters
        if length == _UNDEFINED:
            end = _skip_items(_of_items(source, vr), position, stop, implicit, depth + 1, tag)
        else:
            end = position + length
            if end > stop:
                raise _beyond(source, stop, tag)
        elements[tag] = Element(vr, position, end)
        position = end
    if ends(_ITEM_END):  # an item of undefined length without its delimiter, or a file that is all group 0002
        raise _ends_after(source, stop, tag)
    return elements, position


def _skip_items(source: _Bytes, start: int, stop: int, implicit: bool, depth: int, tag: int) -> int:
    """The end of a value of undefined length that starts at `start`, its delimiter included (PS3.5 7.5.2, A.4)."""
    position = start
    while True:
        kind, length, position = _delimiter(source, position, stop, tag)
        if kind == _SEQUENCE_END:
            return position
        if kind != _ITEM:  # not made of items, so that only the delimiter can tell where it ends
            found = source.body.find(source.sequence_end, start, stop)
            if found < 0:
                raise _beyond(source, stop, tag)
            return found + len(source.sequence_end)
        if length == _UNDEFINED:
            item_implicit = implicit or _looks_implicit(source.body, position)
            _, position = _walk(source, position, stop, item_implicit, depth, _ITEM_END.__eq__)
            position += 8  # the delimiter
        else:
            position += length


def _delimiter(source: _Bytes, position: int, stop: int, tag: int) -> tuple[int, int, int]:
    """The tag of the item or delimiter at `position`, its length, and the position after it."""
    if stop - position < 8:
        raise _beyond(source, stop, tag)
    group, number, length = source.implicit(source.body, position)
    return group << 16 | number, length, position + 8


def _of_items(source: _Bytes, vr: str | None) -> _Bytes:
    """Items inside an element stated as UN are little endian, whatever is around them (PS3.5 6.2.2, note 2)."""
    return _bytes(source.body, "<", source.max_nesting) if vr == "UN" and source.order == ">" else source


def _never(_tag: int) -> bool:
    return False


def _beyond(source: _Bytes, stop: int, tag: int) -> Invalid:
    if stop == len(source.body):
        return Invalid("dicom-truncated", f"the file ends inside {tag_name(tag)}")
    return Invalid("dicom-malformed", f"{tag_name(tag)} is longer than what holds it")


def _ends_after(source: _Bytes, stop: int, tag: int) -> Invalid:
    place = f"after {tag_name(tag)}" if tag else "before its first element"
    if stop == len(source.body):
        return Invalid("dicom-truncated", f"the file ends {place}")
    return Invalid("dicom-malformed", f"an item has bytes left over {place}")
