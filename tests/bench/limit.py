"""A bare relay: consumes, publishes with confirms, acknowledges, and does no work at all: the limit of the bridge.

`python limit.py URL QUEUE EXCHANGE PREFETCH`, until SIGTERM. As in the bridge a message is acknowledged only once what
became of it is confirmed, many are under way at once, and consuming and publishing have a connection each; nothing else
of the bridge is here.
"""

import signal
import sys
from collections.abc import Callable
from typing import Any

from pika import SelectConnection, URLParameters
from pika.channel import Channel
from pika.spec import Basic, BasicProperties


def main(url: str, queue: str, exchange: str, prefetch: int) -> None:
    def lost(*reason: object) -> None:
        sys.exit(f"the relay lost the broker: {reason[-1]}")

    def connect(opened: Callable[[Channel], None], loop: Any = None) -> Any:
        connection = SelectConnection(
            URLParameters(url),
            on_open_callback=lambda connection: connection.channel(on_open_callback=opened),
            on_open_error_callback=lost,
            on_close_callback=lost,
            custom_ioloop=loop,
        )
        return connection.ioloop

    def publishing(channel: Channel) -> None:
        channel.confirm_delivery(lambda frame: confirmed(frame.method))
        connect(lambda consumer: consume(consumer, channel), loop)

    # A publication has the tag of the delivery that it came from: both count from one, and each is relayed once.
    delivered = acknowledged = 0
    unordered: set[int] = set()

    def consume(consumer: Channel, publisher: Channel) -> None:
        def relay(_channel: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
            nonlocal delivered
            delivered = method.delivery_tag
            publisher.basic_publish(exchange, method.routing_key, body, properties, mandatory=True)

        nonlocal acknowledge
        acknowledge = consumer.basic_ack
        consumer.basic_qos(prefetch_count=prefetch)
        consumer.basic_consume(queue, relay)

    acknowledge: Callable[..., None]

    def confirmed(method: Any) -> None:
        nonlocal acknowledged
        if not isinstance(method, Basic.Ack):
            sys.exit("the broker refused a message")
        if method.multiple:
            unordered.update(range(acknowledged + 1, method.delivery_tag + 1))
        unordered.add(method.delivery_tag)
