"""Events to an exchange that somebody else owns, beside the bridge's own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from tests.conftest import Engine, Service, at_least
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1.1"
IMAGES = """
[source]
data_type = "DICOM"
queue     = "bridge.dicom"
bindings  = ["dicom.#"]

[correlation]
settle_after = "1s"

[[destinations]]
name = "events"

[[destinations]]
name        = "ai"
exchange    = "ai.chest"
declare     = false
routing_key = "study"
events      = ["study.ready"]
"""


@pytest.fixture
def with_two(service: Service, tmp_path: Path) -> Service:
    channels = tmp_path / "two"
    channels.mkdir()
    (channels / "images.toml").write_text(IMAGES)
    (channels / "orders.toml").write_text('[source]\ndata_type = "HL7V2"\nqueue = "bridge.hl7"\nbindings = ["hl7.#"]\n')
    service.environment["BRIDGE_CHANNELS"] = str(channels)
    return service


@pytest.fixture
def connection(amqp_url: str) -> Iterator[pika.BlockingConnection]:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as made:
        yield made


def test_an_exchange_of_somebody_else_s_has_to_be_there(
    with_two: Service, engine: Engine, connection: pika.BlockingConnection
) -> None:
    connection.channel().exchange_delete("ai.chest")
    told = with_two.command("check", "--connect")
    assert "exchange ai.chest, which its owner declares: the broker says 404 NOT_FOUND" in told.stdout + told.stderr
    assert told.returncode == 78
    with_two.begin()
    assert with_two.process is not None
    assert with_two.process.wait(30) == 78
    assert with_two.stop() == 78


def test_events_go_to_each_destination_in_the_way_it_is_stated(
    with_two: Service, engine: Engine, connection: pika.BlockingConnection
) -> None:
    channel = connection.channel()
    channel.exchange_declare("ai.chest", "direct", durable=False)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "ai.chest", "study")
    with_two.start()
    engine.hl7(orm(1, study=STUDY))
    engine.dicom(ct(1, study=STUDY, patient="PAT1"))
    events = engine.collect(at_least("study.ready", 1))
    method, properties, body = next(channel.consume(queue, inactivity_timeout=30))
    assert method is not None
    assert properties is not None
    assert (method.routing_key, properties.type) == ("study", "io.github.hl7dicombridge.study.ready.v1")
    assert json.loads(body or b"") == events[-1]
    assert with_two.stop() == 0
    assert with_two.status()["outbox"] == {"QUEUED": 0, "SENT": len(engine.events) + 1, "UNROUTED": 0}
