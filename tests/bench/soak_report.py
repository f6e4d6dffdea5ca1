"""What a soak showed: a table of its course, and whether anything grows that must not."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Sample = dict[str, Any]

_MEMORY_GROWS_TO, _GROWS_TO = 1.1, 1.2
_LEFT_OF_A_STUDY = 160  # bytes that stay for ever: its UID in a row and in an index, and a revision
_FEW_ROWS = 100
_SMALL_FILE = 32 * 1024 * 1024  # in the broker's folder, which writes and removes files of up to 64 MB

_SHOWN = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)  # percent


def table(samples: Sequence[Sample]) -> str:
    """At 1 %, 10 %, 20 % and so on. Sizes are megabytes."""
    lines = ["    %    seconds  messages/s   memory  database      wal   broker    rows   owed"]
    before = {"done": 0, "seconds": 0.0}
    for percent in _SHOWN:
        sample = _at(samples, percent)
        speed = (sample["done"] - before["done"]) / max(sample["seconds"] - before["seconds"], 0.1)
        sizes = (f"{sample[name] / 1e6:8,.1f}" for name in ("memory", "database", "wal", "broker"))
        rows = sum(number for name, number in sample["rows"].items() if name != "purged_study")
        shown = f"{percent:5}  {sample['seconds']:9,.0f}  {speed:10,.0f} {' '.join(sizes)}"
        lines.append(f"{shown} {rows:7,} {sample['rows']['outbox']:6,}")
        before = sample
    return "\n".join(lines)


def verdict(
    samples: Sequence[Sample],
    kept: int,
    ledger: Mapping[str, Any],
    expected: Mapping[str, int],
    taken: Mapping[str, int],
) -> list[str]:
    """What is not as it has to be.

    Memory is compared with what it was after the first tenth. Files and tables are compared in the last half with the
    most of the second to fifth tenth: when purging has begun long ago. What stays for ever of each study is left out.
    """
    first = samples[-1]["done"] / 10
    early = [one for one in samples if first < one["done"] <= 5 * first]
    late = [one for one in samples if one["done"] > 5 * first]
    memory = [one["memory"] for one in samples if one["done"] >= first]
    broken = []
    if early[0]["seconds"] < kept:
        broken.append(f"the run is too short: what is kept for {kept} s was not full after a tenth of it")
    if max(memory) > _MEMORY_GROWS_TO * memory[0]:
        broken.append(f"memory grew from {memory[0]:,} to {max(memory):,}, at the end {memory[-1]:,}")

    def compare(name: str, size: Callable[[Sample], float], slack: int = 0) -> None:
        most_early, most_late = max(map(size, early)), max(map(size, late))
        if most_late > _GROWS_TO * most_early + slack:
            broken.append(f"{name} grew from {most_early:,.0f} to {most_late:,.0f}")

    compare("the database", _database)
    compare("the broker's folder", lambda one: float(one["broker"]), _SMALL_FILE)
    for name in samples[0]["rows"].keys() - {"purged_study"}:
        compare(f"table {name}", lambda one, name=name: float(one["rows"][name]), _FEW_ROWS)
    owed = {"messages": dict(expected), "left in the outbox": 0, "unrouted": 0, "dead letters": expected["ERROR"]}
    outbox = ledger["outbox"]
    owed["events"] = outbox["SENT"]
    came = {"messages": ledger["messages"], "left in the outbox": outbox["QUEUED"], "unrouted": outbox["UNROUTED"]}
    came |= taken
    return broken + [f"{name}: {came[name]} instead of {owed[name]}" for name in owed if came[name] != owed[name]]


def _database(sample: Sample) -> float:
    """The database with its write-ahead log, without what stays for ever."""
    return float(sample["database"] + sample["wal"] - _LEFT_OF_A_STUDY * sample["rows"]["purged_study"])


def _at(samples: Sequence[Sample], percent: int) -> Sample:
    """The first sample when that much was done."""
    return next(one for one in samples if one["done"] * 100 >= percent * samples[-1]["done"])
