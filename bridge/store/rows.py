"""What the store hands out and takes back: the stored state of messages and studies, and entries of their history."""

from dataclasses import dataclass, field

from bridge.core.decision import Decision, Verdict
from bridge.core.events import Previous
from bridge.core.model import Instance, Statement
from bridge.core.struct import Value


class StoredMessage(Value):
    """A row of the ledger."""

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


class StoredInstance(Value):
    """The current object under one SOP Instance UID, and the message that brought it."""

    message: str
    channel: str
    instance: Instance


class HistoryEntry(Value):
    """One verdict about a study: what it was, and the message that led to it."""

    revision: int
    at: str
    verdict: Verdict
    reason: str | None
    orders: tuple[str, ...]
    previous: Previous | None
    message: str
    message_id: str | None
    events: tuple[str, ...]


@dataclass
class StoredStudy:
    """A study while it is worked on: its distinct statements, its series, and the last decision.

    `statements` and `series` count the current objects that share each; a count of zero is deleted when saved.
    """

    uid: str
    channel: str
    revision: int = 0
    decision: Decision | None = None
    orders_digest: str = ""
    decided_at: str = ""
    statements: dict[str, tuple[Statement, int]] = field(default_factory=dict)
    series: dict[tuple[str, str], int] = field(default_factory=dict)

    def current_statements(self) -> tuple[Statement, ...]:
        return tuple(statement for statement, instances in self.statements.values() if instances)
