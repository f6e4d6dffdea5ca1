"""Orders and their objects that arrive at the same moment in two processes: `python -m tests.faults.pairs --repeat N`.

Without claims on what is looked up neither of the two transactions sees the other: of 200 pairs 180 were never linked.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing import get_context
from threading import Barrier

from bridge.config import load_channels
from bridge.core.ports import Inbound, Verb
from bridge.core.publishing import Origin
from bridge.correlation import Site
from bridge.intake import Intake
from bridge.store.store import Store
from tests.conftest import REPOSITORY
from tests.localpostgres import LocalPostgres
from tests.samples import ROOT, ct, orm

PAIRS = 200

_BATCHES = (1, 2, 5, 20)  # pairs of one transaction, in turn
_NOW = "2026-11-23T09:00:00.000000Z"


def missed(database_url: str) -> list[str]:
    """The studies that are not linked after two processes have received an order and an object of each at once."""
    with closing(Store(database_url)) as store:
        store.migrate()
    spawning = get_context("spawn")
    with spawning.Manager() as manager:
        together = manager.Barrier(2, timeout=60)
        processes = [spawning.Process(target=_receive, args=(database_url, half, together)) for half in (0, 1)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    if codes := [process.exitcode for process in processes if process.exitcode]:
        raise AssertionError(f"a process ended with {codes}")
    uids = [_study(number) for number in range(PAIRS)]
    with closing(Store(database_url)) as store, store.read() as db:
        decisions = {uid: study.decision for uid, study in db.studies(uids).items()}
    return [uid for uid in uids if not (decided := decisions.get(uid)) or decided.verdict != "matched"]


def _receive(database_url: str, half: int, together: Barrier) -> None:
    """One of the two processes: it receives one half of each pair, at the same moment as the other one the other."""
    with closing(Store(database_url)) as store:
        channels = {channel.name: channel for channel in load_channels(REPOSITORY / "channels")}
        intake = Intake(store, Site(Origin("pairs", store.epoch()), channels), lambda: _NOW, lambda _events: None)
        for turn, numbers in enumerate(_batches()):
            made: Callable[[int], Inbound] = _order if turn % 2 == half else _object
            # The two halves in opposite sequences: who locked them one after the other would block the other one.
            batch = [made(number) for number in (numbers if half else reversed(numbers))]
            together.wait()
            while any(outcome.verb is Verb.RETRY for outcome in intake.receive(batch)):
                pass


def _batches() -> list[Sequence[int]]:
    batches: list[Sequence[int]] = []
    start = 0
    while start < PAIRS:
        size = _BATCHES[len(batches) // 2 % len(_BATCHES)]
        batches.append(range(start, min(start + size, PAIRS)))
        start += size
    return batches


def _study(number: int) -> str:
    return f"{ROOT}.1.{number}"


def _order(number: int) -> Inbound:
    """Every other one names the study, the others the accession number."""
    named = {"study": _study(number)} if number % 2 else {"accession": f"ACC{number}"}
    return Inbound("orders", orm(number, **named))


def _object(number: int) -> Inbound:
    accession = "" if number % 2 else f"ACC{number}"
    return Inbound("images", ct(number, study=_study(number), patient=f"PAT{number}", accession=accession))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=20)
    repeat: int = parser.parse_args().repeat
    began, in_vain = time.monotonic(), 0
    with LocalPostgres() as server:
        for number in range(repeat):
            found = missed(server.new_database())
            in_vain += len(found)
            print(f"{number + 1}: {len(found)} of {PAIRS} missed {found[:3] or ''}", flush=True)
    print(f"{repeat} times {PAIRS} pairs: {in_vain} missed, {time.monotonic() - began:.0f} s")
    sys.exit(1 if in_vain else 0)


if __name__ == "__main__":
    main()
