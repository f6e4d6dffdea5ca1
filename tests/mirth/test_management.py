"""The way without the client library: RabbitMQ's management API, which a real broker has as a plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.localbroker import LocalBroker, Ports
from tests.conftest import Service
from tests.mirth.engine import Channel, MirthEngine
from tests.samples import orm

HL7 = Channel("hl7-in")


@pytest.fixture(scope="module")
def managed() -> Iterator[tuple[LocalBroker, str]]:
    """A broker and the URL of its management API, on loopback only."""
    port = Ports.free().amqp
    settings = f"management.tcp.port = {port}\nmanagement.tcp.ip = 127.0.0.1\n"
    with LocalBroker(settings=settings) as node:
        plugins = node.folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].\n")
        assert "{ok," in node.control("eval", f'rabbit_plugins:ensure("{plugins}").')
        yield node, f"http://localhost:{port}/"


@pytest.fixture(scope="module")
def mirth(managed: tuple[LocalBroker, str]) -> Iterator[MirthEngine]:
    """An engine into which nobody has put the client library."""
    node, url = managed
    uri = f"amqp://guest:guest@localhost:{node.port}"
    with MirthEngine(client=False, bridgeAmqpUri=uri, bridgeManagementUrl=url) as engine:
        yield engine


def test_without_the_client_library_a_message_arrives_through_the_management_api(
    mirth: MirthEngine, managed: tuple[LocalBroker, str], tmp_path: Path
) -> None:
    assert mirth.send(HL7, orm(1).decode())[1].endswith(
        "the management API answered 400 (is there an exchange bridge.in?)"
    )
    service = Service(tmp_path, managed[0].url)
    service.start()
    assert mirth.send(HL7, orm(1).decode(), id=1) == ("SENT", "taken by the management API as hl7.ORM.O01")
    for attempt in range(2):
        assert mirth.send(HL7, orm(2, name="Müller^Zoë").decode(), id=2 + attempt)[0] == "SENT"
    assert service.stop() == 0
    status = service.status()
    assert (status["orders"], status["messages"]["DUPLICATE"]) == (2, 1)
    managed[0].control("delete_queue", "bridge.hl7")
    status_, text = mirth.send(HL7, orm(3).decode())
    assert (status_, "no queue is bound for hl7.ORM.O01" in text) == ("QUEUED", True)  # though it answers 200


def test_a_wrong_password_is_told_without_it(mirth: MirthEngine) -> None:
    mirth.settings |= {"bridgeAmqpPassword": "a-secret-word"}
    assert mirth.send(HL7, orm(1).decode()) == (
        "QUEUED",
        "not published, tried again: the management API answered 401",
    )
