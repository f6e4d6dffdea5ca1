"""Sends a day's traffic and more through one broker and one bridge on SQLite, and shows what grows and what does not.

One real `bridge run`, which keeps what it stores only for minutes, so that purging has work all the time. Traffic comes
in waves, with a rest after each: the bridge's clock runs only while its queues are drained, and without it no study
settles, and none is ever purged. Whoever publishes waits for all confirms, and for the bridge to be done with a wave.

Each percent is one line of JSON in the output file, so that a run that is cut short tells its figures as well.
Exit code 1 when something is not as it has to be; `verdict` says what that is.
"""

import argparse
import json
import math
import multiprocessing
import os
import socket
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import psutil
from pika import BlockingConnection, URLParameters
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from bridge.amqp import Confirmation, Publication, Publisher, declare, properties
from bridge.app import topology_of
from bridge.figures import ledger
from bridge.localbroker import LocalBroker
from bridge.store.schema import metadata
from bridge.store.store import Store
from tests.bench.soak_report import Sample, table, verdict
from tests.bench.soak_traffic import traffic
from tests.chaos.processes import Process, environment
from tests.chaos.traffic import CHANNELS

_WAVE = 2000  # messages, the most that ever wait at the broker
_REST = 2.0  # seconds between two waves
_CONFIRMED_TOGETHER = 500  # messages
_LOOK_EVERY = 0.25  # seconds
_LAST_REST = 10.0  # seconds, in which what is due falls due
_SHORTEST_KEPT = 10  # seconds
_MESSAGES_A_SECOND_KEPT = 5000  # so that what is kept is filled before a tenth of the run is over
_PATIENCE = 120.0  # seconds without progress until the run has failed

_EVENTS, _DEAD = "soak.events", "bridge.dead"
_SETTINGS = {
    "BRIDGE_SITE": "soak",
    "BRIDGE_SETTLE_AFTER": "1s",
    "BRIDGE_HOLD_FOR": "3s",
}

_SPAWN = multiprocessing.get_context("spawn")  # a fork would share connections
_Number = Any  # multiprocessing's shared integer, which has no public type


class Wrong(Exception):
    """The run cannot go on."""


def publish(url: str, messages: int, day: date, allowed: _Number) -> None:
    """Publishes that many messages, and never more than are `allowed`; a process of its own."""
    publisher = Publisher(url, prepare=lambda: None)
    publisher.start()
    publications = (
        Publication("bridge.in", one.key, one.body, properties(content_type=one.content_type), key=str(number))
        for number, one in enumerate(islice(traffic(day), messages))
    )
    published = 0
    while batch := list(islice(publications, _CONFIRMED_TOGETHER)):
        while allowed.value < published + len(batch):
            time.sleep(_LOOK_EVERY / 10)
        _publish_all(publisher, batch)
        published += len(batch)
    publisher.stop()


def _publish_all(publisher: Publisher, batch: Sequence[Publication]) -> None:
    confirmed: list[Confirmation] = []
    answered = Event()

    def done(confirmations: list[Confirmation]) -> None:
        confirmed.extend(confirmations)
        answered.set()

    publisher.submit(batch, done)
    if not answered.wait(_PATIENCE) or confirmed.count(Confirmation.CONFIRMED) != len(batch):
        raise Wrong("the broker did not take all messages")


def consume(url: str, queue: str, taken: _Number) -> None:
    """Takes everything out of a queue for ever; a process of its own."""
    with BlockingConnection(URLParameters(url)) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=_CONFIRMED_TOGETHER)
        for method, _, _ in channel.consume(queue):
            channel.basic_ack(method.delivery_tag)
            taken.value += 1


class _Watched:
    """What is looked at: the bridge from outside, its database, the broker's files, and what came out."""

    def __init__(self, bridge: Process, address: str, store: Store, broker: LocalBroker) -> None:
        self._bridge, self._address, self._store, self._broker = bridge, address, store, broker
        self.events: _Number = _SPAWN.Value("q", 0)
        self.dead_letters: _Number = _SPAWN.Value("q", 0)
        self._began = time.monotonic()

    def counted(self, name: str, label: str) -> Counter[str]:
        """A counter of the bridge's metrics, by one of its labels."""
        with urllib.request.urlopen(f"http://{self._address}/metrics", timeout=_PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            found = Counter[str]()
            for sample in (one for family in families for one in family.samples if one.name == name):
                found[sample.labels[label]] += int(sample.value)
        return found

    def done(self) -> int:
        """Messages that have become durable."""
        return self.counted("bridge_messages_total", "outcome").total()

    def sample(self, done: int) -> Sample:
        running, database = self._bridge.running, self._store.file
        if running is None or database is None:
            raise Wrong("the bridge has ended by itself")
        with self._store.read() as db:
            rows = {
                table.name: db.connection.scalar(select(func.count()).select_from(table))
                for table in metadata.sorted_tables
            }
        return {
            "done": done,
            "seconds": round(time.monotonic() - self._began, 1),
            "memory": psutil.Process(running.pid).memory_info().rss,
            "database": database.stat().st_size,
            "wal": database.with_name(f"{database.name}-wal").stat().st_size,
            "broker": _size(self._broker.folder),
            "events": self.events.value,
            "dead letters": self.dead_letters.value,
            "purged": self.counted("bridge_purged_total", "kind"),
            "rows": rows,
        }


def _size(folder: Path) -> int:
    found = 0
    for place, _, files in os.walk(folder):
        for file in files:
            try:
                found += os.stat(os.path.join(place, file)).st_size
            except FileNotFoundError:  # the broker removes what it needs no more
                continue
    return found


def run(folder: Path, messages: int, per_second: float, output: Path) -> list[str]:
    """A whole run, with a table of it; returns what is not as it has to be."""
    day = datetime.now(UTC).date() - timedelta(days=1)  # an order leaves after the day for which it is scheduled
    with ExitStack() as stack:
        broker = stack.enter_context(LocalBroker())
        _declare_all(broker.url)
        kept = max(_SHORTEST_KEPT, messages // _MESSAGES_A_SECOND_KEPT)
        retention = {f"BRIDGE_RETAIN_{what}": f"{kept}s" for what in ("MESSAGES", "BODIES", "STUDIES")}
        url, address = f"sqlite:///{folder / 'bridge.db'}", _free_address()
        said = environment(broker.url, url, **_SETTINGS, **retention, BRIDGE_HTTP_LISTEN=address)
        bridge = Process(folder, "bridge", said)
        stack.callback(bridge.abandon)
        bridge.start()
        bridge.wait_until_ready(_PATIENCE)
        store = Store(url)
        stack.callback(store.close)
        watched, allowed = _Watched(bridge, address, store, broker), _SPAWN.Value("q", 0)
        for target, arguments in (
            (consume, (broker.url, _EVENTS, watched.events)),
            (consume, (broker.url, _DEAD, watched.dead_letters)),
            (publish, (broker.url, messages, day, allowed)),
        ):
            process = _SPAWN.Process(target=target, args=arguments, daemon=True)
            process.start()
            stack.callback(process.kill)
        samples = []
        with output.open("w") as lines:
            for sample in _course(watched, messages, per_second, allowed):
                samples.append(sample)
                print(json.dumps(sample), file=lines, flush=True)
        bridge.end()
        found, _ = ledger(store, broker.url)
        taken = {"events": watched.events.value, "dead letters": watched.dead_letters.value}
    print(f"{messages:,} messages, kept for {kept} s, in {samples[-1]['seconds']:,.0f} s")
    print(table(samples))
    expected = Counter(one.status for one in islice(traffic(day), messages))
    broken = verdict(samples, kept, found, expected, taken)
    return broken if bridge.exits == {0: 1} else [*broken, f"the bridge ended with {dict(bridge.exits)}"]


def _course(watched: _Watched, messages: int, per_second: float, allowed: _Number) -> Iterator[Sample]:
    """Lets one wave after the other be published, so many messages per second at most; a sample each percent."""
    done = percent = 0
    next_wave = time.monotonic()
    moved = rested_since = time.monotonic()
    while percent < 100 or time.monotonic() < rested_since + _LAST_REST:
        time.sleep(_LOOK_EVERY)
        before, done = done, watched.done()
        if done != before or done < allowed.value:
            rested_since = time.monotonic()
        if done != before:
            moved = rested_since
        if done < allowed.value and time.monotonic() > moved + _PATIENCE:
            raise Wrong(f"no progress for {_PATIENCE:.0f} s: {done} messages of {allowed.value}")
        if done >= allowed.value and time.monotonic() > max(rested_since + _REST, next_wave):
            next_wave = time.monotonic() + _WAVE / per_second
            allowed.value = min(allowed.value + _WAVE, messages)
        if percent < (percent := done * 100 // messages):
            yield watched.sample(done)


def _declare_all(url: str) -> None:
    declare(url, topology_of(list(CHANNELS.values())), create=True)
    with BlockingConnection(URLParameters(url)) as connection:
        channel = connection.channel()
        channel.queue_declare(_EVENTS, durable=True)
        channel.queue_bind(_EVENTS, "bridge.events", "#")


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="to publish (default %(default)s)")
    parser.add_argument("--per-second", type=float, default=math.inf, help="messages at most (default: all it takes)")
    parser.add_argument("--output", type=Path, default=Path("soak.jsonl"), help="a line each percent (%(default)s)")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bridge-soak-") as folder:
        broken = run(Path(folder), options.messages, options.per_second, options.output)
    print("\n".join(f"BROKEN: {one}" for one in broken) or "all as it has to be")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
