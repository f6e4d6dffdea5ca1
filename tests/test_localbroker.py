"""The private broker against the real RabbitMQ of this machine, which is installed first where there is none."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pika
import psutil
import pytest

from bridge import localbroker
from bridge.core.errors import ConfigError, Unavailable
from bridge.localbroker import LocalBroker, Ports, rabbitmq_server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One broker, started by a user who has settings for another one in the environment."""
    decoy = tmp_path_factory.mktemp("decoy")
    (decoy / "rabbitmq.conf").write_text("listeners.tcp.other = 0.0.0.0:5999\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RABBITMQ_CONFIG_FILE", str(decoy / "rabbitmq.conf"))
        environment.setenv("RABBITMQ_NODENAME", "decoy@nowhere")
        environment.setenv("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-no_such_thing +wrong")
        environment.setenv("ERL_FLAGS", "+wrong")
        with LocalBroker() as broker:
            yield broker


def processes(broker: LocalBroker) -> list[psutil.Process]:
    """The watcher and everything below it."""
    watcher = psutil.Process(broker.pid).parent()
    assert watcher is not None
    return [watcher, *watcher.children(recursive=True)]


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    _gone, alive = psutil.wait_procs(processes, timeout=10)
    return list(alive)


def names(processes: list[psutil.Process]) -> set[str]:
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.name())
    return found


def connect(broker: LocalBroker) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.URLParameters(broker.url))


def publish(connection: pika.BlockingConnection, body: bytes) -> None:
    """Returns when the broker has confirmed the message."""
    amqp = connection.channel()
    amqp.confirm_delivery()
    amqp.basic_publish("", "kept", body, pika.BasicProperties(delivery_mode=2), mandatory=True)


def test_rabbitmq_is_found_or_installed() -> None:
    assert rabbitmq_server().name == "rabbitmq-server"
    assert (rabbitmq_server().parent / "rabbitmq-env").is_file()


def test_a_wrapper_in_path_that_needs_the_systems_folders_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rabbitmq_server()
    wrapper = tmp_path / "rabbitmq-server"
    wrapper.write_text("#!/bin/sh\nexec su rabbitmq -c rabbitmq-server\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(localbroker, "_PACKAGED_SERVER", real)
    assert rabbitmq_server() == real


def test_where_it_may_not_install_it_says_in_one_line_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(localbroker, "_PACKAGED_SERVER", tmp_path / "rabbitmq-server")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="install rabbitmq-server") as error:
        LocalBroker(tmp_path / "broker").__enter__()
    assert "\n" not in str(error.value)


def test_a_rejected_message_passes_from_a_quorum_queue_to_its_dead_letter_queue_at_least_once(
    broker: LocalBroker,
) -> None:
    with connect(broker) as connection:
        amqp = connection.channel()
        amqp.confirm_delivery()
        amqp.exchange_declare("dead", "topic", durable=True)
        amqp.queue_declare("dead", durable=True, arguments={"x-queue-type": "quorum"})
        amqp.queue_bind("dead", "dead", "#")
        arguments = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "dead",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-delivery-limit": 1_000_000,
        }
        amqp.queue_declare("in", durable=True, arguments=arguments)
        amqp.basic_publish("", "in", b"MSH", pika.BasicProperties(delivery_mode=2), mandatory=True)
        deliver, _properties, _body = next(amqp.consume("in", inactivity_timeout=10))
        amqp.basic_reject(deliver.delivery_tag, requeue=False)
        amqp.cancel()
        _deliver, properties, body = next(amqp.consume("dead", inactivity_timeout=10))
    assert body == b"MSH"
    assert properties.headers["x-first-death-reason"] == "rejected"


def test_everything_listens_on_loopback_only(broker: LocalBroker) -> None:
    listening: set[tuple[str, str, int]] = set()
    for process in processes(broker):
        with suppress(psutil.NoSuchProcess):  # the node asks `df` now and then
            sockets = process.net_connections("inet")
            listening |= {(process.name(), *s.laddr) for s in sockets if s.status == psutil.CONN_LISTEN}
    assert ("beam.smp", "127.0.0.1", broker.port) in listening
    assert {ip for _name, ip, _port in listening} <= {"127.0.0.1", "::1"}
    assert len({port for _name, _ip, port in listening}) == 3  # AMQP, distribution, epmd


def test_of_two_brokers_side_by_side_one_ends_with_an_exception_and_leaves_nothing(broker: LocalBroker) -> None:
    other = LocalBroker()
    below: list[psutil.Process] = []

    def fail_while_it_runs() -> None:
        with other, connect(broker) as here, connect(other) as there:
            here.channel().queue_declare("only-here", exclusive=True)
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue"):
                there.channel().queue_declare("only-here", passive=True)
            below.extend(processes(other))
            assert {"epmd", "erl_child_setup", "inet_gethost", "beam.smp"} <= names(below)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_it_runs()
    assert not still_running(below)
    assert not other.folder.exists()
    connect(broker).close()


def test_a_second_broker_in_the_same_folder_is_refused_and_the_first_runs_on(broker: LocalBroker) -> None:
    with pytest.raises(ConfigError, match="another broker runs in"):
        LocalBroker(broker.folder).__enter__()
    connect(broker).close()


def test_after_ctrl_c_and_after_sigkill_of_the_owner_no_process_and_no_folder_stays() -> None:
    command = [sys.executable, "-m", "bridge.localbroker"]
    with ExitStack() as owners:

        def start() -> subprocess.Popen[str]:
            owner = owners.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            owners.callback(owner.kill)
            return owner

        for owner, end, code in ((start(), signal.SIGINT, 0), (start(), signal.SIGKILL, -signal.SIGKILL)):
            assert owner.stdout is not None
            assert re.fullmatch(r"amqp://guest:guest@127\.0\.0\.1:\d+/%2F\n", owner.stdout.readline())
            (watcher,) = psutil.Process(owner.pid).children()
            below = [watcher, *watcher.children(recursive=True)]
            folder = Path(watcher.children()[0].cwd())
            owner.send_signal(end)
            assert owner.wait(timeout=10) == code
            assert not still_running(below)
            assert not folder.exists()


def test_messages_in_a_quorum_queue_outlive_the_broker_and_a_crash_of_the_next_one_in_the_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "größer, with spaces"
    with LocalBroker(folder) as broker, connect(broker) as connection:
        connection.channel().queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        publish(connection, b"first")
    with LocalBroker(folder) as broker:
        with connect(broker) as connection:
            publish(connection, b"second")
        url, before = broker.url, processes(broker)
        broker.kill()
        assert not still_running(before)
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            connect(broker)
        broker.start()
        assert broker.url == url
        with connect(broker) as connection:
            received = connection.channel().consume("kept", inactivity_timeout=10)
            assert [next(received)[2], next(received)[2]] == [b"first", b"second"]


def test_a_port_that_another_broker_took_in_between_is_left_to_it(
    broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, free = Ports.free()._replace(amqp=broker.port), Ports.free()
    choices = iter([taken, free])
    monkeypatch.setattr(Ports, "free", lambda: next(choices))
    with LocalBroker() as other:
        assert other.port == free.amqp
        connect(other).close()
    connect(broker).close()


def test_a_broker_that_cannot_start_says_so_with_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / ".erlang.cookie").write_text("readable by everybody")
    with pytest.raises(Unavailable, match=r"(?s)end of its log:\n.*must be accessible by owner only"):
        LocalBroker(tmp_path).__enter__()


def test_a_broker_that_is_not_there_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localbroker, "START_SECONDS", 0.0)
    before = set(psutil.Process().children(recursive=True))
    broker = LocalBroker()
    with pytest.raises(Unavailable, match="did not start"):
        broker.__enter__()
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not broker.folder.exists()
