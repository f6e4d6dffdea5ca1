"""What goes out: AsyncAPI's channels of events, and which channel of ours sends which events there.

Several channels of ours that publish alike to one exchange share one of AsyncAPI's.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bridge.asyncapi.bindings import Addresses, amqp, exchange, messages
from bridge.asyncapi.pointers import reference
from bridge.core.channel import Channel, DataType
from bridge.core.events import EVENTS

_ROUTING_KEY = "{entity}.{fact}.{modality}"
_PARAMETERS = {
    "entity": {"description": "What the event is about.", "enum": sorted({name.split(".")[0] for name in EVENTS})},
    "fact": {"description": "What became of it.", "enum": sorted({name.split(".")[1] for name in EVENTS})},
    "modality": {
        "description": "Of an object its own, of a study its first (the further ones are in the header CC), or none.",
        "examples": ["CT", "MR", "none"],
    },
}


class Way(NamedTuple):
    """One way out of a channel."""

    exchange: str
    routing_key: str
    events: list[str]


def ways_out(channel: Channel) -> Iterator[Way]:
    """The ways out of a channel, each with the events that leave there.

    Events about objects and studies leave through the channel of the objects.
    """
    about_objects = channel.source.data_type is DataType.DICOM
    names = [name for name in EVENTS if about_objects or name.startswith("message.")]
    yield Way(channel.destination.exchange, _ROUTING_KEY, [name for name in names if channel.publishes(name)])


def add_ways_out(found: Addresses, channel: Channel, vhost: str) -> None:
    """Where a channel's events go; nowhere where it publishes none."""
    for way in ways_out(channel):
        if way.events:
            _add(found, channel, way, vhost)


def _add(found: Addresses, channel: Channel, way: Way, vhost: str) -> None:
    key = f"events.{way.exchange}" + ("" if way.routing_key == _ROUTING_KEY else f":{way.routing_key}")
    shared = found.channels.setdefault(
        key,
        {
            "address": way.routing_key,
            "title": f"Events of exchange {way.exchange}",
            "description": "Bind a durable queue of your own before the objects arrive. An event for which no queue is "
            "bound is not kept; bridge replay tells the current state again.",
            "messages": {},
            "parameters": {name: _PARAMETERS.get(name, {}) for name in re.findall(r"{(\w+)}", way.routing_key)},
            "bindings": exchange(way.exchange, vhost),
        },
    )
    shared["messages"] |= messages(way.events)
    operation = found.operations.setdefault(
        f"send.{channel.name}.{key}",
        {
            "action": "send",
            "channel": reference("channels", key),
            "summary": f"What channel {channel.name} publishes.",
            "messages": [],
            "bindings": amqp({"deliveryMode": 2, "mandatory": True, "timestamp": True}),
        },
    )
    said = [reference("channels", key, "messages", name) for name in way.events]
    operation["messages"] += [one for one in said if one not in operation["messages"]]
