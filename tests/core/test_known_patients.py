"""What patient messages say of an order's patient: all of the same person's, and never a stranger's."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.core.known_patients import as_known
from bridge.core.model import Identifier, IdentityChange, Patient, PatientUpdate, Unmerge
from bridge.core.orders import Order, assemble
from bridge.core.patients import Comparison, compare
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import Policy
from tests.core.builders import JOHN, order, person, update, who
from tests.core.patient_messages import EARLY, LATE, NOON, link, merge, states

JANE = person("100^HOSP", "Doe^Jane", "1970-01-31", "F")
TEMPORARY = person("T^HOSP", "Trauma^Seven", "1990-01-01")
MERGED = Persons([merge("T^HOSP", into="100^HOSP")])


def known(of: Patient | Order, *said: PatientUpdate, persons: Persons = NO_MERGES) -> Order:
    """What no sequence of the messages may change."""
    ordered = order(patient=of, time=EARLY) if isinstance(of, Patient) else of
    found = {as_known(ordered, [*arrived, *arrived], persons) for arrived in permutations(said)}
    assert len(found) == 1
    return found.pop()


def names(made: Order) -> str:
    return " ".join(name.alphabetic or "" for name in made.identity.names)


def ids(stated: tuple[Identifier, ...]) -> str:
    return " ".join(one.value for one in stated)


# Who is meant


def test_without_patient_messages_and_merges_an_order_is_as_it_was_stated() -> None:
    made = order(patient=JANE)

    assert as_known(made, [], NO_MERGES) is made


def test_a_message_about_the_patient_s_number_states_the_patient_anew() -> None:
    made = known(JANE, states("100^HOSP", "Roe^Jane", "1970-01-30", "O"))

    assert made.patient == person("100^HOSP", "Roe^Jane", "1970-01-30", "O")
    assert names(made) == "Roe^Jane Doe^Jane"
    assert made.identity.birth_dates == ("1970-01-30", "1970-01-31")


def test_what_a_message_does_not_mention_stays_as_the_order_states_it() -> None:
    assert known(JANE, states("100^HOSP", "Roe^Jane")).patient == replace(JANE, names=person(name="Roe^Jane").names)


def test_the_further_numbers_that_a_message_about_the_patient_s_own_states_are_compared_too() -> None:
    made = known(person("100^HOSP 5^OLD"), states("100^HOSP 7^NAT"))

    assert ids(made.patient.identifiers) == "100 7"
    assert ids(made.identity.identifiers) == "100 7 5"


def test_a_message_that_leaves_the_issuer_out_does_not_open_the_patient_s_number_to_other_issuers() -> None:
    newborn = person("1^A", "Doe^Baby", "1970-01-02")
    merges = Persons([merge("3^A", into="1", facility="B")])
    made = known(newborn, states("1", "Roe^Zoe", "1970-01-02", facility="B"), persons=merges)

    assert compare(made.identity, who("3^A", "Roe^Zoe", "1970-01-02"), merges) is Comparison.DIFFERENT


def test_an_older_message_adds_to_compare_by_and_changes_nothing_that_is_published() -> None:
    made = known(replace(JANE, sex=None), states("100^HOSP", "Maiden^Jane", "1970-01-30", "F", at=""))

    assert made.patient == JANE
    assert names(made) == "Doe^Jane Maiden^Jane"


def test_a_message_about_another_patient_says_nothing() -> None:
    assert known(JANE, states("200^HOSP", "Smith^John")) == order(patient=JANE, time=EARLY)
    assert known(JANE, states("100^CLINIC", "Smith^John")) == order(patient=JANE, time=EARLY)
    assert known(JANE, states("100^HOSP^VN", "Smith^John")) == order(patient=JANE, time=EARLY)


def test_a_message_that_names_no_patient_says_nothing() -> None:
    nobody = replace(states("0", "Smith^John"), patient_identifiers=())

    assert known(JANE, nobody, states("0", "Smith^John")) == order(patient=JANE, time=EARLY)


def test_an_order_without_a_patient_stays_without_one() -> None:
    assert known(order(), states("100^HOSP", "Doe^Jane")) == order()
    assert known(person(name="Doe^Jane"), states("100^HOSP", "Doe^Jane")).patient == person(name="Doe^Jane")


def test_an_order_that_was_stored_without_its_statements_stays_as_it_is() -> None:
    made = replace(order(patient=JANE), statements=())

    assert as_known(made, [states("100^HOSP", "Roe^Jane")], MERGED) is made


def test_an_order_that_was_moved_is_known_by_its_current_patient_alone() -> None:
    (moved,) = assemble([update("F1", patient=JANE, time=EARLY), update("F1", patient=JOHN, time=NOON)]).values()
    made = known(moved, states("100^HOSP", "Roe^Jane"), states("200^HOSP", "Smith^Jon"))

    assert made.patient == replace(JOHN, names=person(name="Smith^Jon").names)
    assert names(made) == "Smith^Jon Smith^John"


# After a merge


def test_an_order_under_a_merged_number_is_published_as_the_surviving_patient() -> None:
    made = known(TEMPORARY, states("100^HOSP", "Doe^Jane", "1970-01-31", "F", at=NOON), persons=MERGED)

    assert made.patient == JANE
    assert names(made) == "Doe^Jane Trauma^Seven"
    assert made.identity.birth_dates == ("1970-01-31", "1990-01-01")
    assert ids(made.identity.identifiers) == "T"  # the merge leads on from it


def test_an_order_of_the_survivor_is_compared_by_the_earlier_names_and_published_without_them() -> None:
    made = known(JANE, states("T^HOSP", "Trauma^Seven", "1990-01-01", at=LATE), persons=MERGED)

    assert made.patient == JANE
    assert names(made) == "Trauma^Seven Doe^Jane"
    assert ids(made.identity.identifiers) == "100"
    assert compare(made.identity, who("T^HOSP", "Trauma^Seven", "1990-01-01"), MERGED) is Comparison.SAME


def test_a_chain_of_merges_brings_everything_stated_on_the_way() -> None:
    persons = Persons([merge("A^HOSP", into="B^HOSP"), merge("B^HOSP", into="C^HOSP")])
    said = (states("A^HOSP", "First^Name"), states("C^HOSP", "Last^Name"))
    made = known(person("B^HOSP", "Middle^Name"), *said, persons=persons)

    assert made.patient.names == person(name="Last^Name").names
    assert sorted(names(made).split()) == ["First^Name", "Last^Name", "Middle^Name"]


def test_both_merged_into_one_are_one_person_and_neither_s_names_are_the_other_s() -> None:
    persons = Persons([merge("A^HOSP", into="C^HOSP"), merge("B^HOSP", into="C^HOSP")])
    made = known(person("A^HOSP", "First^Name"), states("B^HOSP", "Second^Name"), persons=persons)

    assert names(made) == "First^Name"


def test_a_link_brings_what_is_stated_of_either_side() -> None:
    made = known(JANE, states("7^CLINIC", "Roe^Jane"), persons=Persons([link("100^HOSP", "7^CLINIC")]))

    assert names(made) == "Roe^Jane Doe^Jane"
    assert ids(made.identity.identifiers) == "100"


def test_the_name_of_a_merged_record_is_compared_by_and_never_published() -> None:
    persons = Persons([merge("T^HOSP", into="100^HOSP", at=LATE, prior_name="Trauma^Seven")])
    survivor, merged = known(JANE, persons=persons), known(replace(TEMPORARY, names=()), persons=persons)

    assert (survivor.patient, names(survivor)) == (JANE, "Trauma^Seven Doe^Jane")
    assert (merged.patient.names, names(merged)) == ((), "Trauma^Seven")


def test_after_an_unmerge_the_order_is_as_before() -> None:
    change = merge("T^HOSP", into="100^HOSP", prior_name="Trauma^Seven")
    apart = Unmerge(LATE, "kim", "wrong", "unmerge", change.patient_identifiers[0], change.prior_identifiers[0])
    made = known(JANE, states("T^HOSP", "Trauma^Seven"), persons=Persons([change], [apart]))

    assert made == order(patient=JANE, time=EARLY)


def test_a_temporary_number_that_was_used_again_brings_nobody_s_names() -> None:
    persons = Persons(
        [merge("T^HOSP", into="100^HOSP", prior_name="Trauma^Seven"), merge("T^HOSP", into="200^HOSP")],
    )
    said = (states("100^HOSP", "Doe^Jane"), states("200^HOSP", "Smith^John"), states("T^HOSP", "Trauma^Eight"))

    assert known(TEMPORARY, *said, persons=persons) == order(patient=TEMPORARY, time=EARLY)
    assert names(known(JANE, *said, persons=persons)) == "Doe^Jane"


# Where an issuer is missing


@pytest.mark.parametrize(("mine", "theirs"), [("100", "100^HOSP"), ("100^HOSP", "100")])
def test_a_message_whose_issuer_is_a_guess_counts_where_name_or_birth_date_speaks_for_it(
    mine: str, theirs: str
) -> None:
    jane = person(mine, "Doe^Jane", "1970-01-31")

    assert names(known(jane, states(theirs, "Roe^Jane", "1970-01-31"))) == "Roe^Jane Doe^Jane"
    assert known(jane, states(theirs, "Doe^Jane", "1970-01-13")) == order(patient=jane, time=EARLY)
    assert known(person(mine), states(theirs, "Doe^Jane")).patient.names == person(name="Doe^Jane").names
    for stranger in (states(theirs, "Smith^John", "1955-12-24"), states(theirs, "Smith^John")):
        assert known(jane, stranger) == order(patient=jane, time=EARLY)


def test_numbers_without_issuers_are_certain_from_one_facility_alone() -> None:
    jane = person("100", "Doe^Jane", "1970-01-31")
    renamed = states("100", "Smith^Jane", "1971-02-01")

    assert names(known(jane, renamed)) == "Smith^Jane Doe^Jane"
    for facility in ("CLINIC", None):
        elsewhere = states("100", "Smith^Jane", "1971-02-01", facility=facility)
        assert known(jane, elsewhere) == order(patient=jane, time=EARLY)
        assert names(known(jane, states("100", "Doe^Jane", "1971-02-01", facility=facility))) == "Doe^Jane"


def test_two_facilities_that_are_not_stated_are_not_one() -> None:
    made = order(patient=person("100", "Doe^Jane", "1970-01-31"), time=EARLY)
    made = replace(made, statements=(replace(made.statements[0], sending_facility=None),))

    assert known(made, states("100", "Smith^Jane", "1971-02-01", facility=None)) == made


def test_a_merge_is_reached_over_a_missing_issuer_only_where_something_speaks_for_it() -> None:
    temporary = replace(TEMPORARY, identifiers=person("T").identifiers)

    assert known(temporary, states("100^HOSP", "Doe^Jane", "1970-01-31"), persons=MERGED).patient == temporary
    survivor = states("100^HOSP", "Trauma^Seven", "1970-01-31")
    assert known(temporary, survivor, persons=MERGED).patient == temporary
    both = states("100^HOSP", "Trauma^Seven", "1990-01-01", "F")
    assert known(temporary, both, persons=MERGED).patient.sex == "F"


def test_the_name_of_a_merged_record_needs_a_certain_number() -> None:
    persons = Persons([merge("T^HOSP", into="100^HOSP", prior_name="Trauma^Seven")])

    assert names(known(replace(JANE, identifiers=person("100").identifiers), persons=persons)) == "Doe^Jane"


def test_where_issuers_are_strict_a_missing_one_brings_nothing() -> None:
    strict = Persons(policy=Policy(strict_issuers=True))

    assert known(JANE, states("100", "Roe^Jane", "1970-01-31"), persons=strict) == order(patient=JANE, time=EARLY)


# What holds for all

_numbers = st.sampled_from(["1^A", "2^A", "3^A", "1", "2", "1^B"])
_said = st.lists(
    st.builds(
        states,
        _numbers,
        st.sampled_from(["", "Doe^Jane", "Smith^John", "Roe^Jane"]),
        st.sampled_from(["", "1970-01-31", "1955-12-24"]),
        at=st.sampled_from(["", EARLY, LATE]),
        facility=st.sampled_from(["HOSP", "CLINIC", None]),
    ),
    max_size=5,
)
_merges = st.lists(
    st.builds(merge, _numbers, into=_numbers, prior_name=st.sampled_from(["", "Trauma^Seven"])), max_size=3
)


@given(_numbers, _said, _merges, st.randoms(use_true_random=False))
def test_no_sequence_or_repetition_of_patient_messages_matters(
    own: str, said: list[PatientUpdate], merges: list[IdentityChange], chance: Random
) -> None:
    made = order(patient=person(own, "Doe^Jane", "1970-01-31"), time=NOON)
    again, merged_again = said * 2, merges * 2
    chance.shuffle(again)
    chance.shuffle(merged_again)

    assert as_known(made, again, Persons(merged_again)) == as_known(made, said, Persons(merges))


@given(_numbers, _said, _merges)
def test_every_name_is_the_order_s_own_or_of_somebody_who_may_be_the_patient(
    own: str, said: list[PatientUpdate], merges: list[IdentityChange]
) -> None:
    persons = Persons(merges)
    made = order(patient=person(own, "Doe^Jane", "1970-01-31"), time=NOON)
    found = as_known(made, said, persons)
    mine = made.patient.identifiers[0]

    stated = [(update.patient_identifiers or (), update.patient_names or ()) for update in said]
    stated += [(change.prior_identifiers, change.prior_names) for change in merges]
    for name in set(found.identity.names) - set(made.identity.names):
        assert any(name in given and persons.same(mine, one) for who, given in stated for one in who)
