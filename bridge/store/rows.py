"""What the store hands out and takes back: the stored state of messages and studies, and entries of their history."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from bridge.core.decision import Decision, Verdict
from bridge.core.events import Previous
from bridge.core.facts import KINDS
from bridge.core.model import Instance, LinkDecision, Statement
from bridge.core.struct import Value


class StoredMessage(Value):
    """A row of the ledger. `instance` is the SOP Instance UID of the object that the message brought."""

    id: str
    channel: str
    status: str
    attempts: int = 1
    duplicates: int = 0
    rejections: int = 0
    code: str | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    message_id: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    content_type: str | None = None
    size: int = 0
    received_at: str = ""
    body: bytes | None = None
    instance: str | None = None


class StoredInstance(Value):
    """The current object under one SOP Instance UID, and the message that brought it."""

    message: str
    channel: str
    instance: Instance


class HistoryEntry(Value):
    """One revision of a study: its verdict, and the message, or the person, that led to it.

    One that was `replayed` changed nothing: it says again what is known, and `previous` what was before that.
    """

    revision: int
    at: str
    verdict: Verdict
    reason: str | None
    orders: tuple[str, ...]
    previous: Previous | None
    message: str
    message_id: str | None
    events: tuple[str, ...]
    user: str | None = None
    replayed: bool = False


Settled = Literal["never", "settled", "reopened"]


@dataclass
class StoredStudy:
    """A study while it is worked on: its distinct statements, its series, and the last decision.

    `statements` count the current objects that share each, `series` all but the rejected ones; a count of zero is
    deleted when saved. `orders` and `reports` are JSON, as they were last published; `since` is when the verdict became
    what it is. `rejections` holds (instance, note) and the note's code; `departures` (instance, other study or "").
    """

    uid: str
    channel: str = ""
    revision: int = 0
    decision: Decision | None = None
    orders: bytes = b"[]"
    reports: bytes = b"[]"
    since: str = ""
    settled: Settled = "never"
    overdue_at: str | None = None
    statements: dict[str, tuple[Statement, int]] = field(default_factory=dict)
    series: dict[tuple[str, str], int] = field(default_factory=dict)
    rejections: dict[tuple[str, str], str] = field(default_factory=dict)
    departures: set[tuple[str, str]] = field(default_factory=set)
    decisions: tuple[LinkDecision, ...] = ()

    def current_statements(self) -> tuple[Statement, ...]:
        return tuple(statement for statement, instances in self.statements.values() if instances)


class Due(Value):
    """A deadline that has come: `kind` is settle or hold, `message` the last one about the study."""

    study: str
    kind: str
    message: str


# From the documents in the tables
decode_instance = msgspec.json.Decoder(StoredInstance).decode
decode_history = msgspec.json.Decoder(HistoryEntry).decode
decode_fact: dict[str, Callable[[bytes], Any]] = {  # by kind
    kind: msgspec.json.Decoder(fact).decode for kind, fact in KINDS.items()
}
