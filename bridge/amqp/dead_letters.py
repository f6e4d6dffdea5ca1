"""The queue `bridge.dead` for the command line: looks at its letters, publishes them again, takes them out.

A letter that is looked at is held and goes back to its place; one that is published again leaves only when the broker
has confirmed that its queue has it. So nothing is lost wherever this is interrupted, and a message may come twice.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPChannelError, ChannelClosedByBroker, NackError, UnroutableError
from pika.spec import Basic, BasicProperties

from bridge.amqp.oneshot import connected
from bridge.amqp.parameters import parameters
from bridge.amqp.publisher import OUR_HEADERS, Confirmation, Properties
from bridge.amqp.topology import DEAD
from bridge.amqp.watching import NOT_FOUND
from bridge.core.errors import ConfigError, Unavailable

_OF_A_DEATH = ("x-death", "x-first-death-", "x-last-death-")
# What the broker counts for each delivery; and further routing keys, which would bring copies to other queues.
_OF_A_DELIVERY = frozenset({"x-delivery-count", "x-acquired-count", "CC"})
_USER_ID = "bridge-user-id"

_REFUSED = 403  # AMQP 0-9-1, 1.2
_MOST_LOOKS = 100  # at a queue, for what was put back
_A_MOMENT, _SILENCES = 1.0, 2  # seconds without a letter, so many times: there are no more
# Letters that are sent at once: so many bytes as far as can be foreseen, and not more than RabbitMQ 3.10 puts back in
# their sequence when they come back at once (Erlang's maps have one up to 32 keys).
_MOST_AT_ONCE, _MOST_BYTES_AT_ONCE = 32, 16 * 1024 * 1024


@dataclass(frozen=True)
class Letter:
    """A letter as it was delivered. `queue` is where it comes from; None where nothing says so.

    `death` is the broker's own account of it (of `x-death` the newest entry: reason, time, queue), where the broker and
    not the bridge has put it there.
    """

    queue: str | None
    body: bytes
    properties: Properties
    death: Mapping[str, Any] | None
    redelivered: bool
    tag: int

    @property
    def headers(self) -> Mapping[str, Any]:
        return self.properties.headers or {}

    @property
    def stated(self) -> Mapping[str, Any]:
        """The properties that it has, by their AMQP names, but for the headers."""
        return {name: value for name, value in vars(self.properties).items() if name != "headers" and value is not None}


class DeadQueue:
    """The letters that nobody else holds: `waiting` of them at the beginning, while `readers` read the queue, too."""

    def __init__(self, connection: BlockingConnection, login: str | None, waiting: int, readers: int) -> None:
        self.waiting = waiting
        self.readers = readers
        self._connection = connection
        self._login = login
        self._reading = connection.channel()
        self._publishing = self._confirming()
        self._held: list[set[int]] = []  # delivery tags, by consumer
        self._left, self._at_once = waiting, 1
        self._goes_on = False  # letters that came back before may follow

    def letters(self) -> Iterator[Letter]:
        """As many letters as waited at the beginning, in their sequence; each is held until the end."""
        while letters := self._next():
            yield from letters

    def requeue(self, letter: Letter) -> Confirmation:
        """Publishes the message to the queue that it came from, and to no other; the letter goes when it is there.

        Without that queue's name it is refused.
        """
        if letter.queue is None:
            return Confirmation.REFUSED
        try:
            self._publishing.basic_publish("", letter.queue, letter.body, self._as_it_was(letter), mandatory=True)
        except UnroutableError:
            return Confirmation.RETURNED
        except NackError:
            return Confirmation.LOST
        except ChannelClosedByBroker as error:
            if error.reply_code == _REFUSED:
                raise
            self._publishing = self._confirming()
            return Confirmation.REFUSED
        self.drop(letter)
        return Confirmation.CONFIRMED

    def drop(self, letter: Letter) -> None:
        """Takes the letter out for good."""
        self._reading.basic_ack(letter.tag)
        next(tags for tags in reversed(self._held) if letter.tag in tags).remove(letter.tag)

    def put_back(self) -> None:
        """Lets go of what is still held, so that the queue has the sequence that it had.

        The broker puts letters behind all others that ever came back, before those that never left: so of the former
        all have to come back. And it keeps neither the sequence of consumers nor, where it has many to do, that of
        commands: so it is waited for each, for a moment, as somebody else may take letters.
        """
        while self._goes_on and self._next():
            pass
        for tags in filter(None, self._held):
            before = self._ready()
            self._reading.basic_nack(max(tags), multiple=True, requeue=True)
            for _ in range(_MOST_LOOKS):
                if self._ready() >= before + len(tags):
                    break
        self._held.clear()

    def _ready(self) -> int:
        return int(self._reading.queue_declare(DEAD, passive=True).method.message_count)

    def _confirming(self) -> BlockingChannel:
        channel = self._connection.channel()
        channel.confirm_delivery()
        return channel

    def _next(self) -> list[Letter]:
        """The next few letters. A consumer gets no more, which bounds the memory that they take here and there."""
        letters = self._some(min(self._at_once, self._left)) if self._left else []
        if not letters:
            return []
        self._left -= len(letters)
        largest = max(1, *(len(letter.body) for letter in letters))
        self._at_once = max(1, min(self._at_once * 2, _MOST_AT_ONCE, _MOST_BYTES_AT_ONCE // largest))
        self._goes_on = letters[-1].redelivered
        return letters

    def _some(self, number: int) -> list[Letter]:
        """The next letters, so many of them; fewer where others have taken some."""
        letters: list[Letter] = []

        def take(_: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes) -> None:
            letters.append(_letter(method, properties, body))

        self._reading.basic_qos(prefetch_count=number)
        consumer = self._reading.basic_consume(DEAD, take)
        silences = 0
        while len(letters) < number and silences < _SILENCES:
            before = len(letters)
            self._connection.process_data_events(_A_MOMENT)
            silences = silences + 1 if len(letters) == before else 0
        self._reading.basic_cancel(consumer)
        self._held.append({letter.tag for letter in letters})
        return letters

    def _as_it_was(self, letter: Letter) -> BasicProperties:
        """The properties that the message came with.

        `user_id` is put back where the broker takes it: it must be the login. `expiration` is not: whoever publishes a
        message again wants it to be read, however long that takes. Both stay as headers otherwise (decision 0008).
        """
        headers = {
            name: value
            for name, value in letter.headers.items()
            if name not in OUR_HEADERS | _OF_A_DELIVERY and not (letter.death and name.startswith(_OF_A_DEATH))
        }
        stated = dict(letter.stated)
        user_id = stated.pop("user_id", None) or headers.pop(_USER_ID, None)
        if user_id is not None and user_id == self._login:
            stated["user_id"] = user_id
        elif user_id is not None:
            headers[_USER_ID] = user_id
        return BasicProperties(**stated, headers=headers or None)


@contextmanager
def dead_queue(url: str) -> Iterator[DeadQueue | None]:
    """The queue over a connection of its own; None where there is no such queue.

    Raises:
        Unavailable: the broker does not answer, or ends the connection or the AMQP channel in between.
        ConfigError: the URL is none, or the broker refuses the login, or what it may do.
    """
    login = getattr(parameters(url).credentials, "username", None)  # one of a certificate has none
    with connected(url) as connection:
        try:
            found = connection.channel().queue_declare(DEAD, passive=True).method
        except ChannelClosedByBroker as error:
            if error.reply_code != NOT_FOUND:
                raise _explained(error) from None
            found = None
        if found is None:
            yield None
            return
        try:
            queue = DeadQueue(connection, login, found.message_count, found.consumer_count)
            yield queue
            queue.put_back()
        except AMQPChannelError as error:
            raise _explained(error) from None


def _explained(error: AMQPChannelError) -> ConfigError | Unavailable:
    if isinstance(error, ChannelClosedByBroker):
        said = f"queue {DEAD}: the broker says {error.reply_code} {error.reply_text}"
        return ConfigError(said) if error.reply_code == _REFUSED else Unavailable(said)
    return Unavailable(f"queue {DEAD}: the AMQP channel ended ({type(error).__name__})")


def _letter(method: Basic.Deliver, properties: BasicProperties, body: bytes) -> Letter:
    death = _death(properties.headers or {})
    queue = death["queue"] if death else method.routing_key
    came_from = queue if queue != DEAD else None  # somebody has put it there, and it would only come back
    return Letter(came_from or None, body, properties, death, method.redelivered, method.delivery_tag)


def _death(headers: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the broker says of a letter of its own; one of ours may have died elsewhere before it came to us."""
    deaths = headers.get("x-death")
    if "bridge-error" in headers or not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], dict):
        return None
    return deaths[0] if isinstance(deaths[0].get("queue"), str) else None
