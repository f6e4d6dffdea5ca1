"""Asks the broker again and again what waits in a queue: the answer also proves that the connection is of use."""

from collections.abc import Callable

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker
from pika.frame import Method

NOT_FOUND = 404  # AMQP 0-9-1, 1.2: there is no such queue or exchange

_LOOK_EVERY = 1.0  # seconds


def watch(
    connection: SelectConnection, queue: str, told: Callable[[int], None], absent: Callable[[Exception], None]
) -> None:
    """Tells how many messages wait in a queue, at each answer, while the connection lasts; or that there is no queue.

    It is done on an AMQP channel of its own, so that nothing else is disturbed when the broker closes that: `absent`
    is told what it says where there is no such queue; else it is tried again. Runs on the connection's thread.
    """

    def begin() -> None:
        if connection.is_open:
            connection.channel(on_open_callback=opened)

    def opened(channel: Channel) -> None:
        channel.add_on_close_callback(closed)
        look(channel)

    def closed(_channel: Channel, reason: Exception) -> None:
        if isinstance(reason, ChannelClosedByBroker) and reason.reply_code == NOT_FOUND:
            absent(reason)
        else:
            later(begin)

    def look(channel: Channel) -> None:
        if channel.is_open:
            channel.queue_declare(queue, passive=True, callback=lambda frame: answered(channel, frame))

    def answered(channel: Channel, frame: Method) -> None:
        told(frame.method.message_count)
        later(lambda: look(channel))

    def later(step: Callable[[], None]) -> None:
        connection.ioloop.call_later(_LOOK_EVERY, step)

    begin()
