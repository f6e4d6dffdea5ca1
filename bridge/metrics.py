"""What the bridge counts, for Prometheus.

No label holds anything of a message: only the names of channels, connections and leases, outcomes, codes, verdicts and
types of events. Many messages are counted at once, as a label is looked up in a microsecond.
"""

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge.core.decision import Verdict
from bridge.core.events import event_name
from bridge.core.ports import Delivery, Inbound, Outbound, Outcome, Receive, Send, Verb

# Else each counter has a second series, which says when it began: when the process did.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST

_DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)  # seconds
_BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)
_MOST_ARRIVALS = 20_000  # events; as many as the relay keeps in memory


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"bridge_{name}", meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"bridge_{name}", meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Histogram:
    return Histogram(f"bridge_{name}", meaning, labels, buckets=buckets, registry=REGISTRY)


ProcessCollector(namespace="bridge", registry=REGISTRY)
_info = _gauge("info", "1; version and site stand in the labels.", "version", "site")

_messages = _counter("messages", "Messages by what became of them, as in the ledger.", "channel", "outcome")
_rejections = _counter("rejections", "Messages for the dead-letter queue, by code.", "channel", "code")
_batch_messages = _histogram("batch_messages", "Messages of a batch that became durable.", _BATCH_SIZES, "channel")
_batch_seconds = _histogram("batch_seconds", "From a batch to its outcomes.", _DELAYS, "channel")
_retrying = _gauge("retrying", "1 while the database takes no messages.")
_queue_messages = _gauge("queue_messages", "Messages that wait at the broker.", "channel")

_verdicts = _counter("verdicts", "Changes of a study's verdict, by the new one.", "verdict")
_studies = _gauge("studies", "Studies by verdict.", "verdict")

_events = _counter("events", "Events by what became of their publication.", "type", "delivery")
_event_delay = _histogram("event_delay_seconds", "Until the broker has confirmed an event.", _DELAYS, "since")
_outbox_events = _gauge("outbox_events", "Events that are owed.")
_refused_events = _gauge("outbox_refused_events", "Events among them that the broker refuses for themselves.")
_outbox_age = _gauge("outbox_age_seconds", "Age of the oldest event that is owed; 0 where none is.")
_dead_letters = _gauge("dead_letters", "Messages in the dead-letter queue.")

_connects = _counter("broker_connects", "Connections that were opened; more than one is a reconnect.", "connection")
_blocked = _gauge("broker_blocked", "1 while the broker takes nothing (memory or disk alarm).")
_lease = _gauge("lease_held", "1 while this process does it for all.", "lease")
_purged = _counter("purged", "What the purge removed.", "kind")
_last_purge = _gauge("last_purge_timestamp_seconds", "When the last whole purge began; 0 where none did.")


def text() -> bytes:
    """All of it, in Prometheus' text format."""
    return generate_latest(REGISTRY)


def identify(version: str, site: str) -> None:
    _info.labels(version, site).set(1)


# Messages


def measured(receive: Receive, clock: Callable[[], float]) -> Receive:
    """The same `receive`, with its batches timed and what it rejects counted; `clock` gives seconds."""

    def timed(batch: Sequence[Inbound]) -> Sequence[Outcome]:
        began = clock()
        outcomes = receive(batch)
        durable = sum(outcome.verb is not Verb.RETRY for outcome in outcomes)
        if durable:
            _batch_seconds.labels(batch[0].channel).observe(clock() - began)
            _batch_messages.labels(batch[0].channel).observe(durable)
        rejected = Tally((one.message.channel, one.code) for outcome in outcomes for one in outcome.rejections)
        for labels, number in rejected.items():
            _rejections.labels(*labels).inc(number)
        return outcomes

    return timed


def retrying(is_retrying: bool) -> None:
    """Whether the database takes no messages."""
    _retrying.set(is_retrying)


def messages(outcomes: Mapping[tuple[str, str], int]) -> None:
    """Messages that became durable, by channel and outcome: TRANSFORMED, FILTERED, ERROR, DUPLICATE."""
    for labels, number in outcomes.items():
        _messages.labels(*labels).inc(number)


def verdicts(turned: Iterable[Verdict]) -> None:
    """Studies whose verdict became another one, durably."""
    for verdict, number in Tally(turned).items():
        _verdicts.labels(verdict).inc(number)


def waiting_at_broker(channel: str, number: int) -> None:
    _queue_messages.labels(channel).set(number)


# Events


class Delays:
    """How long it takes from a message to the events that it led to.

    `clock` is the one by which messages arrived (`Inbound.arrived`), `now` gives the time in RFC 3339. Of an event that
    this process did not see arrive (a deadline, a person, another process, an earlier run) it is the time since its
    decision.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], str]) -> None:
        self._clock, self._now = clock, now
        self._guard = threading.Lock()  # the source adds, the relay takes out
        self._arrivals: dict[int, float] = {}  # of the oldest message of its batch, by the event's row
        self._arrived: float | None = None  # of the batch that is handled at this moment

    def receiving(self, receive: Receive) -> Receive:
        """The same `receive`; what `owing` is told during it, its batch led to."""

        def remembering(batch: Sequence[Inbound]) -> Sequence[Outcome]:
            self._arrived = min((one.arrived for one in batch if one.arrived is not None), default=None)
            return receive(batch)

        return remembering

    def owing(self, owed: Callable[[Sequence[Outbound]], None]) -> Callable[[Sequence[Outbound]], None]:
        """The same `owed`, for what is owed by the batch that is handled."""

        def remembering(events: Sequence[Outbound]) -> None:
            if self._arrived is not None:
                with self._guard:
                    self._arrivals.update(dict.fromkeys((event.id for event in events), self._arrived))
                    while len(self._arrivals) > _MOST_ARRIVALS:  # another process publishes
                        del self._arrivals[next(iter(self._arrivals))]
            owed(events)

        return remembering

    def sending(self, send: Send) -> Send:
        """The same `send`, with its deliveries counted and timed."""

        def timed(batch: Sequence[Outbound]) -> Sequence[Delivery]:
            deliveries = send(batch)
            answered = list(zip(batch, deliveries, strict=True))
            counted = Tally((event_name(event.type), str(delivery)) for event, delivery in answered)
            for labels, number in counted.items():
                _events.labels(*labels).inc(number)
            self._observe([event for event, delivery in answered if delivery in (Delivery.SENT, Delivery.UNROUTED)])
            return deliveries

        return timed

    def _observe(self, confirmed: Sequence[Outbound]) -> None:
        clock, now = self._clock(), datetime.fromisoformat(self._now())
        since_arrival, since_decision = _event_delay.labels("arrival"), _event_delay.labels("decision")
        with self._guard:
            arrivals = [self._arrivals.pop(event.id, None) for event in confirmed]
        for event, arrived in zip(confirmed, arrivals, strict=True):
            if arrived is not None:
                since_arrival.observe(clock - arrived)
            else:
                since_decision.observe(max(0.0, (now - datetime.fromisoformat(event.time)).total_seconds()))


def outbox(number: int, refused: int) -> None:
    """Events that are owed, and those among them that were refused."""
    _outbox_events.set(number)
    _refused_events.set(refused)


def oldest_owed(age: Callable[[], float]) -> None:
    """Who gives the age in seconds of the oldest event that is owed; asked whenever the metrics are read."""
    _outbox_age.set_function(age)


def studies(by_verdict: Mapping[str, int]) -> None:
    for verdict in Verdict:
        _studies.labels(verdict).set(by_verdict.get(verdict, 0))


def dead_letters(number: int) -> None:
    _dead_letters.set(number)


# Connections, and what one process does for all


def connected(connection: str) -> None:
    _connects.labels(connection).inc()


def blocked(is_blocked: bool) -> None:
    _blocked.set(is_blocked)


def lease(name: str, held: Callable[[], bool]) -> None:
    """Who says whether this process holds a lease; asked whenever the metrics are read."""
    _lease.labels(name).set_function(lambda: float(held()))


def purged(removed: Mapping[str, int]) -> None:
    """What one step of a purge removed: how many of which kind."""
    for kind, number in removed.items():
        _purged.labels(kind).inc(number)


def purge_ended(began: str) -> None:
    """A purge that began at this time (RFC 3339) came to its end."""
    _last_purge.set(datetime.fromisoformat(began).timestamp())
