"""The database does not answer for a while: nothing is acknowledged, nothing is lost, nothing has to be restarted."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from bridge.store import outbox
from bridge.store.store import Store
from tests.conftest import Engine, Service, at_least
from tests.localpostgres import LocalPostgres
from tests.samples import ROOT, ct

SECRET = "wrongsecret"  # noqa: S105 - of nothing


@contextmanager
def locked(service: Service) -> Iterator[None]:
    """Another program holds the database for writing."""
    with closing(sqlite3.connect(service.folder / "bridge.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_while_the_database_is_locked_messages_wait_and_are_stored_afterwards(service: Service, engine: Engine) -> None:
    service.start()
    with locked(service):
        engine.dicom(ct(1, study=f"{ROOT}.1"))
        service.wait_for("not stored")
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0
    assert service.status()["messages"]["TRANSFORMED"] == 1


def test_a_start_waits_until_the_database_is_no_longer_locked(service: Service) -> None:
    with locked(service):
        service.begin()
        service.wait_for("waiting for the database")
        assert "database is locked" in service.log[-1]
    service.wait_for("ready")
    assert service.stop() == 0


def test_a_start_against_a_postgresql_that_is_away_waits_for_it(service: Service) -> None:
    with LocalPostgres(durable=False) as server:
        service.environment["BRIDGE_DATABASE_URL"] = server.new_database()
        server.stop()
        service.begin()
        service.wait_for("waiting for the database")
        assert "Connection refused" in service.log[-1]
        server.start()
        service.wait_for("ready")
        assert service.stop() == 0
        server.stop()
        service.begin()
        service.wait_for("waiting for the database")
        assert service.stop() == 0  # who waits still ends when told to


def test_a_place_where_no_database_can_be_is_a_mistake_of_the_settings(service: Service) -> None:
    service.environment["BRIDGE_DATABASE_URL"] = f"sqlite:///{service.folder / 'not' / 'there.db'}"
    answer = service.command("run")
    assert answer.returncode == 78
    assert "not/there.db.lock cannot be written (No such file or directory)" in answer.stderr


def test_a_database_that_lets_nobody_in_is_a_mistake_of_the_settings(service: Service, postgres: LocalPostgres) -> None:
    url = make_url(postgres.new_database())
    no_database = service.folder / "letter.txt"
    no_database.write_text("Dear colleague, " * 100)
    for wrong, said in (
        (url.set(password=SECRET), "password authentication failed"),
        (url.set(database="nowhere"), 'database "nowhere" does not exist'),
        (url.update_query_dict({"colour": "blue"}), 'invalid connection option "colour"'),
        (url.update_query_dict({"sslmode": "bogus"}), "invalid sslmode value"),
        (make_url(f"sqlite:///{no_database}"), "not a database"),
    ):
        service.environment["BRIDGE_DATABASE_URL"] = wrong.render_as_string(hide_password=False)
        answer = service.command("run")
        assert (answer.returncode, said in answer.stderr) == (78, True), answer.stderr
        assert SECRET not in answer.stderr
    service.environment["BRIDGE_DATABASE_URL"] = f"postgresql+psycopg://u:{SECRET}@h:port/d"
    answer = service.command("run")
    assert (answer.returncode, "is not a database URL" in answer.stderr) == (78, True)
    assert SECRET not in answer.stderr
    postgres.drop_database(url.render_as_string(hide_password=False))


def test_a_schema_of_a_later_version_is_told_from_one_that_has_to_be_migrated(service: Service) -> None:
    assert service.command("migrate").returncode == 0
    with closing(sqlite3.connect(service.folder / "bridge.db", isolation_level=None)) as other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in ("run", "status", "migrate"):
        answer = service.command(command)
        assert (answer.returncode, "a later version has used it" in answer.stderr) == (78, True)


def test_another_name_of_a_database_that_is_in_use_keeps_a_second_process_out_as_well(service: Service) -> None:
    service.start()
    (service.folder / "other.db").symlink_to("bridge.db")
    second = Service(service.folder, "amqp://localhost:1/")
    second.environment["BRIDGE_DATABASE_URL"] = "sqlite:///other.db"
    answer = second.command("run")
    assert (answer.returncode, "bridge.db.lock is locked" in answer.stderr) == (69, True)


def test_a_misspelt_variable_is_named_at_the_start(service: Service) -> None:
    service.environment["BRIDGE_SETTLE_AFTR"] = "10s"
    service.start()
    assert service.stop() == 0
    assert "BRIDGE_SETTLE_AFTR; did you mean BRIDGE_SETTLE_AFTER?" in "".join(service.log)


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
        outbox.count(db, {"SENT": 1})
    assert seen_beside() == 1
    with store.write() as db:
        outbox.count(db, {"SENT": 1})
    assert seen_beside() == 2
    store.close()
