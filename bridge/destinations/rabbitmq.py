"""Publishes events to the topic exchange of their channel, persistent, mandatory and with confirms (DESIGN 3.4)."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from bridge.amqp import Confirmation, Publication, Publisher, properties
from bridge.core.events import CONTENT_TYPE
from bridge.core.ports import Delivery, Outbound, Send

_DELIVERIES = {
    Confirmation.CONFIRMED: Delivery.SENT,
    Confirmation.RETURNED: Delivery.UNROUTED,
    Confirmation.LOST: Delivery.FAILED,
    Confirmation.REFUSED: Delivery.REFUSED,
}


def destination(publisher: Publisher, exchanges: Mapping[str, Mapping[str, str]]) -> Send:
    """A `Send` that waits for all confirms of a batch together; `exchanges` by channel, then destination.

    An event for a destination that is no longer there leaves through the first one's exchange, of its channel where
    that is there.
    """
    first = next(iter(exchanges.values()))

    def exchange(event: Outbound) -> str:
        of_channel = exchanges.get(event.channel, first)
        return of_channel.get(event.destination) or next(iter(of_channel.values()))

    def send(batch: Sequence[Outbound]) -> Sequence[Delivery]:
        answered = threading.Event()
        answer: list[Confirmation] = []

        def done(confirmations: list[Confirmation]) -> None:
            answer[:] = confirmations
            answered.set()

        publisher.submit([_publication(event, exchange(event)) for event in batch], done)
        answered.wait()
        return [_DELIVERIES[confirmation] for confirmation in answer]

    return send


@lru_cache(maxsize=64)  # thousands of events may be of one moment
def _timestamp(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def _publication(event: Outbound, exchange: str) -> Publication:
    headers: dict[str, object] = {f"ce-{name}": value for name, value in event.headers.items()}
    if event.copies:
        headers["CC"] = list(event.copies)
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    return Publication(
        exchange,
        event.routing_key,
        event.body,
        properties(
            content_type=CONTENT_TYPE,
            message_id=event.event_id,
            type=event.type,
            timestamp=_timestamp(event.time),
            correlation_id=event.correlation_id,
            headers=headers,
        ),
        key=event.event_id,
    )
