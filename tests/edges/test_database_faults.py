"""The database does not answer for a while: nothing is acknowledged, nothing is lost, nothing has to be restarted."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from bridge.store.store import Store
from tests.conftest import Engine, Service, at_least
from tests.samples import ROOT, ct


def test_while_the_database_is_locked_messages_wait_and_are_stored_afterwards(service: Service, engine: Engine) -> None:
    service.start()
    other = sqlite3.connect(service.folder / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    service.wait_for("not stored")
    other.execute("ROLLBACK")
    other.close()
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0
    assert service.status()["messages"]["TRANSFORMED"] == 1


_LOOK = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT value FROM counter'))"


def test_a_process_that_leaves_the_database_takes_nothing_away_from_another(tmp_path: Path) -> None:
    """SQLite's last connection removes the write-ahead log: the others have to be seen as being there."""
    file = tmp_path / "bridge.db"

    def seen_beside() -> int:
        answer = subprocess.run([sys.executable, "-c", _LOOK, file], capture_output=True, text=True, check=True)
        return int(answer.stdout.strip("(),\n") or 0)

    store = Store(f"sqlite:///{file}")
    store.migrate()
    with store.read(), store.write() as db:  # two connections
        db.settle([], {"SENT": 1})
    assert seen_beside() == 1
    with store.write() as db:
        db.settle([], {"SENT": 1})
    assert seen_beside() == 2
    store.close()
