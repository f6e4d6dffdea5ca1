"""The channels that publish, their scripts run against real brokers and the real bridge."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from bridge.localbroker import LocalBroker
from tests.conftest import QUEUES, Engine, Service, at_least
from tests.faults.traffic import until
from tests.mirth.engine import Channel, MirthEngine
from tests.samples import ROOT, ct, orm

HL7, HEADER, OBJECT = Channel("hl7-in"), Channel("dicom-header-in"), Channel("dicom-object-in")
STUDY = f"{ROOT}.1"
MESSAGES, THREADS = 500, 8


def in_base64(body: bytes) -> str:
    """As the engine has an object: lines of 76 characters."""
    return base64.encodebytes(body).decode().replace("\n", "\r\n")


def as_received(body: bytes) -> str:
    """As a listener with the encoding ISO-8859-1 has a message."""
    return body.decode("latin-1")


@pytest.fixture(scope="module")
def own_node() -> Iterator[LocalBroker]:
    with LocalBroker(settings="max_message_size = 10000\n") as broker:
        yield broker


@pytest.fixture
def node(own_node: LocalBroker, mirth: MirthEngine) -> LocalBroker:
    """A broker that a test may end, without anything of an earlier test on it; the engine is told of it."""
    own_node.start()
    with pika.BlockingConnection(pika.URLParameters(own_node.url)) as connection:
        for name in QUEUES:
            connection.channel().queue_delete(name)
    mirth.settings = {"bridgeAmqpUri": own_node.url, "bridgeAmqpConfirmMillis": "1000"}
    return own_node


def test_orders_and_headers_of_objects_become_enriched_events_with_their_instance_number(
    mirth: MirthEngine, service: Service, engine: Engine
) -> None:
    service.start()
    assert mirth.send(HL7, as_received(orm(1, study=STUDY, accession="A1"))) == (
        "SENT",
        "confirmed by the broker as hl7.ORM.O01",
    )
    body = in_base64(ct(7, study=STUDY, patient="PAT1", accession="A1", instance=4711))
    assert mirth.send(HEADER, body, modality="CT") == ("SENT", "confirmed by the broker as dicom.CT")
    assert mirth.send(OBJECT, in_base64(ct(8, study=STUDY, patient="PAT1", instance=-3)))[0] == "SENT"
    events = engine.collect(at_least("instance.enriched", 2))
    numbers = {
        event["subject"]: event["data"]["instance"]["instanceNumber"]["value"]
        for event in events
        if "instance.enriched" in event["type"]
    }
    assert numbers == {f"{ROOT}.3.7": 4711, f"{ROOT}.3.8": -3}
    assert service.status()["messages"]["TRANSFORMED"] == 3


def test_what_is_published_says_where_it_comes_from(mirth: MirthEngine, service: Service, amqp_url: str) -> None:
    service.start()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        amqp = connection.channel()
        amqp.queue_declare("seen", exclusive=True)
        amqp.queue_bind("seen", "bridge.in", "#")
        titles = {"remoteApplicationEntityTitle": "US_ER_2", "localApplicationEntityTitle": "BRIDGE"}
        mirth.send(HEADER, in_base64(ct(1, study=STUDY)), id=42, modality="US", sourceMap=titles)
        method, properties, body = amqp.basic_get("seen", auto_ack=True)
    assert body == ct(1, study=STUDY)
    assert method.routing_key == "dicom.US"
    assert properties.message_id == f"{HEADER.id}/42/1"
    assert properties.headers == {"calling-aet": "US_ER_2", "called-aet": "BRIDGE"}
    assert (properties.content_type, properties.delivery_mode, properties.app_id) == ("application/dicom", 2, "mirth")


@pytest.mark.parametrize(("said", "charset"), [("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8"), ("", "utf-8")])
def test_every_byte_of_hl7_reaches_the_bridge_as_its_sender_wrote_it(
    mirth: MirthEngine, service: Service, engine: Engine, said: str, charset: str
) -> None:
    service.start()
    header, rest = orm(1, study=STUDY, name="Müller^Zoë").decode().split("\r", 1)
    fields = (header.split("|") + [""] * 20)[:18]
    fields[17] = said
    body = f"{'|'.join(fields)}\r{rest}".encode(charset)
    assert mirth.send(HL7, as_received(body))[0] == "SENT"
    assert mirth.send(HEADER, in_base64(ct(1, study=STUDY, patient="PAT1", name="Müller^Zoë")))[0] == "SENT"
    [event] = [e for e in engine.collect(at_least("instance.enriched", 1)) if "instance.enriched" in e["type"]]
    assert event["data"]["orders"][0]["patient"]["name"]["alphabetic"] == "Müller^Zoë"


def test_text_that_the_engine_has_decoded_is_published_as_utf_8_and_says_so(
    mirth: MirthEngine, service: Service, amqp_url: str
) -> None:
    service.start()
    writer = "return bridgePublishHl7('windows-1252');"
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        amqp = connection.channel()
        amqp.queue_declare("seen", exclusive=True)
        amqp.queue_bind("seen", "bridge.in", "#")
        message = {"id": 1, "data": "MSH|^~\\&|A\rPID|1||1||Łukasz\r"}
        assert mirth.run(HL7, writer, message=message)["status"] == "SENT"
        method, properties, body = amqp.basic_get("seen", auto_ack=True)
    assert "Łukasz".encode() in body
    assert properties.content_type == "application/hl7-v2+er7; charset=utf-8"
    assert method.routing_key == "hl7.none"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("MSH|^~\\&|A|B|C|D|2026||ADT^A08^ADT_A01|1|P|2.5\r", "hl7.ADT.A08"),
        ("MSH#~^\\&#A#B#C#D#2026##ORU~R01#1#P#2.5\r", "hl7.ORU.R01"),
        ("MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\r", "hl7.ACK"),
        ("MSH|^~\\&|A|B|C|D|2026||#.*^\u00fc|1\r", "hl7.none"),
        ("PID|1||X", "hl7.none"),
        ("<HL7Message/>", "hl7.none"),
    ],
)
def test_the_routing_key_is_that_of_the_message_type_and_never_anything_else_of_the_message(
    mirth: MirthEngine, text: str, key: str
) -> None:
    found = mirth.run(
        HL7, "return bridgeRoutingKeyOfHl7(String(connectorMessage.getRawData()));", message={"data": text}
    )
    assert found["value"] == key


def test_500_messages_of_8_threads_survive_a_killed_broker_none_lost_none_twice(
    mirth: MirthEngine, node: LocalBroker, tmp_path: Path
) -> None:
    service = Service(tmp_path, node.url)
    service.start()
    assert service.stop() == 0  # its queues are there now
    node.restart()  # RabbitMQ 3.10 loses a queue that was made a moment before a SIGKILL
    messages = [{"id": number, "data": as_received(orm(number))} for number in range(MESSAGES)]
    restarted = threading.Event()

    def restart() -> None:
        node.kill()
        node.start()
        restarted.set()

    killing = threading.Thread(target=restart)

    def each(sent: int) -> None:
        if sent == MESSAGES // 3 and not killing.ident:
            killing.start()

    texts = mirth.send_all(HL7, messages, threads=THREADS, each=each)
    killing.join()
    assert restarted.is_set()
    statuses = {text.split()[0] for text in texts}
    assert statuses == {"SENT", "QUEUED"}, texts  # never ERROR, never thrown
    assert all("PAT" not in text and "Doe" not in text for text in texts)
    service.start()
    status = until(lambda: status if (status := service.status())["messages"]["TRANSFORMED"] == MESSAGES else None)
    assert service.stop() == 0
    assert status["orders"] == MESSAGES
    assert status["messages"]["ERROR"] == status["dead"] == 0


# What the writer answers when it cannot publish


def test_without_a_broker_a_message_is_queued_in_words_and_at_once_for_everybody_else(
    mirth: MirthEngine, node: LocalBroker
) -> None:
    node.kill()
    mirth.run(HL7, "deploy")
    assert mirth.logged == [
        "error bridge: no connection yet, tried again with each message: ConnectException: Connection refused"
    ]
    status, text = mirth.send(HL7, as_received(orm(1)))
    assert (status, text) == ("QUEUED", "not published, tried again: ConnectException: Connection refused")


def test_what_no_queue_wants_is_not_taken_for_delivered(mirth: MirthEngine, service: Service, amqp_url: str) -> None:
    status, text = mirth.send(HL7, as_received(orm(1)))
    assert status == "QUEUED"
    assert "no exchange 'bridge.in'" in text
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().exchange_declare("bridge.in", "topic", durable=True)
    status, text = mirth.send(HL7, as_received(orm(1)))
    assert (status, "no queue is bound for hl7.ORM.O01" in text) == ("QUEUED", True)
    service.start()
    assert mirth.send(HL7, as_received(orm(1)))[0] == "SENT"


def test_while_the_broker_takes_nothing_messages_are_queued_and_none_hangs(
    mirth: MirthEngine, node: LocalBroker, tmp_path: Path
) -> None:
    service = Service(tmp_path, node.url)
    service.start()
    assert mirth.send(HL7, as_received(orm(1)))[0] == "SENT"
    node.control("set_vm_memory_high_watermark", "absolute", "1")
    # The first one may be on its way before the broker says that it is blocked; it arrives when it takes it.
    said = [mirth.send(HL7, as_received(orm(number))) for number in (2, 3)]
    assert {status for status, _ in said} == {"QUEUED"}
    assert "the broker takes nothing (memory or disk alarm)" in said[1][1]
    node.control("set_vm_memory_high_watermark", "absolute", "2GB")
    for number in (2, 3):
        assert mirth.send_all(HL7, [{"id": number, "data": as_received(orm(number))}], threads=1)
    assert service.stop() == 0
    assert service.status()["orders"] == 3


def test_a_wrong_password_is_told_without_the_password(mirth: MirthEngine) -> None:
    mirth.settings["bridgeAmqpPassword"] = "a-secret-word"
    status, text = mirth.send(HL7, as_received(orm(1)))
    assert status == "QUEUED"
    assert "ACCESS_REFUSED" in text
    mirth.run(HL7, "deploy")
    assert "a-secret-word" not in text + "".join(mirth.logged)


def test_settings_that_cannot_be_read_are_told_without_their_value(mirth: MirthEngine) -> None:
    mirth.settings["bridgeAmqpUri"] = "amqp//guest:a-secret-word@localhost"
    assert mirth.send(HL7, as_received(orm(1))) == (
        "QUEUED",
        "not published, tried again: bridgeAmqpUri in the configuration map is not of the form "
        "amqp://user:password@host:5672/%2F",
    )
    mirth.settings = {"bridgeAmqpPort": "no port"}
    assert "bridgeAmqpPort in the configuration map is no positive number" in mirth.send(HL7, as_received(orm(1)))[1]


def test_the_parts_of_the_address_may_stand_alone(mirth: MirthEngine) -> None:
    mirth.settings = {
        "bridgeAmqpUri": "amqps://us%40er:p%2Fw@[::1]/north%2Fa",
        "bridgeAmqpHost": " rabbit.example.org ",
    }
    found = mirth.run(
        HL7, "var s = bridgeSettings(); return [s.host, s.port, s.virtualHost, s.user, s.password, s.tls];"
    )
    assert found["value"] == "rabbit.example.org,5671,north/a,us@er,p/w,true"


def test_a_body_over_the_limit_is_an_error_that_says_what_to_do(mirth: MirthEngine, service: Service) -> None:
    service.start()
    mirth.settings["bridgeMaxBytes"] = "1000"
    status, text = mirth.send(OBJECT, in_base64(ct(1, study=STUDY) + bytes(1000)))
    assert status == "ERROR"  # trying again cannot help, and its sender should know
    assert "Publish the header only" in text


def test_a_body_over_the_limit_of_the_broker_is_an_error_too(
    mirth: MirthEngine, node: LocalBroker, tmp_path: Path
) -> None:
    Service(tmp_path, node.url).start().stop()
    assert mirth.send(OBJECT, in_base64(ct(1, study=STUDY) + bytes(20_000)))[0] == "ERROR"
    assert mirth.send(OBJECT, in_base64(ct(1, study=STUDY)))[0] == "SENT"


def test_without_the_client_library_a_message_is_queued_and_the_library_named() -> None:
    with MirthEngine(client=False) as mirth:
        status, text = mirth.send(HL7, as_received(orm(1)))
    assert status == "QUEUED"
    assert "put amqp-client into custom-lib" in text


def test_messages_one_after_the_other_share_one_amqp_channel(
    mirth: MirthEngine, service: Service, broker: LocalBroker
) -> None:
    service.start()
    before = broker.control("list_channels", "confirm").split().count("true")
    for number in range(5):
        assert mirth.send(HL7, as_received(orm(number)))[0] == "SENT"
    assert broker.control("list_channels", "confirm").split().count("true") == before + 1


def test_undeploying_closes_the_connection(mirth: MirthEngine, service: Service, broker: LocalBroker) -> None:
    service.start()
    mirth.run(HL7, "deploy")
    assert "mirth Bridge HL7 in" in broker.control("list_connections", "client_properties")
    mirth.run(HL7, "undeploy")
    assert "mirth Bridge HL7 in" not in broker.control("list_connections", "client_properties")
    assert mirth.send(HL7, as_received(orm(1)))[0] == "SENT"  # opened again on use


def test_a_message_without_content_is_an_error(mirth: MirthEngine) -> None:
    assert mirth.send(HL7, None)[0] == "ERROR"
