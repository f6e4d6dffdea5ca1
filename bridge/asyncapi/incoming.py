"""What comes in, and what goes to the dead letters: exchanges and queues as AsyncAPI's channels.

AsyncAPI's AMQP binding describes an exchange or a queue, never both: what is published to `in.NAME` is read from
`queue.NAME`.
"""

from collections.abc import Sequence
from typing import Any

from bridge.amqp import DEAD, DEAD_ARGUMENTS, SOURCE_ARGUMENTS
from bridge.asyncapi import inputs
from bridge.asyncapi.bindings import Addresses, amqp, exchange, messages
from bridge.asyncapi.bindings import queue as queue_of
from bridge.asyncapi.pointers import reference
from bridge.core.channel import Channel, DataType
from bridge.formats.reading import CONTENT_TYPES

_WORDS = {"#": ("words", "Any number of words, none included."), "*": ("word", "One word.")}


def add_source(found: Addresses, channel: Channel, vhost: str) -> None:
    """Where a channel's messages come in."""
    source, entry, queue = channel.source, f"in.{channel.name}", f"queue.{channel.name}"
    names = [inputs.message_name(source.data_type, content_type) for content_type in CONTENT_TYPES[source.data_type]]
    address, parameters = _entry(source.bindings)
    types = {"x-message-types": list(channel.message_types)} if source.data_type is DataType.HL7V2 else {}
    found.channels[entry] = {
        "address": address,
        "title": channel.name,
        "description": f"{channel.description or channel.name} ({source.data_type}).",
        "messages": messages(names),
        "parameters": parameters,
        "bindings": exchange(source.exchange, vhost),
        "x-queue": reference("channels", queue),
        "x-binding-keys": list(source.bindings),
    } | types
    found.channels[queue] = {
        "address": source.queue,
        "title": f"{channel.name}, the queue",
        "description": f"Bound to exchange {source.exchange} with {', '.join(source.bindings)}.",
        "messages": messages(names),
        "bindings": queue_of(source.queue, vhost),
        "x-arguments": SOURCE_ARGUMENTS,
    }
    found.operations[f"receive.{channel.name}"] = {
        "action": "receive",
        "channel": reference("channels", entry),
        "summary": "Acknowledged when what it says is durable, or when it is confirmed as a dead letter.",
        "messages": [reference("channels", entry, "messages", name) for name in names],
        "bindings": amqp({"ack": True}),
    }


def _entry(bindings: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The address for senders, `hl7.{words}` for `hl7.#`, and its parameters."""
    if len(bindings) > 1:
        return "{routingKey}", {"routingKey": {"description": f"What one of these takes: {', '.join(bindings)}."}}
    parameters: dict[str, Any] = {}
    address = []
    for word in bindings[0].split("."):
        if word in _WORDS:
            name, description = _WORDS[word]
            name += str(len(parameters) + 1) if parameters else ""
            parameters[name] = {"description": description}
            word = f"{{{name}}}"
        address.append(word)
    return ".".join(address), parameters


def add_dead_letters(found: Addresses, channels: Sequence[Channel], vhost: str) -> None:
    """Where messages go that cannot be read."""
    found.channels["dead"] = {
        "address": "{queue}",
        "title": "Dead letters",
        "description": "What cannot be read. What the broker itself takes out of a source's queue comes here too: "
        "under the routing key that it was sent with, with headers x-death and x-first-death-reason, and without those "
        "of the bridge.",
        "messages": messages(["dead-letter"]),
        "parameters": {
            "queue": {
                "description": "The queue that the message came from.",
                "enum": [channel.source.queue for channel in channels],
            }
        },
        "bindings": exchange(DEAD, vhost),
        "x-queue": reference("channels", "dead.queue"),
        "x-binding-keys": ["#"],
    }
    found.channels["dead.queue"] = {
        "address": DEAD,
        "title": "Dead letters, the queue",
        "description": "They wait here for a person: bridge dead list, show, requeue and drop.",
        "messages": messages(["dead-letter"]),
        "bindings": queue_of(DEAD, vhost),
        "x-arguments": DEAD_ARGUMENTS,
    }
    found.operations["send.dead"] = {
        "action": "send",
        "channel": reference("channels", "dead"),
        "summary": "The message itself is acknowledged only when the broker has confirmed this.",
        "messages": [reference("channels", "dead", "messages", "dead-letter")],
        "bindings": amqp({"mandatory": True}),
    }
