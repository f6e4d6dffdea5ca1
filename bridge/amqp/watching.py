"""Asks the broker again and again what waits in a queue: the answer also proves that the connection is of use."""

from collections.abc import Callable

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.frame import Method

_LOOK_EVERY = 1.0  # seconds


def watch(connection: SelectConnection, queue: str, told: Callable[[int], None]) -> None:
    """Tells how many messages wait in a queue, at each answer, while the connection lasts.

    It is done on an AMQP channel of its own, which the broker closes where there is no such queue: nothing else is
    disturbed, and it is tried again. Runs on the connection's thread.
    """

    def begin() -> None:
        if connection.is_open:
            connection.channel(on_open_callback=opened)

    def opened(channel: Channel) -> None:
        channel.add_on_close_callback(lambda _channel, _reason: later(begin))
        look(channel)

    def look(channel: Channel) -> None:
        if channel.is_open:
            channel.queue_declare(queue, passive=True, callback=lambda frame: answered(channel, frame))

    def answered(channel: Channel, frame: Method) -> None:
        told(frame.method.message_count)
        later(lambda: look(channel))

    def later(step: Callable[[], None]) -> None:
        connection.ioloop.call_later(_LOOK_EVERY, step)

    begin()
