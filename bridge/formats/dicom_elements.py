"""Finds where each element of a DICOM data set stands in its bytes, and refuses a data set that is cut short.

It never decodes, shortens or repairs a value, and takes no more time and memory than its limits allow. pydicom's own
reader is not used (the tests hold this one against it over every file at hand): of a file that was cut it gives out the
shortened value, which may be somebody else's accession number, and it reports through warnings and logs, which belong
to the whole process and quote values.
"""

import struct
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import NamedTuple

from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from bridge.core.errors import Invalid
from bridge.core.limits import Limits

_MOST_WARNINGS = 20  # of one object
_LONGEST_CHARACTER_SETS = 256  # bytes of (0008,0005) that are looked at: fifteen of them

_UNDEFINED = 0xFFFFFFFF  # length
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SPECIFIC_CHARACTER_SET = 0x00080005

# Explicit VRs with a length of 16 and of 32 bits (PS3.5 7.1.2).
_SHORT = {vr.value.encode(): vr.value for vr in EXPLICIT_VR_LENGTH_16}
_LONG = {vr.value.encode(): vr.value for vr in EXPLICIT_VR_LENGTH_32}

_nowhere = frozenset[int]().__contains__
_NOTHING = frozenset[int]()


class Element(NamedTuple):
    """Where a value stands; `vr` as stated, None in implicit VR."""

    vr: str | None
    start: int
    stop: int
    has_delimiter: bool = False  # of undefined length: its last eight bytes are no value


@dataclass(slots=True)
class Account:
    """What one object has cost so far, and what is odd about it."""

    limits: Limits
    elements: int = 0  # items and values of several count too
    warnings: list[str] = field(default_factory=list)

    def charge(self, number: int) -> None:
        """Counts elements. Raises Invalid: `max-elements`."""
        self.elements += number
        if self.elements > self.limits.max_elements:
            raise self.limits.exceeded("max_elements")

    def warn(self, warning: str) -> None:
        """Notes what is odd, once, and not without end."""
        if warning not in self.warnings and len(self.warnings) < _MOST_WARNINGS:
            full = len(self.warnings) == _MOST_WARNINGS - 1
            self.warnings.append("further warnings are left out" if full else warning)


class Bytes(NamedTuple):
    """What a data set and all its items have in common: their bytes, and how to unpack numbers in their order."""

    body: bytes
    account: Account
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
    place: str  # what precedes a tag in `where`: "", or for an item of a sequence "00400275[1]."
    source: Bytes

    def raw(self, tag: int) -> bytes | None:
        """The value field as it is; None when there is no such element.

        Raises Invalid, code `max-field-size`, where it is longer than that.
        """
        element = self.elements.get(tag)
        if element is None:
            return None
        start, stop = element.start, element.stop
        if stop - start > self.source.account.limits.max_field_size:
            raise self.source.account.limits.exceeded("max_field_size")
        return self.source.body[start:stop]

    @property
    def order(self) -> str:
        """The byte order of numbers, as `struct` writes it."""
        return self.source.order

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about all that was read of this object: places and causes, never values."""
        return tuple(self.source.account.warnings)

    def where(self, tag: int) -> str:
        """The place of an element of this data set, as `core/model.py` writes it."""
        return f"{self.place}{tag:08X}"

    def warn(self, tag: int, oddity: str) -> None:
        """Notes what is odd about an element."""
        self.source.account.warn(f"{as_written(self.where(tag))}: {oddity}")

    def count(self, number: int) -> None:
        """Charges values to `max_elements`: a small element with very many of them is no cheaper.

        Raises Invalid, code `max-elements`.
        """
        self.source.account.charge(number)

    def few(self, number: int) -> None:
        """Bounds values of which each becomes far more than its bytes.

        Raises Invalid, code `max-repetitions`.
        """
        limits = self.source.account.limits
        if number > limits.max_repetitions:
            raise limits.exceeded("max_repetitions")

    def items(self, tag: int, *, few: bool = False) -> list["DataSet"]:
        """The items of a sequence, none when it is absent or empty; `few` where each becomes far more than its bytes.

        Raises Invalid: `dicom-malformed` where the bytes are not those of items, `max-elements`, `max-nesting`, and for
        `few` `max-repetitions`.
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
            source.account.charge(1)
            if few:
                self.few(len(items) + 1)
            stop = element.stop if length == _UNDEFINED else position + length
            if stop > element.stop:
                raise _beyond(source, element.stop, tag)
            item, position = data_set(
                source,
                position,
                stop,
                implicit=self.implicit or looks_implicit(source.body, position),
                depth=self.depth + 1,
                character_sets=self.character_sets,
                place=f"{self.where(tag)}[{len(items) + 1}].",
                ends=_ITEM_END.__eq__ if length == _UNDEFINED else _nowhere,
            )
            items.append(item)
            if length == _UNDEFINED:
                position += 8  # the delimiter
        return items


def tag_name(tag: int) -> str:
    """A tag as the standard writes it: `(0008,0050)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def as_written(where: str) -> str:
    """A place for people: `(0040,0275)[1] > (0008,0050)` for `00400275[1].00080050`."""
    return " > ".join(tag_name(int(part[:8], 16)) + part[8:] for part in where.split("."))


def is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Whether an element reserves a block of private ones (PS3.5 7.8.1)."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def creator_tag(tag: int) -> int:
    """The element that reserves the block of a private one: (gggg,00bb) for (gggg,bb00-bbFF) (PS3.5 7.8.1)."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def bytes_of(body: bytes, order: str, account: Account) -> Bytes:
    """Bytes in an order, `<` or `>`."""
    explicit, implicit, length = _UNPACK[order]
    return Bytes(body, account, explicit, implicit, length, struct.pack(f"{order}HHL", 0xFFFE, 0xE0DD, 0), order)


_UNPACK = {
    order: (
        struct.Struct(f"{order}HH2sH").unpack_from,
        struct.Struct(f"{order}HHL").unpack_from,
        struct.Struct(f"{order}L").unpack_from,
    )
    for order in "<>"
}


def looks_implicit(body: bytes, position: int) -> bool:
    """Whether the two bytes after a tag are no VR; as a length they would be one only above 16 KB."""
    vr = body[position + 4 : position + 6]
    return not (vr.isalpha() and vr.isupper())


def data_set(
    source: Bytes,
    start: int,
    stop: int,
    *,
    implicit: bool,
    ends: Callable[[int], bool],
    depth: int = 0,
    character_sets: bytes = b"",
    place: str = "",
    wanted: Container[int] | None = None,
) -> tuple[DataSet, int]:
    """The data set from `start`, and the position at `stop` or of the first element whose tag `ends` it.

    `wanted` are the tags to find, None for all. Raises Invalid: `dicom-truncated`, `dicom-malformed`, `max-elements`,
    `max-nesting`.
    """
    elements, position = _walk(source, start, stop, implicit, depth, ends, wanted)
    stated = elements.get(_SPECIFIC_CHARACTER_SET)
    if stated is not None:
        character_sets = source.body[stated.start : min(stated.stop, stated.start + _LONGEST_CHARACTER_SETS)]
    return DataSet(elements, character_sets, implicit, depth, place, source), position


def _walk(
    source: Bytes,
    start: int,
    stop: int,
    implicit: bool,
    depth: int,
    ends: Callable[[int], bool],
    wanted: Container[int] | None,
) -> tuple[dict[int, Element], int]:
    """The elements and the end of a data set; see there."""
    account = source.account
    if depth > account.limits.max_nesting:
        raise account.limits.exceeded("max_nesting")
    body, unpack_explicit, unpack_implicit = source.body, source.explicit, source.implicit
    max_elements = account.limits.max_elements
    elements: dict[int, Element] = {}
    position, tag = start, 0
    while position < stop:
        if stop - position < 8:
            raise _ends_after(source, stop, tag)
        previous = tag
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
        if not tag:  # a file that was written to its full size, but not filled; no data set has (0000,0000)
            raise _ends_after(source, len(body), previous)
        account.elements += 1  # as `charge`, without the time of a call
        if account.elements > max_elements:
            raise account.limits.exceeded("max_elements")
        if length == _UNDEFINED:
            end = _skip_items(_of_items(source, vr), position, stop, implicit, depth + 1, tag)
        else:
            end = position + length
            if end > stop:
                raise _beyond(source, stop, tag)
        if wanted is None or tag in wanted:
            # The last holds; of the data set itself nobody can know which is meant.
            if tag in elements and group != 2 and body[slice(*elements[tag][1:3])] != body[position:end]:
                raise Invalid("dicom-malformed", f"{tag_name(tag)} stands twice with different values")
            elements[tag] = Element(vr, position, end, length == _UNDEFINED)
        position = end
    if ends(_ITEM_END):  # an item of undefined length without its delimiter, or a file that is all group 0002
        raise _ends_after(source, stop, tag)
    return elements, position


def _skip_items(source: Bytes, start: int, stop: int, implicit: bool, depth: int, tag: int) -> int:
    """The end of a value of undefined length that starts at `start`, its delimiter included (PS3.5 7.5.2, A.4)."""
    position = start
    while True:
        kind, length, position = _delimiter(source, position, stop, tag)
        if kind == _SEQUENCE_END:
            return position
        if kind != _ITEM:  # not made of items, so that only the delimiter can tell where it ends
            found = source.body.find(source.sequence_end, position - 8, stop)
            if found < 0:
                raise _beyond(source, stop, tag)
            return found + len(source.sequence_end)
        source.account.charge(1)
        if length == _UNDEFINED:
            item_implicit = implicit or looks_implicit(source.body, position)
            _, position = _walk(source, position, stop, item_implicit, depth, _ITEM_END.__eq__, _NOTHING)
            position += 8  # the delimiter
        else:
            position += length


def _delimiter(source: Bytes, position: int, stop: int, tag: int) -> tuple[int, int, int]:
    """The tag of the item or delimiter at `position`, its length, and the position after it."""
    if stop - position < 8:
        raise _beyond(source, stop, tag)
    group, number, length = source.implicit(source.body, position)
    return group << 16 | number, length, position + 8


def _of_items(source: Bytes, vr: str | None) -> Bytes:
    """Items inside an element stated as UN are little endian, whatever is around them (PS3.5 6.2.2, note 2)."""
    return bytes_of(source.body, "<", source.account) if vr == "UN" and source.order == ">" else source


def _beyond(source: Bytes, stop: int, tag: int) -> Invalid:
    if stop == len(source.body):
        return Invalid("dicom-truncated", f"the file ends inside {tag_name(tag)}")
    return Invalid("dicom-malformed", f"{tag_name(tag)} is longer than what holds it")


def _ends_after(source: Bytes, stop: int, tag: int) -> Invalid:
    place = f"after {tag_name(tag)}" if tag else "before its first element"
    if stop == len(source.body):
        return Invalid("dicom-truncated", f"the file ends {place}")
    return Invalid("dicom-malformed", f"an item has bytes left over {place}")
