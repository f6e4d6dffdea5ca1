"""The channels that consume events, and the one that alerts, against a real broker and the real bridge."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.conftest import PATIENCE, Engine, Service, at_least
from tests.mirth.engine import Channel, MirthEngine
from tests.samples import ROOT, ct, orm

FILE, HTTP, ALERTS = Channel("events-to-file"), Channel("events-to-http"), Channel("alerts")
STUDY = f"{ROOT}.1"
QUEUES = ("mirth.events.file", "mirth.events.http", "mirth.alerts", "mirth.dead")


@pytest.fixture
def amqp(amqp_url: str) -> Iterator[BlockingChannel]:
    """An administrator, who removes the kit's queues at the end."""
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
        for name in QUEUES:
            channel.queue_delete(name)
        channel.exchange_delete("mirth.dead")


@pytest.fixture
def reading(mirth: MirthEngine, amqp: BlockingChannel) -> MirthEngine:
    """An engine in which all queues of events are declared, as by the first poll of each channel."""
    mirth.settings["bridgeEventsPauseMillis"] = "1"
    for channel in (FILE, HTTP, ALERTS):
        assert poll(mirth, channel) == []
    return mirth


def poll(mirth: MirthEngine, channel: Channel) -> list[dict[str, Any]]:
    """What the engine has after one poll of the channel's reader."""
    found: list[dict[str, Any]] = mirth.run(channel, "reader")["messages"]
    return found


def arrived(mirth: MirthEngine, channel: Channel, count: int) -> list[dict[str, Any]]:
    """What the engine has once so many events are there: a broker confirms to one queue before another shows them."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        found += poll(mirth, channel)
    assert len(found) == count
    return found


def settle(mirth: MirthEngine, channel: Channel, message: dict[str, Any], *statuses: str) -> None:
    """The end of a message whose connectors have these statuses."""
    source_map = message["sourceMap"] | {"bridgeDeliveryTag": message["tag"]}
    mirth.run(channel, "postprocessor", sourceMap=source_map, statuses=["TRANSFORMED", *statuses])


def objects(service: Service, engine: Engine, count: int) -> list[dict[str, Any]]:
    """Enriched events of so many linked objects, as another consumer sees them."""
    service.start()
    engine.hl7(orm(1, study=STUDY))
    for number in range(count):
        engine.dicom(ct(number, study=STUDY, patient="PAT1", instance=number + 100))
    events = engine.collect(at_least("instance.enriched", count))
    return [event for event in events if "instance.enriched" in event["type"]]


def published(amqp: BlockingChannel, count: int) -> None:
    """So many events that nobody needs a bridge for."""
    for number in range(count):
        stated = pika.BasicProperties(message_id=f"00000000-0000-0000-0000-{number:012}", delivery_mode=2)
        amqp.basic_publish("bridge.events", "instance.enriched.CT", f'{{"id": "{number}"}}'.encode(), stated)


def test_an_event_reaches_the_engine_as_it_is_and_is_acknowledged_once_its_destination_has_it(
    reading: MirthEngine, service: Service, engine: Engine, amqp: BlockingChannel
) -> None:
    events = objects(service, engine, 3)
    messages = arrived(reading, FILE, 3)
    assert [json.loads(message["data"]) for message in messages] == events
    for message, event in zip(messages, events, strict=True):
        assert message["sourceMap"]["bridgeEventId"] == event["id"]
        assert message["sourceMap"]["bridgeRoutingKey"] == "instance.enriched.CT"
        settle(reading, FILE, message, "SENT")
    reading.run(FILE, "undeploy")  # what is not acknowledged would be back in the queue
    assert poll(reading, FILE) == []


def test_the_destination_can_name_its_file_after_the_event(reading: MirthEngine) -> None:
    found = reading.run(FILE, "preprocessor", sourceMap={"bridgeEventId": "an-id"})
    assert found["channelMap"] == {"bridgeEventId": "an-id"}


@pytest.mark.parametrize("status", ["QUEUED", "FILTERED"])
def test_what_the_engine_keeps_itself_or_does_not_want_is_acknowledged(
    reading: MirthEngine, amqp: BlockingChannel, status: str
) -> None:
    published(amqp, 1)
    [message] = arrived(reading, FILE, 1)
    settle(reading, FILE, message, status)
    reading.run(FILE, "undeploy")
    assert poll(reading, FILE) == []


def test_what_a_destination_could_not_take_is_delivered_again_and_the_others_are_not(
    reading: MirthEngine, amqp: BlockingChannel
) -> None:
    published(amqp, 2)
    first, second = arrived(reading, FILE, 2)
    settle(reading, FILE, first, "ERROR")
    settle(reading, FILE, second, "SENT")
    [again] = arrived(reading, FILE, 1)
    assert again["data"] == first["data"]
    settle(reading, FILE, again, "SENT")
    reading.run(FILE, "undeploy")
    assert poll(reading, FILE) == []


def test_after_a_failure_the_reader_pauses(reading: MirthEngine, amqp: BlockingChannel) -> None:
    reading.settings["bridgeEventsPauseMillis"] = "600000"
    published(amqp, 1)
    [message] = arrived(reading, FILE, 1)
    settle(reading, FILE, message, "ERROR")
    assert poll(reading, FILE) == []
    reading.settings["bridgeEventsPauseMillis"] = "1"
    arrived(reading, FILE, 1)


def test_what_was_taken_before_a_lost_connection_is_delivered_again_and_nothing_else_is_acknowledged(
    reading: MirthEngine, amqp: BlockingChannel
) -> None:
    published(amqp, 2)
    first, _ = arrived(reading, FILE, 2)
    reading.run(FILE, "undeploy")
    again = arrived(reading, FILE, 2)
    settle(reading, FILE, first, "SENT")  # its delivery tag is now that of another delivery
    reading.run(FILE, "undeploy")
    assert {message["data"] for message in arrived(reading, FILE, 2)} == {message["data"] for message in again}


def test_an_event_that_is_never_taken_ends_in_the_dead_queue_and_in_an_alert_that_names_no_patient(
    reading: MirthEngine, service: Service, engine: Engine, amqp: BlockingChannel
) -> None:
    amqp.queue_delete("mirth.events.http")
    reading.settings |= {"bridgeEventsDeliveryLimit": "2", "bridgeHttpBindings": "instance.enriched.#"}
    reading.run(HTTP, "undeploy")
    assert poll(reading, HTTP) == []
    [event] = objects(service, engine, 1)
    deliveries = 0
    while not (alerts := poll(reading, ALERTS)):
        for message in poll(reading, HTTP):
            deliveries += 1
            settle(reading, HTTP, message, "ERROR")
    assert deliveries == 3
    _, properties, _ = next(amqp.consume("mirth.dead", inactivity_timeout=PATIENCE))
    assert properties is not None
    assert properties.message_id == event["id"]
    amqp.cancel()
    [alert] = alerts
    status, text = reading.send(ALERTS, alert["data"], sourceMap=alert["sourceMap"])
    assert status == "SENT"
    assert reading.alerted == [text]
    assert text == (
        f"event {event['id']} (instance.enriched.CT) could not be delivered by its channel "
        "and is kept in queue mirth.dead"
    )


def test_a_message_that_the_bridge_rejects_is_an_alert_and_stays_a_dead_letter(
    reading: MirthEngine, service: Service, engine: Engine, amqp: BlockingChannel
) -> None:
    service.start()
    engine.dicom(ct(1, study=STUDY, patient="PAT1")[:-3])
    [event] = engine.collect(at_least("message.rejected", 1))
    [alert] = arrived(reading, ALERTS, 1)
    status, text = reading.send(ALERTS, alert["data"], sourceMap=alert["sourceMap"])
    assert status == "SENT"
    assert text.startswith("the bridge could not read a message of channel images: dicom-truncated, the file ends")
    assert text.endswith(f"; bridge dead show {event['data']['message']['id']}")
    settle(reading, ALERTS, alert, "SENT")
    reading.run(ALERTS, "undeploy")
    assert poll(reading, ALERTS) == []
    assert len(engine.dead_letters()) == 1


def test_while_there_is_no_broker_the_reader_says_so_once(reading: MirthEngine) -> None:
    reading.settings["bridgeAmqpUri"] = "amqp://localhost:1"
    reading.run(FILE, "undeploy")
    assert poll(reading, FILE) == poll(reading, FILE) == []
    assert reading.logged == [
        "warn bridge: no events, tried again with each poll: ConnectException: Connection refused"
    ]


def test_where_somebody_else_declares_the_queues_the_reader_declares_none(
    reading: MirthEngine, amqp: BlockingChannel
) -> None:
    amqp.queue_delete("mirth.events.file")
    reading.settings["bridgeAmqpDeclare"] = "check"
    reading.run(FILE, "undeploy")
    assert poll(reading, FILE) == []
    assert "no queue 'mirth.events.file'" in reading.logged[-1]
