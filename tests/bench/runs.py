"""One run of a program under measurement: it drains a full queue, or it answers a steady load.

The program is a process of its own between a source's queue and the events' exchange. A run that does not publish
exactly what it owes, or does not acknowledge all that it got, raises `Wrong`: its speed would mean nothing.
"""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from pika import BasicProperties, BlockingConnection, URLParameters

from bridge.amqp import Confirmation, Publication, Publisher
from bridge.localbroker import LocalBroker

EXCHANGE = "bridge.events"
_PATIENCE = 60.0  # seconds without progress until a run has failed
_POLL = 0.002  # seconds between two looks at a queue, at least
_PRECISION = 0.02  # of the time that a drain took: so seldom do we look, because looking takes time as well
_CALM = 0.1  # of one core: what a broker may do that has nothing to do
_END = "end"  # type of the message that follows the last event

Key = tuple[str, str]  # an event's type and subject; for a message that was only relayed "" and its message_id


class Wrong(Exception):
    """The program did not do what it owes."""


@dataclass(frozen=True)
class Program:
    """What is measured: a command that ends with 0 on SIGTERM, and the queue that it reads."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    queue: str


@dataclass(frozen=True)
class Load:
    """Messages, and for each the keys of all that must come out; the last of them is its answer."""

    messages: Sequence[Publication]
    owed: Sequence[Sequence[Key]]


class Drained(NamedTuple):
    """What a drain showed: all of the program."""

    per_second: float  # messages
    cpu_per_message: float  # seconds
    peak_memory: int  # bytes


def drain(node: LocalBroker, program: Program, load: Load) -> Drained:
    """How fast the program works off a full queue.

    The queue is filled first. Time runs from the program's subscription, so without its start-up, until everything owed
    lies in a queue that nobody reads until then: the counting takes next to nothing from either program.
    """
    with _watching(node, program.queue) as queues:
        fill(node, load.messages)
        with _running(program, queues) as process:
            began, cpu_before = time.monotonic(), _cpu_seconds(process.pid)
            queues.reach(process, queues.events, sum(map(len, load.owed)), _PRECISION)
            seconds, cpu = time.monotonic() - began, _cpu_seconds(process.pid) - cpu_before
            peak_memory = _peak_memory(process.pid)
        queues.check(load)
    messages = len(load.messages)
    return Drained(messages / seconds, cpu / messages, peak_memory)


class Shared(NamedTuple):
    """What a drain by several processes showed."""

    per_second: float  # messages, by all of them
    cpu_per_message: dict[str, float]  # seconds, by who used them


def drain_together(node: LocalBroker, program: Program, load: Load, count: int, servers: Mapping[str, int]) -> Shared:
    """How fast so many processes work off a full queue together, and what they and these servers (pids) use for it.

    They subscribe, and stand still (SIGSTOP) while the queue is filled: so each has its share of the messages at the
    moment from which the time runs. It ends as in `drain`.
    """
    with _watching(node, program.queue) as queues:
        with ExitStack() as running:
            processes = [running.enter_context(_running(program, queues)) for _ in range(count)]
            for process in processes:
                process.send_signal(signal.SIGSTOP)
            fill(node, load.messages)
            before = _cpu_by_user(processes, servers)
            began = time.monotonic()
            for process in processes:
                process.send_signal(signal.SIGCONT)
            queues.reach(processes[0], queues.events, sum(map(len, load.owed)), _PRECISION)
            seconds = time.monotonic() - began
            after = _cpu_by_user(processes, servers)
        queues.check(load)
    messages = len(load.messages)
    return Shared(messages / seconds, {who: (after[who] - before[who]) / messages for who in after})


def answer_times(node: LocalBroker, program: Program, load: Load, per_second: float) -> list[float]:
    """Seconds from each publication to its answer, in their sequence, at a steady load that waits for nothing."""
    published: dict[Key, float] = {}
    arrived: dict[Key, float] = {}
    with _watching(node, program.queue) as queues:
        queues.consume(lambda key: arrived.setdefault(key, time.monotonic()))
        with _running(program, queues) as process:
            began = time.monotonic()
            for number, (message, owed) in enumerate(zip(load.messages, load.owed, strict=True)):
                queues.process_until(began + number / per_second)
                published[owed[-1]] = time.monotonic()
                queues.publish(message)
            queues.reach(process, lambda: len(arrived), sum(map(len, load.owed)))
        queues.check(load)
    return [arrived[key] - at for key, at in published.items()]


def swallow(node: LocalBroker, program: Program, messages: Sequence[Publication]) -> None:
    """Lets the program take in messages, unmeasured."""
    with _watching(node, program.queue) as queues:
        fill(node, messages)
        while queues.waiting():  # what was on its way to the program when it ended is in the queue again
            with _running(program, queues) as process:
                queues.reach(process, lambda: -queues.waiting(), 0)


def confirmed(node: LocalBroker, messages: Sequence[Publication]) -> None:
    """Publishes messages and waits for all confirms."""
    taken: list[Confirmation] = []
    answered = threading.Event()

    def done(confirmations: list[Confirmation]) -> None:
        taken.extend(confirmations)
        answered.set()

    publisher = Publisher(node.url, prepare=lambda: None)
    publisher.start()
    publisher.submit(messages, done)
    answered.wait(_PATIENCE)
    publisher.stop()
    if taken.count(Confirmation.CONFIRMED) != len(messages):
        raise Wrong("the broker did not take all messages")


def fill(node: LocalBroker, messages: Sequence[Publication]) -> None:
    """The same, and then until the broker has put them where it wants them."""
    confirmed(node, messages)
    busy = 1.0
    while busy > _CALM:
        before, began = _cpu_seconds(node.pid), time.monotonic()
        time.sleep(0.3)
        busy = (_cpu_seconds(node.pid) - before) / (time.monotonic() - began)


class _Queues:
    """The source's queue, and one of everything that is published, over a connection of our own."""

    def __init__(self, connection: BlockingConnection, source: str) -> None:
        self._connection, self._channel = connection, connection.channel()
        self._source = source
        self._sink: str = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._sink, EXCHANGE, "#")
        self._seen: Counter[Key] = Counter()
        self._consuming = self._ended = False

    def _declared(self, queue: str) -> Any:
        return self._channel.queue_declare(queue, passive=True).method

    def waiting(self) -> int:
        """Messages that the program did not take yet."""
        return int(self._declared(self._source).message_count)

    def readers(self) -> int:
        return int(self._declared(self._source).consumer_count)

    def events(self) -> int:
        """What was published and not consumed here."""
        return int(self._declared(self._sink).message_count)

    def reach(
        self, process: "subprocess.Popen[bytes]", figure: Callable[[], int], target: int, precision: float = 0.0
    ) -> None:
        """Waits until a figure is that high; notices it late by at most such a part of the time that it took."""
        began = changed = time.monotonic()
        before = figure()
        while (now := figure()) < target:
            moment = time.monotonic()
            if process.poll() is not None:
                raise Wrong(f"the program ended by itself, exit code {process.returncode}")
            if now != before:
                before, changed = now, moment
            if moment > changed + _PATIENCE:
                raise Wrong(f"no progress for {_PATIENCE:.0f} s: {now} of {target}")
            self._connection.process_data_events(max(_POLL, precision * (moment - began)))

    def process_until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0:
            self._connection.process_data_events(left)

    def publish(self, message: Publication) -> None:
        self._channel.basic_publish(message.exchange, message.routing_key, message.body, message.properties)

    def consume(self, arrived: Callable[[Key], object]) -> None:
        """Begins to take events out of their queue."""

        def on_event(_channel: Any, _method: Any, properties: BasicProperties, _body: bytes) -> None:
            if properties.type == _END:
                self._ended = True
                return
            subject = (properties.headers or {}).get("ce-subject", properties.message_id)
            key = (properties.type or "", str(subject))
            self._seen[key] += 1
            arrived(key)

        self._consuming = True
        self._channel.basic_consume(self._sink, on_event, auto_ack=True)

    def check(self, load: Load) -> None:
        """Compares with what is owed, once the program has ended."""
        if waiting := self.waiting():
            raise Wrong(f"{waiting} messages were not acknowledged")
        if not self._consuming:
            self.consume(lambda _key: None)
        self._channel.basic_publish("", self._sink, b"", BasicProperties(type=_END))
        while not self._ended:
            self._connection.process_data_events(None)
        owed = Counter(key for keys in load.owed for key in keys)
        missing, unexpected = owed - self._seen, self._seen - owed
        if missing or unexpected:
            examples = [*missing, *unexpected][:3]
            raise Wrong(f"{missing.total()} events are missing, {unexpected.total()} are not owed, such as {examples}")


@contextmanager
def _watching(node: LocalBroker, source: str) -> Iterator[_Queues]:
    parameters = URLParameters(node.url)
    parameters.heartbeat = 0  # nobody would answer while a queue is filled
    with BlockingConnection(parameters) as connection:
        yield _Queues(connection, source)


@contextmanager
def _running(program: Program, queues: _Queues) -> Iterator["subprocess.Popen[bytes]"]:
    """The program from its subscription on; ends it in order."""
    log = program.folder / "log"
    readers = queues.readers()
    with (
        log.open("ab") as output,
        subprocess.Popen(
            program.command, env=program.environment, cwd=program.folder, stdout=output, stderr=output
        ) as process,
    ):
        try:
            queues.reach(process, queues.readers, readers + 1)
            yield process
            process.send_signal(signal.SIGTERM)
            if process.wait(_PATIENCE):
                raise Wrong(f"exit code {process.returncode} after SIGTERM")
        except BaseException as error:
            process.kill()
            error.add_note("the end of the program's log:\n" + log.read_text(errors="replace")[-2000:])
            raise


def _peak_memory(pid: int) -> int:
    """The most that was resident so far (VmHWM of proc_pid_status(5)), in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise Wrong("the kernel does not tell the peak memory")


def _cpu_seconds(pid: int) -> float:
    """What a process used of the cores so far (utime and stime of proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_by_user(processes: Sequence["subprocess.Popen[bytes]"], servers: Mapping[str, int]) -> dict[str, float]:
    """Seconds of the cores so far: of the bridge's processes together, and of each server."""
    used = {"bridge": sum(_cpu_seconds(process.pid) for process in processes)}
    return used | {name: _family_cpu_seconds(pid) for name, pid in servers.items()}


def _family_cpu_seconds(pid: int) -> float:
    """What a server and its children used of the cores so far, those that it has seen end included."""
    server = psutil.Process(pid)
    used = sum(server.cpu_times()[:4])  # user, system, and both of the children that ended
    for child in server.children():
        with suppress(psutil.NoSuchProcess):  # it ends at this moment
            used += sum(child.cpu_times()[:2])
    return used
