"""The broker fails in every way that it can: what it has confirmed ends in the ledger, and every event comes."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.amqp import declare, oneshot
from bridge.app import topology_of
from bridge.config import load_channels
from bridge.localbroker import LocalBroker
from tests.commands import beside
from tests.conftest import QUEUES, REPOSITORY, Service
from tests.faults.proxy import Proxy
from tests.faults.traffic import QUEUE, Traffic, until
from tests.samples import orm


@pytest.fixture(scope="module")
def node() -> Iterator[LocalBroker]:
    """A broker that these tests may end, block and change."""
    with LocalBroker() as broker:
        declare(broker.url, topology_of(load_channels(REPOSITORY / "channels")), create=True)
        Traffic(broker.url)
        broker.restart()  # RabbitMQ 3.10 loses a queue that was made a moment before a SIGKILL
        yield broker


@pytest.fixture
def traffic(node: LocalBroker) -> Iterator[Traffic]:
    made = Traffic(node.url)
    yield made
    with made.channel() as channel:
        for name in (*QUEUES, QUEUE):
            channel.queue_purge(name)


@pytest.fixture
def service(tmp_path: Path, node: LocalBroker) -> Iterator[Service]:
    """The service, not started yet."""
    made = Service(tmp_path, node.url)
    yield made
    if made.process is not None:
        made.kill()


@pytest.fixture
def proxy(node: LocalBroker, service: Service) -> Iterator[Proxy]:
    """What the service takes for the broker."""
    with Proxy(node.port) as between:
        service.environment["BRIDGE_AMQP_URL"] = between.url
        yield between


@contextmanager
def locked_database(service: Service) -> Iterator[None]:
    """The service can store nothing meanwhile: what is delivered to it stays unacknowledged."""
    other = sqlite3.connect(service.folder / "bridge.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def both_connections(service: Service) -> None:
    """Waits until both are there again."""
    for _ in range(2):
        service.wait_for("broker connected")


@pytest.mark.parametrize("end", [LocalBroker.stop, LocalBroker.kill])
def test_after_a_broker_was_ended_in_the_middle_nothing_is_missing(
    node: LocalBroker, service: Service, traffic: Traffic, end: object
) -> None:
    service.start()
    both_connections(service)
    traffic.publish(40)
    end(node)  # type: ignore[operator]  # one of the two above
    node.start()
    traffic.publish(40)
    traffic.complete(service)


def test_connections_that_an_operator_closes_are_opened_again(
    node: LocalBroker, service: Service, traffic: Traffic
) -> None:
    service.start()
    both_connections(service)
    traffic.publish(40)
    node.control("close_all_connections", "maintenance")
    traffic.publish(40)
    traffic.complete(service)


def test_what_was_delivered_from_a_queue_that_is_then_deleted_is_stored_and_the_queue_is_made_again(
    service: Service, traffic: Traffic
) -> None:
    service.start()
    with locked_database(service):
        traffic.publish(20)
        service.wait_for("not stored")
        with traffic.channel() as channel:
            channel.queue_delete("bridge.dicom")
    service.wait_for("amqp channel ended")
    service.wait_for("broker connected")
    traffic.publish(20)
    traffic.complete(service)


def test_a_deleted_queue_of_dead_letters_is_made_again_and_takes_what_waited_for_it(
    service: Service, traffic: Traffic
) -> None:
    service.start()
    both_connections(service)
    with traffic.channel() as channel:
        channel.queue_unbind("bridge.dead", "bridge.dead", "#")
        channel.basic_publish("bridge.in", "hl7.ADT", b"garbage")
        service.wait_for("not dead-lettered yet: no queue takes it")
        channel.queue_delete("bridge.dead")
    service.wait_for("amqp channel ended: (404")
    service.wait_for("broker connected")
    assert until(lambda: service.status()["dead"]) == 1
    assert service.stop() == 0


def test_a_deleted_queue_of_dead_letters_is_named_until_its_owner_has_declared_it(
    node: LocalBroker, service: Service, traffic: Traffic
) -> None:
    service.environment["BRIDGE_AMQP_DECLARE"] = "check"
    service.start()
    both_connections(service)
    with traffic.channel() as channel:
        channel.queue_delete("bridge.dead")
    service.wait_for("broker: queue bridge.dead: the broker says 404")
    declare(node.url, topology_of(load_channels(REPOSITORY / "channels")), create=True)
    traffic.publish(20)
    traffic.complete(service)


def test_an_exchange_of_events_that_is_deleted_is_made_again(service: Service, traffic: Traffic) -> None:
    service.start()
    both_connections(service)
    with traffic.channel() as channel:
        channel.exchange_delete("bridge.events")
    traffic.publish(1)
    service.wait_for("no queue is bound for events")  # the bindings went with the exchange
    traffic.bind()
    traffic.publish(20)
    traffic.complete(service, unrouted=1)


@pytest.mark.parametrize("towards", ["service", "broker"])
def test_a_connection_that_is_damaged_on_the_way_is_replaced(
    service: Service, proxy: Proxy, traffic: Traffic, towards: str
) -> None:
    service.start()
    both_connections(service)
    traffic.publish(20)
    proxy.inject(b"\x09\x00\x00\x00\x00\x00\x04oops\x00", towards)
    traffic.publish(20)
    service.wait_for("broker connection ended")
    traffic.complete(service)


def test_a_broker_that_says_nothing_any_more_is_left_after_the_heartbeat(
    service: Service, proxy: Proxy, traffic: Traffic
) -> None:
    service.start()
    both_connections(service)
    traffic.publish(20)
    proxy.silence()
    traffic.publish(20)
    service.wait_for("broker connection ended")
    proxy.end_silence()
    traffic.complete(service)


def test_what_a_half_open_connection_still_holds_comes_after_the_heartbeat(
    service: Service, proxy: Proxy, traffic: Traffic
) -> None:
    service.start()
    both_connections(service)
    with locked_database(service):
        traffic.publish(20)
        service.wait_for("not stored")
        proxy.cut()
    traffic.publish(20)
    traffic.complete(service)


@pytest.mark.parametrize(
    ("alarm", "relief"),
    [
        (("set_vm_memory_high_watermark", "absolute", "1"), ("set_vm_memory_high_watermark", "absolute", "2GB")),
        (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
    ],
)
def test_while_a_broker_blocks_publishers_messages_are_stored_and_their_events_come_afterwards(
    node: LocalBroker, service: Service, traffic: Traffic, alarm: tuple[str, ...], relief: tuple[str, ...]
) -> None:
    service.start()
    both_connections(service)
    try:
        with locked_database(service):
            traffic.publish(20)
            service.wait_for("not stored")
            node.control(*alarm)
        service.wait_for("the broker blocks publishing")
        status = until(lambda: (found := service.status())["messages"]["TRANSFORMED"] == 20 and found)
        assert status["outbox"] == {"QUEUED": 20, "SENT": 0, "UNROUTED": 0}
    finally:
        node.control(*relief)
    service.wait_for("the broker takes messages again")
    traffic.publish(20)
    traffic.complete(service)


def test_a_command_says_why_a_broker_that_blocks_publishers_takes_nothing(
    node: LocalBroker, traffic: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneshot, "_LONGEST_BLOCKED", 1.0)
    (tmp_path / "order.hl7").write_bytes(orm(1))
    try:
        node.control("set_vm_memory_high_watermark", "absolute", "1")
        answer = beside(tmp_path, node.url)("send", str(tmp_path / "order.hl7"))
    finally:
        node.control("set_vm_memory_high_watermark", "absolute", "2GB")
    until(lambda: traffic.waiting("bridge.hl7") == 1)  # what the broker had not read, it reads afterwards
    assert (answer.returncode, answer.stdout) == (69, "")
    assert answer.stderr == "bridge: the broker takes nothing now: its memory or disk is short\n"


def test_a_login_that_is_refused_in_the_middle_is_tried_until_it_is_put_right(
    node: LocalBroker, service: Service, traffic: Traffic
) -> None:
    node.control("add_user", "bridge", "first")
    node.control("set_permissions", "bridge", ".*", ".*", ".*")
    service.environment["BRIDGE_AMQP_URL"] = node.url.replace("guest:guest", "bridge:first")
    service.start()
    both_connections(service)
    traffic.publish(20)
    node.control("change_password", "bridge", "second")
    node.control("close_all_connections", "rotation")
    service.wait_for("broker: the broker refuses the login")
    node.control("change_password", "bridge", "first")
    traffic.publish(20)
    traffic.complete(service)
    assert "first" not in "".join(service.log)


def test_a_service_that_stood_still_for_longer_than_the_heartbeat_goes_on(
    node: LocalBroker, service: Service, traffic: Traffic
) -> None:
    service.environment["BRIDGE_AMQP_URL"] = f"{node.url}?heartbeat=1"
    service.start()
    both_connections(service)
    traffic.publish(20)
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    traffic.publish(20)
    until(lambda: traffic.readers() == 0)  # the broker has given it up
    service.process.send_signal(signal.SIGCONT)
    service.wait_for("broker connection ended")
    traffic.complete(service)
