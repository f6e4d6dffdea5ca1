"""A bare relay: consumes, publishes with confirms, acknowledges, and does no work at all: the limit of the bridge.

`python limit.py URL QUEUE EXCHANGE PREFETCH`, until SIGTERM. As in the bridge, consuming and publishing have a
connection each, many messages are under way at once, and each is acknowledged only once its publication is confirmed.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any

from pika import SelectConnection, URLParameters
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.spec import Basic, BasicProperties


class Relay:
    """One thread; the n-th delivery becomes the n-th publication, so that both have the tag n."""

    def __init__(self, url: str, queue: str, exchange: str, prefetch: int) -> None:
        self._parameters = URLParameters(url)
        self._queue, self._exchange, self._prefetch = queue, exchange, prefetch
        self._block = max(1, prefetch // 4)  # messages that are acknowledged together
        self._delivered = self._acknowledged = 0
        self._confirmed: set[int] = set()
        self._ending = False
        self._loop = IOLoop()

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._loop.add_callback_threadsafe(self._end))
        self._connect(self._start_publishing)
        self._loop.start()

    def _connect(self, opened: Callable[[Channel], None]) -> None:
        SelectConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=opened),
            on_open_error_callback=self._closed,
            on_close_callback=self._closed,
            custom_ioloop=self._loop,
        )

    def _start_publishing(self, channel: Channel) -> None:
        self._publisher = channel
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._connect(self._start_consuming))

    def _start_consuming(self, channel: Channel) -> None:
        self._consumer = channel
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._on_delivery)

    def _on_delivery(self, _channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
        self._delivered = method.delivery_tag
        self._publisher.basic_publish(self._exchange, method.routing_key, body, properties, mandatory=True)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        if not isinstance(method, Basic.Ack):
            sys.exit("the broker refused a message")
        first = self._acknowledged + 1 if method.multiple else method.delivery_tag
        self._confirmed.update(range(first, method.delivery_tag + 1))
        settled = self._acknowledged
        while settled + 1 in self._confirmed:
            settled += 1
        if settled - self._acknowledged >= self._block or settled == self._delivered:
            self._confirmed.difference_update(range(self._acknowledged + 1, settled + 1))
            self._acknowledged = settled
            self._consumer.basic_ack(settled, multiple=True)
            if self._ending:
                self._end()

    def _end(self) -> None:
        """Closes once everything that was delivered is acknowledged."""
        self._ending = True
        if self._acknowledged == self._delivered:
            self._consumer.connection.close()

    def _closed(self, _connection: SelectConnection, reason: Exception) -> None:
        sys.exit(0 if self._ending else f"the relay lost the broker: {reason}")


if __name__ == "__main__":
    Relay(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])).run()
