"""Bridges, broker and database are killed while a hospital's messages flow: nothing is lost, nothing comes out wrong.

The long run, with every figure: `make chaos`.
"""

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run

_SECONDS, _PER_SECOND = 25.0, 60.0


@pytest.mark.timeout(900)  # what a busy machine takes for it; an idle one takes one minute
@pytest.mark.parametrize(("database", "bridges", "seed"), [("sqlite", 1, 11), ("postgresql", 2, 12)])
def test_whatever_dies_each_confirmed_message_ends_as_one_row_and_each_owed_event_arrives(
    tmp_path: Path, database: str, bridges: int, seed: int
) -> None:
    report = run(tmp_path, Plan(_SECONDS, database, bridges, seed, _PER_SECOND))
    assert not report.violations, f"{report}\nlogs and databases are in {tmp_path}"
    victims = {kind.split()[0] for kind in report.faults}
    assert {"bridge", "database"} < victims, f"too little went wrong to prove anything: {report}"
