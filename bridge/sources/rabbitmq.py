"""Reads the channels' queues, and acknowledges a message only once its outcome is durable (DESIGN 7).

What cannot be read is published to `bridge.dead`, unchanged but for three headers, and acknowledged when the broker has
confirmed that.
"""

import logging
import threading
from collections.abc import Mapping, Sequence

from bridge.amqp import DEAD, MESSAGE_HEADER, Confirmation, Consumer, Publication, Publisher, Received, with_headers
from bridge.core.ports import Inbound, Outcome, Receive, Rejection, Verb

log = logging.getLogger(__name__)

_MOST_MESSAGES, _MOST_BYTES = 200, 8 * 1024 * 1024  # of a batch, which is one transaction
_FIRST_DELAY, _LAST_DELAY = 0.2, 10.0  # seconds before another try
_KEPT_HEADERS = ("calling-aet", "traceparent")


class RabbitMQSource:
    """One thread that hands over what has arrived; `channels` gives the channel of each queue."""

    def __init__(self, consumer: Consumer, publisher: Publisher, channels: Mapping[str, str], receive: Receive) -> None:
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
        while batch := self._consumer.take(_MOST_MESSAGES, _MOST_BYTES):
            outcomes = self._outcomes([self._inbound(received) for received in batch])
            if outcomes is None:
                return
            self._settle(batch, outcomes)
        for _ in range(self._dead_letters):
            self._buried.acquire()

    def _outcomes(self, batch: Sequence[Inbound]) -> Sequence[Outcome] | None:
        """Tries for as long as our database is not there; the messages stay unacknowledged. None when told to end."""
        delay = _FIRST_DELAY
        while True:
            outcomes = self._receive(batch)
            if not any(outcome.verb is Verb.RETRY for outcome in outcomes):
                return outcomes
            if self._draining.wait(delay):
                return None
            delay = min(delay * 2, _LAST_DELAY)

    def _settle(self, batch: Sequence[Received], outcomes: Sequence[Outcome]) -> None:
        accepted = []
        for received, outcome in zip(batch, outcomes, strict=True):
            if outcome.verb is Verb.REJECTED:
                self._bury(received, [self._dead_letter(received, rejection) for rejection in outcome.rejections])
            else:
                accepted.append(received)
        self._consumer.settle(accepted)

    def _inbound(self, received: Received) -> Inbound:
        said = received.properties
        headers = {name: str(value) for name, value in (said.headers or {}).items() if name in _KEPT_HEADERS}
        return Inbound(
            channel=self._channels[received.queue],
            body=received.body,
            content_type=said.content_type,
            content_encoding=said.content_encoding,
            message_id=said.message_id,
            correlation_id=said.correlation_id,
            headers=headers,
            redelivered=received.redelivered,
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
        }
        stated = with_headers(received.properties, headers)
        stated.content_type, stated.content_encoding = message.content_type, message.content_encoding
        return Publication(DEAD, received.queue, message.body, stated, key=rejection.id)

    def _bury(self, received: Received, letters: list[Publication]) -> None:
        """Publishes dead letters until the broker has confirmed that a queue holds each; then acknowledges."""
        self._dead_letters += 1
        self._publish(received, letters)

    def _publish(self, received: Received, letters: list[Publication]) -> None:
        def done(confirmations: list[Confirmation]) -> None:
            pairs = list(zip(letters, confirmations, strict=True))
            unburied = [letter for letter, confirmation in pairs if confirmation is not Confirmation.CONFIRMED]
            if unburied:
                log.warning("not dead-lettered yet", extra={"letters": len(unburied)})
                threading.Timer(_FIRST_DELAY, self._publish, (received, unburied)).start()
            else:
                self._consumer.settle([received])
                self._buried.release()

        self._publisher.submit(letters, done)
