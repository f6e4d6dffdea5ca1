"""Takes messages from queues in batches, and acknowledges what is settled."""

import itertools
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
    """One message as it was delivered; `session` and `tag` say which delivery it was, `arrived` when by our clock."""

    queue: str
    body: bytes
    properties: Properties
    redelivered: bool
    session: int
    tag: int
    arrived: float


@dataclass
class _Subscription:
    """One queue that is read, on one AMQP channel."""

    queue: SourceQueue
    channel: Channel
    session: int
    inbox: deque[Received] = field(default_factory=deque)
    open_tags: deque[int] = field(default_factory=deque)
    settled: set[int] = field(default_factory=set)
    consumer_tag: str = ""  # while messages are asked for
    cancelled: bool = False  # the broker has said that nothing more comes
    drained: bool = False  # there was a moment with nothing left to do, and no backlog since
    looked: float = 0.0  # when the broker said so, by our clock


_LOOK_EVERY = 0.5  # seconds between two looks at what waits in a queue
_LATELY = 5.0  # seconds that an answer holds: a broker, or a network, may stand still
_GIVEN_BACK = "given back"


class Consumer:
    """Takes messages from queues; what is not settled comes again after a lost connection.

    `clock` gives seconds; `answered` is told a queue's name, and how many messages wait in it, at each look.
    """

    def __init__(
        self,
        url: str,
        queues: Sequence[SourceQueue],
        prepare: Callable[[], None],
        clock: Callable[[], float],
        answered: Callable[[str, int], None],
    ) -> None:
        self._queues = queues
        self._clock = clock
        self._answered = answered
        self._connection = Connection(url, "consumer", prepare=prepare, opened=self._opened, lost=self._lost)
        self._arrived = threading.Condition()
        self._subscriptions: dict[str, _Subscription] = {}
        self._session = 0  # the tags of one are nothing to another
        self._current: SelectConnection | None = None
        self._consumer_tags = (f"bridge-{number}" for number in itertools.count(1))
        self._paused = False
        self._cancelled = False

    def start(self) -> None:
        self._connection.start()

    def take(self, max_bytes: int) -> list[Received]:
        """Waits for messages and returns a batch of one queue, in their order; none once it is cancelled and empty.

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
            while chosen.inbox and len(batch) < chosen.queue.batch and not batch[0].redelivered:
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
        """Whether every queue is read and none has a backlog, as far as the broker has said so lately."""
        lately = self._clock() - _LATELY
        with self._arrived:
            found = list(self._subscriptions.values())
        return len(found) == len(self._queues) and all(one.drained and one.looked > lately for one in found)

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

    def pause(self) -> None:
        """Asks for no more messages for now; what was delivered stays ours, unacknowledged, and can be settled."""
        with self._arrived:
            self._paused = True
            for subscription in self._subscriptions.values():
                subscription.drained = False
        self._connection.call(self._cancel)

    def give_back(self) -> None:
        """Ends a pause's hold on what was delivered: the broker has it again, for whoever reads from the queue."""
        with self._arrived:
            self._paused = True
            given_back = list(self._subscriptions.values())
            self._forget()

        def close() -> None:
            for subscription in given_back:
                if subscription.channel.is_open:
                    subscription.channel.close(reply_text=_GIVEN_BACK)

        self._connection.call(close)

    def resume(self) -> None:
        """Ends a pause."""
        with self._arrived:
            self._paused = False
        self._connection.call(self._resume)

    def holds(self, delivery: Received) -> bool:
        """Whether a message is still ours to settle; else it comes again."""
        return delivery.session == self._session

    def stop(self) -> None:
        self._connection.stop()

    # On the connection's thread

    def _cancel(self) -> None:
        with self._arrived:
            subscriptions = list(self._subscriptions.values())
        for subscription in subscriptions:
            if subscription.consumer_tag and subscription.channel.is_open:
                # What is on its way arrives before the answer does (AMQP 0-9-1, basic.cancel).
                subscription.channel.basic_cancel(subscription.consumer_tag, lambda frame, s=subscription: self._end(s))
                subscription.consumer_tag = ""

    def _end(self, subscription: _Subscription) -> None:
        with self._arrived:
            subscription.cancelled = not subscription.consumer_tag
            self._arrived.notify()

    def _resume(self) -> None:
        with self._arrived:
            subscriptions = list(self._subscriptions.values())
        if subscriptions:
            for subscription in subscriptions:
                self._consume(subscription)
        else:
            self._open_channels()

    def _opened(self, connection: SelectConnection) -> None:
        self._current = connection
        self._open_channels()

    def _open_channels(self) -> None:
        """One for each queue, unless there is to be none now."""
        if self._current is None or self._paused or self._cancelled:
            return
        with self._arrived:
            self._forget()  # what is still opening for an earlier session is not used
            session = self._session
        for queue in self._queues:
            self._current.channel(
                on_open_callback=lambda channel, queue=queue: self._subscribe(queue, channel, session)
            )

    def _consume(self, subscription: _Subscription) -> None:
        if self._paused or self._cancelled or subscription.consumer_tag or not subscription.channel.is_open:
            return
        with self._arrived:
            subscription.cancelled = subscription.drained = False
        subscription.consumer_tag = next(self._consumer_tags)
        subscription.channel.basic_consume(
            subscription.queue.name,
            lambda _channel, *delivery: self._arrive(subscription, *delivery),
            consumer_tag=subscription.consumer_tag,
        )

    def _subscribe(self, queue: SourceQueue, channel: Channel, session: int) -> None:
        subscription = _Subscription(queue, channel, session, cancelled=True)
        with self._arrived:
            if self._cancelled or session != self._session:
                channel.close(reply_text=_GIVEN_BACK)
                return
            self._subscriptions[queue.name] = subscription

        channel.add_on_close_callback(lambda _channel, reason: self._channel_closed(subscription, reason))
        channel.add_on_cancel_callback(lambda _frame: self._connection.begin_again("the queue is gone"))
        channel.basic_qos(prefetch_count=queue.prefetch)
        self._consume(subscription)
        self._look(subscription)

    def _arrive(self, subscription: _Subscription, method: Basic.Deliver, said: Properties, body: bytes) -> None:
        tag = method.delivery_tag
        name, session = subscription.queue.name, subscription.session
        subscription.open_tags.append(tag)
        with self._arrived:
            subscription.inbox.append(Received(name, body, said, method.redelivered, session, tag, self._clock()))
            self._arrived.notify()

    def _look(self, subscription: _Subscription) -> None:
        """Asks the broker what waits in the queue, again and again while the channel lives."""
        if not subscription.channel.is_open:
            return

        def answered(frame: Method) -> None:
            self._answered(subscription.queue.name, frame.method.message_count)
            backlog = frame.method.message_count or len(subscription.open_tags) >= subscription.queue.prefetch
            with self._arrived:
                rested = subscription.drained or not subscription.open_tags
                subscription.drained = not backlog and not self._paused and rested
                subscription.looked = self._clock()
            subscription.channel.connection.ioloop.call_later(_LOOK_EVERY, lambda: self._look(subscription))

        subscription.channel.queue_declare(subscription.queue.name, passive=True, callback=answered)

    def _channel_closed(self, subscription: _Subscription, reason: Exception) -> None:
        with self._arrived:
            in_use = self._subscriptions.get(subscription.queue.name) is subscription
        if in_use:
            self._connection.begin_again(reason)

    def _lost(self, _reason: BaseException | None) -> None:
        self._current = None
        with self._arrived:
            self._forget()

    def _forget(self) -> None:
        """What was delivered comes again, in another session."""
        self._session += 1
        self._subscriptions.clear()
        self._arrived.notify()
