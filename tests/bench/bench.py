"""Measures the bridge against the limit, on one broker and with the same messages in one run, and prints the ratios.

(a) the limit: a bare relay, `limit.py`;
(c) the bridge with its full guarantees, in a fresh SQLite file for each run.

Every order meets one waiting object, every object one known order: each message decides and publishes. The rounds go
to and fro between the programs, so that what else the machine does falls on both; only ratios mean something.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bodies import SOP_INSTANCE_UID, STUDY_UID, numbered, pairs
from reading import Reading, measure_reading
from runs import EXCHANGE, Load, Program, answer_times, drain, swallow

from bridge.amqp import Publication, declare, properties
from bridge.app import topology_of
from bridge.config import load_channels
from bridge.core.channel import Channel, DataType
from bridge.localbroker import LocalBroker

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_EVENT_TYPE = "io.github.hl7dicombridge.{}.v1"
_STEADY_LOAD = 1 / 3  # of what the bridge drains
_STEADY_SECONDS = 10  # at most
_WARM_UP = 0.2  # of a steady load is not counted: the first answers pay for what a process does only once


@dataclass(frozen=True)
class Kind:
    """One kind of messages, their channel, and a folder with a database that knows the other half of every pair."""

    name: str
    channel: Channel
    messages: Sequence[Publication]
    prepared: Path


@dataclass
class Figures:
    """What one program did with one kind of messages."""

    per_second: list[float] = field(default_factory=list)  # messages, round by round
    cpu_per_message: list[float] = field(default_factory=list)  # seconds of the program's own, round by round
    peak_memory: list[int] = field(default_factory=list)  # bytes, round by round
    p50: float = 0.0  # seconds from publish to event at the steady load
    p99: float = 0.0


@dataclass
class Results:
    """What was measured with one kind of messages."""

    body_bytes: int
    limit: Figures = field(default_factory=Figures)
    bridge: Figures = field(default_factory=Figures)
    ratio: list[float] = field(default_factory=list)  # of messages per second, round by round
    steady_load: float = 0.0  # messages per second


def measure(node: LocalBroker, folder: Path, messages: int, rounds: int) -> dict[str, Results]:
    """All rounds, then the steady loads; results by kind of messages."""
    kinds = _kinds(node, folder, messages)
    results = {kind.name: Results(len(kind.messages[0].body)) for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            found = results[kind.name]
            programs = [(_limit, found.limit), (_bridge, found.bridge)]
            for program, figures in programs if number % 2 else programs[::-1]:
                drained = drain(node, *program(node.url, kind, folder / "run"))
                figures.per_second.append(drained.per_second)
                figures.cpu_per_message.append(drained.cpu_per_message)
                figures.peak_memory.append(drained.peak_memory)
            found.ratio.append(found.bridge.per_second[-1] / found.limit.per_second[-1])
            _say(f"round {number + 1} of {rounds}, {kind.name}: (c)/(a) {found.ratio[-1]:.3f}")
    for kind in kinds:
        found = results[kind.name]
        found.steady_load = median(found.bridge.per_second) * _STEADY_LOAD
        most = int(found.steady_load * _STEADY_SECONDS)
        for program, figures in ((_limit, found.limit), (_bridge, found.bridge)):
            run, load = program(node.url, kind, folder / "run")
            times = answer_times(node, run, Load(load.messages[:most], load.owed[:most]), found.steady_load)
            counted = times[int(len(times) * _WARM_UP) :]
            figures.p50, figures.p99 = median(counted), quantiles(counted, n=100)[-1]
    return results


def _kinds(node: LocalBroker, folder: Path, messages: int) -> tuple[Kind, Kind]:
    """Both kinds, each with the database that the bridge made of the other kind's messages."""
    channels = {channel.source.data_type: channel for channel in load_channels(_REPOSITORY / "channels")}
    declare(node.url, topology_of(list(channels.values())), create=True)
    order_bodies, object_bodies = pairs(messages)
    orders = _kind("orders", channels[DataType.HL7V2], "hl7.ORM.O01", "application/hl7-v2+er7", order_bodies, folder)
    objects = _kind("objects", channels[DataType.DICOM], "dicom.CT", "application/dicom", object_bodies, folder)
    for kind, other in ((orders, objects), (objects, orders)):
        kind.prepared.mkdir()
        program = _bridge_in(node.url, kind.prepared, other.channel.source.queue)
        swallow(node, program, other.messages)
        _say(f"{len(other.messages)} {other.name} stored")
    return orders, objects


def _kind(name: str, channel: Channel, key: str, content_type: str, bodies: Sequence[bytes], folder: Path) -> Kind:
    messages = []
    for number, body in enumerate(bodies):
        message_id = f"{name}-{number}"
        stated = properties(content_type=content_type, message_id=message_id)
        messages.append(Publication(channel.source.exchange, key, body, stated, key=message_id))
    return Kind(name, channel, messages, folder / f"before-{name}")


def _limit(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    """(a), and what it owes: each message again."""
    source = kind.channel.source
    folder.mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("limit.py"))
    command = [sys.executable, script, url, source.queue, EXCHANGE, str(source.prefetch)]
    owed = [[("", message.key)] for message in kind.messages]
    return Program(command, dict(os.environ), folder, source.queue), Load(kind.messages, owed)


def _bridge(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    """(c), and what it owes: for each message a study that is linked and an object that is enriched."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kind.prepared, folder)
    owed = [
        [
            (_EVENT_TYPE.format("study.matched"), numbered(STUDY_UID, index)),
            (_EVENT_TYPE.format("instance.enriched"), numbered(SOP_INSTANCE_UID, index)),
        ]
        for index in range(len(kind.messages))
    ]
    return _bridge_in(url, folder, kind.channel.source.queue), Load(kind.messages, owed)


def _bridge_in(url: str, folder: Path, queue: str) -> Program:
    """The service as it is shipped, with its database in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")} | {
        "BRIDGE_AMQP_URL": url,
        "BRIDGE_DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
        "BRIDGE_CHANNELS": str(_REPOSITORY / "channels"),
        "BRIDGE_SITE": "bench",
    }
    return Program([sys.executable, "-m", "bridge", "run"], environment, folder, queue)


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _report(results: dict[str, Results]) -> None:
    def spread(values: Sequence[float], form: str) -> str:
        return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    for name, found in results.items():
        print(f"\n{name}, {found.body_bytes / 1000:.1f} KB each")
        print(f"  (a) bare relay     {spread(found.limit.per_second, ',.0f')} messages/s")
        print(f"  (c) the bridge     {spread(found.bridge.per_second, ',.0f')} messages/s")
        print(f"  (c)/(a)            {spread(found.ratio, '.3f')}")
        for label, figures in (("(a)", found.limit), ("(c)", found.bridge)):
            print(
                f"  {label} publish to event, {found.steady_load:,.0f} messages/s: "
                f"p50 {figures.p50 * 1000:.1f} ms, p99 {figures.p99 * 1000:.1f} ms"
            )
        for label, figures in (("(a)", found.limit), ("(c)", found.bridge)):
            print(f"  {label} processor time  {median(figures.cpu_per_message) * 1000:.3f} ms a message")
        print(f"  (c) peak memory    {max(found.bridge.peak_memory) / 1e6:,.0f} MB")


def _report_reading(readings: dict[str, Reading]) -> None:
    for name, found in readings.items():
        print(f"\nreading, {name}")
        for program, seconds in found.seconds.items():
            times = "" if program == "bridge" else f"   {found.ratio(program):6.1f} times the bridge's"
            print(f"  {program:22} {median(seconds) * 1000:8.3f} ms{times}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1000, help="of each kind in each run (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each program (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    options = parser.parse_args()
    readings = measure_reading(options.rounds)
    with LocalBroker() as broker, TemporaryDirectory() as folder:
        results = measure(broker, Path(folder), options.messages, options.rounds)
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    print(f"{options.messages} messages a run, {options.rounds} rounds: median (lowest to highest)")
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    _report(results)
    _report_reading(readings)
    if options.json:
        stated = {"machine": machine, "messages": options.messages, "rounds": options.rounds}
        kinds = {name: asdict(found) for name, found in results.items()}
        stated["reading"] = {name: asdict(found) for name, found in readings.items()}
        options.json.write_text(json.dumps(stated | {"results": kinds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
