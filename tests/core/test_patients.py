"""Same patient, another, or unknown: a wrong "same" is the worst that can happen."""

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from bridge.core.model import Identifier, IdentityChange, Issuer, PatientStatement, PersonName
from bridge.core.patients import (
    Comparison,
    Identity,
    about_current_patient,
    comparable_issuers,
    compare,
    compare_birth_dates,
    compare_identifiers,
    compare_names,
    compare_sexes,
    identifier_pairs,
    identity_of,
    is_placeholder,
    newest_fields,
    person_identifiers,
)
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import Policy
from tests.core.builders import identifiers, issuer, person, who
from tests.core.patient_messages import EARLY, LATE, NOON, merge

SAME, DIFFERENT, UNKNOWN = Comparison


def named(name: str | PersonName) -> Identity:
    return who(name=name)


# DESIGN 4.3, sentence by sentence


def test_a_shared_identifier_is_one_patient() -> None:
    assert compare(who("1 2"), who("2 3")) is SAME


def test_a_shared_identifier_outweighs_a_name_that_changed() -> None:
    assert compare(who("1", "Doe^Jane", "1970-01-31"), who("1", "Smith^Jane", "1970-01-31")) is SAME


def test_a_shared_identifier_outweighs_a_mistyped_birth_date() -> None:
    assert compare(who("1", "Doe^Jane", "1970-01-31"), who("1", "Doe^Jane", "1970-01-13")) is SAME


def test_name_and_birth_date_that_both_differ_are_another_patient_whatever_the_identifiers() -> None:
    assert compare(who("1", "Doe^Jane", "1970-01-31"), who("1", "Smith^John", "1955-12-24")) is DIFFERENT


def test_comparable_identifiers_that_share_none_are_two_patients_even_with_one_name_and_birth_date() -> None:
    assert compare(who("1", "Doe^Jane", "1970-01-31"), who("2", "Doe^Jane", "1970-01-31")) is DIFFERENT


def test_without_comparable_identifiers_another_name_or_birth_date_is_another_patient() -> None:
    assert compare(who("1^A", "Doe^Jane", "1970-01-31"), who("1^B", "Smith^Jane", "1970-01-31")) is DIFFERENT
    assert compare(who("1^A", "Doe^Jane", "1970-01-31"), who("1^B", "Doe^Jane", "1970-01-13")) is DIFFERENT


def test_without_comparable_identifiers_one_name_and_birth_date_are_one_patient() -> None:
    assert compare(who("1^A", "Doe^Jane", "1970-01-31"), who("1^B", "Doe^Jane", "1970-01-31")) is SAME
    assert compare(who("", "Doe^Jane", "1970-01-31"), who("1^B", "Doe^Jane", "1970-01-31")) is SAME


def test_a_name_or_a_birth_date_alone_leaves_it_unknown() -> None:
    assert compare(who("", "Doe^Jane", "1970-01-31"), who("", "Doe^Jane")) is UNKNOWN
    assert compare(who("", "Doe^Jane", "1970-01-31"), who("", "", "1970-01-31")) is UNKNOWN


def test_missing_never_differs() -> None:
    jane = who("1^A", "Doe^Jane", "1970-01-31")

    assert compare(jane, who()) is UNKNOWN
    assert compare(jane, who("1^A")) is SAME
    assert compare(jane, who("", "Doe^Jane")) is UNKNOWN


def test_the_sex_does_not_decide() -> None:
    jane = replace(who("", "Doe^Jane", "1970-01-31"), sex="F")

    assert compare(jane, replace(jane, sex="M")) is SAME
    assert compare_sexes(jane, replace(jane, sex="M")) is False
    assert compare_sexes(jane, replace(jane, sex="O")) is None


def test_twins_without_a_shared_number_are_two_patients() -> None:
    assert compare(who("", "Doe^Anna", "2020-02-02"), who("", "Doe^Emma", "2020-02-02")) is DIFFERENT


def test_twins_under_one_number_by_mistake_are_told_apart_by_nothing_and_share_it() -> None:
    assert compare(who("1", "Doe^Anna", "2020-02-02"), who("1", "Doe^Emma", "2020-02-02")) is SAME


def test_mother_and_newborn_are_two_patients_whatever_number_is_on_both() -> None:
    assert compare(who("1", "Doe^Jane", "1990-01-31"), who("1", "Smith^Baby", "2020-02-02")) is DIFFERENT
    assert compare(who("", "Doe^Jane", "1990-01-31"), who("", "Doe^Baby", "2020-02-02")) is DIFFERENT


@pytest.mark.parametrize("given_name", ["Baby A", "Baby Girl", "BabyGirl", "Newborn", "Twin 1", "Girl", "Unknown"])
def test_newborns_who_have_no_given_name_yet_are_not_one_patient_by_name(given_name: str) -> None:
    newborn = who("", f"Doe^{given_name}", "2020-02-02")

    assert compare(newborn, newborn) is UNKNOWN
    assert compare(newborn, who("", "Doe^Emma", "2020-02-02")) is UNKNOWN


def test_a_temporary_name_that_was_replaced_is_still_the_order_s() -> None:
    names = (PersonName("Doe^Jane"), PersonName("Trauma^Seven"))
    order = Identity(names=names, birth_dates=("1970-01-31", "1900-01-01"))

    assert compare(order, who("", "Trauma^Seven", "1900-01-01")) is UNKNOWN
    assert compare(order, who("", "Trauma^Seven", "1970-01-31")) is SAME
    assert compare(order, who("", "Doe^Jane", "1970-01-31")) is SAME
    assert compare(order, who("", "Trauma^Eight", "1970-01-31")) is DIFFERENT


# Identifiers


@pytest.mark.parametrize("type_code", ["", "MR", "PI", "PT", "NI"])
def test_numbers_of_one_person_are_compared(type_code: str) -> None:
    assert compare(who(f"1^A^{type_code}"), who("1^A")) is SAME
    assert compare(who(f"1^A^{type_code}"), who("2^A")) is DIFFERENT


@pytest.mark.parametrize("type_code", ["AN", "VN", "HC", "SS", "DL", "PPN", "MC", "MA", "XX"])
def test_account_visit_insurance_and_health_card_numbers_are_nobody(type_code: str) -> None:
    assert compare(who(f"1^A^{type_code}"), who(f"1^A^{type_code}")) is UNKNOWN
    assert compare(who(f"1^A^{type_code}"), who(f"2^A^{type_code}")) is UNKNOWN


@pytest.mark.parametrize("value", ["0", "000000", "NONE", "none", " Unknown ", "N/A", "-", "...", "???", "*", "", "  "])
def test_placeholders_are_missing(value: str) -> None:
    assert is_placeholder(value)
    stated = Identity(identifiers=(Identifier(value, "PID-3"),))
    assert compare(stated, stated) is UNKNOWN


@pytest.mark.parametrize("value", ["1", "10", "A0", "NONE1", "007", "X1"])
def test_numbers_that_only_look_odd_are_numbers(value: str) -> None:
    assert not is_placeholder(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12345", "012345"),  # leading zero
        ("12345", "123456"),  # check digit
        ("12345", "12345^HOSP"),  # glued issuer
        ("A1", "a1"),
    ],
)
def test_numbers_that_differ_only_in_the_way_they_are_written_stay_different(one: str, other: str) -> None:
    stated = [Identity(identifiers=(Identifier(value, "PID-3"),)) for value in (one, other)]

    assert compare(*stated) is DIFFERENT


# Issuers (DESIGN 4.2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HOSP", "HOSP"),
        ("HOSP", "hosp"),
        ("HOSP", "HOSP&1.2.3&ISO"),
        ("&1.2.3&ISO", "HOSP&1.2.3&ISO"),
        ("WARD&1.2.3&ISO", "HOSP&1.2.3&ISO"),
        ("1.2.3", "&1.2.3&ISO"),
        ("", "HOSP"),
        ("", ""),
    ],
)
def test_issuers_that_agree_in_any_form_or_are_missing_do_not_rule_a_number_out(one: str, other: str) -> None:
    assert comparable_issuers(issuer(one), issuer(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HOSP", "CLINIC"),
        ("HOSP&1.2.3&ISO", "HOSP&4.5.6&ISO"),
        ("HOSP", "&1.2.3&ISO"),  # nothing shows that they are one
        ("HOSP&1.2.3&ISO", "CLINIC"),
    ],
)
def test_issuers_that_are_both_known_and_different_rule_a_number_out(one: str, other: str) -> None:
    assert not comparable_issuers(issuer(one), issuer(other))
    assert compare(who(f"1^{one}"), who(f"1^{other}")) is UNKNOWN


@pytest.mark.parametrize("joined", ["HOSP&1.2.3&ISO", " hosp & 1.2.3 &ISO", "HOSP&1.2.3"])
def test_a_designator_that_stands_whole_in_one_field_is_the_same_as_in_three(joined: str) -> None:
    for in_one_field in (Issuer(namespace_id=joined), Issuer(universal_id=joined)):
        assert comparable_issuers(in_one_field, Issuer("HOSP", "1.2.3", "ISO"))
        assert comparable_issuers(in_one_field, Issuer("HOSP"))
        assert not comparable_issuers(in_one_field, Issuer("HOSP", "9.9.9", "ISO"))


def test_an_issuer_that_says_nothing_is_missing() -> None:
    assert comparable_issuers(Issuer(), Issuer("HOSP"))
    assert comparable_issuers(Issuer("", " "), Issuer("HOSP"))


def test_strict_issuers_compare_a_missing_one_with_a_missing_one_alone() -> None:
    strict = Policy(strict_issuers=True)

    assert not comparable_issuers(None, issuer("HOSP"), strict)
    assert not comparable_issuers(issuer("HOSP&1.2.3&ISO"), Issuer("", " "), strict)
    assert comparable_issuers(None, Issuer(), strict)
    assert comparable_issuers(issuer("HOSP"), issuer("HOSP&1.2.3&ISO"), strict)


def test_where_issuers_are_strict_a_number_without_one_never_agrees_and_differs_as_ever() -> None:
    strict = Persons(policy=Policy(strict_issuers=True))

    assert compare(who("1"), who("1^HOSP"), strict) is UNKNOWN
    assert compare(who("1"), who("2^HOSP"), strict) is DIFFERENT
    assert compare(who("1"), who("1"), strict) is SAME
    assert compare(who("1"), who("2"), strict) is DIFFERENT


def test_a_site_says_which_types_of_number_are_a_person_s() -> None:
    national = Persons(policy=Policy(person_types=frozenset({"NI"})))

    assert compare(who("1^A^NI 7^A^MR"), who("1^A^NI 8^A^MR"), national) is SAME
    assert compare(who("7^A^MR"), who("7^A^MR"), national) is UNKNOWN


# Merges


MERGED = Persons([merge("T^HOSP", into="100^HOSP")])


def test_merged_numbers_are_one_patient_s() -> None:
    assert compare(who("T^HOSP"), who("100^HOSP")) is DIFFERENT
    assert compare(who("T^HOSP"), who("100^HOSP"), MERGED) is SAME
    assert compare(who("T"), who("100^HOSP"), MERGED) is SAME
    assert compare(who("T^HOSP"), who("200^HOSP"), MERGED) is DIFFERENT


def test_a_merge_makes_numbers_of_two_issuers_comparable() -> None:
    persons = Persons([merge("1^A", into="2^B")])
    ours, theirs = who("1^A", "Doe^Jane"), who("2^B", "Smith^Jane")

    assert compare(ours, theirs) is DIFFERENT
    assert compare(ours, theirs, persons) is SAME
    assert identifier_pairs(ours, theirs) == []
    assert identifier_pairs(ours, theirs, persons) == [(ours.identifiers[0], theirs.identifiers[0])]


def test_name_and_birth_date_that_both_differ_are_another_patient_whatever_was_merged() -> None:
    ours, theirs = who("T^HOSP", "Doe^Jane", "1970-01-31"), who("100^HOSP", "Smith^John", "1955-12-24")

    assert compare(ours, theirs, MERGED) is DIFFERENT


def test_a_number_that_was_merged_into_two_people_says_nothing() -> None:
    persons = Persons([merge("T^HOSP", into="1^HOSP"), merge("T^HOSP", into="2^HOSP")])

    assert compare(who("T^HOSP"), who("T^HOSP"), persons) is UNKNOWN
    assert compare(who("T^HOSP"), who("1^HOSP"), persons) is UNKNOWN
    assert compare(who("T^HOSP 9^HOSP"), who("T^HOSP 8^HOSP"), persons) is DIFFERENT
    assert compare(who("1^HOSP"), who("2^HOSP"), persons) is DIFFERENT
    assert [i.value for i in person_identifiers(who("T^HOSP 9^HOSP"), persons)] == ["9"]
    assert compare_identifiers(who("T^HOSP"), who("T^HOSP"), persons) is None


# Names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Doe^Jane", "DOE^JANE"),
        ("Doe^Jane^Quincy^Dr.^Jr.", "Doe^Jane"),
        ("Doe^Jane Mary", "Doe^Jane"),
        ("Müller^Jörg", "MUELLER^JOERG"),
        ("Müller^Jörg", "Muller^Jorg"),
        ("Mu\u0308ller^Jo\u0308rg", "Müller^Jörg"),
        ("Weiß^Max", "WEISS^MAX"),
        ("Dvořák^Antonín", "DVORAK^ANTONIN"),
        ("Łukasiewicz^Jan", "LUKASIEWICZ^JAN"),
        ("Sørensen^Åse", "SOERENSEN^AASE"),
        ("Sørensen^Åse", "Sorensen^Ase"),
        ("Đorđević^Ana", "DORDEVIC^ANA"),
        ("I\u015f\u0131k^Ayşe", "IŞIK^AYŞE"),
        ("İnce^Ayşe", "INCE^AYSE"),
        ("O'Brien^Ann", "OBRIEN^ANN"),
        ("Müller-Lüdenscheidt^Eva", "Mueller Luedenscheidt^Eva"),
        ("Nguyễn^Thị", "NGUYEN^THI"),
        ("Чайковский^Пётр", "ЧАЙКОВСКИЙ^ПЕТР"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ"),
        ("\uff39\uff21\uff2d\uff21\uff24\uff21^Taro", "Yamada^Taro"),
        ("שָׁלוֹם^דָּוִד", "שלום^דוד"),
        ("Na^Young Hee", "NA^YOUNG"),
    ],
)
def test_names_are_one_without_case_diacritics_and_further_given_names(one: str, other: str) -> None:
    assert compare_names(named(one), named(other)) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Doe^Jane", "Doe^John"),
        ("Doe^Jane", "Roe^Jane"),
        ("Doe^Jane", "Jane^Doe"),
        ("Muller^Jan", "Mueller^Jan"),
        ("Na^Young", "Kim^Young"),
        ("山田^太郎", "山本^太郎"),
        ("かとう^あい", "がとう^あい"),  # a voicing mark is part of the letter
        ("गीता^राम", "गति^राम"),  # so are vowel signs
        ("สมชาย^ดี", "สมชาย^ดู"),
        ("123^A", "124^A"),
    ],
)
def test_names_that_differ_in_a_letter_differ(one: str, other: str) -> None:
    assert compare_names(named(one), named(other)) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Doe", "Doe^Jane"),
        ("Doe^", "Doe^Jane"),
        ("^Jane", "Doe^Jane"),
        ("UNKNOWN^MALE", "Doe^Jane"),
        ("ANONYMOUS", "Doe^Jane"),
        ("???^", "Doe^Jane"),
        ("0", "Doe^Jane"),
        ("Yamada^Taro", "山田^太郎"),
        ("やまだ^たろう", "山田^太郎"),
        ("Петров^Иван", "Petrov^Ivan"),
        ("123^A", "Doe^Jane"),
    ],
)
def test_names_that_lack_a_part_or_stand_in_other_scripts_cannot_be_compared(one: str, other: str) -> None:
    assert compare_names(named(one), named(other)) is None


def test_names_agree_when_any_representation_does() -> None:
    whole = PersonName(alphabetic="Yamada^Tarou", ideographic="山田^太郎", phonetic="やまだ^たろう")

    assert compare_names(named(whole), named("Yamada^Taro")) is False
    assert compare_names(named(whole), named(PersonName("Yamada^Taro", "山田^太郎"))) is True
    assert compare_names(named(whole), named("山田^太郎")) is True
    assert compare_names(named(whole), named(PersonName(phonetic="やまだ^たろう"))) is True


# Birth dates


@pytest.mark.parametrize(
    ("one", "other", "agrees"),
    [
        ("1970-01-31", "1970-01-31", True),
        ("1970-01-31", "1970-01", True),
        ("1970", "1970-01-31", True),
        ("1970-01-31", "1970-02", False),
        ("1971", "1970-01-31", False),
        ("1900-01-01", "1970-01-31", None),
        ("1970-01-31", "0001-01-01", None),
        ("1970-01-31", "", None),
    ],
)
def test_birth_dates_compare_to_the_common_precision_and_placeholders_are_missing(
    one: str, other: str, agrees: bool | None
) -> None:
    assert compare_birth_dates(who(born=one), who(born=other)) is agrees


# What several messages state of one patient


def stated(at: str, ids: str | None = None, name: str | None = None, born: str | None = None) -> PatientStatement:
    """None is what the message does not mention."""
    return PatientStatement(
        at,
        "HOSP",
        UNSET if ids is None else identifiers(ids),
        UNSET if name is None else person(name=name).names,
        UNSET if born is None else born or None,
    )


def known(*statements: PatientStatement, persons: Persons = NO_MERGES) -> tuple[str, str, str]:
    """Identifiers, names and birth dates, which no sequence may change."""
    found = {identity_of(arrived, persons) for arrived in permutations(statements)}
    assert len(found) == 1
    who = found.pop()
    names = " ".join(name.alphabetic or "" for name in who.names)
    return " ".join(i.value for i in who.identifiers), names, " ".join(who.birth_dates)


def test_the_newest_identifiers_stand_and_every_name_and_birth_date_is_kept_the_newest_first() -> None:
    first, second = stated(EARLY, "1 2", "Trauma^Seven", "1990-01-01"), stated(LATE, "1 3", "Doe^Jane", "1970-01-31")

    assert known(first, second) == ("1 3", "Doe^Jane Trauma^Seven", "1970-01-31 1990-01-01")


def test_what_is_not_mentioned_stays_and_what_is_deleted_goes_from_the_patient_alone() -> None:
    before = stated(EARLY, "1", "Doe^Jane", "1970-01-31")
    deleting = PatientStatement(LATE, names=(), birth_date=None)

    assert known(before, deleting) == ("1", "Doe^Jane", "1970-01-31")
    assert newest_fields([deleting, before]) == person("1")
    assert newest_fields([stated(LATE, name="Doe^Mary"), before]) == person("1", "Doe^Mary", "1970-01-31")


def test_what_moves_to_another_patient_keeps_nothing_of_the_earlier_one() -> None:
    janes, johns = stated(EARLY, "100", "Doe^Jane", "1970-01-31"), stated(LATE, "200", "Smith^John")

    assert known(janes, johns) == ("200", "Smith^John", "")
    assert newest_fields(about_current_patient([janes, johns])) == person("200", "Smith^John")


def test_what_moves_back_keeps_nothing_of_the_patient_in_between() -> None:
    again = stated(LATE, "100", "Doe^Jane")

    assert known(stated(EARLY, "100", born="1970-01-31"), stated(NOON, "200", "Smith^John", "1955-12-24"), again) == (
        "100",
        "Doe^Jane",
        "1970-01-31",
    )


def test_a_statement_without_a_number_is_about_the_patient_before_it() -> None:
    janes, renamed = stated(EARLY, "100", "Doe^Jane"), stated(NOON, None, "Roe^Jane")
    without_a_person_s = stated(NOON, "V1^X^VN", "Roe^Jane")

    assert known(janes, renamed) == ("100", "Roe^Jane Doe^Jane", "")
    assert known(janes, renamed, stated(LATE, "200", "Smith^John")) == ("200", "Smith^John", "")
    assert known(janes, without_a_person_s, stated(LATE, "200", "Smith^John")) == ("200", "Smith^John", "")
    assert known(janes, stated(NOON, "200", "Smith^John"), stated(LATE, "", "Smith^Jon")) == (
        "",
        "Smith^Jon Smith^John",
        "",
    )


def test_a_patient_who_had_no_number_yet_keeps_the_temporary_name() -> None:
    assert known(stated(EARLY, None, "Trauma^Seven"), stated(LATE, "100", "Doe^Jane")) == (
        "100",
        "Doe^Jane Trauma^Seven",
        "",
    )


def test_a_merge_says_that_the_patient_is_no_other() -> None:
    temporary, janes = stated(EARLY, "T^HOSP", "Trauma^Seven", "1990-01-01"), stated(LATE, "100^HOSP", "Doe^Jane")

    assert known(temporary, janes) == ("100", "Doe^Jane", "")
    assert known(temporary, janes, persons=MERGED) == ("100", "Doe^Jane Trauma^Seven", "1990-01-01")


def test_numbers_of_two_issuers_are_two_patients_unless_a_merge_joins_them() -> None:
    statements = (stated(EARLY, "1^A", "Doe^Jane"), stated(LATE, "2^B", "Roe^Jane"))

    assert known(*statements) == ("2", "Roe^Jane", "")
    assert known(*statements, persons=Persons([merge("1^A", into="2^B")])) == ("2", "Roe^Jane Doe^Jane", "")


def test_an_order_that_is_moved_to_a_number_used_for_several_people_keeps_nothing_of_the_earlier_patient() -> None:
    used_again = Persons([merge("T^A", into="4^A"), merge("T^A", into="5^A")])

    assert known(stated(EARLY, "1^A", "Doe^Jane"), stated(LATE, "T^A"), persons=used_again) == ("T", "", "")


def test_fractions_of_a_second_and_missing_times_have_their_place() -> None:
    assert known(stated("", "1", "A^A"), stated(NOON, "1", "B^B"), stated("2026-01-01T12:00:00.5Z", "1", "C^C")) == (
        "1",
        "C^C B^B A^A",
        "",
    )


# What holds for all

_issuers = st.sampled_from([None, *map(issuer, ("A", "B", "A&1.2&ISO", "A&3.4&ISO", "&1.2&ISO"))])
_identifiers = st.builds(
    Identifier,
    value=st.sampled_from(["1", "2", "01", "0"]),
    where=st.just("PID-3"),
    issuer=_issuers,
    type_code=st.sampled_from([None, "MR", "AN"]),
)
_written = st.sampled_from(
    ["Doe^Jane", "DOE^JANE MARY", "Doe^Emma", "Doe^Baby", "Roe^Jane", "Doe", "UNKNOWN", "山田^太郎"]
)
_identities = st.builds(
    Identity,
    identifiers=st.lists(_identifiers, max_size=3).map(tuple),
    names=st.lists(st.builds(PersonName, alphabetic=_written), max_size=2).map(tuple),
    birth_dates=st.lists(st.sampled_from(["1970-01-31", "1970-01", "1955", "1900-01-01"]), max_size=2).map(tuple),
)
_any_text = st.text(max_size=12)


@given(_identities, _identities)
def test_it_does_not_matter_who_is_compared_with_whom(one: Identity, other: Identity) -> None:
    assert compare(one, other) is compare(other, one)


@given(_identities)
def test_nobody_differs_from_a_patient_of_whom_nothing_is_known(one: Identity) -> None:
    assert compare(one, Identity()) is UNKNOWN


@given(_identities)
def test_nobody_differs_from_himself(one: Identity) -> None:
    assert compare(one, one) is not DIFFERENT


@given(_identities, _identities, _identities)
def test_whatever_else_becomes_known_a_shared_identifier_is_never_unknown_again(
    one: Identity, other: Identity, more: Identity
) -> None:
    number = (Identifier("777", "PID-3", Issuer("A"), "MR"),)
    one, other = replace(one, identifiers=number), replace(other, identifiers=number)
    fuller = Identity(number + more.identifiers, one.names + more.names, one.birth_dates + more.birth_dates)

    assert compare(one, other) in (SAME, DIFFERENT)
    assert compare(fuller, other) in (SAME, DIFFERENT)


@given(_identities, _identities)
def test_without_identifiers_the_same_needs_both_name_and_birth_date(one: Identity, other: Identity) -> None:
    one, other = replace(one, identifiers=()), replace(other, identifiers=())

    agree = compare_names(one, other) is True and compare_birth_dates(one, other) is True
    assert (compare(one, other) is SAME) is agree


_statements = st.lists(
    st.builds(
        PatientStatement,
        message_time=st.sampled_from(["", EARLY, LATE]),
        identifiers=st.one_of(st.just(UNSET), st.lists(_identifiers, max_size=2).map(tuple)),
        names=st.one_of(st.just(UNSET), st.lists(st.builds(PersonName, alphabetic=_written), max_size=1).map(tuple)),
        birth_date=st.sampled_from([UNSET, None, "1970-01-31", "1955"]),
        sex=st.sampled_from([UNSET, None, "F", "M"]),
    ),
    max_size=5,
)
_merges = st.lists(st.sampled_from([merge("1", into="2"), merge("1^A", into="2^A"), merge("2^A", into="1^B")]))


@given(_statements, _merges, st.randoms(use_true_random=False))
def test_neither_sequence_nor_repetition_of_statements_matters(
    statements: list[PatientStatement], merges: list[IdentityChange], chance: Random
) -> None:
    persons = Persons(merges)
    again = statements * 2
    chance.shuffle(again)

    assert identity_of(again, persons) == identity_of(statements, persons)
    assert newest_fields(again) == newest_fields(statements)


@given(_statements, _merges)
def test_nothing_is_kept_that_was_stated_of_somebody_else_alone(
    statements: list[PatientStatement], merges: list[IdentityChange]
) -> None:
    persons = Persons(merges)
    whose = identity_of(statements, persons)
    if person_identifiers(whose, persons):
        for name in whose.names:
            by = [s for s in statements if name in (s.names or ())]
            assert any(
                compare_identifiers(Identity(s.identifiers or ()), whose, persons) or not _names_anybody(s, persons)
                for s in by
            )


def _names_anybody(statement: PatientStatement, persons: Persons) -> bool:
    return bool(person_identifiers(Identity(statement.identifiers or ()), persons))


@given(_identities, _identities, _merges)
def test_it_does_not_matter_who_is_compared_with_whom_after_merges(
    one: Identity, other: Identity, merges: list[IdentityChange]
) -> None:
    persons = Persons(merges)

    assert compare(one, other, persons) is compare(other, one, persons)


@given(_any_text, _any_text)
def test_any_text_can_be_a_name(one: str, other: str) -> None:
    assert compare_names(named(one), named(other)) in (True, False, None)
    assert compare_names(named(one), named(one)) is not False
