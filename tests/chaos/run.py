"""The fault harness: `python -m tests.chaos.run --seconds N --database sqlite|postgresql --processes N --seed N`.

Publishes a hospital's traffic while bridges, broker and database are killed at random moments; then heals everything,
waits, and judges what the bridge had promised. Ends with 1 when a promise was not kept, and leaves the folder then.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from bridge.amqp import declare
from bridge.app import topology_of
from bridge.core.errors import Unavailable
from bridge.localbroker import LocalBroker
from bridge.store.store import Store
from tests.chaos import faults
from tests.chaos.engine import QUEUE, Consumer, Producer, connection, take_all
from tests.chaos.judge import LOST, Observed, Violation, violation, violations, without_faults
from tests.chaos.processes import Process, environment
from tests.chaos.traffic import CHANNELS, Sending, bursts
from tests.localpostgres import LocalPostgres

_PAUSES = {  # seconds between two faults of a kind of victim
    "bridges": (0.5, 4.0),
    "broker": (2.0, 8.0),
    "database": (3.0, 10.0),
    "people": (5.0, 15.0),
}
_SETTINGS = {"BRIDGE_SETTLE_AFTER": "2s"}
_EXITS = (0, -9, -15)  # ended, killed, ended before it began

_PATIENCE = 240.0  # seconds without progress after everything is healed: a process that died is forgotten after 120
_LOOK_EVERY = 1.0
_SOON = 3600.0  # seconds of the bridge's clock: studies settle before, a hold of 24 h ends later


@dataclass(frozen=True)
class Plan:
    """What to run: faults for so many seconds."""

    seconds: float = 120.0
    database: str = "sqlite"
    processes: int = 1
    seed: int = 1
    per_second: float = 100.0  # messages, on average


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    figures: dict[str, Any]
    faults: Counter[str]
    violations: list[Violation]

    def __str__(self) -> str:
        lines = [f"{name:<22}{_shown(value)}" for name, value in self.figures.items()]
        return "\n".join([*lines, *(f"BROKEN: {one}" for one in self.violations)])


def _shown(value: Any) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(value.items())) if isinstance(value, dict) else str(value)


def run(folder: Path, plan: Plan) -> Report:
    """A whole run; logs and databases go into `folder`."""
    began = time.monotonic()
    with ExitStack() as stack:
        broker = stack.enter_context(LocalBroker(folder / "broker"))
        if plan.database == "postgresql":
            server = stack.enter_context(LocalPostgres())
            url, of_database = server.new_database(), faults.of_postgresql(server)
        else:
            url, of_database = f"sqlite:///{folder / 'bridge.db'}", faults.of_sqlite(folder / "bridge.db")
        declare_all(broker)
        said = environment(broker.url, url, **_SETTINGS)
        bridges = [Process(folder, f"bridge-{number + 1}", said) for number in range(plan.processes)]
        producer = Producer(broker.url, bursts(plan.seed), plan.per_second)
        consumer = Consumer(broker.url)
        kinds = {
            "bridges": faults.of_bridges(bridges),
            "broker": faults.of_broker(broker),
            "database": of_database,
            "people": faults.of_people(said, folder, consumer.studies),
        }

        def at_work(seconds: float) -> bool:
            return producer.wait_for_wave(seconds) and any(bridge.ready for bridge in bridges)

        tormentors = [
            faults.Tormentor(kinds[victim], pauses, at_work, Random(f"{plan.seed} {victim}"))
            for victim, pauses in _PAUSES.items()
        ]
        for bridge in bridges:
            stack.callback(bridge.abandon)
            bridge.start()
        consumer.start()
        producer.start()
        for tormentor in tormentors:
            stack.callback(tormentor.end)  # also where this run fails: nobody strikes at what is being ended
            tormentor.start()
        time.sleep(plan.seconds)
        for tormentor in tormentors:
            tormentor.end()
        producer.end()
        store, healed = Store(url), time.monotonic()
        stack.callback(store.close)
        quiet, recovery = wait_until_handled(store, producer.obligations), time.monotonic() - healed
        for bridge in bridges:
            bridge.end()
        consumer.end()
        letters = take_all(broker.url, "bridge.dead")
        seen = Observed(producer.obligations, producer.attempts, _ledger(said, folder), letters, consumer.events)
        left = [f"{queue}: {n}" for queue in ("bridge.hl7", "bridge.dicom") if (n := len(take_all(broker.url, queue)))]
        found = violations(store, seen, without_faults(folder, producer.obligations))
    exits = sum((bridge.exits for bridge in bridges), Counter[int]())
    struck = sum((tormentor.struck for tormentor in tormentors), Counter[str]())
    found += [
        violation("no event id has two bodies", consumer.differing),
        violation("once healed, everything is handled", [] if quiet else ["the logs say what it waits for"]),
        violation("everything is acknowledged", left),
        violation("no bridge ends by itself", [f"exit code {code}" for code in exits.elements() if code not in _EXITS]),
        violation("a bridge ends in time after SIGTERM", [b.log.name for b in bridges for _ in range(b.too_slow)]),
    ]
    figures = {
        "run": f"{plan.database}, {plan.processes} bridges, seed {plan.seed}",
        "time": f"{plan.seconds:.0f} s of faults, all handled {recovery:.0f} s later, {time.monotonic() - began:.0f} s",
        "faults": dict(struck),
        "exit codes": dict(exits),
        **_counted(seen, consumer, found),
    }
    return Report(figures, struck, [one for one in found if one.times])


def _counted(seen: Observed, consumer: Consumer, found: Sequence[Violation]) -> dict[str, Any]:
    return {
        "publications": f"{len(seen.obligations)} confirmed",
        "obligations": f"{len(seen.rows)} distinct messages",
        "lost": sum(one.times for one in found if one.promise == LOST),
        "messages": seen.ledger["messages"],
        "studies": seen.ledger["studies"],
        "dead letters": len(seen.letters),
        "events": len(seen.events),
        "repeated events": consumer.repeated,
        "differing duplicates": len(consumer.differing),
    }


def declare_all(broker: LocalBroker) -> None:
    """Declares everything before the first fault, and has the broker write it down.

    RabbitMQ 3.10 loses a quorum queue that it had only just declared when it is killed.
    """
    declare(broker.url, topology_of(list(CHANNELS.values())), create=True)
    with connection(broker.url) as connected:
        channel = connected.channel()
        channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 1_000_000})
        channel.queue_bind(QUEUE, "bridge.events", "#")
    broker.restart()


def wait_until_handled(store: Store, obligations: Sequence[Sending]) -> bool:
    """Until every message has its row, every event is confirmed and no study settles soon; False when it stalls."""
    rows = {row for one in obligations for row in one.rows}
    before, moved = (-1, -1, -1), time.monotonic()
    while time.monotonic() - moved < _PATIENCE:
        time.sleep(_LOOK_EVERY)
        try:
            with store.read() as db:
                unhandled = len(rows) - sum(row.status != "RECEIVED" for row in db.messages(rows).values())
                queued = db.figures()["outbox"]["QUEUED"]
                settling = len(db.due(db.clock() + _SOON, limit=len(rows)))
        except Unavailable:
            continue
        left = (unhandled, queued, settling)
        if left == (0, 0, 0):
            return True
        if left != before:
            before, moved = left, time.monotonic()
    return False


def _ledger(said: dict[str, str], folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bridge", "status", "--json"]
    answer = subprocess.run(command, env=said, cwd=folder, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@contextmanager
def _kept_if_broken() -> Iterator[Path]:
    """A folder that is removed unless the block ends with an exception."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-chaos-"))
    try:
        yield folder
    except BaseException:
        print(f"logs and databases are in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="how long faults happen")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default=Plan.database)
    parser.add_argument("--processes", type=int, default=Plan.processes, help="several need PostgreSQL")
    parser.add_argument("--seed", type=int, default=Plan.seed, help="of traffic and faults")
    parser.add_argument("--per-second", type=float, default=Plan.per_second, help="messages, on average")
    parser.add_argument("--folder", type=Path, help="for logs and databases, which stay there")
    said = vars(parser.parse_args())
    folder = said.pop("folder")
    plan = Plan(**said)
    if plan.database == "sqlite" and plan.processes > 1:
        parser.error("SQLite takes one process")
    with nullcontext(folder) if folder else _kept_if_broken() as place:
        place.mkdir(exist_ok=True)
        report = run(place, plan)
        print(report, flush=True)
        if report.violations:
            sys.exit(1)


if __name__ == "__main__":
    main()
