"""The private server against the real PostgreSQL of this machine, which is installed first where there is none."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from bridge.core.errors import ConfigError, Unavailable
from tests import localpostgres
from tests.conftest import REPOSITORY
from tests.localpostgres import LocalPostgres, postgres_programs


@pytest.fixture
def server() -> Iterator[LocalPostgres]:
    """One that a test may end."""
    with LocalPostgres(durable=False) as server:
        yield server


def connect(url: str, **stated: Any) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), **stated)


def processes(server: LocalPostgres) -> list[psutil.Process]:
    """The watcher and everything below it."""
    watcher = psutil.Process(server.pid).parent()
    assert watcher is not None
    return [watcher, *watcher.children(recursive=True)]


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    _gone, alive = psutil.wait_procs(processes, timeout=10)
    return list(alive)


def numbers(url: str) -> list[object]:
    with connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM kept ORDER BY number")]


def test_where_it_may_not_install_it_says_in_one_line_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(localpostgres, "_PACKAGED", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="install postgresql") as error:
        LocalPostgres().__enter__()
    assert "\n" not in str(error.value)


def test_where_several_versions_are_installed_the_newest_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("9", "15", "16"):
        programs = tmp_path / version / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres") if version != "16" else ("psql",):
            (programs / name).touch()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(localpostgres, "_PACKAGED", tmp_path)
    assert postgres_programs() == tmp_path / "15" / "bin"


def test_no_server_process_is_roots_and_it_listens_on_loopback_only(postgres: LocalPostgres) -> None:
    users = set()
    for process in processes(postgres)[1:]:
        with suppress(psutil.NoSuchProcess):  # autovacuum comes and goes
            users |= {*process.uids()}
    assert users
    assert 0 not in users
    sockets = psutil.Process(postgres.pid).net_connections("all")
    assert {s.laddr for s in sockets if s.status == psutil.CONN_LISTEN} == {("127.0.0.1", postgres.port)}
    assert not [s.laddr for s in sockets if s.family is socket.AF_UNIX and s.laddr]


def test_a_new_database_is_empty_and_its_role_may_do_nothing_beyond_it(postgres: LocalPostgres) -> None:
    url, other = postgres.new_database(), postgres.new_database()
    with connect(url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE other")
    with connect(other) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(url, password="wrong")  # noqa: S106 - which is the point
    postgres.drop_database(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(url)


def test_only_a_durable_server_waits_for_the_disk(postgres: LocalPostgres) -> None:
    def settings(server: LocalPostgres) -> list[object]:
        with connect(server.url) as connection:
            shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit")]
        return [row[0] for row in shown if row]

    with LocalPostgres() as durable:
        assert settings(durable) == ["on", "on"]
    assert settings(postgres) == ["off", "on"]


def test_what_was_committed_outlives_stop_restart_and_kill_on_the_same_port(server: LocalPostgres) -> None:
    url = server.new_database()
    with connect(url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
    for number, end in enumerate((server.stop, server.kill, server.restart)):
        before = processes(server)
        with connect(url, autocommit=True) as witness:
            witness.execute("INSERT INTO kept VALUES (%s)", (number,))
            end()
            with pytest.raises(psycopg.OperationalError):
                witness.execute("SELECT 1")
        assert not still_running(before[1:])
        if end != server.restart:
            with pytest.raises(psycopg.OperationalError, match="refused"):
                connect(url)
            server.start()
        server.start()  # which changes nothing
        assert numbers(url) == list(range(number + 1))


def test_a_paused_server_keeps_its_connections_and_answers_nobody_until_it_goes_on(server: LocalPostgres) -> None:
    with connect(server.url) as connection, ThreadPoolExecutor() as beside:
        with server.paused():
            with pytest.raises(psycopg.errors.ConnectionTimeout):
                connect(server.url, connect_timeout=2)  # the shortest that libpq knows
            asked = beside.submit(connection.execute, "SELECT 1")
            # One that ended just before is a zombie, as nobody waits for it.
            stopped = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
            assert {process.status() for process in processes(server)[1:]} <= stopped
            assert not asked.done()
        assert asked.result(timeout=10).fetchone() == (1,)


def test_of_two_servers_side_by_side_one_ends_with_an_exception_and_leaves_nothing(postgres: LocalPostgres) -> None:
    other = LocalPostgres(durable=False)
    below: list[psutil.Process] = []

    def fail_while_it_runs() -> None:
        with other:
            assert other.port != postgres.port
            below.extend(processes(other))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_it_runs()
    assert not still_running(below)
    assert not other.folder.exists()
    connect(postgres.url).close()


def test_after_ctrl_c_and_after_sigkill_of_the_owner_no_process_and_no_folder_stays() -> None:
    command = [sys.executable, "-m", "tests.localpostgres"]
    with ExitStack() as owners:

        def start() -> "subprocess.Popen[str]":
            owner = owners.enter_context(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True))
            owners.callback(owner.kill)
            return owner

        for owner, end, code in ((start(), signal.SIGINT, 0), (start(), signal.SIGKILL, -signal.SIGKILL)):
            assert owner.stdout is not None
            connect(owner.stdout.readline().strip()).close()
            (watcher,) = psutil.Process(owner.pid).children()
            (first,) = watcher.children()
            below = [watcher, *watcher.children(recursive=True)]
            folder = Path(first.cwd()).parent
            assert folder.name.startswith("hl7-dicom-bridge-postgres-")
            owner.send_signal(end)
            assert owner.wait(timeout=10) == code
            assert not still_running(below)
            assert not folder.exists()


def test_after_sigkill_of_the_watcher_no_server_stays(server: LocalPostgres) -> None:
    watcher, *below = processes(server)
    watcher.kill()
    assert not still_running(below)


def test_a_port_that_somebody_took_in_between_is_left_to_him(
    postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = localpostgres._free_port()
    choices = iter([postgres.port, free])
    monkeypatch.setattr(localpostgres, "_free_port", lambda: next(choices))
    with LocalPostgres(durable=False) as other:
        assert other.port == free
        connect(other.url).close()
    connect(postgres.url).close()


def test_a_server_that_cannot_start_says_so_with_the_end_of_its_log(tmp_path: Path) -> None:
    no_key = tmp_path / "no.key"
    no_key.write_text("nothing")
    server = LocalPostgres(durable=False, tls=(no_key, no_key))
    with pytest.raises(Unavailable, match=r"(?s)end of its log:\n.*could not load server certificate"):
        server.__enter__()
    assert not server.folder.exists()
