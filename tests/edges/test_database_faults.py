"""The database does not answer for a while: nothing is acknowledged, nothing is lost, nothing has to be restarted."""

import sqlite3

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
