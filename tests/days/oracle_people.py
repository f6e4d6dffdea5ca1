"""The oracle's people: which numbers are one person's, and whether two patients are the same (DESIGN 4.2, 4.3)."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from tests.days.messages import PLACEHOLDERS, Link, Merge, Message, Number, Patient, PersonUnmerge

Comparison = Literal["same", "different", "unknown"]

_PERSON_TYPES = (None, "MR", "PI", "PT", "NI")
_NO_BIRTH_DATES = ("19000101",)
_NO_GIVEN_NAMES = ("baby",)


def comparable(one: Number, other: Number) -> bool:
    return one.site is None or other.site is None or one.site == other.site


def equal(one: Number | None, other: Number | None) -> bool:
    return one is not None and other is not None and one.value == other.value and comparable(one, other)


def is_number(number: Number | None) -> bool:
    return number is not None and number.value not in PLACEHOLDERS


@dataclass(frozen=True)
class Identity:
    numbers: frozenset[Number]
    names: frozenset[str]
    birth_dates: frozenset[str]

    def __or__(self, other: "Identity") -> "Identity":
        return Identity(self.numbers | other.numbers, self.names | other.names, self.birth_dates | other.birth_dates)


NOBODY = Identity(frozenset(), frozenset(), frozenset())


def identity(patient: Patient) -> Identity:
    return Identity(
        frozenset(
            Number(number.value, number.site)
            for number in patient.numbers
            if number.type_code in _PERSON_TYPES and is_number(number)
        ),
        frozenset(map(_plain_name, patient.names)),
        frozenset((patient.birth_date,)) - {"", *_NO_BIRTH_DATES},
    )


def _plain_name(name: str) -> str:
    """Family and first given name, without case and diacritics; that of a newborn has only a family."""
    family, given = (*name.casefold().split("^"), "")[:2]
    first = (*given.split(), "")[0]
    bare = unicodedata.normalize("NFD", f"{family}^{'' if first in _NO_GIVEN_NAMES else first}")
    return "".join(letter for letter in bare if not unicodedata.combining(letter))


def _differ(ones: Iterable[str], others: Iterable[str], agree: Callable[[str, str], bool | None]) -> bool | None:
    """Whether no two agree; None where nobody can tell."""
    found = {agree(one, other) for one, other in product(ones, others)}
    return False if True in found else None if None in found or not found else True


def _one_name(one: str, other: str) -> bool | None:
    (family, given), (other_family, other_given) = one.split("^"), other.split("^")
    if family == other_family and not (given and other_given):
        return None
    return one == other


def _same_day(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


class People:
    """Who is one person with whom, by merges and links."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.reach: dict[Number, set[Number]] = {}
        steps: set[tuple[Number, Number]] = set()
        apart = self._taken_apart(messages)
        for message in messages:
            if isinstance(message, Merge):
                into, prior = identity(message.patient).numbers, identity(Patient(message.prior)).numbers
                if not _any_apart(product(prior, into), apart):
                    steps |= set(product(into, into)) | set(product(prior, into))
            elif isinstance(message, Link) and message.event == "A24":
                pairs = _pairs(message)
                if not _any_apart(pairs, apart) and not any(
                    pair in pairs
                    for later in messages
                    if isinstance(later, Link) and later.event == "A37" and later.time >= message.time
                    for pair in _pairs(later)
                ):
                    steps |= pairs
        for node in {node for step in steps for node in step}:
            reached, todo = {node}, [node]
            while todo:
                here = todo.pop()
                new = {there for start, there in steps if start == here} - reached
                reached |= new
                todo += new
            self.reach[node] = reached

    def _taken_apart(self, messages: Sequence[Message]) -> list[tuple[Number, Number]]:
        """The numbers that people took apart with `bridge unmerge`; the newest decision about two numbers holds."""
        newest: dict[frozenset[Number], PersonUnmerge] = {}
        for message in sorted((one for one in messages if isinstance(one, PersonUnmerge)), key=lambda one: one.time):
            newest[frozenset(Number(one.value, one.site) for one in (message.patient, message.prior))] = message
        return [(one.patient, one.prior) for one in newest.values() if one.kind == "unmerge"]

    def _one(self, one: Number, other: Number) -> bool:
        return bool(self.reach[one] & self.reach[other])

    def _are_nobody(self, node: Number) -> bool:
        """It reaches two persons who have nothing to do with each other."""
        return any(not self._one(one, other) for one, other in product(self.reach[node], repeat=2))

    def places(self, number: Number) -> list[Number]:
        """Where a number from outside stands among the merges; nowhere if it may be two people there."""
        found = [node for node in self.reach if equal(node, number)]
        return found if all(self._could_be_one(one, other) for one, other in product(found, repeat=2)) else []

    def _could_be_one(self, one: Number, other: Number) -> bool:
        """By what they lead to, or because where one of them ends might be the other, were it not for its issuer."""
        return self._one(one, other) or any(
            equal(end, node) and not self._are_nobody(node) and self._ends(node) & self._ends(there)
            for here, there in ((one, other), (other, one))
            for end in self._ends(here)
            for node in self.reach
        )

    def _ends(self, node: Number) -> set[Number]:
        """Those that it leads to and that lead no further."""
        return {end for end in self.reach[node] if all(end in self.reach[further] for further in self.reach[end])}

    def identifies(self, number: Number) -> bool:
        return not any(self._are_nobody(node) for node in self.reach if equal(node, number))

    def same(self, one: Number, other: Number) -> bool:
        if equal(one, other):
            return True
        places = list(product(self.places(one), self.places(other)))
        if one.site and other.site:  # a merge that leaves one of the issuers out may be about somebody else
            places = [(a, b) for a, b in places if bool(a.site) == bool(b.site) and (a.site or one.site == other.site)]
        return any(self._one(*pair) for pair in places)

    def reaches(self, one: Number, other: Number) -> bool:
        """Whether the merges lead from one to the other, missing issuers being guessed."""
        if not (self.identifies(one) and self.identifies(other)):
            return False
        ends = [one, *(node for place in self.places(one) for node in self.reach[place])]
        return any(equal(end, other) for end in ends)

    def certainly_reaches(self, one: Number, other: Number) -> bool:
        if not (self.identifies(one) and self.identifies(other)):
            return False
        return one == other or other in self.reach.get(one, ())

    def compare(self, one: Identity, other: Identity) -> Comparison:
        """DESIGN 4.3."""
        names = _differ(one.names, other.names, _one_name)
        birth_dates = _differ(one.birth_dates, other.birth_dates, _same_day)
        if names and birth_dates:
            return "different"
        by_numbers = self.by_numbers(one, other)
        return self.by_name(one, other) if by_numbers == "unknown" else by_numbers

    def by_name(self, one: Identity, other: Identity) -> Comparison:
        """Without any number."""
        names = _differ(one.names, other.names, _one_name)
        birth_dates = _differ(one.birth_dates, other.birth_dates, _same_day)
        if names or birth_dates:
            return "different"
        return "same" if names is False and birth_dates is False else "unknown"

    def may_be_same(self, one: Identity, other: Identity) -> bool:
        """A guess at whom a number means needs more than the number; what only merges lead to, both name and date."""
        names = _differ(one.names, other.names, _one_name)
        birth_dates = _differ(one.birth_dates, other.birth_dates, _same_day)
        if any(equal(*pair) for pair in product(one.numbers, other.numbers)):
            return not birth_dates and (not names or birth_dates is False)
        return names is False and birth_dates is False

    def identify_one(self, one: Number, other: Number) -> bool:
        return self.identifies(one) and self.identifies(other) and self.same(one, other)

    def by_numbers(self, one: Identity, other: Identity) -> Comparison:
        pairs = [
            pair for pair in product(one.numbers, other.numbers) if all(self.identifies(number) for number in pair)
        ]
        if any(self.same(*pair) for pair in pairs):
            return "same"
        return "different" if any(comparable(*pair) for pair in pairs) else "unknown"


def _any_apart(joined: Iterable[tuple[Number, Number]], apart: Sequence[tuple[Number, Number]]) -> bool:
    """Whether a merge or link, which counts as a whole or not at all, joins numbers that people took apart."""
    return any(
        equal(one, a) and equal(other, b) for pair in joined for one, other in (pair, pair[::-1]) for a, b in apart
    )


def _pairs(message: Link) -> set[tuple[Number, Number]]:
    one, other = identity(message.patient).numbers, identity(message.other).numbers
    return set(product(one, other)) | set(product(other, one))
