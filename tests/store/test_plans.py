"""What the database does for each message must not grow with what is stored: every statement goes by an index."""

from pathlib import Path
from typing import Any

from sqlalchemy import event

from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, ct, orm


def test_no_statement_of_intake_or_relay_scans_a_table(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        said[statement] = parameters[0] if many else parameters

    event.listen(desk.store._engine, "before_cursor_execute", remember)
    study = f"{ROOT}.1"
    desk.receive(dicom(ct(1, study=study, patient="PAT1"), message_id="m1"))
    desk.receive(hl7(orm(1, study=study, accession="A1"), message_id="m2"))
    desk.receive(hl7(orm(1, control="XO", accession="A2", patient="PAT2", time="20261123093000")))
    desk.receive(dicom(ct(1, study=f"{study}.2", patient="PAT1")), dicom(ct(2, study=study)))
    with desk.store.write() as db:
        db.settle([one.id for one in db.owed(100)], {"SENT": 1})
    event.remove(desk.store._engine, "before_cursor_execute", remember)

    plans = {}
    with desk.store._engine.connect() as connection:
        for statement, parameters in said.items():
            if statement.startswith(("SELECT", "DELETE", "UPDATE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row[3] for row in rows]
    assert len(plans) > 10
    ordered = {statement for statement in plans if "FROM outbox ORDER BY outbox.id" in " ".join(statement.split())}
    for statement in plans.keys() - ordered:
        assert not [step for step in plans[statement] if step.startswith("SCAN")], statement
