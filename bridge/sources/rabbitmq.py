"""Reads the channels' queues, and acknowledges a message only once its outcome is durable (DESIGN 7).

What cannot be read is published to `bridge.dead`, unchanged but for our headers, and acknowledged when the broker has
confirmed that. What our database does not take is kept here, unacknowledged, and tried again; after a while the broker
has it back, before its own patience ends (RabbitMQ's `consumer_timeout`, 30 minutes).
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from bridge.amqp import (
    DEAD,
    MESSAGE_HEADER,
    REJECTED_AT_HEADER,
    Confirmation,
    Consumer,
    Publication,
    Publisher,
    Received,
    bare,
    with_headers,
)
from bridge.core.ports import Inbound, Outcome, Receive, Rejection, Verb

log = logging.getLogger(__name__)

_MOST_BYTES = 8 * 1024 * 1024  # of a batch, which is one transaction
_FIRST_DELAY, _LAST_DELAY = 0.2, 10.0  # seconds before another try
_KEEP_FOR = 300.0  # seconds that messages are kept while the database does not answer
KEPT_HEADERS = ("calling-aet", "traceparent")


class RabbitMQSource:
    """One thread that hands over what has arrived; `channels` gives the channel of each queue.

    `answers` says whether the database does; `now` the time in RFC 3339, `clock` seconds that only go on.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        channels: Mapping[str, str],
        receive: Receive,
        *,
        answers: Callable[[], bool],
        now: Callable[[], str],
        clock: Callable[[], float],
        keep_for: float = _KEEP_FOR,
    ) -> None:
        self._answers, self._now, self._clock = answers, now, clock
        self._keep_for = keep_for
        self._consumer = consumer
        self._publisher = publisher
        self._channels = channels
        self._receive = receive
        self._draining = threading.Event()
        self._dead_letters = 0
        self._buried = threading.Semaphore(0)  # one for each dead letter that the broker has confirmed
        self._thread = threading.Thread(target=self._run, name="source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def drain(self, seconds: float) -> bool:
        """Takes no more, finishes what was delivered, for at most so long; says whether all of it is finished."""
        self._draining.set()
        self._consumer.cancel()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while batch := self._consumer.take(_MOST_BYTES):
            unstored = self._hand_over(batch)
            if unstored and not self._retry(unstored):
                break
        for _ in range(self._dead_letters):
            self._buried.acquire()

    def _hand_over(self, batch: Sequence[Received]) -> list[Received]:
        """Settles what is durable; returns what our database did not take."""
        outcomes = self._receive([self._inbound(received) for received in batch])
        self._settle(batch, outcomes)
        return [one for one, outcome in zip(batch, outcomes, strict=True) if outcome.verb is Verb.RETRY]

    def _retry(self, kept: list[Received]) -> bool:
        """Tries again until our database has taken them; False when told to end, and they are the broker's again."""
        self._consumer.pause()
        since, delay = self._clock(), _FIRST_DELAY
        while kept:
            if self._draining.wait(delay):
                return False
            delay = min(delay * 2, _LAST_DELAY)
            held = self._consumer.holds(kept[0])
            if held and self._clock() - since >= self._keep_for:
                log.warning("messages are given back: the database does not answer", extra={"messages": len(kept)})
                self._consumer.give_back()
            elif held or self._answers():
                # Also what was given back, or lost with the connection: if its queue is gone, it does not come again.
                kept = self._hand_over(kept)
        log.info("messages are taken again")
        self._consumer.resume()
        return True

    def _settle(self, batch: Sequence[Received], outcomes: Sequence[Outcome]) -> None:
        accepted = []
        for received, outcome in zip(batch, outcomes, strict=True):
            if outcome.verb is Verb.REJECTED:
                self._bury(received, [self._dead_letter(received, rejection) for rejection in outcome.rejections])
            elif outcome.verb is Verb.ACCEPTED:
                accepted.append(received)
        self._consumer.settle(accepted)

    def _inbound(self, received: Received) -> Inbound:
        said = received.properties
        headers = {name: _text(value) or "" for name, value in (said.headers or {}).items() if name in KEPT_HEADERS}
        return Inbound(
            channel=self._channels[received.queue],
            body=received.body,
            content_type=_text(said.content_type),
            content_encoding=_text(said.content_encoding),
            message_id=_text(said.message_id),
            correlation_id=_text(said.correlation_id),
            headers=headers,
            redelivered=received.redelivered,
            arrived=received.arrived,
        )

    def _dead_letter(self, received: Received, rejection: Rejection) -> Publication:
        """The message unchanged; one out of a batch as its sender would have sent it alone."""
        channel, message = rejection.message.channel, rejection.message
        log.warning(
            "rejected: %s", rejection.reason, extra={"code": rejection.code, "channel": channel, "id": rejection.id}
        )
        headers = {
            "bridge-error": rejection.code,
            "bridge-reason": rejection.reason,
            "bridge-channel": channel,
            MESSAGE_HEADER: rejection.id,
            REJECTED_AT_HEADER: self._now(),
        }
        stated = with_headers(received.properties, headers)
        stated.content_type, stated.content_encoding = message.content_type, message.content_encoding
        return Publication(DEAD, received.queue, message.body, stated, key=rejection.id)

    def _bury(self, received: Received, letters: list[Publication]) -> None:
        """Publishes dead letters until the broker has confirmed that a queue holds each; then acknowledges."""
        self._dead_letters += 1
        self._publish(received, letters)

    def _publish(self, received: Received, letters: list[Publication], delay: float = _FIRST_DELAY) -> None:
        def done(confirmations: list[Confirmation]) -> None:
            pairs = list(zip(letters, confirmations, strict=True))
            unburied = [
                bare(letter) if confirmation is Confirmation.REFUSED else letter  # the body is what must not be lost
                for letter, confirmation in pairs
                if confirmation is not Confirmation.CONFIRMED
            ]
            if unburied:
                why = ": no queue takes it" if Confirmation.RETURNED in confirmations else ""
                log.warning("not dead-lettered yet%s", why, extra={"letters": len(unburied)})
                again = threading.Timer(delay, self._publish, (received, unburied, min(delay * 2, _LAST_DELAY)))
                again.daemon = True  # the end of the process waits for the drain, and not for what no queue takes
                again.start()
            else:
                self._consumer.settle([received])
                self._buried.release()

        if self._consumer.holds(received):
            self._publisher.submit(letters, done)
        else:  # it comes again, and is rejected again
            self._buried.release()


def _text(said: object) -> str | None:
    """A property or header as text; what is not UTF-8 comes as bytes."""
    if said is None:
        return None
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
