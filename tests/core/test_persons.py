"""Who is one person after merges and links: never two people, however the messages arrive."""

from collections.abc import Iterable, Sequence
from itertools import product
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.model import Identifier, IdentityChange, MessageSource, Unmerge
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import DEFAULT_POLICY, Policy
from tests.core.builders import identifiers, issuer, number
from tests.core.patient_messages import EARLY, LATE, NOON, link, merge, unlink

STRICT = Policy(strict_issuers=True)


def unmerge(prior: str, patient: str, at: str = NOON, kind: Literal["unmerge", "undo"] = "unmerge") -> Unmerge:
    return Unmerge(at, "kim", "typed wrongly", kind, number(patient, "bridge unmerge"), number(prior, "bridge unmerge"))


def undo(prior: str, patient: str, at: str = NOON) -> Unmerge:
    return unmerge(prior, patient, at, "undo")


def groups(*facts: IdentityChange | Unmerge, of: str, policy: Policy = DEFAULT_POLICY) -> list[str]:
    """Which of these identifiers are one person's; one that identifies nobody stands in no group."""
    changes = [fact for fact in facts if isinstance(fact, IdentityChange)]
    persons = Persons(changes, [fact for fact in facts if isinstance(fact, Unmerge)], policy)
    named = {text: number(text, "PID-3") for text in of.split() if persons.identifies(number(text, "PID-3"))}
    found = {" ".join(text for text in named if persons.same(named[text], named[one])) for one in named}
    return sorted(found)


# Merges (DESIGN 4.3)


def test_a_merged_number_is_the_surviving_patient_s() -> None:
    assert groups(merge("T", into="P"), of="T P Q") == ["Q", "T P"]


def test_a_chain_of_merges_ends_in_one_person() -> None:
    assert groups(merge("A", into="B"), merge("B", into="C"), merge("C", into="D"), of="A B C D") == ["A B C D"]


def test_a_chain_does_not_depend_on_the_times_of_its_merges() -> None:
    assert groups(merge("A", into="B", at=LATE), merge("B", into="C", at=EARLY), of="A B C") == ["A B C"]


def test_two_numbers_merged_into_one_are_one_person() -> None:
    assert groups(merge("T1", into="P"), merge("T2", into="P"), of="T1 T2 P") == ["T1 T2 P"]


def test_a_repeated_merge_says_nothing_new() -> None:
    assert groups(merge("T", into="P"), merge("T", into="P", at=LATE), of="T P Q") == ["Q", "T P"]


def test_a_reversed_merge_leaves_both_one_person() -> None:
    assert groups(merge("T", into="P"), merge("P", into="T", at=LATE), of="T P Q") == ["Q", "T P"]


def test_a_circle_of_merges_is_one_person() -> None:
    assert groups(merge("A", into="B"), merge("B", into="C"), merge("C", into="A"), of="A B C Q") == ["A B C", "Q"]


def test_a_number_merged_into_itself_is_itself() -> None:
    assert groups(merge("A", into="A"), of="A B") == ["A", "B"]


def test_a_temporary_number_merged_into_two_people_identifies_nobody_and_joins_nobody() -> None:
    assert groups(merge("T", into="P1"), merge("T", into="P2"), of="T P1 P2") == ["P1", "P2"]


def test_whoever_was_merged_into_a_number_that_identifies_nobody_is_nobody_too() -> None:
    assert groups(merge("T", into="P1"), merge("T", into="P2"), merge("U", into="T"), of="U P1 P2") == ["P1", "P2"]


def test_a_number_merged_into_two_people_who_turn_out_to_be_one_is_theirs() -> None:
    facts = (merge("T", into="P1"), merge("T", into="P2"))

    assert groups(*facts, merge("P1", into="P2"), of="T P1 P2") == ["T P1 P2"]
    assert groups(*facts, merge("P1", into="Q"), merge("P2", into="Q"), of="T P1 P2 Q") == ["T P1 P2 Q"]


def test_all_repetitions_of_pid_3_stand_for_the_person_who_survives() -> None:
    assert groups(merge("T", into="P^A N^NAT"), merge("N^NAT", into="R"), of="T P^A N^NAT R") == ["T P^A N^NAT R"]


def test_the_prior_numbers_lead_to_the_patient_and_are_not_each_other_s() -> None:
    persons = Persons([merge("T1 T2", into="P")])
    t1, t2, patient = identifiers("T1 T2 P")

    assert persons.same(t1, t2)
    assert persons.reaches(t1, patient)
    assert not persons.reaches(t1, t2)
    assert not persons.reaches(patient, t1)


@pytest.mark.parametrize("type_code", ["AN", "VN", "HC", "SS", "MC"])
def test_account_visit_and_insurance_numbers_join_nobody(type_code: str) -> None:
    family = f"H^X^{type_code}"

    assert groups(merge(f"T {family}", into="P1"), merge(f"U {family}", into="P2"), of="T U P1 P2") == ["T P1", "U P2"]
    assert groups(merge("T", into=f"P1 {family}"), merge("U", into=f"P2 {family}"), of="T U") == ["T", "U"]
    assert groups(merge(family, into="P1"), of=f"{family} P1") == [family, "P1"]


def test_a_placeholder_joins_nobody() -> None:
    assert groups(merge("T", into="P1 0"), merge("U", into="P2 0"), merge("UNKNOWN", into="P1"), of="T U UNKNOWN") == [
        "T",
        "U",
        "UNKNOWN",
    ]


def test_a_site_says_which_types_are_a_person_s() -> None:
    national_only = Policy(person_types=frozenset({"NI"}))

    assert groups(merge("T^A^NI", into="P^A^NI"), of="T P", policy=national_only) == ["T P"]
    assert groups(merge("T^A^MR", into="P^A^MR"), of="T P", policy=national_only) == ["P", "T"]


# Issuers


def test_equal_numbers_of_two_issuers_are_two_people_s() -> None:
    assert groups(merge("1^A", into="2^A"), of="1^A 2^A 1^B 2^B") == ["1^A 2^A", "1^B", "2^B"]


def test_a_merge_can_lead_from_one_issuer_to_another() -> None:
    assert groups(merge("1^A", into="1^B"), of="1^A 1^B") == ["1^A 1^B"]


@pytest.mark.parametrize("written", ["HOSP", "HOSP&1.2&ISO", "&1.2&ISO", "hosp&1.2&ISO", "1.2"])
def test_namespace_oid_and_both_are_one_issuer_where_a_message_shows_that_they_are(written: str) -> None:
    facts = (merge("1^HOSP", into="2^HOSP&1.2&ISO"), merge("2^&1.2&ISO", into="3^HOSP&1.2&ISO"))

    assert groups(*facts, merge(f"3^{written}", into="4^X"), of="1^HOSP 4^X") == ["1^HOSP 4^X"]


def test_a_namespace_and_an_oid_that_nothing_shows_to_be_one_are_two() -> None:
    assert groups(merge("1^HOSP", into="2^HOSP"), merge("2^&1.2&ISO", into="3^HOSP"), of="1^HOSP 3^HOSP") == [
        "1^HOSP",
        "3^HOSP",
    ]


def test_a_namespace_that_two_authorities_use_joins_neither() -> None:
    facts = (
        merge("1^HOSP", into="2^HOSP"),
        merge("2^HOSP&1.2&ISO", into="3^HOSP&1.2&ISO"),
        merge("2^HOSP&9.9&ISO", into="4^HOSP&9.9&ISO"),
    )

    assert groups(*facts, of="1^HOSP 3^HOSP&1.2&ISO 4^HOSP&9.9&ISO") == ["1^HOSP", "3^HOSP&1.2&ISO", "4^HOSP&9.9&ISO"]


def test_a_namespace_that_an_oid_is_written_with_is_not_another_oid_s() -> None:
    facts = (merge("1^HOSP", into="2^X"), merge("1^HOSP&1.2&ISO", into="2^X"))

    assert groups(*facts, of="1^HOSP&9.9&ISO 2^X") == ["1^HOSP&9.9&ISO", "2^X"]


def test_a_namespace_that_might_be_an_oid_s_does_not_make_two_people() -> None:
    two_authorities = merge("2^HOSP&9.9&ISO", into="4^X")
    facts = (merge("1^A", into="2^HOSP&1.2&ISO"), merge("1", into="2^HOSP"), two_authorities)

    assert groups(*facts, of="1^A 2^HOSP&1.2&ISO") == ["1^A 2^HOSP&1.2&ISO"]
    assert groups(*facts, merge("2^HOSP", into="3^X"), of="1^A 2^HOSP&1.2&ISO") == ["1^A 2^HOSP&1.2&ISO"]


def test_a_missing_issuer_never_joins_two_merges() -> None:
    assert groups(merge("1^A", into="2^A"), merge("2", into="3"), of="1^A 3") == ["1^A", "3"]
    assert groups(merge("1", into="2"), merge("2^A", into="3^A"), of="1 3^A") == ["1", "3^A"]


def test_a_missing_issuer_is_compared_at_the_ends() -> None:
    assert groups(merge("1^A", into="2^A"), of="1 2^A") == ["1 2^A"]
    assert groups(merge("1^A", into="2^A"), of="1 2") == ["1 2"]
    assert groups(merge("1", into="2"), of="1^A 2^A") == ["1^A 2^A"]
    assert groups(merge("1", into="2"), of="1^A 2") == ["1^A 2"]


def test_a_merge_that_leaves_an_issuer_out_never_joins_numbers_of_two_issuers() -> None:
    assert groups(merge("1", into="2"), of="1^A 2^B") == ["1^A", "2^B"]
    assert groups(merge("1^A", into="2"), of="1^A 2^B") == ["1^A", "2^B"]
    assert groups(merge("1", into="2^B"), of="1^A 2^B") == ["1^A", "2^B"]


def test_a_number_without_issuer_that_two_merges_might_mean_is_only_itself() -> None:
    facts = (merge("1^A", into="2^A"), merge("1^B", into="3^B"))

    assert groups(*facts, of="1 2^A 3^B") == ["1", "2^A", "3^B"]
    assert Persons(facts).same(*identifiers("1 1^A"))
    assert Persons(facts).identifies(number("1", "PID-3"))


def test_a_number_without_issuer_that_means_one_person_either_way_is_that_person_s() -> None:
    assert groups(merge("1^A", into="2^A"), merge("1^B", into="2^A"), of="1 2^A") == ["1 2^A"]


def test_one_merge_told_twice_with_issuers_and_without_is_one() -> None:
    facts = (merge("1^A", into="2^A"), merge("1", into="2"))

    assert groups(*facts, of="1^A 2^A") == ["1^A 2^A"]
    assert groups(*facts, of="1 2^A") == ["1 2^A"]
    assert groups(*facts, of="1^A 2") == ["1^A 2"]
    assert groups(*facts, merge("2^A", into="3^A"), of="1^A 3^A") == ["1^A 3^A"]


def test_a_survivor_s_merge_still_holds_where_the_number_without_issuer_leads_further() -> None:
    assert Persons([merge("1^A", into="2^A"), merge("2", into="3")]).same(*identifiers("1^A 2^A"))


def test_a_number_that_may_be_one_that_identifies_nobody_is_not_compared() -> None:
    reused = (merge("T^A", into="P1"), merge("T^A", into="P2"))

    assert not Persons(reused).identifies(number("T", "00100020"))
    assert Persons(reused).identifies(number("T^B", "00100020"))
    assert Persons(reused, policy=STRICT).identifies(number("T", "00100020"))
    assert not Persons([*reused, merge("T", into="P3")]).same(*identifiers("T P3"))


def test_strict_issuers_compare_a_missing_one_with_a_missing_one_alone() -> None:
    assert groups(merge("1^A", into="2^A"), of="1 2 2^A", policy=STRICT) == ["1", "2", "2^A"]
    assert groups(merge("1", into="2"), of="1 2 1^A", policy=STRICT) == ["1 2", "1^A"]
    assert groups(merge("1^A", into="2^A"), of="1^A 2^A", policy=STRICT) == ["1^A 2^A"]


# Links and their ends


def test_a_link_joins_both_sides_whole() -> None:
    assert groups(link("A1 A2", "B1 B2"), of="A1 A2 B1 B2 Q") == ["A1 A2 B1 B2", "Q"]


def test_links_join_in_both_directions() -> None:
    assert groups(link("A", "B"), link("C", "B"), merge("T", into="A"), of="A B C T") == ["A B C T"]


def test_a_number_merged_into_both_sides_of_a_link_is_theirs_until_it_ends() -> None:
    facts = (merge("T", into="A"), merge("T", into="B"), link("A", "B", EARLY))

    assert groups(*facts, of="T A B") == ["T A B"]
    assert groups(*facts, unlink("A", "B", LATE), of="T A B") == ["A", "B"]


@pytest.mark.parametrize("sides", [("A", "B"), ("B", "A"), ("A2", "B"), ("Q A2", "B R")])
def test_an_unlink_of_any_pair_of_the_two_sides_ends_the_link_in_either_direction(sides: tuple[str, str]) -> None:
    assert groups(link("A A2", "B", EARLY), unlink(*sides, LATE), of="A A2 B") == ["A", "A2", "B"]


def test_an_unlink_of_two_numbers_of_one_side_ends_nothing() -> None:
    assert groups(link("A A2", "B", EARLY), unlink("A", "A2", LATE), of="A A2 B") == ["A A2 B"]


def test_a_link_holds_when_it_is_newer_than_the_unlink() -> None:
    assert groups(link("A", "B", LATE), unlink("A", "B", EARLY), of="A B") == ["A B"]
    assert groups(link("A", "B", EARLY), unlink("A", "B", NOON), link("A", "B", LATE), of="A B") == ["A B"]


def test_the_newest_of_several_unlinks_counts() -> None:
    unlinks = (unlink("A", "B", LATE), unlink("A", "B", EARLY))

    assert groups(link("A", "B", NOON), *unlinks, of="A B") == ["A", "B"]
    assert groups(link("A", "B", NOON), *unlinks[::-1], of="A B") == ["A", "B"]


def test_at_one_time_the_unlink_wins() -> None:
    assert groups(link("A", "B"), unlink("A", "B"), of="A B") == ["A", "B"]
    assert groups(link("A", "B", ""), unlink("A", "B", ""), of="A B") == ["A", "B"]
    assert groups(link("A", "B", "2026-01-01T12:00:00.5Z"), unlink("A", "B", NOON), of="A B") == ["A B"]


def test_an_unlink_ends_no_merge() -> None:
    assert groups(merge("A", into="B", at=EARLY), unlink("A", "B", LATE), of="A B") == ["A B"]


def test_an_unlink_without_issuers_ends_links_with_issuers_too() -> None:
    assert groups(link("A^X", "B^X", EARLY), unlink("A", "B", LATE), of="A^X B^X") == ["A^X", "B^X"]
    assert groups(link("A^X", "B^X", EARLY), unlink("A^Y", "B^X", LATE), of="A^X B^X") == ["A^X B^X"]


# What a person takes back


@pytest.mark.parametrize("sides", [("T", "P"), ("P", "T")])
def test_an_unmerge_takes_out_every_merge_and_link_of_the_two_whenever_they_were(sides: tuple[str, str]) -> None:
    facts = (merge("T", into="P", at=LATE), merge("P", into="T"), link("T", "P", LATE))

    assert groups(*facts, unmerge(*sides, at=EARLY), of="T P") == ["P", "T"]


def test_an_unmerge_leaves_the_merges_of_others() -> None:
    facts = (merge("T", into="P"), merge("U", into="P"), unmerge("T", "P"))

    assert groups(*facts, of="T U P") == ["T", "U P"]


def test_an_unmerge_takes_the_whole_prior_record_out() -> None:
    assert groups(merge("T T2", into="P N"), unmerge("T", "P"), of="T T2 P") == ["P", "T", "T2"]


def test_an_unmerge_without_issuers_takes_out_merges_with_issuers_too() -> None:
    assert groups(merge("T^A", into="P^A"), unmerge("T", "P"), of="T^A P^A") == ["P^A", "T^A"]
    assert groups(merge("T^A", into="P^A"), unmerge("T^B", "P^A"), of="T^A P^A") == ["T^A P^A"]


def test_after_an_unmerge_a_number_that_was_merged_into_two_people_is_the_other_s() -> None:
    facts = (merge("T", into="P1"), merge("T", into="P2"))

    assert groups(*facts, unmerge("T", "P2"), of="T P1 P2") == ["P2", "T P1"]


def test_an_undo_restores_what_was_unmerged_before_it() -> None:
    merged = merge("T", into="P")

    assert groups(merged, unmerge("T", "P", NOON), undo("T", "P", LATE), of="T P") == ["T P"]
    assert groups(merged, unmerge("T", "P", NOON), undo("P", "T", LATE), of="T P") == ["T P"]
    assert groups(merged, unmerge("T", "P", NOON), undo("T", "P", EARLY), of="T P") == ["P", "T"]
    assert groups(merged, undo("T", "P", NOON), unmerge("T", "P", LATE), of="T P") == ["P", "T"]
    assert groups(merged, undo("T", "P"), unmerge("T", "P"), of="T P") == ["P", "T"]
    assert groups(merged, undo("T", "P"), of="T P") == ["T P"]


def test_the_undo_of_another_pair_restores_nothing() -> None:
    facts = (merge("T^A", into="P^A"), unmerge("T^A", "P^A", NOON))

    assert groups(*facts, undo("T^B", "P^A", LATE), of="T^A P^A") == ["P^A", "T^A"]
    assert groups(*facts, undo("T", "P", LATE), of="T^A P^A") == ["P^A", "T^A"]


# Which way merges lead


def test_merges_lead_from_the_prior_number_to_the_surviving_one_and_never_back() -> None:
    persons = Persons([merge("A", into="B"), merge("B", into="C"), merge("U", into="C")])
    a, c, u = identifiers("A C U")

    assert persons.certainly_reaches(a, c)
    assert persons.certainly_reaches(a, a)
    assert not persons.certainly_reaches(c, a)
    assert not persons.certainly_reaches(a, u)
    assert persons.same(a, u)


def test_a_missing_issuer_reaches_and_never_for_certain() -> None:
    persons = Persons([merge("1^A", into="2^A")])

    for pair in ("1 2^A", "1^A 2", "1 2", "1 1^A", "7 7^A"):
        assert persons.reaches(*identifiers(pair)), pair
        assert not persons.certainly_reaches(*identifiers(pair)), pair
    for pair in ("1^A 2^A", "7^A 7^A", "7 7", "7^HOSP 7^HOSP&1.2&ISO"):
        assert persons.certainly_reaches(*identifiers(pair)), pair
    assert not persons.reaches(*identifiers("1^B 2^A"))


def test_a_merge_without_issuers_never_leads_from_one_issuer_to_another() -> None:
    persons = Persons([merge("1", into="2"), merge("2", into="Z"), merge("1^A", into="Z"), merge("2^B", into="Z")])

    assert persons.same(*identifiers("1^A 2^B"))
    assert persons.reaches(*identifiers("1^A 2^A"))
    for pair in ("1^A 2^B", "1^B 2^B", "1^C 2^B"):
        assert persons.reaches(*identifiers(pair)) == (pair == "1^B 2^B"), pair


@pytest.mark.parametrize("written", ["HOSP", "HOSP&1.2&ISO", "&1.2&ISO"])
def test_an_issuer_is_certain_in_each_way_of_writing_it(written: str) -> None:
    persons = Persons([merge("1^HOSP&1.2&ISO", into="2^HOSP&1.2&ISO")])

    assert persons.certainly_reaches(*identifiers(f"1^{written} 2^HOSP"))


def test_an_oid_is_the_namespace_s_that_it_is_written_with_and_no_other() -> None:
    by_namespace = Persons([merge("1^HOSP", into="2^HOSP")])
    two_authorities = Persons([merge("1^HOSP", into="2^A"), merge("1^HOSP&9.9&ISO 1^HOSP&8.8&ISO", into="2^A")])

    assert by_namespace.certainly_reaches(*identifiers("1^HOSP&1.2&ISO 2^HOSP"))
    assert not two_authorities.certainly_reaches(*identifiers("1^HOSP&1.2&ISO 2^A"))


def test_nobody_is_reached_from_or_by_a_number_that_identifies_nobody() -> None:
    persons = Persons([merge("T", into="P1"), merge("T", into="P2"), merge("U", into="T")])

    for pair in ("T P1", "T T", "U T", "U P2"):
        assert not persons.reaches(*identifiers(pair)), pair
        assert not persons.certainly_reaches(*identifiers(pair)), pair


# What to look up


def test_the_values_of_a_number_are_those_of_everybody_who_may_be_the_same() -> None:
    persons = Persons([merge("T^A", into="P^A"), merge("U^A", into="P^A"), merge("T^B", into="Q^B")])

    assert persons.values_of(identifiers("U^A")) == {"U", "P", "T"}
    assert persons.values_of(identifiers("T")) == {"T"}
    assert persons.values_of(identifiers("7 0 H^X^HC")) == {"7"}
    assert NO_MERGES.values_of(identifiers("7 0 H^X^HC")) == {"7"}


# Without merges


def test_without_identity_facts_an_identifier_is_equal_or_another() -> None:
    one, other = identifiers("1^A 2^A")

    assert NO_MERGES.same(one, one)
    assert not NO_MERGES.same(one, other)
    assert NO_MERGES.identifies(one)
    assert Persons([unlink("1^A", "2^A")], [unmerge("1^A", "2^A")]).same(one, one)


def test_thousands_of_merges_in_a_row_are_no_burden() -> None:
    count = 20_000
    chain = [merge(f"N{i}", into=f"N{i + 1}") for i in range(count)]
    persons = Persons([*chain, merge("T", into="N5"), merge("T", into="Elsewhere")])
    first, last, temporary = identifiers(f"N0 N{count} T")

    assert persons.same(first, last)
    assert persons.certainly_reaches(first, last)
    assert not persons.identifies(temporary)


# Against the sentences of DESIGN 4.3, read naively

_stated = st.builds(
    Identifier,
    value=st.sampled_from(["1", "2", "3"]),
    where=st.just("PID-3"),
    issuer=st.sampled_from([None, "A", "A", "A&1.2&ISO", "B"]).map(lambda text: issuer(text) if text else None),
    type_code=st.sampled_from([None, None, None, "MR", "HC"]),
)
_sides = st.lists(_stated, min_size=1, max_size=2).map(tuple)
_times = st.sampled_from(["", EARLY, NOON, LATE])
_changes = st.lists(
    st.builds(
        IdentityChange,
        message_time=_times,
        event=st.just("A40"),
        source=st.just(MessageSource()),
        kind=st.sampled_from(["merge", "merge", "merge", "link", "unlink"]),
        patient_identifiers=_sides,
        prior_identifiers=_sides,
    ),
    max_size=7,
)
_unmerges = st.lists(
    st.builds(
        Unmerge,
        at=_times,
        user=st.just("kim"),
        reason=st.just("wrong"),
        kind=st.sampled_from(["unmerge", "unmerge", "undo"]),
        patient=_stated,
        prior=_stated,
    ),
    max_size=2,
)
_policies = st.sampled_from([Policy(), STRICT])
EVERY = [
    Identifier(value, "PID-3", issuer(by) if by else None)
    for value, by in product("123", ("", "A", "A&1.2&ISO", "B", "C"))
]


class Naive:
    """The same by the letter: slow, over plain pairs. Issuers here are one when their namespaces are."""

    def __init__(self, changes: Iterable[IdentityChange], unmerges: Sequence[Unmerge], policy: Policy) -> None:
        self.strict = policy.strict_issuers
        self.arrows: set[tuple[str, str]] = set()
        changes = list(changes)
        for change in changes:
            patient, prior = self.persons(change.patient_identifiers), self.persons(change.prior_identifiers)
            if change.kind == "unlink" or not patient or not prior or self.ended(change, changes, unmerges):
                continue
            self.arrows |= set(product(prior, patient)) | set(product(patient, patient))
            if change.kind == "link":
                self.arrows |= set(product(patient, prior)) | set(product(prior, prior))
        self.nodes = {node for arrow in self.arrows for node in arrow}
        self.reach = {node: {node} for node in self.nodes}
        for _ in self.nodes:
            for one, other in self.arrows:
                self.reach[one] = self.reach[one] | self.reach[other]

    def persons(self, stated: Iterable[Identifier]) -> list[str]:
        return [name(one) for one in stated if one.type_code != "HC"]

    def ended(self, change: IdentityChange, changes: list[IdentityChange], unmerges: Sequence[Unmerge]) -> bool:
        pairs = set(product(self.persons(change.patient_identifiers), self.persons(change.prior_identifiers)))
        for by in unmerges:
            named = {name(by.patient), name(by.prior)}
            same = [u for u in unmerges if {exact(u.patient), exact(u.prior)} == {exact(by.patient), exact(by.prior)}]
            newest = max(same, key=lambda u: (u.at, u.kind == "unmerge"))
            if newest.kind == "unmerge" and any(self.meant(named, pair) for pair in pairs):
                return True
        return change.kind == "link" and any(
            self.meant({one, other}, pair)
            for by in changes
            if by.kind == "unlink" and by.message_time >= change.message_time
            for one in self.persons(by.patient_identifiers)
            for other in self.persons(by.prior_identifiers)
            for pair in pairs
        )

    def meant(self, named: set[str], pair: tuple[str, str]) -> bool:
        one, other = min(named), max(named)
        return any(self.equal(one, a) and self.equal(other, b) for a, b in (pair, pair[::-1]))

    def equal(self, one: str, other: str) -> bool:
        (value, by), (other_value, other_by) = one.split("^"), other.split("^")
        return value == other_value and (by == other_by or (not self.strict and "" in (by, other_by)))

    def places(self, one: Identifier) -> list[str]:
        return [node for node in self.nodes if self.equal(name(one), node)]

    def nobody(self, node: str) -> bool:
        return any(not self.reach[a] & self.reach[b] for a, b in product(self.reach[node], repeat=2))

    def identifies(self, one: Identifier) -> bool:
        return not any(self.nobody(node) for node in self.places(one))

    def last(self, node: str) -> set[str]:
        """Those that it leads to and that lead no further."""
        return {end for end in self.reach[node] if all(end in self.reach[further] for further in self.reach[end])}

    def could_be_one(self, one: str, other: str) -> bool:
        return any(
            self.equal(end, node) and not self.nobody(node) and self.last(node) & self.last(b)
            for a, b in ((one, other), (other, one))
            for end in self.last(a)
            for node in self.nodes
        )

    def counts(self, one: Identifier) -> bool:
        return self.identifies(one) and all(self.could_be_one(a, b) for a, b in product(self.places(one), repeat=2))

    def same(self, one: Identifier, other: Identifier) -> bool:
        if self.equal(name(one), name(other)):
            return True
        if not self.counts(one) or not self.counts(other):
            return False
        by, other_by = name(one).split("^")[1], name(other).split("^")[1]
        return any(
            self.reach[a] & self.reach[b]
            for a, b in product(self.places(one), self.places(other))
            if not by or not other_by or not (a.endswith("^") or b.endswith("^")) or (by == other_by and a[-1] == b[-1])
        )

    def certainly_reaches(self, one: Identifier, other: Identifier) -> bool:
        if not self.identifies(one) or not self.identifies(other):
            return False
        if name(one) == name(other):
            return True
        return self.counts(one) and self.counts(other) and name(other) in self.reach.get(name(one), ())


def name(one: Identifier) -> str:
    return f"{one.value}^{(one.issuer.namespace_id or '') if one.issuer else ''}"


def exact(one: Identifier) -> str:
    return f"{name(one)}&{one.issuer.universal_id if one.issuer else ''}"


@settings(max_examples=50)  # each compares every pair
@given(_changes, _unmerges, _policies)
def test_it_is_what_the_sentences_say(changes: list[IdentityChange], unmerges: list[Unmerge], policy: Policy) -> None:
    persons, naive = Persons(changes, unmerges, policy), Naive(changes, unmerges, policy)

    for one in EVERY:
        assert persons.identifies(one) == naive.identifies(one)
        for other in EVERY:
            assert persons.same(one, other) == naive.same(one, other), (one, other)
            assert persons.certainly_reaches(one, other) == naive.certainly_reaches(one, other), (one, other)


@settings(max_examples=50)  # each compares every pair
@given(_changes, _unmerges, _policies, st.randoms(use_true_random=False))
def test_sequence_and_repetition_change_nothing(
    changes: list[IdentityChange], unmerges: list[Unmerge], policy: Policy, chance: Random
) -> None:
    before = Persons(changes, unmerges, policy)
    again, decided_again = changes + chance.sample(changes, len(changes)), unmerges * 2
    chance.shuffle(again)
    chance.shuffle(decided_again)
    after = Persons(again, decided_again, policy)

    for one in EVERY:
        assert before.identifies(one) == after.identifies(one)
        assert before.values_of([one]) == after.values_of([one])
        for other in EVERY:
            assert before.same(one, other) == after.same(one, other)
            assert before.reaches(one, other) == after.reaches(one, other)


@settings(max_examples=50)  # each compares every pair
@given(_changes, _unmerges, _policies)
def test_the_same_is_the_same_both_ways_and_found_by_its_value(
    changes: list[IdentityChange], unmerges: list[Unmerge], policy: Policy
) -> None:
    persons = Persons(changes, unmerges, policy)

    for one, other in product(EVERY, repeat=2):
        same = persons.same(one, other)
        assert same == persons.same(other, one)
        assert not same or other.value in persons.values_of([one])
        assert same or not persons.reaches(one, other)
        assert persons.reaches(one, other) or not persons.certainly_reaches(one, other)


@given(_changes, _unmerges)
def test_an_identifier_that_no_change_names_is_as_before(
    changes: list[IdentityChange], unmerges: list[Unmerge]
) -> None:
    persons = Persons(changes, unmerges)
    stranger = number("9^A", "PID-3")

    assert persons.identifies(stranger)
    assert not any(persons.same(stranger, one) for one in EVERY)
    assert persons.same(stranger, number("9", "00100020"))


@given(_changes)
def test_two_survivors_are_never_one_because_a_number_was_merged_into_both(changes: list[IdentityChange]) -> None:
    reused, one, other = identifiers("T^A P1^A P2^A")
    persons = Persons([*changes, merge("T^A", into="P1^A"), merge("T^A", into="P2^A")])

    assert not persons.same(one, other)
    assert not persons.identifies(reused)
    assert not any(persons.same(reused, who) for who in (one, other))
