"""Readiness and life are told from what parts did, and when."""

import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pytest

from bridge.core.errors import Unavailable
from bridge.health import Health, listen, notify


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """Of a service whose only thread is this one."""
    made = Health(clock, [threading.current_thread().name], ["publisher", "database"])
    made.running()
    return made


def test_a_part_is_ready_for_a_few_seconds_after_it_answered(health: Health, clock: Clock) -> None:
    health.answered("database")
    assert health.ready().reasons == "publisher: has not answered yet"
    health.answered("publisher")
    assert health.ready().good
    clock.now += 4
    health.answered("database")
    assert health.ready().good
    clock.now += 2
    assert not health.ready().good
    assert health.ready().parts == {
        "publisher": {"age": 6.0, "reason": "has not answered for 6 s"},
        "database": {"age": 2.0, "reason": None},
    }


def test_a_part_that_failed_is_not_ready_until_it_answers(health: Health, clock: Clock) -> None:
    health.answered("publisher")
    health.answered("database")
    health.failed("database", "takes no messages")
    assert health.ready().reasons == "database: takes no messages"
    health.answered("database")
    assert health.ready().good


def test_before_it_runs_and_while_it_ends_it_is_alive_and_not_ready(clock: Clock) -> None:
    health = Health(clock, ["a thread that is not there"], [])
    assert health.live().good
    assert health.ready().reasons == "service: starting"
    health.running()
    assert not health.live().good
    health.ending()
    assert health.live().good
    assert health.ready().reasons == "service: ending"


def test_a_thread_that_is_gone_or_stuck_is_not_alive(health: Health, clock: Clock) -> None:
    with health.busy(threading.current_thread().name):
        clock.now += 599
        assert health.live().good
        clock.now += 2
        assert health.live().reasons.endswith("at work on one batch for more than 600 s")
    assert health.live().good
    gone = Health(clock, ["relay"], [])
    gone.running()
    assert gone.live().reasons == "relay: the thread has ended"


@pytest.fixture
def port(health: Health) -> Iterator[int]:
    """Where it listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        number: int = free.getsockname()[1]
    end = listen(("127.0.0.1", number), health)
    yield number
    end()


def test_a_client_that_says_nothing_and_goes_away_keeps_nobody_waiting(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as other:
        other.sendall(b"GET /metr")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=10) as answer:
            assert answer.status == 200
    assert not caplog.records or {record.levelname for record in caplog.records} == {"INFO"}


def test_an_address_that_is_taken_is_said_in_one_line(port: int, health: Health) -> None:
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
        listen(("127.0.0.1", port), health)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_on_its_socket(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = token_hex(8)
    place = f"\0{name}" if abstract else str(tmp_path / name)
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if abstract else place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(place)
        systemd.settimeout(5)
        notify("READY=1", "STATUS=ready")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=ready"


def test_where_no_systemd_listens_nothing_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/notify")
    notify("READY=1")
