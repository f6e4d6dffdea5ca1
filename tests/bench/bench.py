"""Measures the bridge against the limit, on one broker and with the same messages in one run, and prints the ratios.

(a) the limit: a bare relay, `limit.py`;
(b) the script that a user would write in an afternoon, `afternoon.py`;
(c) the bridge with its full guarantees, in a fresh SQLite file for each run.

Every order meets one waiting object, every object one known order: each message decides and publishes. The rounds go
to and fro between the programs, so that what else the machine does falls on all; only ratios mean something.

And (c) again with other bodies; under more and more load; with more and more orders already in the store, `stored.py`;
with an order that comes after thousands of objects, `late_order.py`; and with one and more processes on PostgreSQL
beside SQLite, `processes.py`. `plot.py` makes a picture and a table of what `--json` wrote.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bodies import latest
from late_order import LateOrder, measure_late_order
from processes import Processes, Setting, measure_processes
from programs import (
    Kind,
    afternoon,
    both_kinds,
    bridge,
    limit,
    other_objects,
    shipped_channels,
    take_in,
    take_in_by_afternoon,
)
from reading import Reading, measure_reading
from runs import Load, Program, answer_times, drain
from stored import Stored, measure_stored

from bridge.amqp import declare
from bridge.app import topology_of
from bridge.localbroker import LocalBroker

_STEADY_LOAD = 1 / 2  # of what the bridge drains
_LOADS = (0.1, 0.25, 0.5, 0.75, 0.9)  # the same, for the curve
_SLOW = 200  # messages of a round that (b) has at most
_LATE_OBJECTS = 5000
_STEADY_SECONDS = 10  # at most
_WARM_UP = 0.2  # of a steady load is not counted: the first answers pay for what a process does only once
_STORED = (10_000, 100_000, 1_000_000)  # orders
_STORED_MESSAGES, _STORED_ROUNDS = 500, 4  # at most: of each kind in each run, and runs
_PROCESSES = (1, 2, 4)
_PROCESSES_MESSAGES = 4  # times as many in each run: there must be enough for several
_PARTS = ("limit", "bodies", "load", "late", "stored", "processes", "reading")


_Made = Callable[[str, Kind, Path], tuple[Program, Load]]


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
    afternoon: Figures = field(default_factory=Figures)
    bridge: Figures = field(default_factory=Figures)
    ratio: list[float] = field(default_factory=list)  # (c)/(a) of messages per second, round by round
    times: list[float] = field(default_factory=list)  # (c)/(b)
    steady_load: float = 0.0  # messages per second
    loads: dict[str, tuple[float, float]] = field(default_factory=dict)  # p50 and p99 in seconds by part of the most


def measure(node: LocalBroker, folder: Path, messages: int, rounds: int, parts: Sequence[str]) -> dict[str, Results]:
    """All rounds, then the steady loads; results by kind of messages."""
    examinations = [latest(index) for index in range(messages)]
    main = both_kinds(examinations)
    _prepare(node, folder, *main)
    kinds = (*main, *other_objects(examinations)) if "bodies" in parts else main
    results = {kind.name: Results(len(kind.messages[0].body)) for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            found = results[kind.name]
            programs = [(_limit, found.limit), (_bridge, found.bridge)]
            if kind in main:
                programs.append((_afternoon, found.afternoon))
            for program, figures in programs if number % 2 else programs[::-1]:
                drained = drain(node, *program(node.url, kind, folder))
                figures.per_second.append(drained.per_second)
                figures.cpu_per_message.append(drained.cpu_per_message)
                figures.peak_memory.append(drained.peak_memory)
            found.ratio.append(found.bridge.per_second[-1] / found.limit.per_second[-1])
            if kind in main:
                found.times.append(found.bridge.per_second[-1] / found.afternoon.per_second[-1])
            _say(f"round {number + 1} of {rounds}, {kind.name}: (c)/(a) {found.ratio[-1]:.3f}")
    for kind in main:
        found = results[kind.name]
        most = median(found.bridge.per_second)
        found.steady_load = most * _STEADY_LOAD
        for program, figures in ((_limit, found.limit), (_bridge, found.bridge)):
            figures.p50, figures.p99 = _latency(node, program, kind, folder, found.steady_load)
        for part in _LOADS if "load" in parts else ():
            found.loads[str(part)] = _latency(node, _bridge, kind, folder, most * part)
            _say(f"{kind.name} at {part:.0%} of the most: p99 {found.loads[str(part)][1] * 1000:.1f} ms")
    return results


def _latency(node: LocalBroker, program: _Made, kind: Kind, folder: Path, per_second: float) -> tuple[float, float]:
    """Seconds, p50 and p99, from publish to event at a steady load."""
    run, load = program(node.url, kind, folder)
    most = int(per_second * _STEADY_SECONDS)
    times = answer_times(node, run, Load(load.messages[:most], load.owed[:most]), per_second)
    counted = times[int(len(times) * _WARM_UP) :]
    return median(counted), quantiles(counted, n=100)[-1]


def _prepare(node: LocalBroker, folder: Path, orders: Kind, objects: Kind) -> None:
    """For each kind the databases that (b) and (c) made of the other kind's messages."""
    for kind, other in ((orders, objects), (objects, orders)):
        take_in(node, other, folder / kind.channel.name)
        take_in_by_afternoon(node, _some(other), folder / kind.channel.name)
        _say(f"{len(other.messages)} {other.name} stored")


def _some(kind: Kind) -> Kind:
    return Kind(kind.name, kind.channel, kind.messages[:_SLOW], kind.owed[:_SLOW])


def _limit(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    return limit(url, kind, folder / "limit")


def _afternoon(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    return afternoon(url, _some(kind), _fresh(kind, folder))


def _bridge(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    return bridge(url, kind, _fresh(kind, folder))


def _fresh(kind: Kind, folder: Path) -> Path:
    """A copy of the databases that know the other half of every pair."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    shutil.copytree(folder / kind.channel.name, folder / "run")
    return folder / "run"


def _say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _report(results: dict[str, Results]) -> None:
    def spread(values: Sequence[float], form: str) -> str:
        return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    for name, found in results.items():
        print(f"\n{name}, {found.body_bytes / 1000:.1f} KB each")
        print(f"  (a) bare relay     {spread(found.limit.per_second, ',.0f')} messages/s")
        if found.times:
            print(f"  (b) afternoon      {spread(found.afternoon.per_second, ',.0f')} messages/s")
        print(f"  (c) the bridge     {spread(found.bridge.per_second, ',.0f')} messages/s")
        print(f"  (c)/(a)            {spread(found.ratio, '.3f')}")
        if found.times:
            print(f"  (c)/(b)            {spread(found.times, '.2f')}")
        for label, figures in (("(a)", found.limit), ("(c)", found.bridge)) if found.steady_load else ():
            print(
                f"  {label} publish to event, {found.steady_load:,.0f} messages/s: "
                f"p50 {figures.p50 * 1000:.1f} ms, p99 {figures.p99 * 1000:.1f} ms"
            )
        for label, figures in (("(a)", found.limit), ("(c)", found.bridge)):
            print(f"  {label} processor time  {median(figures.cpu_per_message) * 1000:.3f} ms a message")
        print(f"  (c) peak memory    {max(found.bridge.peak_memory) / 1e6:,.0f} MB")


def _report_late(found: LateOrder) -> None:
    print(f"\none study of {found.objects:,} objects, then its order; events of {found.event_bytes / 1000:.1f} KB")
    print(f"  (c) to the last event  {median(found.seconds):.2f} s, published bare {median(found.bare_seconds):.2f} s")
    print(f"  (c)/bare               {found.ratio():.2f}")
    print(f"  (c) peak memory        {max(found.peak_memory) / 1e6:,.0f} MB")


def _report_stored(results: dict[int, Stored]) -> None:
    print("\n(c) with orders in the store, orders and objects half and half")
    for size, found in results.items():
        print(
            f"  {size:>9,}          {median(found.per_second):,.0f} "
            f"({min(found.per_second):,.0f} to {max(found.per_second):,.0f}) messages/s, "
            f"processor time {median(found.cpu_per_message) * 1000:.3f} ms a message, "
            f"database {found.database_bytes / 1e9:.1f} GB"
        )
    fewest, most = results[min(results)], results[max(results)]
    ratios = [after / before for before, after in zip(fewest.per_second, most.per_second, strict=True)]
    cpu = median(most.cpu_per_message) / median(fewest.cpu_per_message)
    print(
        f"  most / fewest      {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) messages/s, "
        f"{cpu:.3f} processor time"
    )


def _report_processes(results: dict[str, dict[Setting, Processes]]) -> None:
    for kind, found in results.items():
        [sqlite, fewest, *_] = found
        print(f"\n{f'processes on one database, {kind}':61}processor time a message, ms")
        print(f"{'':17}messages/s{'':16}to SQLite  to {fewest[1]}      bridge  database  broker  cores used")
        for setting, one in found.items():
            speed = f"{median(one.per_second):,.0f} ({min(one.per_second):,.0f} to {max(one.per_second):,.0f})"
            to_fewest = f"{one.ratio(found[fewest]):.3f}" if setting != sqlite else ""
            cpu = {who: f"{median(used) * 1000:.3f}" for who, used in one.cpu_per_message.items()}
            print(
                f"  {'{}, {}'.format(*setting):15}{speed:26}{one.ratio(found[sqlite]):9.3f}  {to_fewest:5}"
                f"{cpu['bridge']:>10}{cpu.get('database', ''):>10}{cpu['broker']:>8}{one.cores():12.2f}"
            )


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
    parser.add_argument(
        "--stored",
        type=int,
        nargs="*",
        metavar="ORDERS",
        default=_STORED,
        help="so many orders are in the store, at 8 KB each in TMPDIR (default: 10 thousand, 100 thousand, 1 million)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        nargs="*",
        metavar="COUNT",
        default=_PROCESSES,
        help="so many processes on PostgreSQL, with 4 times the messages in each run (default: 1, 2, 4)",
    )
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS, help="leave the other parts out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    options = parser.parse_args()
    sizes = options.stored if "stored" in options.only else ()
    counts = options.processes if "processes" in options.only else ()
    readings = measure_reading(options.rounds) if "reading" in options.only else {}
    with LocalBroker() as broker, TemporaryDirectory() as temporary:
        folder = Path(temporary)
        declare(broker.url, topology_of(shipped_channels()), create=True)
        wanted = options.only
        results = measure(broker, folder, options.messages, options.rounds, wanted) if "limit" in wanted else {}
        late = (
            measure_late_order(broker, folder / "late", _LATE_OBJECTS, options.rounds, _say)
            if "late" in wanted
            else None
        )
        fewer = min(options.messages, _STORED_MESSAGES), min(options.rounds, _STORED_ROUNDS)
        stored = measure_stored(broker, folder, sizes, *fewer, _say) if sizes else {}
        more = options.messages * _PROCESSES_MESSAGES, options.rounds
        processes = measure_processes(broker, folder / "processes", counts, *more, _say) if counts else {}
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    print(f"{options.messages} messages a run, {options.rounds} rounds: median (lowest to highest)")
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    _report(results)
    if late:
        _report_late(late)
    if stored:
        _report_stored(stored)
    _report_processes(processes)
    _report_reading(readings)
    if options.json:
        stated = {"machine": machine, "messages": options.messages, "rounds": options.rounds}
        kinds = {name: asdict(found) for name, found in results.items()}
        stated["stored"] = {str(size): asdict(found) for size, found in stored.items()}
        stated["processes"] = {
            kind: {"{}, {}".format(*setting): asdict(one) for setting, one in found.items()}
            for kind, found in processes.items()
        }
        stated["late"] = asdict(late) if late else None
        stated["reading"] = {name: asdict(found) for name, found in readings.items()}
        options.json.write_text(json.dumps(stated | {"results": kinds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
