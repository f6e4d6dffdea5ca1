"""Measures the bridge with few and with many orders in its store: what is stored must not make a message dearer."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from known_orders import fill
from programs import Kind, bridge, pairs, take_in
from runs import Drained, drain

from bridge.localbroker import LocalBroker


@dataclass
class Stored:
    """What was measured with so many orders in the store."""

    database_bytes: int
    fill_seconds: float
    per_second: list[float] = field(default_factory=list)  # messages, half of them orders, round by round
    cpu_per_message: list[float] = field(default_factory=list)  # seconds, round by round


def measure_stored(
    node: LocalBroker, folder: Path, sizes: Sequence[int], messages: int, rounds: int, say: Callable[[str], None]
) -> dict[int, Stored]:
    """By number of orders. Every round goes through all sizes, to and fro, each with `messages` of either kind.

    Each database holds the other half of every pair from the beginning, and keeps what the rounds leave there: little
    beside ten thousand orders, and the same in each.
    """
    orders, objects, *halves = pairs(messages * rounds)
    for half in halves:
        take_in(node, half, folder / "known")
    results = {}
    for size in sizes:
        shutil.copytree(folder / "known", folder / str(size))
        began, database = monotonic(), folder / str(size) / "bridge.db"
        fill(database, orders.channel, size)
        results[size] = Stored(database.stat().st_size, monotonic() - began)
        say(f"{size:,} orders stored in {results[size].fill_seconds:.0f} s")
    for number in range(rounds):
        now = slice(number * messages, (number + 1) * messages)
        drained: dict[int, list[Drained]] = {size: [] for size in sizes}
        for kind in (orders, objects):
            for size in sizes if number % 2 else sizes[::-1]:
                drained[size].append(drain(node, *bridge(node.url, _some(kind, now), folder / str(size))))
        for size, both in drained.items():
            results[size].per_second.append(len(both) / sum(1 / one.per_second for one in both))
            results[size].cpu_per_message.append(sum(one.cpu_per_message for one in both) / len(both))
        speeds = ", ".join(f"{size:,} orders: {found.per_second[-1]:,.0f}" for size, found in results.items())
        say(f"round {number + 1} of {rounds}, messages/s with {speeds}")
    return results


def _some(kind: Kind, which: slice) -> Kind:
    return Kind(kind.name, kind.channel, kind.messages[which], kind.owed[which])
