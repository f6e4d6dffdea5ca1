"""The one path in: a batch of messages becomes facts, verdicts and owed events in one transaction (DESIGN 7).

A message that cannot be read fails alone, and nothing is answered before it is durable.
"""

import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from msgspec.structs import replace

from bridge.core.channel import Channel, DataType
from bridge.core.errors import Invalid, Unavailable
from bridge.core.events import RejectedData, RejectedMessage
from bridge.core.model import Filtered, Instance, OrderMessage
from bridge.core.ports import Inbound, Outbound, Outcome, Verb
from bridge.core.publishing import Origin, cloud_event, outbound, routing_keys
from bridge.correlation import Correlation, cause_of
from bridge.formats.reading import Fact, read
from bridge.store.rows import StoredMessage
from bridge.store.store import Store
from bridge.store.transaction import Transaction

log = logging.getLogger(__name__)

# The fourth time a message is handled it is taken for what ended the process the other three times.
_LAST_ATTEMPT = 4

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_ACCEPTED = Outcome(Verb.ACCEPTED)
_RETRY = Outcome(Verb.RETRY)


class Intake:
    """Receives messages of the given channels.

    `now` gives the time in RFC 3339; `owed` is told of events as soon as they are durable.
    """

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        origin: Origin,
        now: Callable[[], str],
        owed: Callable[[Sequence[Outbound]], None],
    ) -> None:
        self._store = store
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._origin = origin
        self._now = now
        self._owed = owed

    def receive(self, batch: Sequence[Inbound]) -> list[Outcome]:
        """One outcome for each message, in their sequence."""
        if len(batch) == 1 and batch[0].redelivered and (refused := self._attempt(batch[0])):
            return [refused]
        try:
            return self._together(batch, [self._read(inbound) for inbound in batch])
        except Unavailable as error:
            log.warning("not stored: %s", error, extra={"messages": len(batch)})
            return [_RETRY] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                return [outcome for inbound in batch for outcome in self.receive([inbound])]
            log.exception("a message could not be handled", extra={"message_id": _id(batch[0])})
            failure = Invalid("internal-error", f"the bridge failed on it ({type(error).__name__}); please report this")
            return self._reject_alone(batch[0], failure)

    def _attempt(self, inbound: Inbound) -> Outcome | None:
        """Counts another attempt, durably, before the message is read; refuses it when there were too many."""
        try:
            with self._store.write() as db:
                own_id = _id(inbound)
                known = db.messages([own_id]).get(own_id)
                if known and known.status != "RECEIVED":
                    return None
                # The first delivery is not counted when it happens: this is at least the second.
                attempts = known.attempts + 1 if known else 2
                if attempts < _LAST_ATTEMPT:
                    db.save_messages([replace(known or self._row(inbound), status="RECEIVED", attempts=attempts)])
                    return None
        except Unavailable:
            return _RETRY
        poison = Invalid("poison", f"handling it ended the process {_LAST_ATTEMPT - 1} times")
        return self._reject_alone(inbound, poison)[0]

    def _reject_alone(self, inbound: Inbound, error: Invalid) -> list[Outcome]:
        try:
            return self._together([inbound], [error])
        except Unavailable:
            return [_RETRY]

    def _read(self, inbound: Inbound) -> Fact | Invalid:
        try:
            return read(inbound, self._channels[inbound.channel])
        except Invalid as error:
            return error

    def _together(self, batch: Sequence[Inbound], facts: Sequence[Fact | Invalid]) -> list[Outcome]:
        """One transaction for all."""
        outcomes: list[Outcome] = []
        ids = [_id(inbound) for inbound in batch]
        with self._store.write() as db:
            rows = db.messages(set(ids))
            reused = _reused_message_ids(db, batch, ids)
            correlation = Correlation(db, self._origin, self._channels)
            correlation.prepare(
                [update for fact in facts if isinstance(fact, OrderMessage) for update in fact.updates],
                [fact for fact in facts if isinstance(fact, Instance)],
            )
            rejections: list[Outbound] = []
            for own_id, inbound, fact in zip(ids, batch, facts, strict=True):
                known = rows.get(own_id)
                row = known or self._row(inbound)
                if known and known.status != "RECEIVED" and not inbound.redelivered:
                    row = replace(row, duplicates=row.duplicates + 1)
                if row.status != "TRANSFORMED":
                    row = self._apply(correlation, row, fact)
                    if row.message_id in reused:
                        row = replace(row, warnings=(*row.warnings, "message-id-reused"))
                    if isinstance(fact, Invalid) and self._channels[row.channel].publishes("message.rejected"):
                        rejections.append(self._rejected(row))
                rows[row.id] = row
                outcomes.append(_outcome(row))
            db.save_messages(list(rows.values()))
            events = correlation.save() + db.owe(rejections)
        self._owed(events)
        return outcomes

    def _apply(self, correlation: Correlation, row: StoredMessage, fact: Fact | Invalid) -> StoredMessage:
        """What the message does to orders and studies, and its row afterwards."""
        cause = cause_of(row, self._now())
        match fact:
            case Invalid():
                return replace(row, status="ERROR", code=fact.code, reason=fact.reason, rejections=row.rejections + 1)
            case Filtered():
                return replace(row, status="FILTERED", code=None, reason=fact.reason)
            case OrderMessage():
                correlation.apply_updates(cause, fact.updates)
                for warning in fact.warnings:
                    log.info("read with a warning: %s", warning, extra={"id": row.id, "channel": row.channel})
                return replace(row, status="TRANSFORMED", code=None, reason=None, warnings=fact.warnings)
            case Instance():
                correlation.apply_instance(cause, fact)
                return replace(row, status="TRANSFORMED", code=None, reason=None)

    def _row(self, inbound: Inbound) -> StoredMessage:
        """The ledger's row of a message that was not seen before."""
        hl7 = self._channels[inbound.channel].source.data_type is DataType.HL7V2
        return StoredMessage(
            id=_id(inbound),
            channel=inbound.channel,
            status="RECEIVED",
            message_id=inbound.message_id,
            correlation_id=inbound.correlation_id,
            traceparent=_traceparent(inbound),
            content_type=inbound.content_type,
            size=len(inbound.body),
            received_at=self._now(),
            body=zlib.compress(inbound.body) if hl7 else None,
        )

    def _rejected(self, row: StoredMessage) -> Outbound:
        data = RejectedData(
            revision=row.rejections,
            channel=row.channel,
            code=row.code or "",
            reason=row.reason or "",
            message=RejectedMessage(row.id, row.message_id, row.content_type, row.size),
        )
        name = "message.rejected"
        cause = cause_of(row, self._now())
        event = cloud_event(self._origin, name, subject=row.id, partition=row.id, time=cause.at, data=data)
        keys = routing_keys(name, ())
        return outbound(event, row.channel, keys, correlation_id=cause.correlation_id, traceparent=cause.traceparent)


def _id(inbound: Inbound) -> str:
    """The same content on the same channel is the same message (DESIGN 3.3)."""
    return message_id(inbound.channel, inbound.body)


def _traceparent(inbound: Inbound) -> str | None:
    """The trace that the message belongs to, where the header is one (W3C Trace Context, 3.2)."""
    stated = inbound.headers.get("traceparent", "")
    return stated if _TRACEPARENT.fullmatch(stated) else None


def message_id(channel: str, body: bytes) -> str:
    """Our id of a message: a digest of its channel and its body."""
    digest = blake2b(channel.encode() + b"\x00", digest_size=16)
    digest.update(body)
    return digest.hexdigest()


def _outcome(row: StoredMessage) -> Outcome:
    return Outcome(Verb.REJECTED, row.code, row.reason) if row.status == "ERROR" else _ACCEPTED


def _reused_message_ids(db: Transaction, batch: Sequence[Inbound], ids: Sequence[str]) -> set[str]:
    """The `message_id`s that more than one body came with."""
    bodies = db.ids_by_message_id({inbound.message_id for inbound in batch if inbound.message_id})
    for inbound, own_id in zip(batch, ids, strict=True):
        if inbound.message_id:
            bodies.setdefault(inbound.message_id, set()).add(own_id)
    return {message_id for message_id, known in bodies.items() if len(known) > 1}
