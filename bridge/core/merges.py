"""The merges and links of patient identifiers that stand, once unlinks and people have ended others (DESIGN 4.3)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from bridge.core.identifiers import Number, comparable_numbers, number, of_one_person
from bridge.core.model import IdentityChange, Unmerge
from bridge.core.policy import Policy


class Change(NamedTuple):
    """A merge or link that stands: the numbers of the record that survives, and those of the other one."""

    is_link: bool
    patient: tuple[Number, ...]
    prior: tuple[Number, ...]


class _Parting(NamedTuple):
    """Two numbers that are said not to be one person's, in either direction."""

    one: Number
    other: Number
    until: str | None  # an unlink ends the links made until then; None: a person ends every merge and link


def standing(changes: Iterable[IdentityChange], unmerges: Iterable[Unmerge], policy: Policy) -> list[Change]:
    """The merges and links that no later unlink (A37) and no person ended, each as a whole or not at all.

    Only numbers of persons count. What ends a merge compares, so that a missing issuer never keeps two people joined.
    """
    stated = [(change, *_sides(change, policy)) for change in changes]
    unlinks = [(patient, prior, change.message_time) for change, patient, prior in stated if change.kind == "unlink"]
    partings: dict[frozenset[str], list[_Parting]] = defaultdict(list)
    for parting in (*_unlinked(unlinks), *_unmerged(unmerges)):
        partings[frozenset((parting.one.value, parting.other.value))].append(parting)
    return [
        Change(change.kind == "link", patient, prior)
        for change, patient, prior in stated
        if change.kind != "unlink" and patient and prior
        if not any(
            _ends(parting, change) and _names(parting, one, other, policy)
            for one, other in (product(patient, prior) if partings else ())
            for parting in partings.get(frozenset((one.value, other.value)), ())
        )
    ]


def _sides(change: IdentityChange, policy: Policy) -> tuple[tuple[Number, ...], tuple[Number, ...]]:
    sides = (change.patient_identifiers, change.prior_identifiers)
    patient, prior = (tuple(dict.fromkeys(map(number, of_one_person(side, policy)))) for side in sides)
    return patient, prior


def _unlinked(unlinks: Iterable[tuple[Iterable[Number], Iterable[Number], str]]) -> Iterator[_Parting]:
    """One of each pair of the two sides, as of the newest message that unlinks them."""
    newest: dict[frozenset[Number], _Parting] = {}
    for ones, others, at in unlinks:
        for one, other in product(ones, others):
            known = newest.get(frozenset((one, other)))
            newest[frozenset((one, other))] = _Parting(one, other, max(_instant(at), (known and known.until) or ""))
    yield from newest.values()


def _unmerged(unmerges: Iterable[Unmerge]) -> Iterator[_Parting]:
    """Those that their undo did not take back; at one time the unmerge wins."""
    newest: dict[frozenset[Number], tuple[str, bool]] = {}
    for decision in unmerges:
        pair = frozenset((number(decision.patient), number(decision.prior)))
        newest[pair] = max(newest.get(pair, ("", False)), (_instant(decision.at), decision.kind == "unmerge"))
    yield from (_Parting(min(pair), max(pair), None) for pair, (_, apart) in newest.items() if apart)


def _ends(parting: _Parting, change: IdentityChange) -> bool:
    if parting.until is None:
        return True
    return change.kind == "link" and _instant(change.message_time) <= parting.until


def _names(parting: _Parting, one: Number, other: Number, policy: Policy) -> bool:
    return any(
        comparable_numbers(a, parting.one, policy) and comparable_numbers(b, parting.other, policy)
        for a, b in ((one, other), (other, one))
    )


def _instant(stated: str) -> str:
    """RFC 3339 in UTC, sorted with and without fractions of a second; "", no time at all, is the oldest."""
    return stated.rstrip("Z")
