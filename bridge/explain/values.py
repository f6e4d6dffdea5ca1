"""How single values are written for people: numbers, patients, places and times, hidden where patient data must be."""

from datetime import datetime

from bridge.core.events import PublishedOrder, PublishedPatient
from bridge.core.model import Identifier, OrderReference
from bridge.core.redaction import HIDDEN, printable

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def shown(value: str, redact: bool) -> str:
    return HIDDEN if redact else printable(value)


def place(tag_or_path: str) -> str:
    """`0020000D` as (0020,000D); an HL7 path, or a path through sequences, stays as it is."""
    is_tag = len(tag_or_path) == 8 and tag_or_path.isalnum() and tag_or_path[0].isdigit()
    return f"({tag_or_path[:4]},{tag_or_path[4:]})" if is_tag else tag_or_path


def order_name(order: PublishedOrder, redact: bool) -> str:
    """The filler, else placer, else accession number; without patient data the order's id."""
    number = order.filler_order_number or order.placer_order_number or order.accession_number
    return order.id if redact or number is None else printable(number.value)


def reference_name(order: OrderReference, redact: bool) -> str:
    """The same of an order as a person named it."""
    number = order.filler_order_number or order.placer_order_number or order.accession_number
    return order.id if redact or number is None else printable(number.value)


def patient(one: PublishedPatient, redact: bool) -> str:
    """Identifiers, name, birth date and sex in a line."""
    if redact:
        return HIDDEN
    numbers = " / ".join(identifier.value for identifier in one.identifiers) or "no identifier"
    name = one.name
    names = " = ".join(n for n in (name.alphabetic, name.ideographic, name.phonetic) if n) if name else ""
    return printable(f"{numbers}   {names or 'no name'}   born {one.birth_date or '?'}   {one.sex or ''}".rstrip())


def identifier(one: Identifier, redact: bool) -> str:
    """VALUE, or VALUE^ISSUER as `bridge unmerge` takes it."""
    if redact:
        return HIDDEN
    issuer = one.issuer
    parts = [issuer.namespace_id, issuer.universal_id, issuer.universal_id_type] if issuer else []
    written = "&".join(part or "" for part in parts).rstrip("&")
    return printable(f"{one.value}^{written}" if written else one.value)


def moment(at: str) -> str:
    """`2026-11-23 09:41:07` of an RFC 3339 time; a date stays a date."""
    return at[:19].replace("T", " ")


def age(since: str, now: str) -> str:
    """How long ago something was, as `45 s`, `90 min`, `26 h` or `2 d`: the largest unit of which it has two."""
    seconds = max(0, int((datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()))
    return next((f"{seconds // size} {unit}" for size, unit in _UNITS if seconds >= 2 * size), f"{seconds} s")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
