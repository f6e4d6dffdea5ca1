"""The ledger as `bridge status` shows it (DESIGN 3.5)."""

import sys
from typing import Any

from rich.table import Table

from bridge.amqp import DEAD, queue_state
from bridge.core.decision import Verdict
from bridge.core.errors import BridgeError
from bridge.store.store import Store


def ledger(store: Store, amqp_url: str) -> tuple[dict[str, Any], dict[str, dict[str, int]]]:
    """The ledger, and what people are shown beside it: messages `rejected` by code, and studies that are `overdue`.

    `dead` is null where the broker does not answer, or has no queue of that name.
    """
    with store.read() as db:
        found = db.figures()
    dead = _dead(amqp_url)
    refused = found["refused"]["all"]  # by the broker, for good: they are among those QUEUED
    failed = {"FAILED": refused} if refused else {}
    statuses = ("TRANSFORMED", "FILTERED", "ERROR")
    return {
        "messages": {s: found["messages"].get(s, 0) for s in statuses} | {"DUPLICATE": found["duplicates"]["all"]},
        "outbox": {s: found["outbox"].get(s, 0) for s in ("QUEUED", "SENT", "UNROUTED")} | failed,
        **found["stored"],
        "studies": {verdict: found["studies"].get(verdict, 0) for verdict in Verdict},
        "dead": dead,
    }, {name: found[name] for name in ("rejected", "overdue")}


def _dead(amqp_url: str) -> int | None:
    """How many dead letters wait; None where that cannot be known, which is said on stderr."""
    try:
        state = queue_state(amqp_url, DEAD)
        why: object = f"there is no queue {DEAD}"
    except BridgeError as error:
        state, why = None, error
    if state is None:
        print(f"bridge: dead letters are not counted: {why}", file=sys.stderr)
    return state.messages if state else None


def table(figures: dict[str, Any], beside: dict[str, dict[str, int]]) -> Table:
    """The same for people."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    for name, value in figures.items():
        parts = value.items() if isinstance(value, dict) else [("", "?" if value is None else value)]
        shown.add_row(name, "   ".join(f"{part} {count}".strip() for part, count in parts))
    if overdue := beside["overdue"]["all"]:
        shown.add_row("overdue", f"{overdue}   (bridge studies)")
    if rejected := beside["rejected"]:
        shown.add_row("rejected", "   ".join(f"{code} {count}" for code, count in sorted(rejected.items())))
    return shown
