"""`bridge dead`: looking changes nothing, what is published again is the message that came, and nothing is lost."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pika
import pytest

from bridge import amqp, app
from bridge.intake import message_id
from tests.commands import Answer, beside
from tests.conftest import Engine, Service, at_least
from tests.desk import CHANNELS
from tests.samples import ROOT, ct, orm

Command = Callable[..., Answer]

NAME = "Doe"  # of the patient, in every order


class Administrator:
    """The broker with the bridge's queues on it, as an administrator sees them."""

    def __init__(self, url: str) -> None:
        amqp.declare(url, app.topology_of(CHANNELS), create=True)
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self._connection.channel()
        self.channel.confirm_delivery()

    def bury(self, body: bytes, *, queue: str = "bridge.hl7", **headers: Any) -> None:
        """A letter as the bridge makes them; `headers` with underscores for hyphens."""
        stated = {
            "bridge-error": "hl7-no-msh",
            "bridge-reason": "it does not begin with MSH",
            "bridge-channel": "orders",
            "bridge-message": message_id("orders", body),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self.channel.basic_publish("bridge.dead", queue, body, pika.BasicProperties(headers=stated), mandatory=True)

    def waiting(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def take(self, queue: str) -> list[tuple[pika.BasicProperties, bytes]]:
        """Takes every message out of a queue, in its sequence."""
        taken = []
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is None:
                return taken
            taken.append((properties, body))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def administrator(amqp_url: str) -> Iterator[Administrator]:
    made = Administrator(amqp_url)
    yield made
    made.close()


@pytest.fixture
def dead(tmp_path: Path, amqp_url: str) -> Command:
    """`bridge dead`, in this process."""
    command = beside(tmp_path, amqp_url)
    return lambda *arguments: command("dead", *arguments)


def listed(dead: Command, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(dead("list", "--json", *arguments).stdout)["letters"])


def stated(properties: pika.BasicProperties) -> dict[str, Any]:
    """What a message has, but for what the broker adds to each delivery."""
    headers = {name: value for name, value in (properties.headers or {}).items() if name != "x-delivery-count"}
    found = {name: value for name, value in vars(properties).items() if value is not None}
    return found | {"headers": headers}


# Looking


def test_looking_takes_nothing_out_and_changes_no_sequence(dead: Command, administrator: Administrator) -> None:
    bodies = [f"garbage {number}".encode() for number in range(150)]
    for body in bodies:
        administrator.bury(body, calling_aet="MR1")
    for _ in range(3):
        assert len(listed(dead, "--limit", "1000")) == 150
    assert len(listed(dead, "--limit", "7")) == 7
    assert dead("show", message_id("orders", bodies[40])).returncode == 0
    assert dead("drop", message_id("orders", bodies[41])).returncode == 2
    letters = administrator.take("bridge.dead")
    assert [body for _, body in letters] == bodies
    assert {properties.headers["calling-aet"] for properties, _ in letters} == {"MR1"}


def test_the_list_says_what_each_letter_is_and_never_what_is_in_it(dead: Command, administrator: Administrator) -> None:
    administrator.bury(orm(1), bridge_rejected_at="2020-01-01T00:00:00.000000Z")
    administrator.bury(b"x" * 2048, bridge_error="dicom-not-dicom", bridge_channel="images", queue="bridge.dicom")
    answer = dead("list")
    assert answer.returncode == 0, answer.stderr
    first, second, conclusion = [line.split() for line in answer.stdout.splitlines()[1:]]
    assert first[:3] == [message_id("orders", orm(1)), "hl7-no-msh", "orders"]
    assert re.fullmatch(r"\d+ d", " ".join(first[3:5]))
    assert second[1:6] == ["dicom-not-dicom", "images", "?", "2", "KiB"]
    assert " ".join(conclusion) == "2 of 2 dead letters"
    assert NAME not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--code", "hl7-no-msh"], [0, 2]),
        (["--code", "poison", "--code", "hl7-no-msh"], [0, 1, 2]),
        (["--channel", "images"], [3]),
        (["--older-than", "24h"], [0]),
        (["--newer-than", "24h"], [1, 3]),
        (["--older-than", "24h", "--code", "poison"], []),
        (["--limit", "2"], [0, 1]),
    ],
)
def test_letters_are_found_by_code_channel_and_age(
    dead: Command, administrator: Administrator, filters: list[str], found: list[int]
) -> None:
    administrator.bury(b"0", bridge_rejected_at="2020-01-01T00:00:00.000000Z")
    administrator.bury(b"1", bridge_rejected_at=app.now(), bridge_error="poison")
    administrator.bury(b"2")
    administrator.bury(b"3", bridge_rejected_at=app.now(), bridge_channel="images", bridge_error="empty")
    answer = dead("list", "--json", *filters)
    ids = [letter["id"] for letter in json.loads(answer.stdout)["letters"]]
    assert ids == [message_id("orders", str(number).encode()) for number in found]
    assert answer.returncode == (0 if found else 1)


def test_where_there_is_nothing_to_find_it_says_so(tmp_path: Path, amqp_url: str, dead: Command) -> None:
    answer = dead("list")
    assert answer.returncode == 1
    assert "there is no queue bridge.dead" in answer.stderr
    Administrator(amqp_url).close()
    answer = dead("list")
    assert (answer.returncode, answer.stdout) == (1, "0 of 0 dead letters\n")
    for command in ("show", "requeue"):
        answer = dead(command, "0" * 32)
        assert answer.returncode == 1
        assert f"there is no dead letter {'0' * 32}" in answer.stderr
    assert beside(tmp_path)("dead", "list").returncode == 69


def test_letters_that_another_consumer_holds_are_spoken_of(dead: Command, administrator: Administrator) -> None:
    for number in range(5):
        administrator.bury(str(number).encode())
    administrator.channel.basic_qos(prefetch_count=2)
    administrator.channel.basic_consume("bridge.dead", lambda *_: None)
    answer = dead("list")
    assert "another consumer reads bridge.dead" in answer.stderr
    assert "3 of 3 dead letters" in answer.stdout


def test_show_tells_properties_and_the_body_only_when_it_is_asked_for(
    service: Service, administrator: Administrator, tmp_path: Path, dead: Command
) -> None:
    body = orm(1) + b"\xff\x00"
    administrator.bury(body, traceparent="00-1", strange="\x1b[31m")
    own_id = message_id("orders", body)
    answer = dead("show", own_id)
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"^header traceparent +00-1$", answer.stdout, re.MULTILINE)
    assert f"{len(body)} bytes" in answer.stdout
    assert NAME not in answer.stdout
    assert "\x1b" not in answer.stdout
    raw = subprocess.run(
        [sys.executable, "-m", "bridge", "dead", "show", own_id, "--body"],
        env=service.environment,
        capture_output=True,
        check=True,
    )
    assert raw.stdout == body
    file = tmp_path / "letter"
    assert dead("show", own_id, "--output", str(file)).returncode == 0
    assert file.read_bytes() == body
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert dead("show", own_id, "--output", str(file)).returncode == 2


def test_what_others_wrote_into_a_header_does_not_break_the_table(dead: Command, administrator: Administrator) -> None:
    administrator.bury(b"1", bridge_reason="first\nsecond\r\x1b[31mthird", bridge_channel="or\nders")
    administrator.bury(b"2", bridge_error="a\nb", bridge_rejected_at="0001-01-01T00:00:00+23:00", bridge_message="1\n2")
    answer = dead("list")
    assert answer.returncode == 0, answer.stderr
    _, first, second, conclusion = answer.stdout.splitlines()
    assert first.endswith("first second\\r\\x1b[31mthird")
    assert second.startswith("1 2 ")
    assert conclusion == "2 of 2 dead letters"


def test_letters_without_a_code_are_found_as_the_table_shows_them(dead: Command, administrator: Administrator) -> None:
    administrator.bury(b"1")
    administrator.channel.basic_publish("bridge.dead", "bridge.hl7", b"2", mandatory=True)
    for said in ("", "-"):
        assert [(one["code"], one["size"]) for one in listed(dead, "--code", said)] == [(None, 1)]
    assert len(listed(dead, "--code", "-", "--code", "hl7-no-msh")) == 2


def test_times_of_a_letter_are_shown_with_their_zone(dead: Command, administrator: Administrator) -> None:
    sent = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
    administrator.bury(b"1", bridge_rejected_at="2026-11-23T10:41:07.000000+01:00", sent=sent, steps=[{"at": sent}])
    shown = dead("show", message_id("orders", b"1")).stdout
    assert re.search(r"^rejected +2026-11-23 09:41:07 UTC$", shown, re.MULTILINE)
    assert re.search(r"^header sent +2026-11-23 08:30:00 UTC$", shown, re.MULTILINE)
    assert re.search(r"^header steps +.*'2026-11-23 08:30:00 UTC'", shown, re.MULTILINE)


# Requeue


def rejected(service: Service, engine: Engine, bodies: list[bytes], **properties: Any) -> None:
    """The bridge refuses these orders for a bound that is lifted afterwards, and is stopped."""
    service.environment["BRIDGE_MAX_SEGMENTS"] = "2"
    service.start()
    for body in bodies:
        engine.hl7(body, **properties)
    engine.collect(at_least("message.rejected", len(bodies)))
    assert service.stop() == 0
    del service.environment["BRIDGE_MAX_SEGMENTS"]


def test_what_is_requeued_is_the_message_as_it_came(
    service: Service, engine: Engine, administrator: Administrator, dead: Command
) -> None:
    sent: Mapping[str, Any] = {
        "content_type": "application/hl7-v2+er7",
        "message_id": "channel/1/0",
        "correlation_id": "c1",
        "reply_to": "answers",
        "type": "ORM",
        "app_id": "engine",
        "user_id": "guest",
        "priority": 3,
        "timestamp": 1_790_000_000,
        "delivery_mode": 2,
        "headers": {"traceparent": "00-1", "number": 7, "nested": {"list": [1, "two", True, None]}},
    }
    rejected(service, engine, [orm(1)], **sent)
    [letter] = listed(dead)
    assert (letter["code"], letter["channel"], letter["queue"]) == ("max-segments", "orders", "bridge.hl7")
    assert listed(dead, "--newer-than", "1h") == [letter]
    answer = dead("requeue", letter["id"])
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "1 of 1 dead letter requeued; 0 are left\n"
    assert administrator.waiting("bridge.dead") == 0
    [(properties, body)] = administrator.take("bridge.hl7")
    assert body == orm(1)
    assert stated(properties) == sent


def test_what_the_broker_would_not_take_or_would_end_stays_a_header(
    dead: Command, administrator: Administrator
) -> None:
    administrator.channel.queue_declare("copies", exclusive=True)
    administrator.bury(b"x", bridge_expiration="1", bridge_user_id="engine", CC=["copies"])
    answer = dead("requeue", "--all")
    assert answer.returncode == 0, answer.stderr
    [(properties, _)] = administrator.take("bridge.hl7")
    assert stated(properties) == {"headers": {"bridge-expiration": "1", "bridge-user-id": "engine"}}
    assert administrator.waiting("copies") == 0


def test_a_letter_of_the_broker_itself_is_known_and_requeued_without_a_trace(
    dead: Command, administrator: Administrator
) -> None:
    original = pika.BasicProperties(content_type="text/plain", headers={"traceparent": "00-1"})
    administrator.channel.basic_publish("bridge.in", "hl7.ADT", orm(1), original, mandatory=True)
    method, _, _ = next(administrator.channel.consume("bridge.hl7"))
    administrator.channel.basic_reject(method.delivery_tag, requeue=False)
    administrator.channel.cancel()
    administrator.channel.basic_publish("bridge.in", "hl7.ADT", b"behind it", original, mandatory=True)
    while not administrator.waiting("bridge.dead"):
        pass
    [letter] = listed(dead, "--newer-than", "1h")
    assert (letter["id"], letter["code"]) == (message_id("orders", orm(1)), "rejected")
    assert (letter["channel"], letter["queue"]) == ("orders", "bridge.hl7")
    assert dead("requeue", "--code", "rejected").returncode == 0
    [_, (properties, body)] = administrator.take("bridge.hl7")
    assert body == orm(1)
    assert stated(properties) == stated(original)


def test_a_letter_whose_queue_is_gone_stays_and_the_others_go(dead: Command, administrator: Administrator) -> None:
    administrator.bury(b"1")
    administrator.bury(b"2", queue="gone")
    administrator.bury(b"3")
    answer = dead("requeue", "--all")
    assert answer.returncode == 1
    assert "there is no queue gone" in answer.stderr
    assert answer.stdout == "2 of 3 dead letters requeued; 1 is left, 1 of them refused\n"
    assert [body for _, body in administrator.take("bridge.dead")] == [b"2"]
    assert [body for _, body in administrator.take("bridge.hl7")] == [b"1", b"3"]


@pytest.mark.parametrize(
    ("exchange", "key"), [("bridge.dead", ""), ("", "bridge.dead"), ("bridge.dead", "bridge.dead")]
)
def test_a_letter_that_does_not_say_where_it_came_from_stays(
    dead: Command, administrator: Administrator, exchange: str, key: str
) -> None:
    administrator.channel.basic_publish(exchange, key, b"1", mandatory=True)
    [letter] = listed(dead)
    assert letter["queue"] is None
    answer = dead("requeue", "--all")
    assert answer.returncode == 1
    assert answer.stderr == f"{letter['id']} stays: nothing says which queue it came from\n"
    assert answer.stdout == "0 of 1 dead letter requeued; 1 is left, 1 of them refused\n"
    assert [(properties.headers, body) for properties, body in administrator.take("bridge.dead")] == [
        ({"x-delivery-count": 2}, b"1")
    ]


def test_a_requeue_that_is_interrupted_says_how_many_are_left(service: Service, administrator: Administrator) -> None:
    for number in range(300):
        administrator.bury(str(number).encode())
    requeue = subprocess.Popen(
        [sys.executable, "-m", "bridge", "dead", "requeue", "--all"],
        env=service.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    while administrator.waiting("bridge.hl7") < 20 and requeue.poll() is None:
        pass
    requeue.send_signal(signal.SIGINT)
    said, _ = requeue.communicate()
    assert requeue.returncode != 0
    [(done, left)] = re.findall(r"^(\d+) of 300 dead letters requeued; (\d+) are left$", said, re.MULTILINE)
    assert int(done) >= 19
    assert int(done) + int(left) == 300


def test_which_letters_are_meant_has_to_be_said(dead: Command, administrator: Administrator) -> None:
    administrator.bury(b"1")
    for wrong in ([], ["--all", "--code", "empty"], ["--older-than", "soon"]):
        assert dead("requeue", *wrong).returncode == 2
        assert dead("drop", "--yes", *wrong).returncode == 2
    assert administrator.waiting("bridge.dead") == 1


def test_a_part_of_a_batch_is_requeued_alone_and_read(
    service: Service, engine: Engine, administrator: Administrator, dead: Command
) -> None:
    batch = b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + orm(1) + orm(2) + b"BTS|2\rFTS|1\r"
    service.environment["BRIDGE_MAX_FIELD_SIZE"] = "60"
    service.start()
    engine.hl7(batch.replace(b"CT abdomen", b"CT abdomen, " + b"with and without contrast " * 3, 1))
    engine.collect(at_least("message.rejected", 1))
    assert service.stop() == 0
    del service.environment["BRIDGE_MAX_FIELD_SIZE"]
    assert service.status()["messages"] == {"TRANSFORMED": 1, "FILTERED": 0, "ERROR": 1, "DUPLICATE": 0}
    assert dead("requeue", "--all").returncode == 0
    service.start()
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0
    status = service.status()
    assert (status["messages"]["TRANSFORMED"], status["messages"]["ERROR"], status["dead"]) == (3, 0, 0)


def test_a_requeue_that_is_killed_in_the_middle_loses_nothing(
    service: Service, engine: Engine, administrator: Administrator, dead: Command
) -> None:
    bodies = [orm(number) for number in range(500)]
    rejected(service, engine, bodies)
    assert administrator.waiting("bridge.dead") == 500
    killed = 0
    for enough in (60, 200):
        requeue = subprocess.Popen(
            [sys.executable, "-m", "bridge", "dead", "requeue", "--all"], env=service.environment
        )
        while administrator.waiting("bridge.hl7") < enough and requeue.poll() is None:
            pass
        requeue.send_signal(signal.SIGKILL)
        killed += requeue.wait() == -signal.SIGKILL
    assert killed == 2
    while administrator.waiting("bridge.hl7") + administrator.waiting("bridge.dead") < 500:
        pass
    left = administrator.waiting("bridge.dead")
    assert 0 < left <= 440
    assert dead("requeue", "--all").returncode == 0
    assert 500 <= administrator.waiting("bridge.hl7") <= 502  # a message may be there twice
    service.start()
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    engine.collect(at_least("instance.pending", 1))
    while administrator.waiting("bridge.hl7"):
        pass
    assert service.stop() == 0
    status = service.status()
    assert (status["messages"]["TRANSFORMED"], status["messages"]["ERROR"]) == (501, 0)
    assert (status["orders"], status["dead"]) == (500, 0)


# Drop


def test_dropping_asks_at_a_terminal_and_takes_what_was_agreed(service: Service, administrator: Administrator) -> None:
    administrator.bury(b"1", bridge_error="empty")
    administrator.bury(b"2")
    administrator.bury(b"3", bridge_error="empty")
    answers = []
    for word in ("n", "y"):
        terminal, side = pty.openpty()
        dropping = subprocess.Popen(
            [sys.executable, "-m", "bridge", "dead", "drop", "--code", "empty"],
            env=service.environment,
            stdin=side,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(side)
        os.write(terminal, f"{word}\n".encode())
        out, err = dropping.communicate()
        os.close(terminal)
        assert b"Drop 2 dead letters for good?" in err
        answers.append((dropping.returncode, out.decode().strip(), administrator.waiting("bridge.dead")))
    assert answers == [(1, "", 3), (0, "2 of 3 dead letters dropped", 1)]
    assert [body for _, body in administrator.take("bridge.dead")] == [b"2"]


def test_where_nobody_can_be_asked_dropping_needs_yes(dead: Command, administrator: Administrator) -> None:
    for number in range(3):
        administrator.bury(str(number).encode())
    answer = dead("drop", "--all")
    assert answer.returncode == 2
    assert "--yes" in answer.stderr
    assert administrator.waiting("bridge.dead") == 3
    first = message_id("orders", b"0")
    answer = dead("drop", first, "0" * 32, "--yes")
    assert (answer.returncode, answer.stdout) == (1, "1 of 3 dead letters dropped\n")
    assert "there is no dead letter 000" in answer.stderr
    assert dead("drop", "--all", "--yes").returncode == 0
    assert administrator.waiting("bridge.dead") == 0
