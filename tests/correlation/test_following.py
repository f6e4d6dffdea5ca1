"""What follows the match: changes of orders, patients, objects and reports, and what people decide (DESIGN 4.5)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydicom.dataset import Dataset

from bridge.core.channel import Channel
from bridge.person import ANYTHING, NeedsConfirmation, NotPossible
from tests.conftest import name_of
from tests.desk import CHANNELS, Desk, dicom, hl7
from tests.samples import ROOT, adt, ct, orm, oru, rejection_note, siu

STUDY = f"{ROOT}.1"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def matched(desk: Desk) -> Desk:
    """Study 1 with one object, matched to order F-1 of patient PAT1 by accession number A1."""
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert desk.take() == ["study.matched", "instance.enriched"]
    return desk


def last(desk: Desk, name: str) -> dict[str, Any]:
    data: dict[str, Any] = [event for event in desk.events if name_of(event) == name][-1]["data"]
    return data


# Orders


def test_a_change_of_the_order_amends_the_study_and_says_what_changed(matched: Desk) -> None:
    matched.receive(hl7(orm(1, control="XO", accession="A1", time="20261123093000", name="Doe^Janet")))
    assert matched.take() == ["study.amended", "instance.enriched"]
    changes = {
        change["pointer"]: (change["before"], change["after"]) for change in last(matched, "study.amended")["changes"]
    }
    assert changes["/orders/0/patient/name/alphabetic"] == ("Doe^Jane", "Doe^Janet")
    assert last(matched, "study.amended")["correlation"]["previous"]["verdict"] == "matched"


def test_a_cancelled_order_takes_its_study_away_and_a_restored_one_gives_it_back(matched: Desk) -> None:
    matched.receive(hl7(orm(1, control="CA", status="CA", accession="A1", time="20261123093000")))
    assert matched.take() == ["study.unlinked", "study.conflict"]
    assert matched.verdict(STUDY) == ("conflict", "order-cancelled")
    matched.receive(hl7(orm(1, control="UC", accession="A1", time="20261123094000")))
    assert matched.take() == ["study.matched", "instance.enriched"]


def test_an_order_that_moves_to_another_accession_number_leaves_one_study_and_finds_the_other(matched: Desk) -> None:
    matched.receive(dicom(ct(2, study=f"{STUDY}.2", patient="PAT1", accession="A2")))
    matched.take()
    matched.receive(hl7(orm(1, control="XO", accession="A2", time="20261123093000")))
    assert matched.verdict(STUDY) == ("pending", "no-order")
    assert matched.linked(f"{STUDY}.2") == ["F-1"]


def test_a_cancelled_appointment_takes_the_study_away_until_it_is_booked_again(matched: Desk) -> None:
    matched.receive(hl7(siu("S15", 1)))
    assert matched.verdict(STUDY) == ("conflict", "order-cancelled")
    matched.receive(hl7(siu("S12", 1, time="20261123100000")))
    assert matched.verdict(STUDY) == ("matched", None)
    step = last(matched, "study.matched")["orders"][0]["scheduledSteps"][0]
    assert step["scheduledProcedureStepStartDateTime"].startswith("2026-11-24T10:00")


# Patients


def test_a_merge_links_what_two_numbers_of_one_person_kept_apart_and_an_unmerge_parts_it_again(desk: Desk) -> None:
    desk.receive(hl7(orm(1, patient="OLD", accession="A1")), dicom(ct(1, study=STUDY, patient="NEW", accession="A1")))
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    desk.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="OLD^^^HOSP^MR")))
    assert desk.verdict(STUDY) == ("matched", None)
    desk.unmerge("OLD^HOSP", "NEW^HOSP")
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    assert "study.unlinked" in desk.names()
    desk.unmerge("OLD^HOSP", "NEW^HOSP", undone=True)
    assert desk.verdict(STUDY) == ("matched", None)


def test_a_patient_update_changes_what_is_published_about_the_order(matched: Desk) -> None:
    matched.receive(hl7(adt("A08", "PAT1^^^HOSP^MR", name="Miller^Jane")))
    assert matched.take() == ["study.amended", "instance.enriched"]
    assert last(matched, "instance.enriched")["orders"][0]["patient"]["name"]["alphabetic"] == "Miller^Jane"


def test_a_trauma_patient_who_gets_a_name_is_linked_by_it(desk: Desk) -> None:
    desk.receive(hl7(orm(1, patient="T1", name="Trauma^Quebec", birth_date="19800101", accession="A1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="T1", accession="A1", name="Smith^Joan", birth_date="19760503")))
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    desk.receive(hl7(adt("A08", "T1^^^HOSP^MR", name="Smith^Joan", birth_date="19760503")))
    assert desk.verdict(STUDY) == ("matched", None)


# Objects


def test_a_rejection_note_takes_objects_out_whichever_comes_first(matched: Desk) -> None:
    note = dicom(rejection_note(9, study=STUDY, rejects=(1, 2), patient="PAT1"))
    matched.receive(note)
    assert "instance.rejected" in matched.take()
    assert matched.verdict(STUDY) == ("pending", "no-instances")
    rejection = last(matched, "instance.rejected")["rejection"]
    assert rejection["code"] == "113001"
    assert rejection["note"] == f"{ROOT}.3.9"
    matched.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A1")))
    assert matched.take() == ["instance.rejected"]
    matched.receive(dicom(ct(3, study=STUDY, patient="PAT1", accession="A1")))
    assert matched.verdict(STUDY) == ("matched", None)
    assert matched.take() == ["study.matched", "instance.enriched"] + ["instance.enriched"] * 1


def test_an_incorrect_worklist_entry_leaves_a_conflict_when_nothing_is_left(matched: Desk) -> None:
    matched.receive(dicom(rejection_note(9, study=STUDY, rejects=(1,), code="113038", patient="PAT1")))
    assert matched.verdict(STUDY) == ("conflict", "incorrect-worklist-entry")
    assert matched.study(STUDY).settled == "never"
    matched.wait(60)
    assert last(matched, "study.settled")["study"]["numberOfInstances"] == 1  # the note itself


def test_an_object_that_comes_again_with_another_study_is_a_warning_in_both(matched: Desk) -> None:
    matched.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A1")))
    matched.receive(dicom(ct(1, study=f"{STUDY}.2", patient="PAT1", accession="A1")))
    for uid in (STUDY, f"{STUDY}.2"):
        decision = matched.study(uid).decision
        assert decision is not None
        assert "object-moved" in {warning.code for warning in decision.warnings}


# Reports


def test_the_status_of_a_report_is_published_without_its_text_and_again_when_it_changes(matched: Desk) -> None:
    matched.receive(hl7(oru(1, "P")))
    assert matched.take() == ["study.reported"]
    matched.receive(hl7(oru(1, "F", time="20261123130000")))
    [report] = last(matched, "study.reported")["reports"]
    assert report["resultStatus"] == "F"
    assert report["fillerOrderNumber"]["value"] == "F-1"
    assert not any("the text of the report" in str(event) for event in matched.events)


def test_a_report_that_came_before_order_and_study_is_published_when_these_are_known(desk: Desk) -> None:
    desk.receive(hl7(oru(1, "F", accession="A1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert "study.reported" not in desk.take()
    desk.receive(hl7(orm(1, accession="A1")))
    assert desk.take() == ["study.matched", "study.reported", "instance.enriched"]


# People


def test_a_person_links_what_the_rules_leave_open_and_it_survives_later_messages(desk: Desk) -> None:
    desk.receive(hl7(orm(1)), dicom(ct(1, study=STUDY, patient="PAT1")))
    assert desk.verdict(STUDY) == ("pending", "no-order")
    desk.link(STUDY, "F-1")
    assert desk.linked(STUDY) == ["F-1"]
    assert last(desk, "study.matched")["correlation"]["rule"] == "person"
    desk.receive(hl7(orm(1, control="XO", time="20261123093000", accession="A7")))
    desk.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A8")))
    assert desk.linked(STUDY) == ["F-1"]
    desk.undo(STUDY, "F-1")
    assert desk.verdict(STUDY)[0] == "pending"


def test_a_link_against_a_contradiction_needs_to_be_confirmed(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="OTHER", accession="A1")))
    with pytest.raises(NeedsConfirmation) as refused:
        desk.link(STUDY, "F-1")
    assert refused.value.codes == ("patient-differs",)
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    desk.link(STUDY, "F-1", confirmed=ANYTHING)
    assert desk.linked(STUDY) == ["F-1"]


def test_a_person_unlinks_and_no_later_message_links_it_again(matched: Desk) -> None:
    matched.unlink(STUDY)
    assert matched.verdict(STUDY) == ("conflict", "unlinked-by-person")
    matched.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A1")))
    matched.receive(hl7(orm(1, control="XO", time="20261123093000", accession="A1")))
    assert matched.verdict(STUDY) == ("conflict", "unlinked-by-person")
    matched.undo(STUDY)
    assert matched.linked(STUDY) == ["F-1"]


def test_history_says_who_decided(matched: Desk) -> None:
    matched.unlink(STUDY)
    with matched.store.read() as db:
        assert [entry.user for entry in db.history(STUDY)] == [None, "ada"]


@pytest.mark.parametrize(("study", "order"), [("1.2.3", "F-1"), (STUDY, "F-99")])
def test_nobody_links_what_is_not_there(matched: Desk, study: str, order: str) -> None:
    with pytest.raises(NotPossible):
        matched.link(study, order)


def test_a_study_whose_identity_was_removed_is_linked_by_nobody(desk: Desk) -> None:
    desk.receive(hl7(orm(1)), dicom(ct(1, study=STUDY, PatientIdentityRemoved="YES")))
    with pytest.raises(NotPossible, match="patient-identity-removed"):
        desk.link(STUDY, "F-1", confirmed=ANYTHING)
    assert desk.verdict(STUDY) == ("pending", "patient-identity-removed")


# Both at once


def test_of_orders_and_objects_that_arrive_at_the_same_moment_none_is_missed(desk: Desk) -> None:
    pairs = range(200)
    orders = [hl7(orm(n, accession=f"A{n}", study=f"{STUDY}.{n}")) for n in pairs]
    objects = [dicom(ct(n, study=f"{STUDY}.{n}", patient=f"PAT{n}", accession=f"A{n}")) for n in pairs]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda messages: [desk.receive(message) for message in messages], (orders, objects)))
    assert {uid: desk.linked(uid) for uid in desk.links()} == {f"{STUDY}.{n}": [f"F-{n}"] for n in pairs}
    assert desk.names().count("instance.enriched") == 200


def test_what_comes_to_speak_against_a_person_s_link_waits_for_a_person_again(desk: Desk) -> None:
    desk.receive(hl7(orm(1)), dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.link(STUDY, "F-1")
    desk.take()
    desk.receive(hl7(orm(1, control="CA", status="CA", time="20261123093000")))
    assert desk.verdict(STUDY) == ("conflict", "order-cancelled")
    assert desk.take() == ["study.unlinked", "study.conflict"]
    desk.link(STUDY, "F-1", confirmed=("order-cancelled",))
    assert desk.linked(STUDY) == ["F-1"]
    desk.receive(
        hl7(orm(1, control="XO", patient="PAT9", name="Roe^Max", birth_date="19330303", time="20261123094000"))
    )
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")


def test_a_study_is_never_matched_to_orders_of_two_patients(desk: Desk) -> None:
    desk.receive(hl7(orm(1)), dicom(ct(1, study=STUDY, name="", birth_date="")))
    desk.link(STUDY, "F-1")
    desk.receive(hl7(orm(2, study=STUDY, name="Roe^Max", birth_date="19330303")))
    assert desk.linked(STUDY) == ["F-1"]
    desk.undo(STUDY)
    assert desk.linked(STUDY) == ["F-2"]


def test_unlinking_all_orders_publishes_no_link_in_between(desk: Desk) -> None:
    both = {"accession": "A1", "patient": "PAT1"}
    desk.receive(hl7(orm(1, **both)), hl7(orm(2, **both)), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert desk.linked(STUDY) == ["F-1", "F-2"]
    desk.take()
    desk.unlink(STUDY)
    assert desk.take() == ["study.unlinked", "study.conflict"]


def test_what_a_person_decided_is_taken_back_when_the_order_has_another_id_since(desk: Desk) -> None:
    placer_only = orm(1).replace(b"|F-1|", b"||")
    desk.receive(hl7(placer_only), dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.link(STUDY, "P-1")
    desk.receive(hl7(orm(1, control="XO", time="20261123093000")))
    assert desk.linked(STUDY) == ["F-1"]
    desk.undo(STUDY, "F-1")
    assert desk.verdict(STUDY)[0] == "pending"


def test_a_new_order_for_another_patient_under_a_used_number_takes_the_study_away(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, name="", birth_date="")))
    assert desk.linked(STUDY) == ["F-1"]
    desk.receive(hl7(orm(1, patient="PAT9", name="Roe^Max", birth_date="19330303", time="20261124083000")))
    assert desk.verdict(STUDY) == ("pending", "no-order")


def test_a_report_is_told_again_when_its_order_comes_back(matched: Desk) -> None:
    matched.receive(hl7(oru(1, "F")))
    matched.receive(hl7(orm(1, control="CA", status="CA", accession="A1", time="20261123130000")))
    matched.take()
    matched.receive(hl7(orm(1, control="UC", accession="A1", time="20261123140000")))
    assert "study.reported" in matched.take()


# Objects again


def test_an_object_that_is_let_back_is_told_of_under_an_id_of_its_own(matched: Desk) -> None:
    matched.receive(dicom(rejection_note(9, study=STUDY, rejects=(1,), patient="PAT1")))
    corrected = rejection_note(9, study=STUDY, rejects=(7,), patient="PAT1")
    matched.receive(dicom(corrected))
    assert matched.names().count("instance.rejected") == 1
    assert [name for name in matched.take() if name.startswith("instance")][-1] == "instance.enriched"
    ids = [event["id"] for event in matched.events]
    assert len(ids) == len(set(ids))


def test_a_settled_study_that_an_object_leaves_settles_again_with_what_is_left(matched: Desk) -> None:
    matched.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A1")))
    matched.wait(60)
    matched.receive(dicom(ct(2, study=f"{STUDY}.2", patient="PAT1", accession="A1")))
    matched.take()
    matched.wait(60)
    left = [e["data"] for e in matched.events if name_of(e) == "study.ready" and e["subject"] == STUDY][-1]
    assert (left["study"]["numberOfInstances"], left["reopened"]) == (1, True)
    assert [series["instanceNumbers"]["count"] for series in left["study"]["series"]] == [1]


def test_a_rejected_object_reopens_a_settled_study_too(matched: Desk) -> None:
    matched.receive(dicom(rejection_note(9, study=STUDY, rejects=(5,), patient="PAT1")))
    matched.wait(60)
    matched.receive(dicom(ct(5, study=STUDY, patient="PAT1", accession="A1")))
    matched.wait(60)
    assert last(matched, "study.settled")["reopened"]


def test_an_older_header_that_comes_later_leaves_the_same_warnings(tmp_path: Path) -> None:
    def header(study: str, modified: str) -> bytes:
        original = Dataset()
        original.AttributeModificationDateTime = modified
        return ct(1, study=study, patient="PAT1", OriginalAttributesSequence=[original])

    older, newer = header(STUDY, "20260101120000"), header(f"{STUDY}.2", "20260102120000")
    ends = []
    for name, sequence in (("forward", (older, newer)), ("back", (newer, older))):
        (tmp_path / name).mkdir()
        desk = Desk(tmp_path / name)
        for body in sequence:
            desk.receive(dicom(body))
        ends.append({uid: (desk.verdict(uid), desk.study(uid).departures) for uid in (STUDY, f"{STUDY}.2")})
    assert ends[0] == ends[1]
    assert ends[0][STUDY] == (("pending", "no-instances"), {(f"{ROOT}.3.1", f"{STUDY}.2")})


def test_a_consumer_of_ready_alone_hears_of_it_again_when_a_link_comes_back(tmp_path: Path) -> None:
    def only_ready(channel: Channel) -> Channel:
        [destination] = channel.destinations
        return replace(channel, destinations=(replace(destination, events=("study.ready", "study.unlinked")),))

    desk = Desk(tmp_path, [only_ready(channel) for channel in CHANNELS])
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.wait(60)
    desk.receive(hl7(orm(1, control="CA", status="CA", accession="A1", time="20261123093000")))
    desk.receive(hl7(orm(1, control="UC", accession="A1", time="20261123094000")))
    assert desk.take() == ["study.ready", "study.unlinked", "study.ready"]
    assert last(desk, "study.ready")["correlation"]["previous"]["verdict"] == "conflict"
