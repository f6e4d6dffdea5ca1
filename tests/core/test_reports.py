"""Which reports are about a study: by the numbers of its linked orders, and never another patient's."""

from itertools import permutations
from typing import Any

import pytest

from bridge.core.facts import fact_keys
from bridge.core.model import IdentityChange, MessageSource, Patient, Report, Stated
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.reports import current_reports, report_lookups, reports_about
from tests.core.builders import JANE, JOHN, identifiers, number, order, person
from tests.core.made_orders import EARLY, LATE, NOON

STUDY = "1.1"


def report(
    filler: str = "",
    *,
    placer: str = "",
    accession: str = "",
    rp: str = "",
    uid: str = "",
    status: str = "F",
    patient: Patient = JANE,
    time: str = NOON,
) -> Report:
    """What one OBR of a result message says; several accession numbers or UIDs are separated by blanks."""
    return Report(
        message_time=time,
        source=MessageSource("RIS", "HOSP", "ORU^R01", "1", "reports"),
        patient=patient,
        placer_order_number=number(placer, "ORC-2.1") if placer else None,
        filler_order_number=number(filler, "ORC-3.1") if filler else None,
        accession_numbers=tuple(number(one, "OBR-18") for one in accession.split()),
        requested_procedure_id=Stated(rp, "OBR-19") if rp else None,
        study_instance_uids=tuple(Stated(one, "OBX-5.1") for one in uid.split()),
        result_status=status,
    )


def is_about(said: Report, ordered: dict[str, Any], persons: Persons = NO_MERGES) -> bool:
    linked = order(**({"filler": "F1", "placer": "P1", "accession": "A1", "patient": JANE} | ordered))
    return reports_about(STUDY, [linked], [said], persons) == (said,)


@pytest.mark.parametrize(
    ("said", "ordered", "about"),
    [
        # the first number that both state and that can be compared
        ({"filler": "F1", "placer": "P9", "accession": "A9"}, {}, True),
        ({"filler": "F9", "placer": "P1", "accession": "A1", "uid": STUDY}, {}, False),
        ({"filler": "F1^RIS"}, {}, True),
        ({"filler": "F1^LAB", "placer": "P1"}, {"filler": "F1^RIS"}, True),
        ({"filler": "F1^LAB"}, {"filler": "F1^RIS"}, False),
        ({"placer": "P1"}, {}, True),
        ({"placer": "P1"}, {"filler": ""}, True),
        ({"filler": "F1", "placer": "P1"}, {"filler": ""}, True),
        ({"placer": "P9", "accession": "A1", "uid": STUDY}, {}, False),
        ({"accession": "A1"}, {}, True),
        ({"accession": "A0 A1"}, {}, True),
        ({"accession": "A9", "uid": STUDY}, {}, False),
        ({"accession": "A1^EAST"}, {"accession": "A1^WEST"}, False),
        ({"uid": STUDY}, {}, True),
        ({"uid": f"1.2 {STUDY}"}, {}, True),
        ({"uid": "1.2"}, {}, False),
        ({}, {}, False),
        # a placeholder is no number
        ({"filler": "0", "accession": "A1"}, {}, True),
        ({"filler": "0"}, {"filler": "0"}, False),
        # a placer order may have several filler orders
        ({"placer": "P1", "accession": "A9"}, {}, False),
        ({"placer": "P1", "accession": "A1"}, {}, True),
        # another requested procedure of the order, or another study of it
        ({"filler": "F1", "rp": "R2"}, {"rp": "R1"}, False),
        ({"placer": "P1", "rp": "R2"}, {"rp": "R1"}, False),
        ({"filler": "F1", "rp": "R1"}, {"rp": "R1"}, True),
        ({"filler": "F1", "rp": "R2"}, {}, True),
        ({"filler": "F1", "uid": "1.2"}, {"uid": STUDY}, False),
        ({"filler": "F1", "uid": STUDY}, {"uid": "1.9"}, True),  # the modality made its own
        ({"filler": "F1", "uid": "1.2"}, {}, True),
    ],
)
def test_a_report_is_about_an_order_by_its_numbers_and_else_by_the_study(
    said: dict[str, str], ordered: dict[str, str], about: bool
) -> None:
    assert is_about(report(**said), ordered) is about


def test_a_report_of_another_patient_is_never_about_the_study() -> None:
    assert not is_about(report("F1", accession="A1", uid=STUDY, patient=JOHN), {})
    assert is_about(report("F1", patient=person()), {})


def test_a_report_of_a_patient_who_was_merged_is_about_the_study() -> None:
    merge = IdentityChange(
        EARLY, "A40", MessageSource("ADT", "HOSP", "ADT^A40"), "merge", JANE.identifiers, identifiers("T1^HOSP")
    )
    said = report("F1", patient=person("T1^HOSP"))

    assert not is_about(said, {})
    assert is_about(said, {}, Persons([merge]))


def test_a_study_has_the_reports_of_all_its_orders_and_without_any_order_none() -> None:
    linked = [order("F1", patient=JANE), order("F2", patient=JANE)]
    known = [report("F1", time=EARLY), report("F2", time=LATE), report("F3"), report(uid=STUDY)]

    assert reports_about(STUDY, linked, known) == (known[1], known[3], known[0])
    assert reports_about(STUDY, [], known) == ()


def test_of_each_report_the_newest_is_current_whatever_came_first() -> None:
    known = [
        report("F1", status="P", time=EARLY),
        report("F1", status="F", time=NOON),
        report("F1", status="C", time=LATE),
        report("F2", status="P", time=NOON),
    ]

    for arrived in permutations(known):
        assert current_reports([*arrived, *arrived]) == (known[2], known[3])


def test_at_one_time_the_content_decides_which_is_current() -> None:
    one, other = report("F1", status="P"), report("F1", status="F")

    assert current_reports([one, other]) == current_reports([other, one])
    assert len(current_reports([one, other])) == 1


def test_times_of_reports_compare_to_the_fraction_of_a_second() -> None:
    later, earlier = report("F1", time="2026-01-01T08:00:00.5Z"), report("F1", time="2026-01-01T08:00:00Z")

    assert current_reports([later, earlier]) == (later,)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"filler": "F1"}, {"filler": "F1^RIS"}, True),
        ({"filler": "F1^RIS"}, {"filler": "F1^LAB"}, False),
        ({"filler": "F1", "accession": "A1"}, {"filler": "F1", "accession": "A2"}, True),
        ({"filler": "F1", "rp": "R1"}, {"filler": "F1", "rp": "R2"}, False),
        ({"filler": "F1", "rp": "R1"}, {"filler": "F1"}, True),
        ({"filler": "F1", "uid": "1.1"}, {"filler": "F1", "uid": "1.2"}, False),
        ({"placer": "P1"}, {"placer": "P1"}, True),
        ({"placer": "P1", "accession": "A1"}, {"placer": "P1", "accession": "A2"}, False),
        ({"accession": "A1"}, {"accession": "A1"}, True),
        ({"accession": "A1"}, {"filler": "F1", "accession": "A1"}, False),
        ({"uid": "1.1"}, {"uid": "1.1"}, True),
        ({}, {}, False),
    ],
)
def test_two_reports_are_states_of_one_when_they_name_one_order(
    one: dict[str, str], other: dict[str, str], same: bool
) -> None:
    found = current_reports([report(**one, time=EARLY), report(**other, time=LATE)])

    assert len(found) == (1 if same else 2)


def test_every_report_that_is_about_a_study_is_found_by_its_lookups() -> None:
    linked = [order("F1", placer="P1", accession="A1 A2"), order("F2^RIS")]
    lookups = report_lookups([STUDY], linked)

    assert lookups == {
        ("filler", "F1"),
        ("filler", "F2"),
        ("placer", "P1"),
        ("accession", "A1"),
        ("accession", "A2"),
        ("study", STUDY),
    }
    for said in (report("F2"), report(placer="P1"), report(accession="A2"), report(uid=f"9 {STUDY}")):
        assert fact_keys(said) & lookups


def test_a_placeholder_finds_no_report() -> None:
    assert report_lookups([STUDY], [order("0", placer="NONE", accession="000")]) == {("study", STUDY)}
