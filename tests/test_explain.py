"""`bridge explain`: why a study is linked or not, for somebody who knows radiology and not the program."""

import io
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from bridge import explain
from bridge.core.decision import CONTRADICTIONS, HINTS, REASONS, SUGGESTIONS, WARNINGS, Verdict
from bridge.core.redaction import HIDDEN
from bridge.explain import words
from bridge.person import ANYTHING
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, adt, ct, orm, oru, rejection_note

STUDY, OTHER = f"{ROOT}.1", f"{ROOT}.2"
NOW = "2026-11-23T12:00:00.000000Z"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def shown(desk: Desk, key: str, *, redact: bool = False, width: int = 200) -> str:
    """What a person sees, with runs of blanks made one."""
    out = io.StringIO()
    with desk.store.read() as db:
        text = explain.as_text(explain.find(db, key), redact=redact, now=NOW)
    Console(file=out, width=width, highlight=False, markup=False, soft_wrap=True).print(text)
    return re.sub(r" +\n", "\n", re.sub(r" +", " ", out.getvalue()))


def as_json(desk: Desk, key: str, *, redact: bool = False) -> Any:
    with desk.store.read() as db:
        return json.loads(msgspec.json.encode(explain.as_json(explain.find(db, key), redact=redact)))


def commands(text: str) -> list[list[str]]:
    """The commands that are offered, in words."""
    return [line.split() for line in text.splitlines() if line.startswith((" bridge link", " bridge un"))]


def in_conflict(desk: Desk) -> None:
    """One accession number on two patients: `OTHER` is matched, `STUDY` is not."""
    desk.receive(hl7(orm(1, accession="SHARED1", patient="PATONE", name="Onename^First"), message_id="m/1"))
    said = {"accession": "SHARED1", "birth_date": "19800202"}
    desk.receive(dicom(ct(1, study=OTHER, patient="PATONE", name="Onename^First", accession="SHARED1")))
    desk.receive(dicom(ct(2, study=STUDY, patient="PATTWO", name="Twoname^Second", **said), message_id="m/3"))


# The words


@pytest.mark.parametrize("reason", [reason for reasons in REASONS.values() for reason in reasons])
def test_every_reason_says_what_it_means_and_what_would_change_it(reason: str) -> None:
    said = words.reason(reason)
    assert said.short not in ("", reason)
    assert said.meaning.endswith(".")
    assert said.changes


@pytest.mark.parametrize("code", [*CONTRADICTIONS, *WARNINGS])
def test_every_contradiction_and_warning_is_said_in_words(code: str) -> None:
    assert words.finding(code) not in ("", code)


def test_every_hint_suggestion_and_verdict_has_its_words() -> None:
    assert set(words.HINTS) == set(HINTS)
    assert set(words.SUGGESTIONS) == set(SUGGESTIONS)
    assert set(words.REASONS) | set(words.CONTRADICTIONS) == {reason for all_ in REASONS.values() for reason in all_}
    assert set(REASONS) == set(Verdict) - {Verdict.MATCHED}


# A conflict


def test_a_conflict_shows_both_values_with_their_places_and_says_why_in_words(desk: Desk) -> None:
    in_conflict(desk)
    text = shown(desk, STUDY)
    assert text.startswith(
        " CONFLICT not linked: the order that shares a number is for another patient (patient-differs)"
    )
    assert " Study " + STUDY in text
    assert "CT · 1 series, 1 object · Instance Number 1" in text
    assert " Patient PATTWO Twoname^Second born 1980-02-02 F" in text
    assert " accession number SHARED1 (0008,0050) SHARED1 OBR-18 same found by this" in text
    assert (
        " patient ID PATTWO (0010,0020) PATONE / HOSP PID-3.1 DIFFERS"
        " contradiction: patient-differs; no merge of the two is known\n"
    ) in text
    assert " Study Instance UID as above none in ORM^O01 C1-NW not stated" in text
    assert " sex F (0010,0040) F PID-8 same proves nothing alone" in text
    assert "contradiction the order that shares a number is for another patient (patient-differs)" in text
    assert "a wrong link would put these images into another patient's record" in text
    assert f"F-1 is linked to study {OTHER} already" in text


def test_what_is_said_to_change_a_conflict_does_change_it(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="PATONE")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PATTWO", accession="A1")))
    assert "3 ADT^A40 or A47 says that the two patients are one person then matched to F-1" in shown(desk, STUDY)
    desk.receive(hl7(adt("A40", "PATTWO^^^HOSP^MR", prior="PATONE^^^HOSP^MR")))
    assert shown(desk, STUDY).startswith(" MATCHED linked to F-1 by accession number")


def test_the_command_that_is_offered_can_be_given_as_it_stands(desk: Desk) -> None:
    in_conflict(desk)
    [[_, link, study, order, *_]] = commands(shown(desk, STUDY))
    assert "asks again, as it overrides" in shown(desk, STUDY)
    assert link == "link"
    desk.link(study, order, confirmed=ANYTHING)
    text = shown(desk, STUDY)
    assert text.startswith(" MATCHED linked to F-1 by a person's decision")
    assert [words[1:4] for words in commands(text)] == [["unlink", STUDY, order], ["link", STUDY, order]]
    desk.undo(study, order)
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")


def test_a_study_without_identity_is_said_to_be_never_linked(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, PatientIdentityRemoved="YES")))
    text = shown(desk, STUDY)
    assert "never linked, not even by a person" in text
    assert commands(text) == []


def test_each_contradicted_order_says_what_would_change_its_own_contradiction(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="PATONE")))
    desk.receive(hl7(orm(2, control="CA", status="CA", accession="A1", patient="PATTWO")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PATTWO", accession="A1")))
    text = shown(desk, STUDY)
    assert "Candidate 1 of 2" in text
    assert "the order is taken up again (ORC-1 UC, or a newer NW or XO) then matched to F-2" in text
    assert "ADT^A40 or A47 says that the two patients are one person then matched to F-1" in text


# What else there is to know of a study


def test_a_matched_study_names_the_number_that_links(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.receive(hl7(oru(1, "F")))
    text = shown(desk, STUDY)
    assert text.startswith(" MATCHED linked to F-1 by accession number (accession-number)")
    assert "Linked order 1 of 1 order F-1 (placer P-1, accession number A1) CT abdomen CT status scheduled" in text
    assert " Report F-1 result status F 2026-11-23 12:00:00" in text


def test_a_suggested_order_is_shown_as_one_and_never_as_linked(desk: Desk) -> None:
    scheduled = orm(5).decode().replace("F-5||SC\r", "F-5||SC||^^^20261123090000\r")
    desk.receive(hl7(scheduled.encode()))
    desk.receive(dicom(ct(5, study=STUDY, patient="PAT5", accession="WRONG", StudyDate="20261123")))
    text = shown(desk, "F-5")
    assert text.startswith(" PENDING not linked: no order shares a number with this study (no-order)")
    assert "Suggested order 1 of 1 order F-5" in text
    assert "same patient, same modality, scheduled for the day of the study" in text
    assert "It is never linked by that. (patient-modality-day)" in text
    assert "order F-5 comes again with this accession number or Study Instance UID then matched to it" in text


def test_rejected_objects_are_counted_with_what_the_note_says(desk: Desk) -> None:
    desk.receive(*(dicom(ct(n, study=STUDY, patient="PAT1", instance=n)) for n in (1, 2, 3)))
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(1, 2), code="113038", patient="PAT1")))
    text = shown(desk, STUDY)
    assert f"Rejected 2 objects: Incorrect Modality Worklist Entry (113038), note {ROOT}.3.9" in text
    assert "series CT · 1 object · Instance Number 3" in text
    desk.receive(dicom(rejection_note(8, study=STUDY, rejects=(3, 9), code="113038", patient="PAT1")))
    assert "all objects were rejected: they were taken with the wrong worklist entry" in shown(desk, STUDY)


def test_time_is_told_settled_overdue_and_reopened(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", StationName="CT1", StudyDate="20261123")))
    assert "objects may still be coming" in shown(desk, STUDY)
    desk.wait(100_000)
    text = shown(desk, STUDY)
    assert "station CT1" in text
    assert re.search(
        r"Since 2026-11-23 09:00:\d\d \(2 h\) OVERDUE since 2026-11-23 09:00:\d\d settled channel images", text
    )
    desk.receive(dicom(ct(2, study=STUDY, patient="PAT1", instance=4)))
    assert "reopened after it had settled" in shown(desk, STUDY)
    assert "Instance Number 1 to 4 (2 gaps)" in shown(desk, STUDY)


def test_history_names_the_message_or_the_person_and_what_was_published(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1"), message_id="ch/7/1"))
    desk.receive(hl7(orm(1, accession="A1"), message_id="ch/8/1"))
    desk.wait(61)
    desk.unlink(STUDY)
    told = shown(desk, STUDY).partition("History\n")[2].splitlines()
    assert told[0].endswith(" new → pending object ch/7/1 -")
    assert told[1].endswith(" pending → matched to F-1 ORM^O01 C1-NW ch/8/1 study.matched")
    assert told[2].endswith(" settled: no new object came time study.settled, study.ready")
    assert told[3].endswith(" matched to F-1 → conflict ada (bridge command) study.unlinked, study.conflict")
    assert "Who was told study.conflict 1, study.matched 1, study.ready 1, study.settled 1, study.unlinked 1" in told[5]


def test_history_names_a_message_in_xml_as_well(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    xml = (
        "<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.7><MSH.7.1>20261123</MSH.7.1></MSH.7>"
        "<MSH.9><MSH.9.1>ORM</MSH.9.1><MSH.9.2>O01</MSH.9.2></MSH.9><MSH.10><MSH.10.1>X77</MSH.10.1></MSH.10></MSH>"
        "<PID><PID.3><PID.3.1>PAT1</PID.3.1></PID.3></PID><ORC><ORC.1><ORC.1.1>NW</ORC.1.1></ORC.1>"
        "<ORC.3><ORC.3.1>F-1</ORC.3.1></ORC.3></ORC><OBR><OBR.18><OBR.18.1>A1</OBR.18.1></OBR.18></OBR></HL7Message>"
    )
    desk.receive(hl7(xml.encode(), content_type="application/hl7-v2+xml"))
    assert "pending → matched to F-1 ORM^O01 X77" in shown(desk, STUDY)


def test_what_people_decided_says_what_still_holds(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.unlink(STUDY)
    desk.undo(STUDY)
    desk.link(STUDY, "F-1")
    told = shown(desk, STUDY).partition("What people decided\n")[2].splitlines()
    assert told[0].endswith(" ada forbade the link to F-1 “looked at both” undone, or decided otherwise later")
    assert told[1].endswith(" ada took back what was decided about F-1 “looked at both”")
    assert told[2].endswith(" ada linked it to F-1 “looked at both” holds")


def test_a_merge_that_led_to_a_link_is_named_with_the_command_that_takes_it_out(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="OLD")))
    desk.receive(dicom(ct(1, study=STUDY, patient="NEW", accession="A1")))
    desk.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="OLD^^^HOSP^MR")))
    text = shown(desk, STUDY)
    assert "OLD^HOSP became NEW^HOSP" in text
    assert " bridge unmerge 'OLD^HOSP' 'NEW^HOSP' --reason" in text
    desk.unmerge("OLD^HOSP", "NEW^HOSP")
    text = shown(desk, STUDY)
    assert text.startswith(" CONFLICT")
    assert "ada OLD^HOSP and NEW^HOSP are two people “looked at both” holds" in text
    assert " bridge unmerge 'OLD^HOSP' 'NEW^HOSP' --undo --reason" in text
    assert "NEW^HOSP" not in shown(desk, STUDY, redact=True)


# Which study


def test_a_uid_shows_its_own_study_even_where_others_share_a_number_of_its_order(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", study=STUDY)))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.receive(dicom(ct(2, study=OTHER, patient="PATTWO", accession="A1")))
    for uid in (STUDY, f"{STUDY}.1", f"{ROOT}.3.1"):
        assert as_json(desk, uid)["study"]["studyInstanceUID"] == STUDY
    text = shown(desk, "A1")
    assert text.startswith("2 studies have this key. Shown is the one that waits; the others:")
    assert f" bridge explain {STUDY} (matched to F-1)" in text
    assert f" Study {OTHER}" in text
    assert [one["study"]["studyInstanceUID"] for one in as_json(desk, "A1")["studies"]] == [OTHER, STUDY]


def test_very_many_studies_are_counted_and_only_some_explained(desk: Desk) -> None:
    desk.receive(*(dicom(ct(n, study=f"{ROOT}.{n}", patient="PAT0")) for n in range(60)))
    found = as_json(desk, "PAT0")
    assert (len(found["studies"]), found["total"]) == (50, 60)
    assert "and 10 more" in shown(desk, "PAT0")


def test_an_order_without_study_is_listed_with_what_would_link(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")))
    with desk.store.read() as db:
        [order_id] = db.owners_of_value("order", "F-1")
    for key in ("F-1", "P-1", "A1", "PAT1", order_id):
        text = shown(desk, key)
        assert f"Order F-1 scheduled id {order_id}" in text
        assert " accession number A1" in text
        assert "No study shares a number with this yet." in text
        assert [order["id"] for order in as_json(desk, key)["orders"]] == [order_id]
    for secret in ("F-1", "P-1", "A1", "PAT1", "Doe", "1970"):
        assert secret not in shown(desk, "A1", redact=True)


def test_the_number_of_a_report_finds_the_order_that_it_is_about(desk: Desk) -> None:
    desk.receive(hl7(oru(1, "F", accession="REPORTED")))
    assert "report of F-1 / REPORTED result status F 2026-11-23 12:00:00" in shown(desk, "REPORTED")
    assert "REPORTED" not in shown(desk, "REPORTED", redact=True)
    desk.receive(hl7(orm(1)))
    assert "Order F-1 scheduled" in shown(desk, "REPORTED")


# Programs, and eyes that should not see everything


def test_json_of_one_study_has_the_shapes_of_the_events(desk: Desk) -> None:
    in_conflict(desk)
    told = as_json(desk, OTHER)
    assert list(told) == ["study", "correlation", "orders", "history"]
    event = [event for event in desk.events if event["subject"] == OTHER][-1]["data"]
    assert {name: told[name] for name in ("study", "correlation", "orders")} == {
        name: event[name] for name in ("study", "correlation", "orders")
    }
    assert told["history"][-1]["events"] == ["study.matched"]


def test_the_id_of_a_requested_procedure_is_not_told_without_patient_data(desk: Desk) -> None:
    order = orm(1, study=STUDY, accession="A1").replace(b"|A1|", b"|A1|RP-77")
    desk.receive(hl7(order), dicom(ct(1, study=STUDY)))
    [linked] = as_json(desk, STUDY)["orders"]
    assert linked["requestedProcedureID"] == "RP-77"
    assert "RP-77" not in str(as_json(desk, STUDY, redact=True))


def test_without_patient_data_nothing_is_left_by_which_somebody_could_be_recognised(desk: Desk) -> None:
    in_conflict(desk)
    desk.link(STUDY, "F-1", confirmed=ANYTHING)
    desk.unlink(OTHER, "F-1")
    secrets = ("PATONE", "PATTWO", "Onename", "Twoname", "SHARED1", "1970", "1980", "F-1", "P-1", "looked at both")
    for study in (STUDY, OTHER):
        text = shown(desk, study, redact=True)
        everything = text + str(as_json(desk, study, redact=True))
        assert [secret for secret in secrets if secret in everything] == []
        assert HIDDEN in text
        assert "ada (bridge command)" in text
        assert "patient-differs" in everything or study == OTHER


def test_what_would_steer_a_terminal_is_written_out(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", name="Doe^\x1b[2JJane")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert "\x1b[2J" not in shown(desk, STUDY)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_loses_nothing(desk: Desk, width: int) -> None:
    in_conflict(desk)
    squeezed = re.sub(r"\s", "", shown(desk, STUDY, width=width))
    for value in ("PATTWO", "PATONE", "Twoname^Second", STUDY, "DIFFERS", "study.conflict"):
        assert value in squeezed
