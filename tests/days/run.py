"""The long run: `python -m tests.days.run DAYS [--seed N] [--processes N]`. Every other day people decide, too.

Ends with 1 when the bridge, the bridge with the same day in another sequence, and the oracle do not all say the same
of each day: each counterexample is shown, made as small as it gets.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.days.harness import Hospital
from tests.days.hospital import day
from tests.days.messages import Day

_SHARE = 250  # days of one task, which share a database
_TOGETHER = 10  # days whose batches share transactions
_MEMORY = Path("/dev/shm")  # noqa: S108 on a disk the run waits for it most of the time


def main() -> int:
    arguments = _arguments()
    started = time.monotonic()
    starts = range(arguments.seed, arguments.seed + arguments.days, _SHARE)
    shares = iter([(start, min(_SHARE, arguments.seed + arguments.days - start)) for start in starts])
    done = 0
    kinds: Counter[str] = Counter()
    with ProcessPoolExecutor(arguments.processes) as pool:
        running = {pool.submit(run, *share) for share in islice(shares, arguments.processes)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for share in finished:
                days, found = share.result()
                done += days
                for kind, text in found:
                    kinds[kind] += 1
                    print(text, flush=True)
            running |= {pool.submit(run, *share) for share in islice(shares, len(finished))}
            seconds = time.monotonic() - started
            print(f"{done} days, {1000 * seconds / done:.1f} ms a day, {dict(kinds)}", file=sys.stderr, flush=True)
    print(f"{done} days: " + (f"{dict(kinds)}" if kinds else "every sequence, every duplication and the oracle agree"))
    return 1 if kinds else 0


def run(first_seed: int, days: int) -> tuple[int, list[tuple[str, str]]]:
    """How many days were run, and the kind and description of each discrepancy."""
    found = []
    with hospital() as engines:
        for start in range(first_seed, first_seed + days, _TOGETHER):
            seeds = {day_of(seed): seed for seed in range(start, min(start + _TOGETHER, first_seed + days))}
            for one in engines.run(list(seeds), Random(start)):
                seed = seeds[one.day]
                found.append((one.kind, f"seed {seed}, {engines.minimised(one, Random(seed))}\n"))
    return days, found


def day_of(seed: int) -> Day:
    return day(Random(seed), by_people=seed % 2 == 1)


@contextmanager
def hospital() -> Iterator[Hospital]:
    """Two databases for a while, in memory where the machine has a place for that."""
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        engines = Hospital(Path(folder))
        try:
            yield engines
        finally:
            engines.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("days", type=int)
    parser.add_argument("--seed", type=int, default=0, help="of the first day; each day has a seed of its own")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
