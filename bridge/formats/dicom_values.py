"""Decodes the values of DICOM elements: text in its character set, names, dates, and the DICOM JSON Model.

What cannot be decoded is replaced (text) or left out (anything else), so that an odd value never fails an object.
"""

import re
import struct
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from math import isfinite
from typing import Any

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR, private_dictionary_VR, tag_for_keyword

from bridge.core.errors import ConfigError, Invalid
from bridge.core.instance_number import parse_instance_number
from bridge.core.model import PersonName
from bridge.formats.dicom_elements import DataSet, Element

_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103

_ESC = 0x1B
_FRAGMENT = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
# What ends a switch to another character set inside a value (PS3.5 6.1.2.5.3).
_DELIMITER = re.compile(rb"[\\\r\n\f\t]")
_NAME_DELIMITER = re.compile(rb"[\\\r\n\f\t^=]")
_MISSPELLED = re.compile(r"^ISO[-_ ]?(2022[-_ ]?)?IR[-_ ]?")  # such as ISO-IR 100
_HELD_BY_CODEC = ("iso2022_jp", "iso2022_jp_2")  # Python's codecs read these escape sequences themselves

_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", re.ASCII)  # with dots: ACR-NEMA 300 (PS3.5 6.2)
_DATETIME = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d{1,6}))?)?)?)?)?)?(?P<offset>[+-]\d{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_CODED_IN_CHARACTER_SET = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}  # PS3.5 6.1.2.2; any other VR is ASCII
_SINGLE_VALUED = {"LT", "ST", "UR", "UT"}  # a backslash in them is a character (PS3.5 6.2)
_TEXT = _CODED_IN_CHARACTER_SET | {"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"}
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}


def text(data_set: DataSet, tag: int) -> str | None:
    """The whole value of a text element without padding, None when it is absent or blank.

    A backslash stays: the elements that are read through here have one value, and taking the first of several could
    give an identifier that belongs to something else.
    """
    raw = data_set.raw(tag)
    return _trimmed(decode(raw, data_set.character_sets)) if raw else None


def texts(data_set: DataSet, tag: int) -> list[str | None]:
    """The values of a text element that may have several, each without padding, None where one is blank."""
    raw = data_set.raw(tag)
    return [_trimmed(value) for value in decode(raw, data_set.character_sets).split("\\")] if raw else []


def person_names(data_set: DataSet, tag: int) -> tuple[PersonName, ...]:
    """The names of a PN element, blank ones left out."""
    raw = data_set.raw(tag)
    if not raw:
        return ()
    names = decode(raw, data_set.character_sets, _NAME_DELIMITER).split("\\")
    return tuple(PersonName(**groups) for name in names if (groups := _name_groups(name)))


def whole_date(data_set: DataSet, tag: int) -> str | None:
    """A date as `YYYY-MM-DD`; None when it is absent, or not a day of the calendar."""
    found = _DATE.fullmatch(text(data_set, tag) or "")
    if found is None:
        return None
    try:
        return date(*(int(part) for part in found.groups() if part)).isoformat()
    except ValueError:
        return None


def moment_in_utc(data_set: DataSet, tag: int, offset: str | None) -> str | None:
    """A DT (PS3.5 6.2) as RFC 3339 in UTC with six digits of fraction, so that the order of the texts is that of time.

    `offset` is Timezone Offset From UTC (0008,0201), for a value without its own; without either it is taken as UTC.
    What the value leaves out is the earliest possible. None when it is absent or no time.
    """
    found = _DATETIME.fullmatch(text(data_set, tag) or "")
    if found is None:
        return None
    try:
        local = datetime(
            int(found["year"]),
            int(found["month"] or 1),
            int(found["day"] or 1),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
            min(int(found["second"] or 0), 59),  # 60 is a leap second
            int((found["fraction"] or "").ljust(6, "0")),
            _zone(found["offset"] or offset),
        )
        return f"{local.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    except (ValueError, OverflowError):
        return None


def attribute_tag(name: str) -> int:
    """The tag of an attribute written as keyword (`PatientID`) or tag (`00100020`, `(0010,0020)`).

    Raises ConfigError when it is neither.
    """
    tag = tag_for_keyword(name) if name else None
    if tag is None and (found := re.fullmatch(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?", name.replace(" ", ""))):
        tag = int(found[1] + found[2], 16)
    if tag is None:
        raise ConfigError(f"{name!r} is neither the keyword nor the tag of a DICOM attribute")
    return tag


def json_model(data_set: DataSet, tags: Collection[int]) -> dict[str, Any]:
    """These attributes of a data set in the DICOM JSON Model (PS3.18 F), as far as it has them.

    Binary values (OB, OD, OF, OL, OV, OW, UN) are left out, and so is what cannot be decoded; inside a sequence,
    private elements too. A private attribute comes with its creator; in implicit VR its VR is the one pydicom knows.
    """
    model: dict[str, Any] = {}
    wanted = set(tags)
    wanted.update(_creator(tag) for tag in tags if _is_private(tag))
    for tag in sorted(wanted):
        element = data_set.elements.get(tag)
        if element is None:
            continue
        try:
            attribute = _attribute(data_set, tag, element)
        except (Invalid, struct.error):
            continue
        if attribute is not None:
            model[f"{tag:08X}"] = attribute
    return model


def decode(raw: bytes, character_sets: bytes, delimiter: re.Pattern[bytes] = _DELIMITER) -> str:
    """The text of a value without trailing padding; `character_sets` is the value of (0008,0005) that applies to it.

    U+FFFD stands for bytes that are not in their character set, and for NULs, which databases refuse. ISO 2022 escape
    sequences are followed even where (0008,0005) does not announce them (PS3.3 C.12.1.1.2, PS3.5 6.1.2.5).
    """
    encoding, escapes = _encoding(character_sets)
    if _ESC not in raw or not escapes:
        decoded = raw.decode(encoding, "replace")
    else:
        decoded = "".join(_fragment(part, encoding, delimiter) for part in _FRAGMENT.findall(raw))
    return decoded.rstrip(" \0").replace("\0", "\ufffd")


@lru_cache(maxsize=64)
def _encoding(character_sets: bytes) -> tuple[str, bool]:
    """The codec of the first character set, and whether others may be switched to."""
    first = character_sets.split(b"\\")[0].decode("ascii", "replace").strip(" \0")
    name = _MISSPELLED.sub(lambda found: "ISO 2022 IR " if found[1] else "ISO_IR ", first)
    return python_encoding.get(name, default_encoding), name not in STAND_ALONE_ENCODINGS


def _fragment(fragment: bytes, encoding: str, delimiter: re.Pattern[bytes]) -> str:
    """A part of a value that starts with the escape sequence it is in, the first one with none."""
    length = 4 if fragment[:3] in (b"\x1b$(", b"\x1b$)") else 3
    switched = CODES_TO_ENCODINGS.get(fragment[:length])
    if switched is None:
        return fragment.decode(encoding, "replace")
    if switched in _HELD_BY_CODEC:
        return fragment.decode(switched, "replace")
    rest = fragment[length:]
    found = delimiter.search(rest)
    end = found.start() if found else len(rest)
    return rest[:end].decode(switched, "replace") + rest[end:].decode(encoding, "replace")


def _trimmed(value: str) -> str | None:
    return value.strip(" \0") or None


def _name_groups(name: str) -> dict[str, str]:
    groups = zip(("alphabetic", "ideographic", "phonetic"), name.split("="), strict=False)
    return {kind: group.strip(" \0") for kind, group in groups if group.strip(" \0^")}


def _zone(offset: str | None) -> timezone:
    """A DICOM offset, `+0100`; UTC where it is missing or none."""
    found = _OFFSET.fullmatch(offset or "")
    if found is None:
        return UTC
    distance = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-distance if found[1] == "-" else distance)


def _attribute(data_set: DataSet, tag: int, element: Element) -> dict[str, Any] | None:
    if tag == _SPECIFIC_CHARACTER_SET:
        return {"vr": "CS", "Value": ["ISO_IR 192"]}  # of what is published, which is UTF-8 (PS3.18 F.1.1)
    vr = _vr(data_set, tag, element)
    if vr == "SQ":
        items = [
            json_model(item, [inner for inner in item.elements if not _is_private(inner)])
            for item in data_set.items(tag)
        ]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    raw = data_set.raw(tag) or b""
    values: list[Any]
    if vr in _NUMBERS:
        values = _numbers(raw, vr, data_set.order)
    elif vr == "AT":
        pairs = struct.iter_unpack(f"{data_set.order}HH", raw)
        values = [f"{group:04X}{number:04X}" for group, number in pairs]
    elif vr == "PN":
        names = decode(raw, data_set.character_sets, _NAME_DELIMITER).split("\\")
        values = [{kind.capitalize(): group for kind, group in _name_groups(name).items()} or None for name in names]
    elif vr in _TEXT or vr in ("DS", "IS"):
        decoded = decode(raw, data_set.character_sets if vr in _CODED_IN_CHARACTER_SET else b"")
        parts = [decoded.rstrip(" ")] if vr in _SINGLE_VALUED else [part.strip(" \0") for part in decoded.split("\\")]
        values = [_number(part, vr) if vr in ("DS", "IS") else part for part in parts]
        values = [None if value == "" else value for value in values]
    else:
        return None
    return {"vr": vr, "Value": values} if any(value is not None for value in values) else {"vr": vr}


def _vr(data_set: DataSet, tag: int, element: Element) -> str:
    """The VR as stated, else the dictionary's."""
    if element.vr is not None and element.vr != "UN":
        return element.vr
    try:
        if _is_private(tag):
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return "LO"  # a creator
            return private_dictionary_VR(tag, text(data_set, _creator(tag)) or "")
        vr = dictionary_VR(tag)
    except KeyError:
        return "UN"
    if vr == "US or SS":
        return "SS" if (data_set.raw(_PIXEL_REPRESENTATION) or b"").strip(b"\0") else "US"
    return vr


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


def _creator(tag: int) -> int:
    """The element that reserves the block of a private one: (gggg,00bb) for (gggg,bb00-bbFF) (PS3.5 7.8.1)."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


def _numbers(raw: bytes, vr: str, order: str) -> list[Any]:
    """Binary numbers; one that JSON cannot write, such as NaN, is None."""
    numbers = [number for (number,) in struct.iter_unpack(order + _NUMBERS[vr], raw)]
    return [number if isfinite(number) else None for number in numbers]


def _number(value: str, vr: str) -> int | float | str:
    """The number that an IS or DS writes, the text itself where it breaks the rules of its VR (PS3.18 F.2.3.1)."""
    if vr == "IS":
        number = parse_instance_number(value.encode(errors="replace"), None).value
        return value if number is None else number
    if len(value) > 16 or not _DECIMAL.fullmatch(value) or not isfinite(float(value)):
        return value
    return int(value) if value.lstrip("+-").isdigit() else float(value)
