"""The demo, on a broker that is there already."""

import os
import subprocess
import sys
from pathlib import Path

import pika
import pytest

from tests.conftest import EXCHANGES, QUEUES


def run_demo(amqp_url: str, folder: Path, before: str = "pass") -> "subprocess.CompletedProcess[str]":
    program = f"import sys; from bridge import demo; {before}; sys.exit(demo.run())"
    environment = {**os.environ, "BRIDGE_AMQP_URL": amqp_url}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def exists(amqp_url: str, kind: str, name: str) -> bool:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        try:
            (channel.queue_declare if kind == "queue" else channel.exchange_declare)(name, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return False
        return True


def test_the_demo_does_its_job_adds_up_and_leaves_the_broker_as_it_was(amqp_url: str, tmp_path: Path) -> None:
    answer = run_demo(amqp_url, tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "received 28 = 24 read + 1 filtered + 1 duplicate + 2 rejected" in answer.stdout
    assert (tmp_path / "demo" / "events.jsonl").read_text().count("\n") == 29
    assert not [name for name in QUEUES if exists(amqp_url, "queue", name)]
    assert not [name for name in EXCHANGES if exists(amqp_url, "exchange", name)]


def test_the_demo_fails_when_an_event_is_not_as_stated(amqp_url: str, tmp_path: Path) -> None:
    answer = run_demo(amqp_url, tmp_path, before="demo._ORDERS_FIRST.pop(0)")
    assert answer.returncode == 1
    assert "NOT AS STATED: pydicom:CT_small.dcm" in answer.stdout


def test_the_demo_does_not_touch_a_broker_in_use(amqp_url: str, tmp_path: Path) -> None:
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_declare("bridge.hl7", durable=True)
        channel.confirm_delivery()
        channel.basic_publish("", "bridge.hl7", b"somebody's order")
    with pytest.raises(subprocess.CalledProcessError):
        run_demo(amqp_url, tmp_path).check_returncode()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        assert connection.channel().basic_get("bridge.hl7", auto_ack=True)[2] == b"somebody's order"
