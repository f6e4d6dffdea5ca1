"""Whether two identifiers may be compared, and which of them belong to one person (DESIGN 4.2, 4.3)."""

from collections.abc import Container, Iterable
from functools import lru_cache
from typing import NamedTuple

from bridge.core.model import Identifier, Issuer
from bridge.core.policy import DEFAULT_POLICY, Policy

# HL7 table 0203, the types that belong to one person: medical record, internal, external, national unique identifier.
PERSON_TYPES = DEFAULT_POLICY.person_types

# What people type when a field insists on a value.
PLACEHOLDERS = frozenset({"NONE", "NULL", "N/A", "NA", "UNKNOWN", "UNK", "ANONYMOUS", "ANON", "TEST", "X"})

Designator = tuple[str, str]  # namespace and universal ID in one way of writing, "" for none


class Number(NamedTuple):
    """What an identifier states, without its type and the place that it was read from."""

    value: str
    issuer: Designator


@lru_cache(maxsize=16_384)  # the same numbers are looked at again and again while their study is decided
def is_placeholder(value: str, words: Container[str] = PLACEHOLDERS) -> bool:
    """Whether a value stands for "no value"."""
    return value.strip().upper() in words or not value.strip(" 0-.*?")


def of_one_person(identifiers: Iterable[Identifier], policy: Policy = DEFAULT_POLICY) -> list[Identifier]:
    """Those that belong to one person: no visit, account or insurance numbers, no placeholders."""
    return [i for i in identifiers if i.type_code in policy.person_types and not is_placeholder(i.value)]


def comparable_issuers(one: Issuer | None, other: Issuer | None, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether two identifiers may be compared: both issuers present and different means no (DESIGN 4.2).

    Where issuers are strict, one that is missing is comparable with nothing but another that is missing.
    """
    return comparable_designators(designator(one), designator(other), policy)


def comparable_designators(one: Designator, other: Designator, policy: Policy = DEFAULT_POLICY) -> bool:
    """The same of issuers that are already in one way of writing."""
    if not any(one) or not any(other):
        return not policy.strict_issuers or any(one) == any(other)
    if one[1] and other[1]:
        return one[1] == other[1]
    return bool({*one} & {*other} - {""})


@lru_cache(maxsize=1024)
def designator(issuer: Issuer | None) -> Designator:
    """Namespace and universal ID without case, even where one field holds a whole HD joined by `&`; "" for none."""
    if issuer is None:
        return "", ""
    stated = [(part or "").casefold() for part in (issuer.namespace_id, issuer.universal_id)]
    joined = next((part for part in stated if "&" in part), None)
    namespace, universal = joined.split("&")[:2] if joined else stated
    return namespace.strip(), universal.strip()


def number(identifier: Identifier) -> Number:
    """The number that an identifier states."""
    return Number(identifier.value, designator(identifier.issuer))


def comparable_numbers(one: Number, other: Number, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether two numbers are one, as far as their issuers tell."""
    return one.value == other.value and comparable_designators(one.issuer, other.issuer, policy)
