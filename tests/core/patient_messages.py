"""Patient messages in few words: what they state, merge, link and unlink."""

from typing import Literal

from msgspec import UNSET

from bridge.core.model import IdentityChange, MessageSource, PatientUpdate
from tests.core.builders import identifiers, person

EARLY, NOON, LATE = "2026-01-01T08:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T20:00:00Z"


def change(
    kind: Literal["merge", "link", "unlink"],
    patient: str,
    prior: str,
    at: str = NOON,
    prior_name: str = "",
    facility: str | None = "HOSP",
) -> IdentityChange:
    source = MessageSource("ADT", facility, "ADT^A40", "1", "orders")
    names = person(name=prior_name).names
    return IdentityChange(at, "A40", source, kind, identifiers(patient), identifiers(prior), names)


def merge(
    prior: str, *, into: str, at: str = NOON, prior_name: str = "", facility: str | None = "HOSP"
) -> IdentityChange:
    return change("merge", into, prior, at, prior_name, facility)


def link(one: str, other: str, at: str = NOON) -> IdentityChange:
    return change("link", one, other, at)


def unlink(one: str, other: str, at: str = NOON) -> IdentityChange:
    return change("unlink", one, other, at)


def states(
    ids: str,
    name: str = "",
    born: str = "",
    sex: str = "",
    *,
    at: str = LATE,
    facility: str | None = "HOSP",
) -> PatientUpdate:
    """What an update (ADT^A08) says; what is not given is not mentioned."""
    said = person(ids, name, born, sex)
    return PatientUpdate(
        at,
        "A08",
        MessageSource("ADT", facility, "ADT^A08", "2", "orders"),
        said.identifiers,
        said.names or UNSET,
        said.birth_date or UNSET,
        said.sex or UNSET,
    )
