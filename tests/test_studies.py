"""`bridge studies`: what waits for a person, the oldest first."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bridge.explain import waiting
from tests.commands import Answer, beside
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

Command = Callable[..., Answer]

CONFLICT, AMBIGUOUS, OVERDUE, PENDING, MATCHED = (f"{ROOT}.{n}" for n in range(1, 6))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One study of each verdict, and one that is overdue."""
    made = Desk(tmp_path)
    made.receive(dicom(ct(3, study=OVERDUE, patient="PAT3", accession="LOST")))
    made.wait(100_000)
    made.receive(
        hl7(orm(1, accession="A1", patient="PATONE")), hl7(orm(2, accession="A2")), hl7(orm(5, accession="A5"))
    )
    made.receive(dicom(ct(1, study=CONFLICT, patient="PATTWO", accession="A1", StationName="CT1")))
    made.receive(dicom(ct(2, study=AMBIGUOUS, name="", birth_date="", accession="A2")))
    made.receive(dicom(ct(4, study=PENDING, patient="PAT4")))
    made.receive(dicom(ct(5, study=MATCHED, patient="PAT5", accession="A5")))
    return made


@pytest.fixture
def command(desk: Desk, tmp_path: Path) -> Command:
    return beside(tmp_path)


def listed(command: Command, *arguments: str) -> list[dict[str, Any]]:
    answer = json.loads(command("studies", "--json", *arguments).stdout)
    assert answer["total"] == len(answer["studies"])
    studies: list[dict[str, Any]] = answer["studies"]
    return studies


def test_what_waits_for_a_person_is_listed_the_oldest_first(command: Command) -> None:
    answer = command("studies")
    assert answer.returncode == 0, answer.stderr
    heading, *lines, last = answer.stdout.splitlines()
    assert re.split(r"\s{2,}", heading.strip())[:4] == ["since", "verdict", "modality", "accession number"]
    assert [line.split()[2] for line in lines] == ["overdue", "conflict", "ambiguous"]
    assert lines[1].split()[3:] == ["CT", "A1", "PATTWO", "CT1", "patient-differs", CONFLICT]
    assert last == "3 of 5 studies wait for a person."


def test_programs_get_all_that_is_needed_to_act(command: Command) -> None:
    overdue, conflict, _ = listed(command)
    assert list(conflict) == [
        "studyInstanceUID",
        "verdict",
        "reason",
        "since",
        "overdueAt",
        "modalities",
        "accessionNumbers",
        "patient",
        "station",
        "candidates",
        "revision",
    ]
    assert (conflict["studyInstanceUID"], conflict["verdict"], conflict["overdueAt"]) == (CONFLICT, "conflict", None)
    assert conflict["candidates"][0]["contradictions"] == ["patient-differs"]
    assert (overdue["verdict"], overdue["reason"]) == ("pending", "no-order")
    assert overdue["overdueAt"] > overdue["since"]


def test_verdicts_can_be_chosen_and_a_pending_study_is_listed_once(command: Command) -> None:
    for verdicts, uids in (
        ("conflict", [CONFLICT]),
        ("overdue", [OVERDUE]),
        ("pending", [OVERDUE, PENDING]),
        ("pending,overdue, ambiguous", [OVERDUE, AMBIGUOUS, PENDING]),
    ):
        assert [one["studyInstanceUID"] for one in listed(command, "--verdict", verdicts)] == uids
    assert (
        "3 of 5 studies wait for an order or a person." in command("studies", "--verdict", "pending,ambiguous").stdout
    )
    refused = command("studies", "--verdict", "matched")
    assert refused.returncode == 2
    assert "there are conflict, ambiguous, overdue, pending" in re.sub(r"[│\s]+", " ", refused.stderr)


def test_monitoring_learns_by_the_exit_code_whether_somebody_has_to_look(command: Command, desk: Desk) -> None:
    assert command("studies", "--fail-if-any").returncode == 1
    desk.receive(hl7(orm(1, control="XO", patient="PATTWO", accession="A1", time="20261123093000")))
    none = command("studies", "--verdict", "conflict", "--fail-if-any")
    assert none.returncode == 0
    assert none.stdout == "0 of 5 studies wait for a person.\n"


def test_patient_data_can_be_hidden(command: Command) -> None:
    shown = command("studies", "--redact").stdout + command("studies", "--redact", "--json").stdout
    assert CONFLICT in shown
    for secret in ("PATTWO", "A1", "LOST", "Doe", "1970"):
        assert not re.search(rf"\b{secret}\b", shown)


def test_what_cannot_be_a_time_span_is_a_usage_error(command: Command) -> None:
    answer = command("studies", "--since", "yesterday")
    assert answer.returncode == 2
    assert "such as 60s, 5m, 24h or 7d" in re.sub(r"[│\s]+", " ", answer.stderr)


def test_since_counts_from_when_it_became_so(desk: Desk) -> None:
    """What was pending long before and has become overdue a minute ago is news of the last minute."""
    conflict, overdue = desk.study(CONFLICT), desk.study(OVERDUE)
    assert overdue.overdue_at is not None
    assert overdue.since < overdue.overdue_at < conflict.since
    later = conflict.since.replace("T09", "T10")
    for now, within, expected in (
        (conflict.since, 0, [CONFLICT]),
        (conflict.since, 59, [OVERDUE, CONFLICT]),
        (later, 60, []),
    ):
        with desk.store.read() as db:
            verdicts = ["conflict", "overdue"]
            found = waiting.waiting(db, verdicts, now=now, within=timedelta(seconds=within))
        assert [one.study_instance_uid for one in found.studies] == expected


def test_a_longer_list_is_cut_and_says_so(command: Command) -> None:
    answer = command("studies", "--limit", "1")
    assert OVERDUE in answer.stdout
    assert "2 more are not shown: --limit 3 shows them." in answer.stdout
    assert "3 of 5 studies wait for a person." in answer.stdout
    cut = json.loads(command("studies", "--limit", "1", "--json").stdout)
    assert (len(cut["studies"]), cut["total"]) == (1, 3)


def test_an_ambiguous_study_counts_its_candidates_and_a_pending_one_its_suggestions(desk: Desk) -> None:
    scheduled = orm(7, patient="PAT7").decode().replace("F-7||SC\r", "F-7||SC||^^^20261123090000\r")
    desk.receive(hl7(scheduled.encode()), dicom(ct(7, study=f"{ROOT}.7", patient="PAT7", StudyDate="20261123")))
    desk.receive(*(hl7(orm(n, accession="A8")) for n in (8, 9)))
    desk.receive(dicom(ct(8, study=f"{ROOT}.8", name="", birth_date="", accession="A8")))
    with desk.store.read() as db:
        found = waiting.waiting(db, ["pending", "ambiguous"], now="2026-11-23T10:00:00.000000Z")
    reasons = {one.study_instance_uid: waiting._reason(one) for one in found.studies}
    assert reasons[f"{ROOT}.7"] == "no-order; 1 suggestion"
    assert reasons[f"{ROOT}.8"] == "several-orders; 2 candidates"


def test_the_list_reads_only_what_waits(desk: Desk) -> None:
    """However many studies are linked, none of them is looked at."""
    said: list[tuple[str, Any]] = []

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        said.append((statement, parameters))

    event.listen(desk.store._engine, "before_cursor_execute", remember)
    with desk.store.read() as db:
        waiting.waiting(db, waiting.FOR_A_PERSON, now="2026-11-23T10:00:00.000000Z", within=timedelta(hours=1))
    event.remove(desk.store._engine, "before_cursor_execute", remember)
    with desk.store._engine.connect() as connection:
        for statement, parameters in said:
            if statement.startswith("SELECT"):
                plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
                scans = [step for step in plan if step.startswith("SCAN") and "COVERING INDEX" not in step]
                assert not scans, statement
