"""The two ports: what every source is given, and what every destination is."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from bridge.core.struct import Value


class Inbound(Value):
    """One message as a source received it.

    `headers` holds the transport's own headers that mean something here (`calling-aet`, `traceparent`);
    `redelivered` says that an earlier attempt to handle it may have failed; `arrived` when it came, in seconds of a
    clock that only goes on.
    """

    channel: str
    body: bytes
    content_type: str | None = None
    content_encoding: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    headers: Mapping[str, str] = {}
    redelivered: bool = False
    arrived: float | None = None


class Verb(StrEnum):
    """What a source has to do with a message (DESIGN 7)."""

    ACCEPTED = "accepted"  # durable, a duplicate, or filtered: acknowledge
    REJECTED = "rejected"  # can never be read: dead-letter it, then acknowledge
    RETRY = "retry"  # our database is not there: keep it and try again


class Rejection(Value):
    """A message that can never be read. `id` is its row in the ledger; `reason` holds no patient data.

    `message` is the whole `Inbound`, or one message of a batch, as a sender would have sent it alone.
    """

    id: str
    message: Inbound
    code: str
    reason: str


class Outcome(Value):
    """The answer to one `Inbound`; `rejections` has one entry, or several for a batch, when something is rejected."""

    verb: Verb
    rejections: tuple[Rejection, ...] = ()


class Outbound(Value):
    """One event on its way out; `id` is its row in the outbox."""

    id: int
    channel: str
    routing_key: str
    event_id: str
    type: str
    time: str
    body: bytes
    headers: Mapping[str, str]
    copies: Sequence[str] = ()  # further routing keys (AMQP header CC)
    correlation_id: str | None = None
    traceparent: str | None = None  # of the message that led to it (W3C Trace Context)
    destination: str = ""  # of its channel, by name

    @property
    def lane(self) -> str:
        """What keeps its sequence: the events of a study to one destination."""
        return f"{self.headers.get('partitionkey', '')} {self.destination}"


class Delivery(StrEnum):
    """What became of one `Outbound`."""

    SENT = "sent"
    UNROUTED = "unrouted"  # the broker has it confirmed and returned: no queue is bound for it
    FAILED = "failed"  # not confirmed: send it again
    REFUSED = "refused"  # the broker does not take it: what follows of its study waits for somebody


Receive = Callable[[Sequence[Inbound]], Sequence[Outcome]]
Send = Callable[[Sequence[Outbound]], Sequence[Delivery]]
