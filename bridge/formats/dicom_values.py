"""Decodes the values of DICOM elements: text in its character set, names, dates, and the DICOM JSON Model.

What cannot be decoded is replaced (text) or left out (anything else), so that an odd value never fails an object. What
is odd about a value that is read for itself is noted in the warnings of its data set.
"""

import re
import struct
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from math import isfinite
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, private_dictionary_VR, tag_for_keyword

from bridge.core.errors import ConfigError, Invalid
from bridge.core.instance_number import parse_instance_number
from bridge.core.model import PersonName
from bridge.formats.dicom_charsets import NAME_DELIMITER, PADDING, VALUE_DELIMITER, decode, is_undeclared_utf8
from bridge.formats.dicom_elements import DataSet, Element, creator_tag, is_creator, is_private, tag_name
from bridge.formats.lost_characters import LOST, are_all_question_marks, is_lost

_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
NEEDED_FOR_JSON = frozenset((_PIXEL_REPRESENTATION,))  # what `json_model` looks for beside what it writes

_DATE = re.compile(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", re.ASCII)  # with dots: ACR-NEMA 300 (PS3.5 6.2)
_DATETIME = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?:(?P<day>\d\d)(?:(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d{1,6}))?)?)?)?)?)?(?P<offset>[+-]\d{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

_PART = re.compile(r"[\\=]")  # the = separates component groups of names, and is rare in anything else
_UID = re.compile(r"[0-9.\\]+", re.ASCII)

_CODED_IN_CHARACTER_SET = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}  # PS3.5 6.1.2.2; any other VR is ASCII
_OF_LINES = {"LT", "ST", "UT"}  # paragraphs, whose white space means something
_SINGLE_VALUED = {"LT", "ST", "UR", "UT"}  # a backslash in them is a character (PS3.5 6.2)
_TEXT = _CODED_IN_CHARACTER_SET | {"AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"}
_LONGEST = {"AE": 16, "CS": 16, "LO": 64, "PN": 64, "SH": 16, "UI": 64}  # characters; PN: of each component group
_LONGEST_THAT_IS_KEPT = 250  # characters of a UID, though the standard allows 64: databases index no longer ones
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_REPEATING = (0x50, 0x60)  # curves and overlays, whose groups are any even one of 50xx and 60xx (PS3.5 7.6)
_BINARY = {"OB", "OD", "OF", "OL", "OV", "OW"}
_DECODED = _TEXT | set(_NUMBERS) | {"AT", "DS", "IS"}
_NO_TEXT = _BINARY | set(_NUMBERS) | {"AT", "SQ"}


def is_text(tag: int) -> bool:
    """Whether the standard has an element as text that is no number: as neither DS nor IS."""
    return _definition(tag)[0] in _TEXT


def text_field(data_set: DataSet, tag: int) -> bytes | None:
    """The value field of a text element; None, with a warning, where its bytes are those of something else.

    Numbers read as characters could be somebody's identifier.
    """
    raw = data_set.raw(tag)
    if not raw:
        return raw
    element = data_set.elements[tag]
    if element.vr in _NO_TEXT:
        data_set.warn(tag, f"stated as {element.vr}, which is no text; not used")
        return None
    if element.has_delimiter:
        data_set.warn(tag, "of undefined length, which no text is; not used")
        return None
    return raw


def text(data_set: DataSet, tag: int) -> str | None:
    """The whole value of a text element without padding, None when it is absent, blank or stated as no text.

    A backslash stays: taking the first of several values could give an identifier that belongs to something else.
    Bytes that cannot be read are `lost_characters.LOST`.
    """
    raw = text_field(data_set, tag)
    value = _trimmed(_decoded(data_set, tag, raw)) if raw else None
    if value is None:
        return None
    vr, single = _definition(tag)
    if single and "\\" in value and vr not in _SINGLE_VALUED:
        data_set.warn(tag, "several values where one is allowed; kept as one")
    if vr == "UI" and len(value) > _LONGEST_THAT_IS_KEPT:
        data_set.warn(tag, f"longer than {_LONGEST_THAT_IS_KEPT} characters; not used")
        return None
    if vr == "UI" and not _UID.fullmatch(value):
        data_set.warn(tag, "characters that no UID has; kept")
    return value


def texts(data_set: DataSet, tag: int) -> list[str | None]:
    """The values of a text element that may have several, each without padding, None where one is blank."""
    raw = text_field(data_set, tag)
    if not raw:
        return []
    values = [_trimmed(value) for value in _decoded(data_set, tag, raw).split("\\")]
    data_set.few(len(values))
    return values


def person_names(data_set: DataSet, tag: int) -> tuple[PersonName, ...]:
    """The names of a PN element, blank ones left out.

    So are the representations that cannot be read in full: those with lost characters, and those of question marks
    alone, which an engine leaves of names that its character set cannot write. As names they would contradict the
    patient's, or agree with another's.
    """
    raw = text_field(data_set, tag)
    if not raw:
        return ()
    values = _decoded(data_set, tag, raw, NAME_DELIMITER).split("\\")
    data_set.few(len(values))
    if len(values) > 1:
        data_set.warn(tag, "several values where one is allowed; each is taken for a name")
    names, switched = [], b"2022" in data_set.character_sets
    for value in values:
        groups = {
            kind: group for kind, group in _name_groups(value).items() if _readable(data_set, tag, group, switched)
        }
        if groups:
            names.append(PersonName(**groups))
    return tuple(names)


def whole_date(data_set: DataSet, tag: int) -> str | None:
    """A date as `YYYY-MM-DD`; None when it is absent, or not a day of the calendar."""
    stated = text(data_set, tag)
    if stated is None:
        return None
    found = _DATE.fullmatch(stated)
    try:
        if found:
            return date(*(int(part) for part in found.groups() if part)).isoformat()
    except ValueError:
        pass
    data_set.warn(tag, "no date; left out")
    return None


def moment_in_utc(data_set: DataSet, tag: int, offset: str | None) -> str | None:
    """A DT (PS3.5 6.2) as RFC 3339 in UTC with six digits of fraction, so that the order of the texts is that of time.

    `offset` is Timezone Offset From UTC (0008,0201), for a value without its own; without either it is taken as UTC.
    What the value leaves out is the earliest possible. None when it is absent or no time.
    """
    stated = text(data_set, tag)
    if stated is None:
        return None
    found = _DATETIME.fullmatch(stated)
    try:
        if found:
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
        pass
    data_set.warn(tag, "no date and time; left out")
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


def with_creators(tags: Iterable[int]) -> tuple[int, ...]:
    """These tags in their order, private ones with the elements that reserve their blocks."""
    stated = set(tags)
    return tuple(sorted(stated | {creator_tag(tag) for tag in stated if is_private(tag)}))


def json_model(data_set: DataSet, tags: Iterable[int]) -> dict[str, Any]:
    """These attributes of a data set in the DICOM JSON Model (PS3.18 F), as far as it has them.

    Binary values (OB, OD, OF, OL, OV, OW, UN) are left out, and so is what cannot be decoded; inside a sequence,
    private elements too. In implicit VR the VR of a private attribute is the one that pydicom knows for its creator.
    Raises Invalid where a limit is exceeded.
    """
    model: dict[str, Any] = {}
    for tag in tags:
        element = data_set.elements.get(tag)
        if element is None:
            continue
        try:
            attribute = _attribute(data_set, tag, element)
        except (Invalid, struct.error) as error:
            if isinstance(error, Invalid) and error.code.startswith("max-"):
                raise
            data_set.warn(tag, "cannot be read; left out")
            continue
        if attribute is not None:
            model[f"{tag:08X}"] = attribute
    return model


@lru_cache(maxsize=1024)
def _definition(tag: int) -> tuple[str, bool]:
    """VR and whether only one value is allowed (PS3.6); UN where the dictionary has no such element."""
    if not dictionary_has_tag(tag) and tag >> 24 not in _REPEATING:  # searching all of these is slow
        return "UN", True
    try:
        return dictionary_VR(tag), dictionary_VM(tag) == "1"
    except KeyError:
        return "UN", True


def _decoded(data_set: DataSet, tag: int, raw: bytes, delimiter: re.Pattern[bytes] = VALUE_DELIMITER) -> str:
    """The text of a value, with a warning for all that is odd about it as a text of its VR."""
    vr, _ = _definition(tag)
    character_sets = data_set.character_sets if vr in _CODED_IN_CHARACTER_SET else b""
    decoded = decode(raw.strip(PADDING.encode()), character_sets, delimiter)
    if LOST in decoded:
        data_set.warn(
            tag, "characters that cannot be read: not in the declared character set, or lost in an earlier system"
        )
    elif is_undeclared_utf8(raw, character_sets):
        data_set.warn(tag, "declared as another character set, but UTF-8; read as that")
    longest = _LONGEST.get(vr)
    if longest and len(decoded) > longest and any(len(part.strip(PADDING)) > longest for part in _PART.split(decoded)):
        data_set.warn(tag, f"longer than {vr} allows ({longest} characters); kept whole")
    return decoded


def _trimmed(value: str) -> str | None:
    return value.strip(PADDING) or None


def _name_groups(name: str) -> dict[str, str]:
    groups = zip(("alphabetic", "ideographic", "phonetic"), name.split("="), strict=False)
    return {kind: group.strip(PADDING) for kind, group in groups if group.strip(PADDING + "^")}


def _readable(data_set: DataSet, tag: int, group: str, switched: bool) -> bool:
    """Whether one representation of a name can be used; `switched`: several character sets are declared (ISO 2022)."""
    if are_all_question_marks(group) or (switched and group.count("?") > 1):
        data_set.warn(
            tag,
            "? in place of letters: an engine has written the object anew and lost them; "
            "publish it without a source transformer step",
        )
    if LOST in group:
        data_set.warn(tag, "not used where it cannot be read in full")
    return not is_lost(group)


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
            json_model(item, [inner for inner in item.elements if not is_private(inner)])
            for item in data_set.items(tag)
        ]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr not in _DECODED:
        return None
    if element.has_delimiter:
        raise Invalid("dicom-malformed", f"{tag_name(tag)} is no sequence, but of undefined length")
    raw = data_set.raw(tag) or b""
    values: list[Any]
    if vr in _NUMBERS:
        values = _numbers(raw, vr, data_set.order)
    elif vr == "AT":
        pairs = struct.iter_unpack(f"{data_set.order}HH", raw)
        values = [f"{group:04X}{number:04X}" for group, number in pairs]
    elif vr == "PN":
        names = decode(raw, data_set.character_sets, NAME_DELIMITER).split("\\")
        values = [{kind.capitalize(): group for kind, group in _name_groups(name).items()} or None for name in names]
    else:
        values = [None if value == "" else value for value in _strings(data_set, vr, raw)]
    data_set.count(len(values))
    return {"vr": vr, "Value": values} if any(value is not None for value in values) else {"vr": vr}


def _strings(data_set: DataSet, vr: str, raw: bytes) -> list[Any]:
    """The values of a VR that is written in characters, those of DS and IS as numbers where they are some."""
    if vr in ("DS", "IS"):
        return [_number(part.strip(" \0"), vr) for part in decode(raw, b"").split("\\")]
    if vr not in _OF_LINES:
        raw = raw.strip(PADDING.encode())
    decoded = decode(raw, data_set.character_sets if vr in _CODED_IN_CHARACTER_SET else b"")
    if vr in _OF_LINES:
        return [decoded.rstrip(" ")]
    return [part.strip(PADDING) for part in ([decoded] if vr in _SINGLE_VALUED else decoded.split("\\"))]


def _vr(data_set: DataSet, tag: int, element: Element) -> str:
    """The VR as stated, where the standard has it and it says something, else the dictionary's."""
    if element.vr in _DECODED or element.vr in _BINARY or element.vr == "SQ":
        return element.vr
    vr = _definition(tag)[0]
    if vr == "UN" and is_private(tag):
        if is_creator(tag):
            return "LO"
        try:
            return private_dictionary_VR(tag, text(data_set, creator_tag(tag)) or "")
        except KeyError:
            return "UN"
    if vr == "US or SS":
        return "SS" if (data_set.raw(_PIXEL_REPRESENTATION) or b"").strip(b"\0") else "US"
    return vr


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
