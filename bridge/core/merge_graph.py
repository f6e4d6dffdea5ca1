"""Which patient number leads to which by merges and links, and the one person that each leads to (DESIGN 4.3).

A number without an issuer is never joined to one that has an issuer, nor are issuers that only might be one. The cost
grows with what the messages say, not with its square.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

from bridge.core.identifiers import Number, comparable_numbers
from bridge.core.merges import Change
from bridge.core.policy import Policy


class Graph:
    """The numbers that merges and links name; each stands in one place, however its issuer is written.

    A merge leads from each number of the prior record to the person of the PID, whose own numbers lead to each other; a
    link leads both ways. A number from elsewhere, such as a study's, is compared with the numbers here.
    """

    def __init__(self, changes: Iterable[Change], policy: Policy) -> None:
        self._policy = policy
        self._universals: dict[Number, set[str]] = defaultdict(set)  # universal IDs that a namespace is written with
        self._ways: dict[Number, set[Number]] = defaultdict(set)  # how the number of a place is written
        self._of_value: dict[str, set[Number]] = defaultdict(set)
        changes = list(changes)
        stated = {one for change in changes for one in (*change.patient, *change.prior)}
        for value, (namespace, universal) in stated:
            for text in {namespace, universal} - {""} if universal else ():
                self._universals[Number(value, (text, ""))].add(universal)
        for one in stated:
            self._ways[self._as_one(one)].add(one)
            self._of_value[one.value].add(self._as_one(one))
        self._ahead: dict[Number, set[Number]] = {place: set() for place in self._ways}
        for change in changes:
            self._add(change)
        self._people = _people(self._ahead)
        self._found: dict[Number, dict[int, set[bool]]] = {}
        self._reached: dict[Number, set[Number]] = {}

    def _add(self, change: Change) -> None:
        patient, prior = ([self._as_one(one) for one in side] for side in (change.patient, change.prior))
        circle = [*patient, *prior] if change.is_link else patient
        for one, following in zip(circle, [*circle[1:], circle[0]], strict=True):
            self._ahead[one].add(following)
        if not change.is_link:
            for one in prior:
                self._ahead[one].add(patient[0])

    def _as_one(self, one: Number) -> Number:
        """The number with its issuer written in one way for all that are one identity: by its universal ID if known.

        A namespace that is written with several universal IDs might be each of them, and stands for itself.
        """
        known = {one.issuer[1]} if one.issuer[1] else self._universals.get(one, set())
        return Number(one.value, ("", min(known))) if len(known) == 1 else one

    def places(self, one: Number) -> list[Number]:
        """Every place where a number from elsewhere may stand."""
        return [place for place in self._of_value.get(one.value, ()) if self._may_be(one, place)]

    def own_place(self, one: Number) -> Number | None:
        """The place where a number from elsewhere stands for certain: by its issuer, or without one."""
        place = self._as_one(one)
        if place in self._ways:
            return place
        bare = {Number(one.value, (text, "")) for text in one.issuer if text and one.issuer[1]}
        free = (bare & self._ways.keys()) - self._universals.keys()
        return free.pop() if len(free) == 1 else None

    def _may_be(self, one: Number, place: Number) -> bool:
        if one.issuer[1] and place.issuer[1]:
            return one.issuer[1] == place.issuer[1]
        return any(comparable_numbers(one, way, self._policy) for way in self._ways[place])

    def identifies(self, one: Number) -> bool:
        """False for a number that leads to several people who are not one, wherever it may stand."""
        return all(self._people.whose[place] is not None for place in self.places(one))

    def people(self, one: Number) -> dict[int, set[bool]]:
        """Who a number from elsewhere may be, and by which kinds of places: with an issuer (True), without (False).

        Nobody, where it may be two different people: those of whom neither may be the other, by comparison as well.
        """
        if one not in self._found:
            self._found[one] = self._find(one)
        return self._found[one]

    def _find(self, one: Number) -> dict[int, set[bool]]:
        found: dict[int, set[bool]] = defaultdict(set)
        for place in self.places(one):
            person = self._people.whose[place]
            if person is None:
                return {}
            found[person].add(any(place.issuer))
        return found if all(self._may_be_one(a, b) for a, b in combinations(found, 2)) else {}

    def _may_be_one(self, one: int, other: int) -> bool:
        return any(
            self._people.whose[place] == b
            for a, b in ((one, other), (other, one))
            for end in self._people.ends[a]
            for way in self._ways[end]
            for place in self.places(way)
        )

    def leads(self, start: Number, end: Number) -> bool:
        """Whether merges and links lead from one place to another, or it is the same."""
        if start not in self._reached:
            seen = {start}
            ahead = [start]
            while ahead:
                new = self._ahead[ahead.pop()] - seen
                seen |= new
                ahead += new
            self._reached[start] = seen
        return end in self._reached[start]

    def values_of(self, one: Number) -> set[str]:
        """The bare values of all whose numbers lead to the same person as this number may."""
        return {place.value for person in self.people(one) for place in self._people.numbers[person]}


class _People(NamedTuple):
    """Everybody, by a number of our own."""

    whose: dict[Number, int | None]  # None where a place leads to several people who are not one
    numbers: dict[int, list[Number]]  # all that lead to a person
    ends: dict[int, list[Number]]  # those of them that lead no further


def _people(ahead: Mapping[Number, Iterable[Number]]) -> _People:
    """Numbers that lead to each other are one person's; one that leads on is the person's that all its ways end at.

    Two ends neither reach each other nor anybody in common: what leads to both identifies nobody.
    """
    people = _People({}, defaultdict(list), {})
    for person, members in enumerate(_circles(ahead)):
        inside = set(members)
        further = {people.whose[place] for member in members for place in ahead[member] if place not in inside}
        if not further:
            people.ends[person] = members
        whose = person if not further else further.pop() if len(further) == 1 else None
        people.whose.update(dict.fromkeys(members, whose))
        if whose is not None:
            people.numbers[whose] += members
    return people


def _circles(ahead: Mapping[Number, Iterable[Number]]) -> Iterator[list[Number]]:
    """The strongly connected components, each after all that it leads to (Tarjan's algorithm, without recursion)."""
    found: dict[Number, int] = {}
    lowest: dict[Number, int] = {}
    waiting: dict[Number, None] = {}
    path: list[tuple[Number, Iterator[Number]]] = []

    def enter(place: Number) -> None:
        found[place] = lowest[place] = len(found)
        waiting[place] = None
        path.append((place, iter(ahead[place])))

    for root in ahead:
        if root not in found:
            enter(root)
        while path:
            place, following = path[-1]
            for other in following:
                if other not in found:
                    enter(other)
                    break
                if other in waiting:
                    lowest[place] = min(lowest[place], found[other])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[place])
                if lowest[place] == found[place]:
                    yield _closed(waiting, place)


def _closed(waiting: dict[Number, None], first: Number) -> list[Number]:
    """What waits since this one was entered."""
    members = []
    while first in waiting:
        members.append(waiting.popitem()[0])
    return members
