"""What the broker objects to, or pika cannot read, costs only itself."""

import struct
import threading
from collections import Counter
from collections.abc import Iterator

import pika
import pytest

from bridge.amqp import Confirmation, Publication, Publisher, properties, publish
from tests.conftest import PATIENCE, Engine, Service, at_least
from tests.samples import ROOT, ct

EXCHANGE = "test.out"


@pytest.fixture
def publisher(amqp_url: str) -> Iterator[Publisher]:
    """A publisher to an exchange with one queue that takes all."""
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "topic")
        channel.queue_declare(EXCHANGE)
        channel.queue_bind(EXCHANGE, EXCHANGE, "#")
        made = Publisher(amqp_url, lambda: None)
        made.start()
        yield made
        made.stop()
        channel.queue_delete(EXCHANGE)
        channel.exchange_delete(EXCHANGE)


def publication(number: int, **stated: object) -> Publication:
    key = f"event-{number}"
    return Publication(EXCHANGE, "k", b"{}", properties(message_id=key, **stated), key)


def confirmations(publisher: Publisher, publications: list[Publication]) -> list[Confirmation]:
    answered = threading.Event()
    answers: list[Confirmation] = []

    def done(given: list[Confirmation]) -> None:
        answers.extend(given)
        answered.set()

    publisher.submit(publications, done)
    assert answered.wait(PATIENCE)
    return answers


@pytest.mark.parametrize(
    "objectionable",
    [
        {"expiration": "never"},  # closes the AMQP channel: 406, precondition failed
        {"headers": {"x": "y" * 200_000}},  # closes the connection: 501, no frame may be that long
        {"headers": {"x": 1 << 70}},  # cannot even be encoded
    ],
    ids=["channel", "connection", "encoding"],
)
def test_of_300_publications_the_two_that_the_broker_objects_to_are_refused_and_the_others_confirmed(
    publisher: Publisher, objectionable: dict[str, object]
) -> None:
    publications = [publication(number) for number in range(300)]
    for number in (0, 200):
        publications[number] = publication(number, **objectionable)
    answers = confirmations(publisher, publications)
    assert [number for number, answer in enumerate(answers) if answer is Confirmation.REFUSED] == [0, 200]
    assert Counter(answers) == {Confirmation.CONFIRMED: 298, Confirmation.REFUSED: 2}
    assert confirmations(publisher, [publication(300)]) == [Confirmation.CONFIRMED]


def test_a_command_publishes_what_follows_a_refused_message(amqp_url: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().exchange_declare(EXCHANGE, "topic", auto_delete=True)
        answers = publish(amqp_url, [publication(1), publication(2, expiration="never"), publication(3)])
        connection.channel().exchange_delete(EXCHANGE)
    assert answers == [Confirmation.RETURNED, Confirmation.REFUSED, Confirmation.RETURNED]


def test_an_exchange_that_is_not_there_is_no_fault_of_what_is_published(publisher: Publisher) -> None:
    nowhere = Publication("test.nowhere", "k", b"{}", properties(message_id="event"), "event")
    assert confirmations(publisher, [nowhere]) == [Confirmation.LOST]


def test_a_message_whose_headers_leave_no_room_for_ours_is_dead_lettered_without_them(
    service: Service, engine: Engine
) -> None:
    service.start()
    engine.hl7(b"garbage", message_id="m1", headers={"x": "y" * 130_900})
    engine.collect(at_least("message.rejected", 1))
    assert service.stop() == 0
    [(letter, body)] = engine.dead_letters()
    assert body == b"garbage"
    assert letter.message_id == "m1"
    assert letter.headers["bridge-error"] == "hl7-no-msh"
    assert "x" not in letter.headers


def test_a_dead_letter_says_when_it_was_rejected(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(b"garbage")
    [rejected] = engine.collect(at_least("message.rejected", 1))
    assert service.stop() == 0
    [(letter, _body)] = engine.dead_letters()
    assert letter.headers["bridge-rejected-at"][:16] == rejected["time"][:16]
    assert letter.headers["bridge-rejected-at"].endswith("Z")


class Strange(pika.BasicProperties):
    """Properties with headers as other clients write them, which pika itself does not write."""

    def encode(self) -> list[bytes]:
        table = b"\x04sentT" + struct.pack(">Q", 1_700_000_000_000)  # milliseconds where seconds belong
        has_headers, persistent = 1 << 13, 1 << 12
        return [struct.pack(">HI", has_headers | persistent, len(table)), table, b"\x02"]


def test_a_header_that_pika_cannot_decode_does_not_end_the_connection_for_ever(
    service: Service, engine: Engine, amqp_url: str
) -> None:
    service.start()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().basic_publish("bridge.in", "dicom.CT", ct(1, study=f"{ROOT}.1"), Strange())
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0
    assert "broker connection ended" not in "".join(service.log)
