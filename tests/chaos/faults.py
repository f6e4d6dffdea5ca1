"""What goes wrong during a chaos run: bridges, broker and database, each at random moments of its own.

Each fault heals itself before it returns, so that a run that ends between two faults ends healthy.
"""

import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

from bridge.localbroker import LocalBroker
from tests.chaos.processes import Process
from tests.localpostgres import LocalPostgres

_LONGEST_CALM = 15.0  # seconds: then it strikes whether anything is under way or not
_LOOK_EVERY = 1.0
_INTO_WORK = (0.0, 1.5)  # seconds
_LONG_PAUSE = (22.0, 30.0)  # seconds: a lease ends after 20 (docs/operations.md), another process takes over


class Fault(NamedTuple):
    """`weight`: how often, of all the faults of the same victim."""

    kind: str
    weight: int
    strike: Callable[[Random], None]


class Tormentor:
    """Strikes one victim again and again, with pauses in which it can recover.

    It prefers moments at which one of the bridges is `at_work`: nothing is lost by what is not under way.
    """

    def __init__(
        self, faults: Sequence[Fault], pauses: tuple[float, float], at_work: Callable[[float], bool], r: Random
    ) -> None:
        self._faults = faults
        self._pauses = pauses
        self._at_work = at_work
        self._r = r
        self._ending = threading.Event()
        self.struck: Counter[str] = Counter()
        self.failure: Exception | None = None  # of the harness itself
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Returns when the victim is healthy. Raises what went wrong in the harness."""
        self._ending.set()
        self._thread.join()
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        faults = self._shuffled()
        try:
            while not self._ending.wait(self._r.uniform(*self._pauses)):
                deadline = time.monotonic() + _LONGEST_CALM
                while not self._at_work(_LOOK_EVERY) and time.monotonic() < deadline:
                    pass
                if self._ending.wait(self._r.uniform(*_INTO_WORK)):
                    break
                fault = next(faults)
                fault.strike(self._r)
                self.struck[fault.kind] += 1
        except Exception as error:  # noqa: BLE001 raised again by `end`, on the thread that waits for it
            self.failure = error

    def _shuffled(self) -> Iterator[Fault]:
        """Every kind soon, and each as often as its weight says."""
        while True:
            deck = [fault for fault in self._faults for _ in range(fault.weight)]
            self._r.shuffle(deck)
            yield from deck


def of_bridges(processes: Sequence[Process]) -> list[Fault]:
    def one(r: Random) -> Process:
        return r.choice([process for process in processes if process.ready] or processes)

    def kill(r: Random, times: int) -> None:
        """Again while it catches up with what the last kill has left."""
        process = one(r)
        process.kill()
        for _ in range(times - 1):
            process.wait_until_ready(_LONGEST_CALM)
            time.sleep(r.uniform(*_INTO_WORK))
            process.kill()

    def pause(r: Random, seconds: tuple[float, float]) -> None:
        process = one(r)
        process.pause()
        time.sleep(r.uniform(*seconds))
        process.resume()

    faults = [
        Fault("bridge SIGKILL", 2, lambda r: kill(r, 1)),
        Fault("bridge SIGKILL thrice", 1, lambda r: kill(r, 3)),
        Fault("bridge SIGTERM", 1, lambda r: one(r).terminate()),
        Fault("bridge SIGSTOP", 1, lambda r: pause(r, (1, 6))),
    ]
    if len(processes) > 1:
        faults.append(Fault("bridge SIGSTOP, long", 1, lambda r: pause(r, _LONG_PAUSE)))
    return faults


def of_people(environment: dict[str, str], folder: Path, studies: Callable[[], Sequence[str]]) -> list[Fault]:
    """No fault, but another process that writes to the database in the middle of everything."""

    def replay(r: Random) -> None:
        known = studies()
        named = [f"--study={uid}" for uid in r.sample(known, min(5, len(known)))]
        command = [sys.executable, "-m", "bridge", "replay", "--user", "chaos", *named]
        subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=False)  # it may be in vain

    return [Fault("bridge replay", 1, replay)]


def of_broker(broker: LocalBroker) -> list[Fault]:
    def kill(_r: Random) -> None:
        broker.kill()
        broker.start()

    def close(_r: Random) -> None:
        broker.control("close_all_connections", "chaos")

    def alarm(r: Random) -> None:
        broker.control("set_vm_memory_high_watermark", "0")
        time.sleep(r.uniform(1, 6))
        broker.control("set_vm_memory_high_watermark", "absolute", "2GB")

    return [
        Fault("broker SIGKILL", 2, kill),
        Fault("broker restart", 1, lambda _r: broker.restart()),
        Fault("connections closed", 2, close),
        Fault("memory alarm", 1, alarm),
    ]


def of_sqlite(file: Path) -> list[Fault]:
    def lock(r: Random) -> None:
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(r.uniform(1, 9))
            other.execute("ROLLBACK")

    return [Fault("database locked", 1, lock)]


def of_postgresql(server: LocalPostgres) -> list[Fault]:
    def kill(_r: Random) -> None:
        server.kill()
        server.start()

    def restart(_r: Random) -> None:
        server.stop()
        server.start()

    def pause(r: Random) -> None:
        with server.paused():
            time.sleep(r.uniform(1, 8))

    return [
        Fault("database SIGKILL", 2, kill),
        Fault("database restart", 2, restart),
        Fault("database SIGSTOP", 1, pause),
    ]
