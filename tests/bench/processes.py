"""Measures the bridge on SQLite and, with one and more processes, on a private PostgreSQL of full durability.

All of it shares the machine's cores, so what the servers use of them is measured, too.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psycopg
from programs import Kind, bridge, pairs, take_in
from runs import Shared, drain_together

from bridge.localbroker import LocalBroker
from tests.localpostgres import LocalPostgres

_SQLITE, _POSTGRESQL = "SQLite", "PostgreSQL"

Setting = tuple[str, int]  # a database, and how many processes


@dataclass
class Processes:
    """What so many processes did with one kind of messages on one database."""

    per_second: list[float] = field(default_factory=list)  # messages, round by round
    cpu_per_message: dict[str, list[float]] = field(default_factory=dict)  # seconds, by who used them, round by round

    def add(self, run: Shared) -> None:
        self.per_second.append(run.per_second)
        for who, seconds in run.cpu_per_message.items():
            self.cpu_per_message.setdefault(who, []).append(seconds)

    def ratio(self, to: "Processes") -> float:
        """Of messages per second, the median of the rounds."""
        return median(ours / theirs for ours, theirs in zip(self.per_second, to.per_second, strict=True))

    def cores(self) -> float:
        """How many were busy with all of it, the median of the rounds."""
        used = map(sum, zip(*self.cpu_per_message.values(), strict=True))
        return median(seconds * speed for seconds, speed in zip(used, self.per_second, strict=True))


def measure_processes(
    node: LocalBroker, folder: Path, counts: Sequence[int], messages: int, rounds: int, say: Callable[[str], None]
) -> dict[str, dict[Setting, Processes]]:
    """By kind of messages: one process on SQLite, and so many on PostgreSQL.

    Every round goes through all of them, to and fro, each with a fresh copy of a database that knows the other half of
    every pair. PostgreSQL's has statistics, as it makes them by itself within a minute.
    """
    settings = [(_SQLITE, 1), *((_POSTGRESQL, count) for count in sorted(set(counts)))]
    orders, objects, *halves = pairs(messages)
    results = {kind.name: {setting: Processes() for setting in settings} for kind in (orders, objects)}
    known, run = folder / "known", folder / "run"
    folder.mkdir()
    with LocalPostgres() as postgres:
        known_url = postgres.new_database()
        for half in halves:
            take_in(node, half, known)
            take_in(node, half, run, known_url)
            say(f"{len(half.messages)} {half.name} stored in both databases")
        with psycopg.connect(known_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

        def drained(kind: Kind, database: str, count: int) -> Shared:
            if database == _SQLITE:
                shutil.rmtree(run)
                shutil.copytree(known, run)
                return drain_together(node, *bridge(node.url, kind, run), count, {"broker": node.pid})
            copy = postgres.copy_database(known_url)
            servers = {"broker": node.pid, "database": postgres.pid}
            shared = drain_together(node, *bridge(node.url, kind, run, copy), count, servers)
            postgres.drop_database(copy)
            return shared

        for number in range(rounds):
            for kind in (orders, objects):
                found = results[kind.name]
                for setting in settings if number % 2 else settings[::-1]:
                    found[setting].add(drained(kind, *setting))
                speeds = ", ".join(
                    f"{database} {count}: {one.per_second[-1]:,.0f}" for (database, count), one in found.items()
                )
                say(f"round {number + 1} of {rounds}, {kind.name}/s with {speeds}")
    return results
