"""The one path in: a batch of messages becomes facts, verdicts and owed events in one transaction (DESIGN 7).

A message that cannot be read fails alone, and nothing is answered before it is durable.
"""

import logging
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from bridge import metrics
from bridge.core.channel import DataType
from bridge.core.decision import Verdict
from bridge.core.errors import Invalid, Unavailable
from bridge.core.events import RejectedData, RejectedMessage
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Filtered, Instance, Reading
from bridge.core.ports import Inbound, Outbound, Outcome, Rejection, Verb
from bridge.core.publishing import cloud_event, outbound, routing_keys
from bridge.correlation import Correlation, Site, cause_of
from bridge.formats.reading import Content, contents, read
from bridge.store.retention import purged_rejections
from bridge.store.rows import StoredMessage
from bridge.store.store import Store
from bridge.store.transaction import Transaction

log = logging.getLogger(__name__)

# The fourth time a message is handled it is taken for what ended the process the other three times.
_LAST_ATTEMPT = 4

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

T = TypeVar("T")

_ACCEPTED = Outcome(Verb.ACCEPTED)
_RETRY = Outcome(Verb.RETRY)


class _Single(NamedTuple):
    """One message of the ledger: an `Inbound`, or one of several that it holds."""

    id: str
    message: Inbound  # as it is dead-lettered
    said: Reading | Filtered | Invalid
    size: int
    body: bytes | None = None  # what is kept of it
    warnings: tuple[str, ...] = ()


class _Handled(NamedTuple):
    """What one transaction came to: the row of each message, the events owed, and what is counted of it."""

    rows: list[StoredMessage]
    events: list[Outbound]
    outcomes: Mapping[tuple[str, str], int]  # by channel and outcome
    verdicts: Sequence[Verdict]  # that studies came to


class Intake:
    """Receives messages of the site's channels.

    `now` gives the time in RFC 3339, `clock` the seconds of `Deadlines`; `owed` is told of events as soon as they are
    durable. The bodies of HL7 messages are kept unless it is told not to.
    """

    def __init__(
        self,
        store: Store,
        site: Site,
        now: Callable[[], str],
        owed: Callable[[Sequence[Outbound]], None],
        limits: Limits = DEFAULT_LIMITS,
        clock: Callable[[], float] = lambda: 0.0,
        *,
        keeps_bodies: bool = True,
    ) -> None:
        self._store = store
        self._keeps_bodies = keeps_bodies
        self._site = site
        self._now = now
        self._owed = owed
        self._limits = limits
        self._clock = clock
        self._counted: set[str] = set()  # whose attempt was counted, of the delivery that is being retried

    def receive(self, batch: Sequence[Inbound]) -> list[Outcome]:
        """One outcome for each `Inbound`, in their sequence."""
        if len(batch) == 1 and batch[0].redelivered:
            verb = None
            try:
                outcome = self._again(batch[0])
                verb = outcome.verb
            finally:
                if verb is not Verb.RETRY:
                    self._counted.clear()
            return [outcome]
        read = [self._read_all(inbound) for inbound in batch]
        rows = iter(self._stored([single for singles in read for single in singles]))
        return [_outcome([(single, next(rows)) for single in singles]) for singles in read]

    def _again(self, inbound: Inbound) -> Outcome:
        """What may have ended the process before: alone, and each attempt is counted before anything is read."""
        own_id = message_id(inbound.channel, inbound.body)
        if refused := self._attempt(own_id, inbound):
            return refused
        opened = self._opened(inbound)
        if isinstance(opened, _Single):
            return self._alone(opened)
        ids = [message_id(inbound.channel, content.body) for content in opened]
        if ids == [own_id]:
            return self._alone(self._read(opened[0]))
        if not self._forget(own_id):  # to open it is no danger: what is in it counts its own attempts
            return _RETRY
        outcomes = []
        for single_id, content in zip(ids, opened, strict=True):
            outcomes.append(self._attempt(single_id, content.message) or self._alone(self._read(content)))
            if outcomes[-1].verb is Verb.RETRY:
                return _RETRY
        return _all_of(outcomes)

    def _attempt(self, own_id: str, inbound: Inbound) -> Outcome | None:
        """Counts another attempt, durably, before the message is read; refuses it when there were too many.

        Once for each time that it is delivered: while the database comes and goes, the message has ended nothing.
        """
        if own_id in self._counted:
            return None

        def count(db: Transaction) -> bool:
            known = db.messages([own_id]).get(own_id)
            if known and known.status == "TRANSFORMED":
                return True
            # The first delivery is not counted when it happens: this is at least the second.
            attempts = known.attempts + 1 if known and known.status == "RECEIVED" else 2
            if attempts >= _LAST_ATTEMPT:
                return False
            row = known or self._row(_Single(own_id, inbound, Filtered(""), len(inbound.body)))
            db.save_messages([replace(row, status="RECEIVED", attempts=attempts)])
            return True

        try:
            if self._store.transact(count):
                self._counted.add(own_id)
                return None
        except Unavailable:
            return _RETRY
        poison = Invalid("poison", f"handling it ended the process {_LAST_ATTEMPT - 1} times")
        return self._alone(self._unread(own_id, inbound, poison))

    def _forget(self, own_id: str) -> bool:
        def forget(db: Transaction) -> None:
            known = db.messages([own_id]).get(own_id)
            if known and known.status == "RECEIVED":
                db.forget_messages([own_id])

        try:
            self._store.transact(forget)
        except Unavailable:
            return False
        return True

    # Reading: pure, so that a message that cannot be read fails alone

    def _read_all(self, inbound: Inbound) -> list[_Single]:
        opened = self._opened(inbound)
        return [opened] if isinstance(opened, _Single) else [self._read(content) for content in opened]

    def _opened(self, inbound: Inbound) -> list[Content] | _Single:
        """The messages that it holds; itself, unread, when there are none."""
        data_type = self._site.channels[inbound.channel].source.data_type
        found = _guarded(lambda: contents(inbound, data_type, self._limits))
        if isinstance(found, list) and found:
            return found
        said = found if isinstance(found, Invalid) else Filtered("a batch or an array that holds nothing")
        return self._unread(message_id(inbound.channel, inbound.body), inbound, said)

    def _read(self, content: Content) -> _Single:
        channel = self._site.channels[content.message.channel]
        said = _guarded(lambda: read(content, channel, self._limits))
        warnings = content.warnings + (said.warnings if isinstance(said, Reading) else ())
        kept = self._keeps_bodies and channel.source.data_type is DataType.HL7V2
        body = zlib.compress(content.body) if kept else None
        own_id = message_id(channel.name, content.body)
        return _Single(own_id, content.message, said, len(content.body), body, warnings)

    def _unread(self, own_id: str, inbound: Inbound, said: Filtered | Invalid) -> _Single:
        return _Single(own_id, inbound, said, len(inbound.body))

    # Storing

    def _alone(self, single: _Single) -> Outcome:
        return _outcome([(single, row) for row in self._stored([single])])

    def _stored(self, singles: Sequence[_Single]) -> Sequence[StoredMessage | None]:
        """The row of each afterwards; None where the database does not answer."""
        try:
            most = self._store.most_messages() or len(singles)
            if len(singles) > most:
                parts = (singles[start : start + most] for start in range(0, len(singles), most))
                return [row for part in parts for row in self._stored(part)]
            rows = _guarded(lambda: self._together(singles))
        except Unavailable as error:
            log.warning("not stored: %s", error, extra={"messages": len(singles)})
            return [None] * len(singles)
        if not isinstance(rows, Invalid):
            return rows
        if len(singles) > 1:
            return [row for single in singles for row in self._stored([single])]
        if isinstance(singles[0].said, Invalid):
            raise RuntimeError("not even the rejection of a message can be stored")
        return self._stored([singles[0]._replace(said=rows)])

    def _together(self, singles: Sequence[_Single]) -> list[StoredMessage]:
        """One transaction for all."""
        handled = self._store.transact(lambda db: self._handled(db, singles))
        metrics.messages(handled.outcomes)
        metrics.verdicts(handled.verdicts)
        self._owed(handled.events)
        return handled.rows

    def _handled(self, db: Transaction, singles: Sequence[_Single]) -> _Handled:
        stored: list[StoredMessage] = []
        outcomes: Counter[tuple[str, str]] = Counter()
        rows = db.messages({single.id for single in singles})
        reused = _reused_message_ids(db, singles)
        correlation = Correlation(db, self._site)
        new = [single for single in singles if single.id not in rows or rows[single.id].status != "TRANSFORMED"]
        correlation.prepare([fact for single in new if isinstance(single.said, Reading) for fact in single.said.facts])
        rejections: list[Outbound] = []
        rejected_before = purged_rejections(db) if any(isinstance(single.said, Invalid) for single in singles) else 0
        for single in singles:
            known = rows.get(single.id)
            row = known or self._row(single)
            if known and known.status != "RECEIVED" and not single.message.redelivered:
                row = replace(row, duplicates=row.duplicates + 1)
            outcome = "DUPLICATE"
            if row.status != "TRANSFORMED":
                row = replace(row, rejections=max(row.rejections, rejected_before))
                row = self._apply(correlation, row, single)
                outcome = row.status
                if row.message_id in reused:
                    row = replace(row, warnings=(*row.warnings, "message-id-reused"))
                if isinstance(single.said, Invalid):
                    rejections += self._rejected(row)
            outcomes[row.channel, outcome] += 1
            rows[row.id] = row
            stored.append(row)
        db.save_messages(list(rows.values()))
        events = correlation.save() + db.owe(rejections)
        return _Handled(stored, events, outcomes, correlation.turned())

    def _apply(self, correlation: Correlation, row: StoredMessage, single: _Single) -> StoredMessage:
        """What the message does to orders and studies, and its row afterwards."""
        row = replace(row, code=None, reason=None, warnings=single.warnings, size=single.size, body=single.body)
        for warning in single.warnings:
            log.info("read with a warning: %s", warning, extra={"id": row.id, "channel": row.channel})
        match single.said:
            case Invalid(code=code, reason=reason):
                return replace(row, status="ERROR", code=code, reason=reason, rejections=row.rejections + 1)
            case Filtered(reason=reason):
                return replace(row, status="FILTERED", reason=reason)
            case Reading(facts=facts):
                correlation.apply(cause_of(row, self._now(), self._clock()), facts)
                instance = next((fact.sop_instance_uid for fact in facts if isinstance(fact, Instance)), None)
                return replace(row, status="TRANSFORMED", instance=instance)

    def _row(self, single: _Single) -> StoredMessage:
        """The ledger's row of a message that was not seen before."""
        said = single.message
        return StoredMessage(
            id=single.id,
            channel=said.channel,
            status="RECEIVED",
            message_id=_storable(said.message_id),
            correlation_id=_storable(said.correlation_id),
            traceparent=_traceparent(said),
            content_type=_storable(said.content_type),
            size=single.size,
            received_at=self._now(),
            body=single.body,
        )

    def _rejected(self, row: StoredMessage) -> list[Outbound]:
        """The event for each destination that wants it; what a destination asks of objects does not concern it."""
        data = RejectedData(
            revision=row.rejections,
            channel=row.channel,
            code=row.code or "",
            reason=row.reason or "",
            message=RejectedMessage(row.id, row.message_id, row.content_type, row.size),
        )
        name = "message.rejected"
        cause = cause_of(row, self._now(), self._clock())
        event = cloud_event(self._site.origin, name, subject=row.id, partition=row.id, time=cause.at, data=data)
        return [
            outbound(
                event,
                row.channel,
                destination.name,
                routing_keys(name, (), destination.routing_key),
                correlation_id=cause.correlation_id,
                traceparent=cause.traceparent,
            )
            for destination in self._site.destinations(row.channel, name)
        ]


def _traceparent(inbound: Inbound) -> str | None:
    """The trace that the message belongs to, where the header is one (W3C Trace Context, 3.2)."""
    stated = inbound.headers.get("traceparent", "")
    return stated if _TRACEPARENT.fullmatch(stated) else None


def _storable(stated: str | None) -> str | None:
    """A property without NUL, which PostgreSQL takes in no text."""
    return stated.replace("\x00", "") if stated else stated


def message_id(channel: str, body: bytes) -> str:
    """Our id of a message: a digest of its channel and its body."""
    digest = blake2b(channel.encode() + b"\x00", digest_size=16)
    digest.update(body)
    return digest.hexdigest()


def _guarded(call: Callable[[], T]) -> T | Invalid:
    """What a call answers; what is wrong with a message, or with the bridge, fails that message alone."""
    try:
        return call()
    except Invalid as error:
        return error
    except Unavailable:
        raise
    except Exception as error:
        log.exception("a message could not be handled")
        return Invalid("internal-error", f"the bridge failed on it ({type(error).__name__}); please report this")


def _outcome(stored: Sequence[tuple[_Single, StoredMessage | None]]) -> Outcome:
    """The outcome of one `Inbound` from the rows of what it holds."""
    rejections: list[Rejection] = []
    for single, row in stored:
        if row is None:
            return _RETRY
        if row.status == "ERROR":
            rejections.append(Rejection(row.id, single.message, row.code or "", row.reason or ""))
    return Outcome(Verb.REJECTED, tuple(rejections)) if rejections else _ACCEPTED


def _all_of(outcomes: Sequence[Outcome]) -> Outcome:
    rejections = tuple(rejection for outcome in outcomes for rejection in outcome.rejections)
    return Outcome(Verb.REJECTED, rejections) if rejections else _ACCEPTED


def _reused_message_ids(db: Transaction, singles: Sequence[_Single]) -> set[str]:
    """The `message_id`s that more than one body came with."""
    stated = [(said, single.id) for single in singles if (said := _storable(single.message.message_id))]
    bodies = db.ids_by_message_id({stated_id for stated_id, _ in stated})
    for stated_id, own_id in stated:
        bodies.setdefault(stated_id, set()).add(own_id)
    return {stated_id for stated_id, known in bodies.items() if len(known) > 1}
