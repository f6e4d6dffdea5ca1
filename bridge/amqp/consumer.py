"""Takes messages from queues in batches, and acknowledges what is settled."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic, BasicProperties

from bridge.amqp.connection import Connection
from bridge.amqp.topology import SourceQueue

log = logging.getLogger(__name__)

Properties: TypeAlias = BasicProperties  # opaque to everybody else: carried from a delivery to a publication


@dataclass(frozen=True)
class Received:
    """One message as it was delivered; `session` and `tag` say which delivery it was."""

    queue: str
    body: bytes
    properties: Properties
    redelivered: bool
    session: int
    tag: int


@dataclass
class _Subscription:
    """One queue that is read, on one AMQP channel."""

    queue: SourceQueue
    channel: Channel
    inbox: deque[Received] = field(default_factory=deque)
    open_tags: deque[int] = field(default_factory=deque)
    settled: set[int] = field(default_factory=set)
    cancelled: bool = False  # the broker has said that nothing more comes
    drained: bool = False  # there was a moment with nothing left to do, and no backlog since


_LOOK_EVERY = 0.5  # seconds between two looks at what waits in a queue


class Consumer:
    """Takes messages from queues; what is not settled comes again after a lost connection."""

    def __init__(self, url: str, queues: Sequence[SourceQueue], prepare: Callable[[], None]) -> None:
        self._queues = queues
        self._connection = Connection(url, "consumer", prepare=prepare, opened=self._opened, lost=self._lost)
        self._arrived = threading.Condition()
        self._subscriptions: dict[str, _Subscription] = {}
        self._session = 0
        self._cancelled = False

    def start(self) -> None:
        self._connection.start()

    def take(self, max_messages: int, max_bytes: int) -> list[Received]:
        """Waits for messages and returns those of one queue, in their order; none once it is cancelled and empty.

        A message that was delivered before comes alone: it may be what ended the process that had it.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting() or self._complete())
            waiting = self._waiting()
            if not waiting:
                return []
            chosen = waiting[0]
            self._subscriptions[chosen.queue.name] = self._subscriptions.pop(chosen.queue.name)  # next time, the other
            batch = [chosen.inbox.popleft()]
            size = len(batch[0].body)
            while chosen.inbox and len(batch) < max_messages and not batch[0].redelivered:
                size += len(chosen.inbox[0].body)
                if chosen.inbox[0].redelivered or size > max_bytes:
                    break
                batch.append(chosen.inbox.popleft())
            return batch

    def _waiting(self) -> list[_Subscription]:
        return [subscription for subscription in self._subscriptions.values() if subscription.inbox]

    def _complete(self) -> bool:
        """Whether nothing more comes."""
        return self._cancelled and all(subscription.cancelled for subscription in self._subscriptions.values())

    def caught_up(self) -> bool:
        """Whether every queue is read and none has a backlog."""
        with self._arrived:
            found = list(self._subscriptions.values())
        return len(found) == len(self._queues) and all(subscription.drained for subscription in found)

    def settle(self, deliveries: Sequence[Received]) -> None:
        """Acknowledges messages: nothing is left to do with them. Deliveries of a lost connection are ignored."""
        self._connection.call(lambda: self._settle(deliveries))

    def _settle(self, deliveries: Sequence[Received]) -> None:
        touched: dict[str, _Subscription] = {}
        with self._arrived:  # `take` puts the queues in another sequence
            subscriptions = dict(self._subscriptions)
        for delivery in deliveries:
            subscription = subscriptions.get(delivery.queue)
            if subscription is not None and delivery.session == self._session:
                subscription.settled.add(delivery.tag)
                touched[delivery.queue] = subscription
        for subscription in touched.values():
            last = 0
            while subscription.open_tags and subscription.open_tags[0] in subscription.settled:
                last = subscription.open_tags.popleft()
                subscription.settled.discard(last)
            if last and subscription.channel.is_open:
                subscription.channel.basic_ack(last, multiple=True)

    def cancel(self) -> None:
        """Asks for no more messages; what was delivered can still be taken and settled."""
        with self._arrived:
            self._cancelled = True
            self._arrived.notify()
        self._connection.call(self._cancel)

    def _cancel(self) -> None:
        with self._arrived:
            subscriptions = list(self._subscriptions.values())
        for subscription in subscriptions:
            if subscription.channel.is_open:
                # What is on its way arrives before the answer does (AMQP 0-9-1, basic.cancel).
                subscription.channel.basic_cancel(subscription.queue.name, lambda _frame, s=subscription: self._end(s))

    def _end(self, subscription: _Subscription) -> None:
        with self._arrived:
            subscription.cancelled = True
            self._arrived.notify()

    def stop(self) -> None:
        self._connection.stop()

    def _opened(self, connection: SelectConnection) -> None:
        for queue in [] if self._cancelled else self._queues:
            connection.channel(on_open_callback=lambda channel, queue=queue: self._subscribe(queue, channel))

    def _subscribe(self, queue: SourceQueue, channel: Channel) -> None:
        subscription = _Subscription(queue, channel)
        with self._arrived:
            if self._cancelled:
                return
            self._subscriptions[queue.name] = subscription
        session = self._session

        def arrived(_channel: Channel, method: Basic.Deliver, properties: Properties, body: bytes) -> None:
            subscription.open_tags.append(method.delivery_tag)
            delivery = Received(queue.name, body, properties, method.redelivered, session, method.delivery_tag)
            with self._arrived:
                subscription.inbox.append(delivery)
                self._arrived.notify()

        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(lambda _frame: self._connection.begin_again("the queue is gone"))
        channel.basic_qos(prefetch_count=queue.prefetch)
        channel.basic_consume(
            queue.name, arrived, consumer_tag=queue.name, callback=lambda _frame: self._look(subscription)
        )

    def _look(self, subscription: _Subscription) -> None:
        """Asks the broker what waits in the queue, again and again while the channel lives."""
        if not subscription.channel.is_open:
            return

        def answered(frame: Method) -> None:
            backlog = frame.method.message_count or len(subscription.open_tags) >= subscription.queue.prefetch
            subscription.drained = not backlog and (subscription.drained or not subscription.open_tags)
            subscription.channel.connection.ioloop.call_later(_LOOK_EVERY, lambda: self._look(subscription))

        subscription.channel.queue_declare(subscription.queue.name, passive=True, callback=answered)

    def _channel_closed(self, _channel: Channel, reason: Exception) -> None:
        self._connection.begin_again(reason)

    def _lost(self) -> None:
        with self._arrived:
            self._session += 1
            self._subscriptions.clear()
            self._arrived.notify()
