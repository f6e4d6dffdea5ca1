"""Who is one person with whom, by the merges, links and unmerges of patient identifiers (DESIGN 4.3).

A number of an order or a study stands among the merged ones by comparison, and nowhere if it might be two people's.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Self

from msgspec.structs import replace

from bridge.core.identifiers import comparable_issuers, number, of_one_person
from bridge.core.merge_graph import Graph
from bridge.core.merges import standing
from bridge.core.model import Identifier, IdentityChange, Unmerge
from bridge.core.policy import DEFAULT_POLICY, Policy


class Persons:
    """Immutable; built from the identity facts that concern the identifiers at hand, in any sequence.

    Those are all that name one of the identifiers' bare values, or a value that such a fact names, and so on.
    """

    def __init__(
        self,
        changes: Iterable[IdentityChange] = (),
        unmerges: Iterable[Unmerge] = (),
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        self.policy = policy
        self.changes, self._unmerges = tuple(changes), tuple(unmerges)
        stand = standing(self.changes, self._unmerges, policy) if self.changes else []
        self._graph = Graph(stand, policy) if stand else None  # most decisions have none: nothing is looked for then

    def strict(self) -> Self:
        """The same people, where a number without an issuer never equals one that has an issuer."""
        return self if self.policy.strict_issuers else self._strict

    @cached_property
    def _strict(self) -> Self:
        return type(self)(self.changes, self._unmerges, replace(self.policy, strict_issuers=True))

    @cached_property
    def _lenient(self) -> Self:
        if not self.policy.strict_issuers:
            return self
        return type(self)(self.changes, self._unmerges, replace(self.policy, strict_issuers=False))

    def agree(self, one: Identifier, other: Identifier) -> bool | None:
        """Whether two identifiers are one person's; None where only a missing issuer speaks against it.

        Strict issuers take equality away: what differs where they are not strict differs where they are.
        """
        if self._lenient.same(one, other):
            return True if self.same(one, other) else None
        return False if self._lenient.identifies(one) and self._lenient.identifies(other) else None

    def may_be_compared(self, one: Identifier, other: Identifier) -> bool:
        """Whether two identifiers agree or differ at all, as far as their issuers tell."""
        return comparable_issuers(one.issuer, other.issuer) or self._lenient.same(one, other)

    def same(self, one: Identifier, other: Identifier) -> bool:
        """Whether two identifiers are one person's: equal with comparable issuers, or one person by merges or links."""
        return self._equal(one, other) or (self._graph is not None and _one_person(self._graph, one, other))

    def identifies(self, one: Identifier) -> bool:
        """False for a number that was merged into two people (a re-used temporary number): it is not compared."""
        return self._graph is None or self._graph.identifies(number(one))

    def reaches(self, one: Identifier, other: Identifier) -> bool:
        """Whether merges lead from one to the other, or they are equal; a missing issuer is compared at both ends."""
        if self._equal(one, other):
            return self.identifies(one) and self.identifies(other)
        if self._graph is None or not _one_person(self._graph, one, other):
            return False
        starts, ends = self._graph.places(number(one)), self._graph.places(number(other))
        return any(
            self._graph.leads(start, end) and (comparable or (any(start.issuer) and any(end.issuer)))
            for comparable in [comparable_issuers(one.issuer, other.issuer)]
            for start in starts
            for end in ends
        )

    def certainly_reaches(self, one: Identifier, other: Identifier) -> bool:
        """The same where no missing issuer is guessed: both numbers stand there by their issuers, or without one.

        Numbers without an issuer count as equal; whether they were issued in one place is for the caller to know.
        """
        start, end = number(one), number(other)
        if self._equal(one, other) and any(start.issuer) == any(end.issuer):
            return self.identifies(one) and self.identifies(other)
        if self._graph is None or not _one_person(self._graph, one, other):
            return False
        own, others = self._graph.own_place(start), self._graph.own_place(end)
        return own is not None and others is not None and self._graph.leads(own, others)

    def values_of(self, identifiers: Iterable[Identifier]) -> frozenset[str]:
        """The bare values of everything that may be the same person: what to look orders and studies up by."""
        stated = of_one_person(identifiers, self.policy)
        own = frozenset(one.value for one in stated)
        return own if self._graph is None else own.union(*(self._graph.values_of(number(one)) for one in stated))

    def _equal(self, one: Identifier, other: Identifier) -> bool:
        return one.value == other.value and comparable_issuers(one.issuer, other.issuer, self.policy)


def _one_person(graph: Graph, one: Identifier, other: Identifier) -> bool:
    """By merges and links. Two numbers that both state an issuer are so only by merges that name both issuers, or, of
    one issuer, neither: what leaves one of them out may be about a number of another site.
    """
    ours, theirs = graph.people(number(one)), graph.people(number(other))
    shared = ours.keys() & theirs.keys()
    if not (any(number(one).issuer) and any(number(other).issuer)):
        return bool(shared)
    alike = {stated for person in shared for stated in ours[person] & theirs[person]}
    return True in alike or (False in alike and comparable_issuers(one.issuer, other.issuer))


NO_MERGES = Persons()
