"""`bridge link`, `unlink` and `unmerge`: what a person decides is shown before, recorded, kept, and can be undone."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import person
from bridge.core.model import LinkDecision, Unmerge
from bridge.store import outbox
from tests.commands import Answer, beside
from tests.conftest import Service
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, adt, ct, orm, rejection_note

STUDY, OTHER = f"{ROOT}.1", f"{ROOT}.2"
WHY = ("--reason", "looked at both", "--user", "ada")

Command = Callable[..., Answer]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def command(desk: Desk, tmp_path: Path) -> Command:
    return beside(tmp_path)


def contradicted(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="PATONE")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PATTWO", accession="A1")))
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")


def matched(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert desk.linked(STUDY) == ["F-1"]


# Link


def test_a_study_without_a_number_is_linked_to_the_order_that_a_person_names(desk: Desk, command: Command) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="MISTYPED")))
    answer = command("link", STUDY, "F-1", *WHY)
    assert answer.returncode == 0, answer.stderr
    assert f"study {STUDY} is matched to F-1" in answer.stdout
    assert f"study.matched  {STUDY}" in answer.stdout
    assert "2 events to be published by bridge run" in answer.stdout
    [undo] = re.findall(r"to undo it: bridge (.*)", answer.stdout)
    assert desk.linked(STUDY) == ["F-1"]
    assert desk.study(STUDY).revision == 2

    undone = command(*undo.replace('"…"', "mistaken").split(), "--user", "ada")
    assert undone.returncode == 0, undone.stderr
    assert f"study {STUDY} is not linked, pending" in undone.stdout
    assert desk.verdict(STUDY) == ("pending", "no-order")


def test_what_a_person_decided_is_kept_with_user_reason_and_time(desk: Desk, command: Command) -> None:
    matched(desk)
    command("unlink", STUDY, *WHY)
    [kept] = desk.study(STUDY).decisions
    assert isinstance(kept, LinkDecision)
    assert (kept.kind, kept.user, kept.reason) == ("unlink", "ada", "looked at both")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", kept.at)
    shown = command("explain", STUDY).stdout
    assert re.search(r"ada +forbade the link to F-1 +“looked at both” +holds", shown)


def test_the_events_of_a_decision_are_owed_to_consumers(desk: Desk, command: Command) -> None:
    matched(desk)
    with desk.store.read() as db:
        before = len(outbox.owed(db, 100))
    command("unlink", STUDY, *WHY)
    with desk.store.read() as db:
        names = [event.type.split(".")[-2] for event in outbox.owed(db, 100)[before:]]
    assert names[:2] == ["unlinked", "conflict"]


def test_a_link_against_the_rules_is_not_made_without_a_yes(desk: Desk, command: Command) -> None:
    contradicted(desk)
    refused = command("link", STUDY, "F-1", *WHY)
    assert refused.returncode == 1
    assert "the order that shares a number is for another patient   (patient-differs)" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    assert desk.study(STUDY).decisions == ()

    answer = command("link", STUDY, "F-1", "--yes", *WHY)
    assert answer.returncode == 0
    assert "(patient-differs)" in answer.stderr
    assert desk.linked(STUDY) == ["F-1"]


@pytest.mark.parametrize(("typed", "linked"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_at_a_terminal_it_asks(desk: Desk, tmp_path: Path, typed: bytes, linked: bool) -> None:
    contradicted(desk)
    ours, theirs = pty.openpty()
    os.write(ours, typed)
    service = Service(tmp_path, "amqp://127.0.0.1:1")
    program = [sys.executable, "-m", "bridge", "link", STUDY, "F-1", *WHY]
    answer = subprocess.run(program, env=service.environment, stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert "Link them all the same?" in answer.stderr
    assert answer.returncode == (0 if linked else 1)
    assert desk.verdict(STUDY)[0] == ("matched" if linked else "conflict")


def test_objects_of_different_patients_are_not_linked_without_a_yes(desk: Desk, command: Command) -> None:
    """Even to an order that names nobody, with which neither patient can differ."""
    nobody = orm(1, accession="A1", name="", birth_date="").decode().replace("PAT1^^^HOSP^MR", "")
    desk.receive(hl7(nobody.encode()))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")), dicom(ct(2, study=STUDY, patient="OTHER")))
    assert desk.verdict(STUDY) == ("conflict", "objects-of-different-patients")
    refused = command("link", STUDY, "F-1", *WHY)
    assert refused.returncode == 1
    assert "its objects are of different patients   (objects-of-different-patients)" in refused.stderr
    assert command("link", STUDY, "F-1", "--yes", *WHY).returncode == 0
    assert desk.linked(STUDY) == ["F-1"]


def test_a_persons_link_survives_later_messages(desk: Desk) -> None:
    contradicted(desk)
    desk.link(STUDY, "F-1", confirmed=person.ANYTHING)
    desk.receive(hl7(orm(1, control="XO", accession="A2", patient="PATONE", time="20261123093000")))
    desk.receive(dicom(ct(9, study=STUDY, patient="PATTWO", accession="A1", instance=2)))
    assert desk.linked(STUDY) == ["F-1"]
    assert desk.names()[-1] == "instance.enriched"


def test_a_study_whose_identity_was_removed_is_never_linked(desk: Desk, command: Command) -> None:
    desk.receive(hl7(orm(1)), dicom(ct(1, study=STUDY, PatientIdentityRemoved="YES")))
    answer = command("link", STUDY, "F-1", "--yes", *WHY)
    assert answer.returncode == 1
    assert answer.stderr == "bridge: the study is never linked: patient-identity-removed\n"
    assert desk.study(STUDY).decisions == ()


def test_a_study_of_which_every_object_is_rejected_is_not_linked(desk: Desk, command: Command) -> None:
    matched(desk)
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(1,), patient="PAT1")))
    assert command("link", STUDY, "F-1", "--yes", *WHY).returncode == 1


# What cannot be done


def test_what_is_not_known_is_said_clearly_and_changes_nothing(desk: Desk, command: Command) -> None:
    matched(desk)
    for arguments, line in (
        (("link", OTHER, "F-1"), "there is no such study"),
        (("link", STUDY, "F-9"), "there is no such order"),
        (("unlink", STUDY, "F-9"), "there is no such order"),
        (("unlink", OTHER), "there is no such study"),
        (("link", STUDY, "F-1", "--undo"), "nobody has decided anything about this"),
        (("unlink", STUDY, "--undo"), "nobody has decided anything about this"),
    ):
        answer = command(*arguments, *WHY)
        assert answer.returncode == 1
        assert answer.stderr == f"bridge: {line}\n"
        assert answer.stdout == ""
    assert desk.study(STUDY).decisions == ()


def test_a_number_of_several_orders_is_not_guessed(desk: Desk, command: Command) -> None:
    desk.receive(hl7(orm(1, accession="A1")), hl7(orm(2, accession="A1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT7")))
    answer = command("link", STUDY, "A1", *WHY)
    assert answer.returncode == 1
    with desk.store.read() as db:
        ids = db.owners_of_value("order", "A1")
    assert all(order_id in answer.stderr for order_id in ids)
    assert command("link", STUDY, ids[0], "--yes", *WHY).returncode == 0


def test_without_reason_or_user_nothing_is_decided(desk: Desk, command: Command) -> None:
    matched(desk)
    assert command("unlink", STUDY, "--user", "ada").returncode == 2
    assert command("unlink", STUDY, "--user", "ada", "--reason", " ").returncode == 2
    assert command("unlink", STUDY, "--user", "", "--reason", "wrong").returncode == 2
    assert desk.linked(STUDY) == ["F-1"]


def test_the_user_is_by_default_whoever_is_logged_in(
    desk: Desk, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    matched(desk)
    monkeypatch.setenv("LOGNAME", "grace")
    made = beside(Path(str(desk.store.file)).parent)
    assert made("unlink", STUDY, "--reason", "wrong").returncode == 0
    assert [decision.user for decision in desk.study(STUDY).decisions] == ["grace"]


# Unlink


def test_a_forbidden_link_does_not_come_back_by_a_message_and_comes_back_by_undo(desk: Desk, command: Command) -> None:
    matched(desk)
    answer = command("unlink", STUDY, *WHY)
    assert answer.returncode == 0
    assert f"study {STUDY} is not linked, conflict: a person has forbidden the link" in answer.stdout
    assert f"to undo it: bridge unlink {STUDY} --undo" in answer.stdout
    desk.receive(hl7(orm(1, control="XO", accession="A1", time="20261123093000")))
    assert desk.verdict(STUDY) == ("conflict", "unlinked-by-person")
    assert command("unlink", STUDY, "--undo", *WHY).returncode == 0
    assert desk.linked(STUDY) == ["F-1"]


def test_of_several_orders_one_can_be_forbidden(desk: Desk, command: Command) -> None:
    for number in (1, 2):
        desk.receive(hl7(orm(number, accession="A1", patient="PAT1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert desk.linked(STUDY) == ["F-1", "F-2"]
    answer = command("unlink", STUDY, "F-2", *WHY)
    assert f"study {STUDY} is matched to F-1" in answer.stdout
    assert desk.linked(STUDY) == ["F-1"]


# Unmerge


def merged(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="OLD")))
    desk.receive(dicom(ct(1, study=STUDY, patient="NEW", accession="A1")))
    desk.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="OLD^^^HOSP^MR")))
    assert desk.linked(STUDY) == ["F-1"]


def test_a_wrong_merge_is_taken_out_and_can_be_let_back(desk: Desk, command: Command) -> None:
    merged(desk)
    answer = command("unmerge", "OLD^HOSP", "NEW^HOSP", *WHY)
    assert answer.returncode == 0, answer.stderr
    assert f"study.unlinked  {STUDY}" in answer.stdout
    assert answer.stderr == ""
    assert "to undo it: bridge unmerge 'OLD^HOSP' 'NEW^HOSP' --undo" in answer.stdout
    assert desk.verdict(STUDY) == ("conflict", "patient-differs")
    with desk.store.read() as db:
        [kept] = db.facts({("patient", "OLD")}, Unmerge).values()
    assert (kept.user, kept.reason, kept.kind) == ("ada", "looked at both", "unmerge")
    assert command("unmerge", "OLD^HOSP", "NEW^HOSP", "--undo", *WHY).returncode == 0
    assert desk.linked(STUDY) == ["F-1"]


def test_a_merge_that_is_not_known_is_said_to_be_none(desk: Desk, command: Command) -> None:
    merged(desk)
    answer = command("unmerge", "OLD", "NWE", *WHY)
    assert answer.returncode == 0
    assert "no merge or link of these two is known yet" in answer.stderr
    assert "no event is owed by this" in answer.stdout
    assert desk.linked(STUDY) == ["F-1"]


# Beside the running service


def test_status_tells_people_of_overdue_studies_and_programs_what_it_always_did(desk: Desk, command: Command) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    before = json.loads(command("status", "--json").stdout)
    assert "overdue" not in command("status").stdout
    desk.wait(100_000)
    assert re.search(r"^overdue +1 +\(bridge studies\) *$", command("status").stdout, re.MULTILINE)
    assert json.loads(command("status", "--json").stdout).keys() == before.keys()


def test_a_decision_counts_for_what_the_service_does_next(desk: Desk) -> None:
    """Another store on the same file, as another process has it."""
    contradicted(desk)
    other = Desk(Path(str(desk.store.file)).parent)
    person.link(other.store, other.site, other.somebody(), STUDY, "F-1", confirmed=person.ANYTHING)
    desk.receive(dicom(ct(2, study=STUDY, patient="PATTWO", accession="A1", instance=2)))
    assert desk.events[-1]["data"]["correlation"]["rule"] == "person"
    assert desk.linked(STUDY) == ["F-1"]
