"""What the database does for each message must not grow with what is stored: every statement goes by an index."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tests.desk import Desk
from tests.store.happenings import HAPPENINGS, begin

# Tables of a few rows each, whatever is stored; and the outbox, of which the oldest rows are read, at most so many.
SMALL = ("lease", "process", "counter", "setting")
OLDEST_FIRST = "ORDER BY outbox.id"


@pytest.mark.parametrize("happens", HAPPENINGS)
def test_no_statement_scans_a_table(tmp_path: Path, database_url: str, happens: Callable[[Desk], None]) -> None:
    with closing(Desk(tmp_path, database_url=database_url)) as desk:
        begin(desk)
        said = statements(desk, happens)
        scans = scans_on_sqlite if desk.store.file else scans_on_postgresql
        with desk.store._engine.connect() as connection:
            scanned = {statement: list(scans(connection, statement, one)) for statement, one in said.items()}
    assert scanned
    for statement, tables in scanned.items():
        if OLDEST_FIRST not in statement:
            assert not set(tables) - set(SMALL), statement


def statements(desk: Desk, happens: Callable[[Desk], None]) -> dict[str, Any]:
    """The statements that find rows while something happens, each with parameters that it had."""
    said: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "DELETE", "UPDATE")):
            said[statement] = parameters[0] if many else parameters

    event.listen(desk.store._engine, "before_cursor_execute", remember)
    happens(desk)
    event.remove(desk.store._engine, "before_cursor_execute", remember)
    return said


def scans_on_sqlite(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """The tables that are read from their beginning."""
    for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        if row.detail.startswith("SCAN") and row.detail != "SCAN CONSTANT ROW":
            yield row.detail.split()[1]


def scans_on_postgresql(connection: Connection, statement: str, parameters: Any) -> Iterator[str]:
    """The same where the planner may choose: a table that it scans although that is forbidden has no fitting index."""
    connection.exec_driver_sql("SET enable_seqscan = off")
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return scanned_in(plan["Plan"])


def scanned_in(node: dict[str, Any]) -> Iterator[str]:
    by_index = "Index Cond" in node or any("Index Cond" in below for below in node.get("Plans", ()))
    if node["Node Type"].endswith("Scan") and "Relation Name" in node and not by_index:
        yield node["Relation Name"]
    for below in node.get("Plans", ()):
        yield from scanned_in(below)
