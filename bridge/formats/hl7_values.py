"""HL7 v2 data types (EI, CX, HD, XPN, XCN, CE, DTM) to the model's values, each in the place it was read from.

Most functions answer with one of three: a value; None, where the sender deletes it (`""`); UNSET, where it is absent.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple, TypeAlias, TypeVar

from msgspec import UNSET, UnsetType

from bridge.core.model import Code, Identifier, Issuer, Person, PersonName, Stated
from bridge.formats.hl7 import HL7_NULL, Encoding, Segment
from bridge.formats.lost_characters import LOST, is_lost

T = TypeVar("T")
Said: TypeAlias = T | UnsetType | None

_DTM = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6})|([0-9]{3}))?)?)?)?)?)?"
    r"(?P<offset>[+-][0-9]{4})?"
)
_BIRTH_DATE = re.compile(r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})[0-9.]*)?)?(?:[+-][0-9]{4})?")
EARLIEST_YEAR, LATEST_YEAR = 1900, 9998  # nothing is ordered before, and the year after can be converted to UTC
_REPRESENTATIONS = {"A": "alphabetic", "I": "ideographic", "P": "phonetic"}  # HL7 table 0465
_NOT_IN_A_NAME = str.maketrans(dict.fromkeys("^=\\\r\n", " "))  # PS3.5 6.2, PN


def first(*said: Said[T]) -> Said[T]:
    """The first value; None where there is none but one is deleted."""
    for one in said:
        if one is not None and one is not UNSET:
            return one
    return None if None in said else UNSET


def known(said: Said[T]) -> T | None:
    """The value, where there is one."""
    return None if isinstance(said, UnsetType) else said


def text(segment: Segment | None, field: int, component: int = 1, repetition: int = 1) -> Said[str]:
    """A component of primitive type, trimmed; an `&` in it is no separator there."""
    if segment is None or field >= len(segment.fields) or not segment.fields[field]:
        return UNSET
    components = segment.components(field, repetition)
    if component > len(components):
        deleted = len(components) == 1 and components[0].strip() == HL7_NULL
        return None if deleted else UNSET
    return _text(segment.encoding, components[component - 1])


def stated(
    segment: Segment | None, field: int, component: int = 0, repetition: int = 1, *, read: int = 1
) -> Said[Stated]:
    """One component of a field, the first unless `read` says which.

    `component` is what its path names: 0 where the field's type has only one.
    """
    value = text(segment, field, read, repetition)
    if segment is None or not isinstance(value, str):
        return _empty(value)
    if not _is_usable(value):
        return UNSET
    return Stated(value, segment.where(field, repetition, component))


def entity(segment: Segment | None, field: int, component: int = 1, repetition: int = 1) -> Said[Identifier]:
    """An EI: identifier, namespace, universal ID and its type (HL7 2.5.1, 2.A.28). `component` as in `stated`."""
    value = text(segment, field, 1, repetition)
    if segment is None or not isinstance(value, str):
        return _empty(value)
    parts = segment.components(field, repetition)[1:4]
    if parts and len(glued := segment.encoding.subcomponents(parts[0])) > 1:
        parts = glued  # an HD in EI.2, as some senders write it
    issuer = _issuer(segment.encoding, parts)
    if not _is_usable(value, issuer):
        return UNSET
    return Identifier(value, segment.where(field, repetition, component), issuer)


def entity_of_pair(segment: Segment | None, field: int, component: int) -> Identifier | None:
    """An EI of an EIP, its parts subcomponents: the placer's is component 1, the filler's 2 (HL7 2.5.1, 2.A.29)."""
    parts = segment.components(field)[component - 1 : component] if segment else []
    if segment is None or not parts:
        return None
    value, *authority = segment.encoding.subcomponents(parts[0])
    said, issuer = known(_text(segment.encoding, value)), _issuer(segment.encoding, authority)
    return Identifier(said, segment.where(field, 1, component), issuer) if said and _is_usable(said, issuer) else None


def every(
    read: Callable[[Segment | None, int, int, int], Said[T]], segment: Segment | None, field: int, component: int
) -> list[Said[T]]:
    """`stated` or `entity` of every repetition of a field."""
    count = len(segment.repetitions(field)) if segment else 0
    return [read(segment, field, component, repetition) for repetition in range(1, count + 1)]


def distinct(said: Iterable[Said[T]]) -> tuple[T, ...] | UnsetType:
    """Every distinct value, the first place it stands in; empty where there is none but one is deleted."""
    every_one = list(said)
    found = tuple(one for one in news(every_one) if one is not None and not isinstance(one, UnsetType))
    return found if found or None in every_one else UNSET


def news(said: Iterable[Said[T]], known_already: Iterable[Said[T]] = ()) -> list[Said[T]]:
    """What neither is known already nor was said before: another value, or the same of another issuer."""
    issuers: dict[str, set[Issuer | None]] = {}
    for one in known_already:
        if isinstance(one, Identifier | Stated):
            issuers.setdefault(one.value, set()).add(_issuer_of(one))
    found: list[Said[T]] = []
    for one in said:
        if isinstance(one, Identifier | Stated):
            known_issuers, issuer = issuers.setdefault(one.value, set()), _issuer_of(one)
            if known_issuers and (issuer is None or not known_issuers.isdisjoint((None, issuer))):
                continue
            known_issuers.add(issuer)
        found.append(one)
    return found


def texts(segment: Segment | None, field: int) -> tuple[str, ...]:
    """The first component of every repetition that has one."""
    return tuple(said.value for said in every(stated, segment, field, 0) if isinstance(said, Stated))


def identifiers(segment: Segment | None, field: int) -> tuple[Identifier, ...] | UnsetType:
    """Every CX of a field."""
    if segment is None:
        return UNSET
    said = [patient_identifier(segment, field, one) for one in range(1, len(segment.repetitions(field)) + 1)]
    found = tuple(one for one in said if isinstance(one, Identifier))
    return found if found or None in said else UNSET


def patient_identifier(segment: Segment, field: int, repetition: int) -> Said[Identifier]:
    """A CX: identifier, assigning authority (.4) and type (.5) (HL7 2.5.1, 2.A.14)."""
    value = text(segment, field, 1, repetition)
    if not isinstance(value, str):
        return value
    authority = (*segment.components(field, repetition)[3:4], "")[0]
    issuer = _issuer(segment.encoding, segment.encoding.subcomponents(authority))
    if not _is_usable(value, issuer):
        return UNSET
    return Identifier(value, segment.where(field, repetition, 1), issuer, known(text(segment, field, 5, repetition)))


def names(segment: Segment | None, field: int) -> tuple[PersonName, ...] | UnsetType:
    """Every XPN of a field; those that XPN.8 calls alphabetic, ideographic and phonetic are one name (table 0465)."""
    if segment is None:
        return UNSET
    found: list[dict[str, str]] = []
    types: list[str | None] = []
    deleted = False
    for repetition in range(1, len(segment.repetitions(field)) + 1):
        parts = segment.components(field, repetition)
        name = person_name(segment.encoding, parts)
        if name is None:
            deleted = deleted or text(segment, field, 1, repetition) is None
            continue
        if is_lost(name):
            continue
        stated_in = known(text(segment, field, 8, repetition))
        representation = _REPRESENTATIONS.get(stated_in or "", "alphabetic")
        name_type = known(text(segment, field, 7, repetition))
        if stated_in in _REPRESENTATIONS and found and representation not in found[-1] and types[-1] == name_type:
            found[-1][representation] = name
        else:
            found.append({representation: name})
            types.append(name_type)
    return tuple(PersonName(**name) for name in found) if found or deleted else UNSET


def person_name(encoding: Encoding, parts: Sequence[str]) -> str | None:
    """XPN.1 to .6 (XCN.2 to .7, CNN.2 to .7) in DICOM's PN form: prefix before suffix, the degree behind the suffix.

    HL7: `Family^Given^Middle^Suffix^Prefix^Degree`; DICOM: `Family^Given^Middle^Prefix^Suffix` (PS3.5 6.2).
    """
    surname, *others = (*parts[:6], *[""] * 6)[:6]
    surname = encoding.subcomponents(surname)[0]  # FN.1 of FN: surname, own prefix, own surname, partner's
    clean = [_name_part(encoding, part) if part else "" for part in (surname, *others)]
    family, given, middle, suffix, prefix, degree = clean
    return "^".join((family, given, middle, prefix, f"{suffix} {degree}".strip())).rstrip("^") or None


def _name_part(encoding: Encoding, part: str) -> str:
    return (known(_text(encoding, part)) or "").translate(_NOT_IN_A_NAME).strip()


def person(segment: Segment | None, field: int, repetition: int = 1) -> Said[Person]:
    """An XCN: identifier (.1), name (.2 to .7), assigning authority (.9) (HL7 2.5.1, 2.A.88)."""
    if segment is None:
        return UNSET
    value = text(segment, field, 1, repetition)
    parts = segment.components(field, repetition)
    name = person_name(segment.encoding, parts[1:7])
    if name is None and not isinstance(value, str):
        return _empty(value)
    issuer = _issuer(segment.encoding, segment.encoding.subcomponents(parts[8]) if len(parts) > 8 else ())
    return Person(known(value), issuer, PersonName(name) if name else None)


def code(segment: Segment | None, field: int, component: int = 1, repetition: int = 1) -> Said[Code]:
    """A CE or CWE: code, text and coding system from this component on (HL7 2.5.1, 2.A.13)."""
    value = text(segment, field, component, repetition)
    display = text(segment, field, component + 1, repetition)
    if not (value or display):
        return _empty(first(value, display))
    return Code(known(value), known(display), known(text(segment, field, component + 2, repetition)))


def date_of_birth(said: str) -> str | None:
    """`YYYY`, `YYYY-MM` or `YYYY-MM-DD`, whatever time follows; None when it is no date."""
    found = _BIRTH_DATE.fullmatch(said)
    if not found:
        return None
    year, month, day = found.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return "-".join(part for part in (year, month, day) if part)


class Moment(NamedTuple):
    """A DTM to the day or better: `timed` is false for a day alone, `fraction` is the second's as sent (`.123`)."""

    when: datetime
    timed: bool
    fraction: str

    def rfc3339(self) -> str:
        """RFC 3339, or `YYYY-MM-DD` for a day alone."""
        return _rfc3339(self.when, self.fraction) if self.timed else self.when.isoformat()[:10]

    def in_utc(self) -> str:
        """RFC 3339 in UTC, a day alone being its first moment."""
        return _rfc3339(self.when.astimezone(UTC), self.fraction)


def moment(said: str, zone: tzinfo) -> Moment | None:
    """A DTM (HL7 2.5.1, 2.A.22); None when it is none, or less than a day.

    `zone` is where the sender is, for a time without offset.
    """
    found = _DTM.fullmatch(said)
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, glued, distance = found.groups()
    fraction = fraction or glued  # engines write milliseconds without the point, as their platform does by default
    own = _offset(distance) if distance else zone
    if day is None or own is None or not EARLIEST_YEAR <= int(year) <= LATEST_YEAR:
        return None
    try:
        time = (int(hour or 0), int(minute or 0), int(second or 0))
        when = datetime(int(year), int(month), int(day), *time, tzinfo=own)
    except ValueError:
        return None
    return Moment(when, hour is not None, f".{fraction}" if fraction else "")


def offset(said: str) -> tzinfo | None:
    """The offset from UTC that a DTM states, if it states one."""
    found = _DTM.fullmatch(said)
    return _offset(found["offset"]) if found and found["offset"] else None


def _offset(distance: str) -> tzinfo | None:
    hours, minutes = int(distance[1:3]), int(distance[3:])
    if hours > 23 or minutes > 59:
        return None
    behind_or_ahead = -1 if distance[0] == "-" else 1
    return timezone(behind_or_ahead * timedelta(hours=hours, minutes=minutes))


def _rfc3339(when: datetime, fraction: str) -> str:
    written = when.isoformat()
    place = written[19:25]
    return f"{written[:19]}{fraction}{'Z' if place == '+00:00' else place}"


def _text(encoding: Encoding, raw: str) -> Said[str]:
    trimmed = raw.strip()
    if not trimmed:
        return UNSET
    if trimmed == HL7_NULL:
        return None
    return encoding.unescape(trimmed).strip() or UNSET


def _empty(said: object) -> UnsetType | None:
    """What remains of something without a value: deleted or not mentioned."""
    return None if said is None else UNSET


def _issuer(encoding: Encoding, parts: Sequence[str]) -> Issuer | None:
    """HD: namespace ID, universal ID, its type (HL7 2.5.1, 2.A.33)."""
    found = [known(_text(encoding, part)) for part in parts[:3]]
    return Issuer(*found) if any(found) else None


def _issuer_of(said: Identifier | Stated) -> Issuer | None:
    return said.issuer if isinstance(said, Identifier) else None


def _is_usable(identifier: str, issuer: Issuer | None = None) -> bool:
    """Whether no character of it or its issuer was lost by an earlier system, and nobody put a line behind it."""
    stated = (identifier, issuer.namespace_id, issuer.universal_id) if issuer else (identifier,)
    return "\n" not in identifier and not any(LOST in part for part in stated if part)
