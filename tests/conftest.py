"""What the tests share: one private RabbitMQ and one PostgreSQL for all, and the running service as users start it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pika
import pytest
from hypothesis import HealthCheck, settings

from bridge.core.errors import ConfigError
from bridge.localbroker import LocalBroker, rabbitmq_server
from tests.localpostgres import LocalPostgres, postgres_programs
from tests.mirth.java import java

# A busy machine fails no test: speed is measured in `make bench`.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# The bridge is started some hundreds of times: its modules are compiled for the first of them only.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

REPOSITORY = Path(__file__).parent.parent
PATIENCE = 30.0  # seconds until something that must happen counts as missing

QUEUES = ("bridge.hl7", "bridge.dicom", "bridge.dead")
EXCHANGES = ("bridge.in", "bridge.events", "bridge.dead")


def pytest_xdist_setupnodes() -> None:
    """Before several workers would do so at the same moment, installs what this machine lacks."""
    with suppress(ConfigError):  # the tests that need it say so
        rabbitmq_server()
        postgres_programs()
    with suppress(ConfigError):  # without it the tests of the Mirth kit are skipped
        java()


@pytest.fixture(scope="session")
def broker() -> Iterator[LocalBroker]:
    """A real RabbitMQ, for all tests."""
    with LocalBroker() as node:
        yield node


@pytest.fixture
def amqp_url(broker: LocalBroker) -> Iterator[str]:
    """The broker without anything of an earlier test on it."""
    yield broker.url
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        for name in QUEUES:
            channel.queue_delete(name)
        for name in EXCHANGES:
            channel.exchange_delete(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """A real PostgreSQL, for all tests that do not end it."""
    with LocalPostgres(durable=False) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind; whoever connects closes its connections."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bridge.db'}"
        return
    server: LocalPostgres = request.getfixturevalue("postgres")
    url = server.new_database()
    yield url
    server.drop_database(url)


class Service:
    """`bridge run` in a folder of its own."""

    def __init__(self, folder: Path, amqp_url: str, **settings: str) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")},
            "BRIDGE_AMQP_URL": amqp_url,
            "BRIDGE_DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
            "BRIDGE_CHANNELS": str(REPOSITORY / "channels"),
            "BRIDGE_SITE": "test",
            "BRIDGE_LOG_FORMAT": "json",
            **settings,
        }
        self.log: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "Service":
        self.begin()
        self.wait_for("ready")
        return self

    def begin(self) -> None:
        """Starts it without waiting until it is ready."""
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "run"],
            env=self.environment,
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self.process, self._said))
        self._reader.start()

    def _read(self, process: subprocess.Popen[str], said: "queue.SimpleQueue[str | None]") -> None:
        for line in process.stderr or ():
            self.log.append(line)
            with suppress(ValueError):
                said.put(json.loads(line)["message"])
        said.put(None)

    def wait_for(self, message: str) -> None:
        """Waits until it logs a line that begins so."""
        while (said := self._said.get(timeout=PATIENCE)) is not None:
            if said.startswith(message):
                return
        raise AssertionError(f"the service ended before it said {message!r}: {''.join(self.log[-5:])}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None
        return code

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command with the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return answer


@pytest.fixture
def service(tmp_path: Path, amqp_url: str) -> Iterator[Service]:
    """The service, not started yet; ended at the end."""
    made = Service(tmp_path, amqp_url)
    yield made
    if made.process is not None:
        made.kill()


class Engine:
    """An integration engine and a consumer of events in one: publishes with confirms, and collects what comes out."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._channel.exchange_declare("bridge.events", "topic", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, "bridge.events", "#")
        self.events: list[dict[str, Any]] = []
        self.received: list[tuple[Any, Any, bytes]] = []

    def hl7(self, body: bytes | str, **properties: Any) -> None:
        encoded = body.encode() if isinstance(body, str) else body
        stated = {"content_type": "application/hl7-v2+er7", **properties}
        self._channel.basic_publish("bridge.in", "hl7.test", encoded, pika.BasicProperties(**stated), mandatory=True)

    def dicom(self, body: bytes, **properties: Any) -> None:
        stated = {"content_type": "application/dicom", **properties}
        self._channel.basic_publish("bridge.in", "dicom.test", body, pika.BasicProperties(**stated), mandatory=True)

    def collect(self, until: Callable[[Sequence[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """All events so far, once `until` holds for them."""
        if until(self.events):
            return self.events
        for method, properties, body in self._channel.consume(self._queue, inactivity_timeout=PATIENCE):
            if method is None:
                raise AssertionError(f"no event within {PATIENCE:.0f} s; until then {self.counts()}")
            self._channel.basic_ack(method.delivery_tag)
            self.received.append((method, properties, body))
            self.events.append(json.loads(body))
            if until(self.events):
                break
        self._channel.cancel()
        return self.events

    def counts(self) -> Counter[str]:
        """How many events of each name there were."""
        return Counter(name_of(event) for event in self.events)

    def dead_letters(self) -> list[tuple[Any, bytes]]:
        """Takes every message out of bridge.dead: (properties, body)."""
        letters = []
        while True:
            method, properties, body = self._channel.basic_get("bridge.dead", auto_ack=True)
            if method is None:
                return letters
            letters.append((properties, body))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def engine(service: Service, amqp_url: str) -> Iterator[Engine]:
    made = Engine(amqp_url)
    yield made
    made.close()


def name_of(event: dict[str, Any]) -> str:
    """`instance.enriched` of a CloudEvents type."""
    return str(event["type"].removeprefix("io.github.hl7dicombridge.").removesuffix(".v1"))


def at_least(name: str, count: int) -> Callable[[Sequence[dict[str, Any]]], bool]:
    """A condition for `Engine.collect`."""
    return lambda events: sum(name_of(event) == name for event in events) >= count
