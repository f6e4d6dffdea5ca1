"""The broker goes away, differs from what is needed, or has no queue for an event."""

from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from bridge.localbroker import LocalBroker
from tests.conftest import Engine, Service, at_least
from tests.samples import ROOT, ct, orm


@pytest.fixture
def own_broker() -> Iterator[LocalBroker]:
    """A node that this test may stop."""
    with LocalBroker() as node:
        yield node


def test_after_a_restart_of_the_broker_the_service_goes_on_by_itself(own_broker: LocalBroker, tmp_path: Path) -> None:
    service = Service(tmp_path, own_broker.url).start()
    try:
        own_broker.restart()
        service.wait_for("broker connected")
        service.wait_for("broker connected")
        engine = Engine(own_broker.url)
        engine.hl7(orm(1, study=f"{ROOT}.1"))
        engine.dicom(ct(1, study=f"{ROOT}.1", patient="PAT1"))
        engine.collect(at_least("instance.enriched", 1))
        engine.close()
        assert service.stop() == 0
    finally:
        if service.process:
            service.kill()


def test_it_waits_for_a_broker_that_is_not_there_yet(own_broker: LocalBroker, tmp_path: Path) -> None:
    own_broker.stop()
    service = Service(tmp_path, own_broker.url)
    service.begin()
    try:
        service.wait_for("waiting for the broker")
        own_broker.start()
        service.wait_for("ready")
        assert service.stop() == 0
    finally:
        if service.process:
            service.kill()


def test_told_to_end_while_it_waits_for_the_broker_it_ends(tmp_path: Path) -> None:
    service = Service(tmp_path, "amqp://127.0.0.1:1")
    service.begin()
    service.wait_for("waiting for the broker")
    assert service.stop() == 0


@pytest.mark.parametrize("command", [("run",), ("check", "--connect")])
def test_what_exists_and_differs_is_named_with_what_differs_each_in_one_line(
    service: Service, amqp_url: str, command: tuple[str, ...]
) -> None:
    dead_letters = {"x-dead-letter-exchange": "bridge.dead", "x-dead-letter-strategy": "at-least-once"}
    arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": 5, **dead_letters}
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.exchange_declare("bridge.in", "direct", durable=True)
        channel.queue_declare("bridge.hl7", durable=True, arguments=arguments)
        channel.queue_declare("bridge.dead", durable=True)
    answer = service.command(*command)
    assert answer.returncode == 78
    lines = [line.removeprefix("bridge: ") for line in answer.stderr.splitlines() if line.startswith("bridge: ")]
    assert [line.partition(": delete it")[0] for line in lines] == [
        "exchange bridge.in: type is direct, and the bridge needs topic",
        "queue bridge.dead: x-queue-type is none, and the bridge needs quorum",
        "queue bridge.hl7: x-delivery-limit is 5, and the bridge needs 1000000",
    ]
    assert all("BRIDGE_AMQP_DECLARE=check" in line for line in lines)


def test_a_check_says_what_would_be_declared_and_declares_nothing(service: Service, amqp_url: str) -> None:
    answer = service.command("check", "--connect")
    assert answer.returncode == 0
    assert "bridge run declares exchange bridge.dead, exchange bridge.events, exchange bridge.in" in answer.stdout
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection, pytest.raises(Exception, match="404"):
        connection.channel().queue_declare("bridge.hl7", passive=True)


def test_where_the_owner_declares_what_is_missing_is_named(service: Service, amqp_url: str) -> None:
    service.environment["BRIDGE_AMQP_DECLARE"] = "check"
    answer = service.command("run")
    assert answer.returncode == 78
    assert "NOT_FOUND" in answer.stderr
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection, pytest.raises(Exception, match="404"):
        connection.channel().queue_declare("bridge.hl7", passive=True)


def test_a_refused_login_is_said_without_the_password(service: Service, amqp_url: str) -> None:
    service.environment["BRIDGE_AMQP_URL"] = amqp_url.replace("guest:guest", "guest:wrongsecret")
    answer = service.command("run")
    assert answer.returncode == 78
    assert "refuses the login" in answer.stderr
    assert "wrongsecret" not in answer.stderr


@pytest.mark.parametrize(
    "url", ["http://guest:wrongsecret@127.0.0.1:1/", "https://u:wrongsecret@h/", "u:wrongsecret@h/"]
)
@pytest.mark.parametrize("command", [("run",), ("dead", "list")])
def test_an_address_that_is_not_amqps_is_said_at_once_without_the_password(
    service: Service, url: str, command: tuple[str, ...]
) -> None:
    service.environment["BRIDGE_AMQP_URL"] = url
    answer = service.command(*command)
    assert answer.returncode == 78
    assert "amqp_url begins with neither amqp:// nor amqps://" in answer.stderr
    assert "wrongsecret" not in answer.stderr


def test_an_event_that_no_queue_wants_counts_as_unrouted(service: Service, amqp_url: str) -> None:
    service.start()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().basic_publish("bridge.in", "dicom.CT", ct(1, study=f"{ROOT}.1"))
    service.wait_for("no queue is bound for events")
    assert service.stop() == 0
    assert service.status()["outbox"] == {"QUEUED": 0, "SENT": 0, "UNROUTED": 1}


def test_sigterm_finishes_what_was_delivered_and_publishes_what_is_owed(service: Service, engine: Engine) -> None:
    service.start()
    for number in range(300):
        engine.dicom(ct(number, study=f"{ROOT}.1.{number}"))
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0, service.log[-3:]
    status = service.status()
    assert status["outbox"]["QUEUED"] == 0
    assert status["outbox"]["SENT"] == status["instances"] >= 1
    service.start()
    engine.collect(at_least("instance.pending", 300))
    assert service.stop() == 0, service.log[-3:]
    assert engine.counts() == {"instance.pending": 300}


def test_a_second_service_on_one_sqlite_file_is_refused(service: Service) -> None:
    service.start()
    answer = service.command("run")
    assert answer.returncode == 69
    assert "another bridge is running" in answer.stderr


def test_what_a_dead_letter_would_be_lost_by_is_moved_to_headers(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(b"garbage", expiration="60000", user_id="guest")
    engine.collect(at_least("message.rejected", 1))
    service.stop()
    [(properties, _)] = engine.dead_letters()
    assert properties.expiration is None
    assert properties.headers["bridge-expiration"] == "60000"
    assert properties.headers["bridge-user-id"] == "guest"
