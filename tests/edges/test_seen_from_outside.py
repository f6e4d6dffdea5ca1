"""The running service seen from outside: /metrics, /livez, /readyz, and what systemd is told."""

import json
import queue
import re
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from bridge.localbroker import LocalBroker
from tests.conftest import PATIENCE, Engine, Service, at_least
from tests.samples import ROOT, ct, orm

PATIENTS_VALUES = re.compile(r"Doe|Jane|PAT7|19700101|F-7|P-7|1\.2\.826")


def get(service: Service, path: str) -> tuple[int, str]:
    """What it answers on the port that it chose."""
    port = next(json.loads(line)["port"] for line in reversed(service.log) if "metrics and health" in line)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()


def parts(body: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)["parts"]
    return found


class Systemd:
    """The socket on which systemd listens; `address` is how it is named in the environment."""

    def __init__(self) -> None:
        self.address = f"@hl7-dicom-bridge-{token_hex(8)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self.address[1:]}")
        self._said: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while said := self._socket.recv(4096).decode():
            self._said.put(said.splitlines())

    def told(self, wanted: str) -> list[str]:
        """What it is told until a line is `wanted`."""
        lines: list[str] = []
        while wanted not in lines:
            lines += self._said.get(timeout=PATIENCE)
        return lines

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", f"\0{self.address[1:]}")
        self._reader.join()
        self._socket.close()


@pytest.fixture
def watched(service: Service) -> Service:
    """It listens on a free port of its own choice."""
    service.environment["BRIDGE_HTTP_LISTEN"] = "127.0.0.1:0"
    return service


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    made = Systemd()
    yield made
    made.close()


@pytest.fixture
def own_broker() -> Iterator[LocalBroker]:
    """A node that this test may stop."""
    with LocalBroker() as node:
        yield node


def test_it_is_ready_only_while_the_broker_answers(own_broker: LocalBroker, tmp_path: Path, systemd: Systemd) -> None:
    service = Service(tmp_path, own_broker.url, BRIDGE_HTTP_LISTEN=":0", NOTIFY_SOCKET=systemd.address)
    service.start()
    try:
        assert "WATCHDOG=1" in systemd.told("READY=1")
        assert get(service, "/readyz")[0] == 200
        own_broker.stop()
        service.wait_for("not ready")
        status, body = get(service, "/readyz")
        assert status == 503
        assert any("has not answered for" in (part["reason"] or "") for part in parts(body).values())
        assert parts(body)["database"]["reason"] is None
        assert get(service, "/livez")[0] == 200
        own_broker.start()
        service.wait_for("ready again")
        assert get(service, "/readyz")[0] == 200
        assert service.stop() == 0
        lines = systemd.told("STOPPING=1")
        assert "READY=1" not in lines
        assert any(line.startswith("STATUS=not ready: ") for line in lines)
    finally:
        if service.process:
            service.kill()


def test_while_it_waits_for_the_broker_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    service = Service(tmp_path, "amqp://127.0.0.1:1", BRIDGE_HTTP_LISTEN=":0")
    service.begin()
    service.wait_for("waiting for the broker")
    status, body = get(service, "/readyz")
    assert status == 503
    assert parts(body)["service"] == {"age": None, "reason": "starting"}
    assert get(service, "/livez")[0] == 200
    assert service.stop() == 0


def test_metrics_count_what_happened_and_hold_nothing_of_a_patient(watched: Service, engine: Engine) -> None:
    watched.start()
    study = f"{ROOT}.1"
    engine.hl7(orm(7, study=study, name="Doe^Jane"))
    engine.dicom(ct(7, study=study, patient="PAT7"))
    engine.dicom(ct(7, study=study, patient="PAT7"))
    engine.hl7(b"garbage about Doe^Jane")
    engine.collect(lambda events: at_least("instance.enriched", 1)(events) and at_least("message.rejected", 1)(events))
    status, body = get(watched, "/metrics")
    assert status == 200
    for line in (
        'bridge_messages_total{channel="orders",outcome="TRANSFORMED"} 1.0',
        'bridge_messages_total{channel="orders",outcome="ERROR"} 1.0',
        'bridge_messages_total{channel="images",outcome="TRANSFORMED"} 1.0',
        'bridge_rejections_total{channel="orders",code="hl7-no-msh"} 1.0',
        'bridge_verdicts_total{verdict="matched"} 1.0',
        'bridge_broker_connects_total{connection="consumer"} 1.0',
        'bridge_broker_connects_total{connection="publisher"} 1.0',
        'bridge_lease_held{lease="relay"} 1.0',
        'bridge_info{site="test",version="',
    ):
        assert line in body, body
    everything = body + get(watched, "/readyz")[1] + get(watched, "/livez")[1] + get(watched, "/PAT7?Doe")[1]
    assert not PATIENTS_VALUES.findall(everything)
    assert get(watched, "/PAT7?Doe")[0] == 404
    assert watched.stop() == 0
    assert not PATIENTS_VALUES.findall("".join(watched.log))


def test_while_the_database_takes_no_messages_it_is_alive_and_not_ready(watched: Service, engine: Engine) -> None:
    watched.start()
    other = sqlite3.connect(watched.folder / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    watched.wait_for("not ready")
    status, body = get(watched, "/readyz")
    assert status == 503
    assert "takes no messages" in parts(body)["database"]["reason"]
    assert "bridge_retrying 1.0" in get(watched, "/metrics")[1]
    assert get(watched, "/livez")[0] == 200
    other.execute("ROLLBACK")
    other.close()
    watched.wait_for("ready again")
    engine.collect(at_least("instance.pending", 1))
    assert watched.stop() == 0


def test_a_port_that_is_taken_ends_it_with_one_line(service: Service, amqp_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service.environment["BRIDGE_HTTP_LISTEN"] = f"127.0.0.1:{port}"
        answer = service.command("run")
    assert answer.returncode == 69
    assert f"bridge: http_listen: cannot listen on 127.0.0.1 port {port}: Address already in use" in answer.stderr


@pytest.mark.parametrize("stated", ["9464", "localhost:9464", "127.0.0.1:", "127.0.0.1:70000"])
def test_what_is_no_address_is_refused_as_a_setting(service: Service, stated: str) -> None:
    service.environment["BRIDGE_HTTP_LISTEN"] = stated
    answer = service.command("check")
    assert answer.returncode == 78
    assert "http_listen: write an IP address and a port" in answer.stderr
