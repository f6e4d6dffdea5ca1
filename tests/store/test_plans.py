"""What the database does for each message must not grow with what is stored: every statement goes by an index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, adt, ct, orm, oru, rejection_note, siu

STUDY = f"{ROOT}.1"
OTHER_STUDY = f"{ROOT}.2"


def orders_and_objects(desk: Desk) -> None:
    desk.receive(dicom(ct(2, study=STUDY), message_id="m1"))
    desk.receive(hl7(orm(2, study=STUDY, accession="A2"), message_id="m2"))
    desk.receive(hl7(orm(2, control="XO", accession="A3", patient="PAT2", time="20261123093000")))
    desk.receive(hl7(orm(2, control="CA", accession="A3", time="20261123094000")))


def moved_and_suggested_objects(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=OTHER_STUDY, patient="PAT1")), dicom(ct(2, study=STUDY)))
    desk.receive(dicom(ct(1, study=OTHER_STUDY, patient="PAT9", name="Smith^John", birth_date="19551224")))
    desk.receive(dicom(ct(3, study=OTHER_STUDY, patient="PAT1", StudyDate="20261124")))


def a_redelivered_message(desk: Desk) -> None:
    desk.receive(dicom(ct(4, study=STUDY), redelivered=True))
    desk.receive(hl7(b"no message"))
    desk.receive(hl7(b"no message", redelivered=True))


def patient_messages_and_merges(desk: Desk) -> None:
    desk.receive(hl7(adt("A08", "PAT1^^^HOSP^MR", name="Miller^Jane")))
    desk.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="PAT1^^^HOSP^MR")))
    desk.receive(hl7(adt("A40", "NEWER^^^HOSP^MR", prior="NEW^^^HOSP^MR")))


def reports(desk: Desk) -> None:
    desk.receive(hl7(oru(1, "P", accession="A1")))
    desk.receive(hl7(oru(1, "F", accession="A1", time="20261123130000")))


def appointments(desk: Desk) -> None:
    desk.receive(hl7(siu("S12", 1)))
    desk.receive(hl7(siu("S15", 1, time="20261123100000")))


def rejection_notes(desk: Desk) -> None:
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(1, 5), patient="PAT1")))
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(5,), patient="PAT1")))
    desk.receive(dicom(ct(5, study=STUDY, patient="PAT1", accession="A1")))


def deadlines(desk: Desk) -> None:
    desk.receive(dicom(ct(6, study=OTHER_STUDY)))
    desk.wait(60)
    desk.receive(dicom(ct(7, study=STUDY, patient="PAT1", accession="A1")))
    desk.wait(60)
    desk.wait(86400)


def decisions_of_people(desk: Desk) -> None:
    desk.unlink(STUDY)
    desk.link(STUDY, "F-1")
    desk.undo(STUDY)
    desk.unmerge("PAT1^HOSP", "NEW^HOSP")


def confirmations(desk: Desk) -> None:
    with desk.store.write() as db:
        db.settle([one.id for one in db.owed(100)], {"SENT": 1})


@pytest.mark.parametrize(
    "happens",
    [
        orders_and_objects,
        moved_and_suggested_objects,
        a_redelivered_message,
        patient_messages_and_merges,
        reports,
        appointments,
        rejection_notes,
        deadlines,
        decisions_of_people,
        confirmations,
    ],
)
def test_no_statement_scans_a_table(tmp_path: Path, happens: Callable[[Desk], None]) -> None:
    desk = Desk(tmp_path)
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    plans = plans_of(desk, happens)
    assert plans
    for statement, steps in plans.items():
        if "FROM outbox ORDER BY outbox.id" not in statement:  # the oldest first, at most so many
            assert not [step for step in steps if step.startswith("SCAN")], statement


def plans_of(desk: Desk, happens: Callable[[Desk], None]) -> dict[str, list[str]]:
    """By statement that finds rows while something happens: how SQLite does it."""
    said: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "DELETE", "UPDATE")):
            said[statement] = parameters[0] if many else parameters

    event.listen(desk.store._engine, "before_cursor_execute", remember)
    happens(desk)
    event.remove(desk.store._engine, "before_cursor_execute", remember)
    with desk.store._engine.connect() as connection:
        return {
            " ".join(statement.split()): [
                row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            for statement, parameters in said.items()
        }
