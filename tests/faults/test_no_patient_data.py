"""Nothing that a run writes holds anything of a patient, nor a password, whatever is wrong with messages and machines.

Patient data belong in the database, in events, and in the bodies of dead letters; `bridge explain` shows them.
"""

import json
import re
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import psutil
import pytest
from sqlalchemy.engine import make_url

from bridge.localbroker import LocalBroker
from bridge.store.store import Store
from tests.chaos.engine import QUEUE, connection, take_all
from tests.chaos.processes import Process, environment
from tests.chaos.run import declare_all, wait_until_handled
from tests.chaos.traffic import Sending
from tests.faults.secrets_of_patients import SECRETS, messages
from tests.faults.traffic import until
from tests.localpostgres import LocalPostgres
from tests.samples import ROOT

_AMQP_PASSWORD = "amqpPasswordQQ81"  # noqa: S105 of a broker of our own
_WRONG_PASSWORD = "wrongPasswordQQ82"  # noqa: S105 of nobody
_STUDY = f"{ROOT}.1.7391"
_COMMANDS = (
    "status",
    "status --json",
    "studies --verdict conflict,ambiguous,pending,overdue --redact",
    f"explain {_STUDY} --redact",
    f"explain {_STUDY}.8 --redact --json",
    "check --connect",
    "dead list",
    "dead list --json",
    "purge --dry-run",
    f"replay --study {_STUDY} --user ada",
)


@dataclass
class Site:
    """A broker with a login of its own, a database that can go away, and a bridge that is told its secrets in files."""

    folder: Path
    broker: LocalBroker
    database_url: str
    database_is_gone: Callable[[], AbstractContextManager[None]]
    logs: tuple[Path, ...]  # of broker and database
    form: str  # of the bridge's log

    def __post_init__(self) -> None:
        self.broker.control("add_user", "engine", _AMQP_PASSWORD)
        self.broker.control("set_permissions", "engine", ".*", ".*", ".*")
        declare_all(self.broker)
        self.amqp_url = self.broker.url.replace("guest:guest", f"engine:{_AMQP_PASSWORD}")
        (self.folder / "amqp-url").write_text(self.amqp_url)
        (self.folder / "database-url").write_text(self.database_url)
        said = environment(
            "",
            "",
            BRIDGE_AMQP_URL_FILE="amqp-url",
            BRIDGE_DATABASE_URL_FILE="database-url",
            BRIDGE_LOG_LEVEL="debug",
            BRIDGE_LOG_FORMAT=self.form,
            BRIDGE_HTTP_LISTEN="127.0.0.1:0",
            BRIDGE_SETTLE_AFTER="1s",
        )
        self.environment = {name: value for name, value in said.items() if value}
        self.bridge = Process(self.folder, "bridge", self.environment)

    def command(self, line: str, **settings: str) -> str:
        """All that a command prints; settings stand in place of their files."""
        files = {f"{name}_FILE" for name in settings}
        answer = subprocess.run(
            [sys.executable, "-m", "bridge", *line.split()],
            env={name: value for name, value in self.environment.items() if name not in files} | settings,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return answer.stdout

    def publish(self, sendings: list[Sending]) -> None:
        with connection(self.broker.url) as connected:
            channel = connected.channel()
            channel.confirm_delivery()
            for one in sendings:
                said = one.inbound
                stated = pika.BasicProperties(
                    content_type=said.content_type, content_encoding=said.content_encoding, message_id=said.message_id
                )
                key = "hl7.test" if said.channel == "orders" else "dicom.test"
                channel.basic_publish("bridge.in", key, said.body, stated, mandatory=True)

    def log(self) -> str:
        return self.bridge.log.read_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with LocalBroker(tmp_path / "broker") as broker:
        if request.param == "sqlite":
            file = tmp_path / "bridge.db"
            made = Site(tmp_path, broker, f"sqlite:///{file}", lambda: _locked(file), (broker.log,), "text")
            yield from _ended(made)
            return
        with LocalPostgres() as server:
            logs = (broker.log, server.log)
            yield from _ended(Site(tmp_path, broker, server.new_database(), lambda: _stopped(server), logs, "json"))


def _ended(site: Site) -> Iterator[Site]:
    site.bridge.start()
    yield site
    site.bridge.end()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def _stopped(server: LocalPostgres) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@pytest.mark.timeout(600)
def test_nothing_that_a_faulty_run_writes_holds_patient_data_or_a_password(site: Site) -> None:
    sendings = [Sending.of(one) for one in messages()]
    site.bridge.wait_until_ready(60)
    with site.database_is_gone():
        site.publish(sendings)
        until(lambda: "not stored" in site.log())
    site.broker.kill()
    until(lambda: "broker connection ended" in site.log())
    site.broker.start()
    site.bridge.kill()
    site.publish(sendings)
    store = Store(site.database_url)
    assert wait_until_handled(store, sendings)
    store.close()
    written = dict(_everything_written(site))
    passwords = (_AMQP_PASSWORD, _WRONG_PASSWORD, make_url(site.database_url).password or _WRONG_PASSWORD)
    found = [
        f"{secret} stands in {name}"
        for name, text in written.items()
        for secret in (*SECRETS, *passwords)
        if secret.casefold() in text.casefold()
    ]
    assert not found
    _assert_that_there_was_something_to_see(written)


def _everything_written(site: Site) -> Iterator[tuple[str, str]]:
    """What each was, and its text."""
    port = re.findall(r"metrics and health.*\bport\W+(\d+)", site.log())[-1]
    for page in ("metrics", "livez", "readyz"):
        yield page, _page(f"http://127.0.0.1:{port}/{page}")
    yield "process titles", "\n".join(_process_titles())
    for line in _COMMANDS:
        yield f"bridge {line}", site.command(line)
    letters = take_all(site.broker.url, "bridge.dead")
    wrong = make_url(site.database_url).set(password=_WRONG_PASSWORD).render_as_string(hide_password=False)
    for settings in (
        {"BRIDGE_AMQP_URL": site.amqp_url.replace(_AMQP_PASSWORD, _WRONG_PASSWORD)},
        {"BRIDGE_AMQP_URL": f"amqp:/engine:{_WRONG_PASSWORD}@nowhere"},
        {"BRIDGE_AMQP_URL": f"amqp://engine:{_WRONG_PASSWORD}@127.0.0.1:1/%2F"},
        {"BRIDGE_DATABASE_URL": wrong} if wrong.startswith("postgresql") else {},
        {"BRIDGE_DATABASE_URL": f"postgresql+psycopg//bridge:{_WRONG_PASSWORD}@nowhere"},
        {"BRIDGE_DATABASE_URL": f"postgresql+psycopg://bridge:{_WRONG_PASSWORD}@127.0.0.1:1/bridge"},
    ):
        if settings:
            yield f"bridge status with {settings}", site.command("status", **settings)
    yield (
        "headers of dead letters",
        "\n".join(json.dumps(_stated(properties), default=str) for properties, _ in letters),
    )
    events = take_all(site.broker.url, QUEUE)
    rejections = [body.decode() for properties, body in events if properties.type.endswith("message.rejected.v1")]
    yield "events about rejected messages", "\n".join(rejections)
    yield "headers of events", "\n".join(json.dumps(_stated(properties), default=str) for properties, _ in events)
    site.bridge.end()
    for log in (site.bridge.log, *site.logs):
        yield log.name, log.read_text()


def _stated(properties: Any) -> dict[str, Any]:
    """All but what the sender has stated itself."""
    return {name: value for name, value in vars(properties).items() if name not in ("content_encoding", "content_type")}


def _page(url: str) -> str:
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 of our own process
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:  # not ready, and why
        return error.read().decode()


def _process_titles() -> Iterator[str]:
    """Of every process below this one, and the names of their threads."""
    for process in psutil.Process().children(recursive=True):
        yield " ".join(process.cmdline())
        for thread in Path(f"/proc/{process.pid}/task").glob("*/comm"):
            yield thread.read_text()


def _assert_that_there_was_something_to_see(written: dict[str, str]) -> None:
    assert all(written.values()), [name for name, text in written.items() if not text]
    for expected in ("rejected", "read with a warning", "not stored", "broker connection ended"):
        assert expected in written["bridge.log"]
    assert "bridge_" in written["metrics"]
    assert "bridge-error" in written["headers of dead letters"]
    assert "-m bridge run" in written["process titles"]
    assert "hl7-several-patients" in written["bridge dead list"]
    assert "conflict" in written[f"bridge explain {_STUDY}.8 --redact --json"]
