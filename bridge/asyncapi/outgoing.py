"""What goes out: AsyncAPI's channels of events, and which channel of ours sends which events there.

Several channels of ours that publish alike to one exchange share one of AsyncAPI's.
"""

import re

from bridge.asyncapi.bindings import Addresses, amqp, exchange, foreign_exchange, messages
from bridge.asyncapi.pointers import reference
from bridge.core.channel import Channel, DataType, Destination
from bridge.core.events import EVENTS

_ROUTING_KEY = Destination().routing_key
_PARAMETERS = {
    "entity": {"description": "What the event is about.", "enum": sorted({name.split(".")[0] for name in EVENTS})},
    "fact": {"description": "What became of it.", "enum": sorted({name.split(".")[1] for name in EVENTS})},
    "modality": {
        "description": "Of an object its own, of a study its first (the further ones are in the header CC), or none.",
        "examples": ["CT", "MR", "none"],
    },
}


def add_ways_out(found: Addresses, channel: Channel, vhost: str) -> None:
    """Where a channel's events go. Those about objects and studies leave through the channel of the objects."""
    about_objects = channel.source.data_type is DataType.DICOM
    names = [name for name in EVENTS if about_objects or name.startswith("message.")]
    for destination in channel.destinations:
        if events := [name for name in names if destination.wants(name)]:
            _add(found, channel, destination, events, vhost)


def _add(found: Addresses, channel: Channel, destination: Destination, events: list[str], vhost: str) -> None:
    routing_key = destination.routing_key
    key = f"events.{destination.exchange}" + ("" if routing_key == _ROUTING_KEY else f":{routing_key}")
    shared = found.channels.setdefault(
        key,
        {
            "address": routing_key,
            "title": f"Events of exchange {destination.exchange}",
            "description": "Bind a durable queue of your own before the objects arrive. An event for which no queue is "
            "bound is not kept; bridge replay tells the current state again.",
            "messages": {},
            "parameters": {name: _PARAMETERS.get(name, {}) for name in re.findall(r"{(\w+)}", routing_key)},
            "bindings": (exchange if destination.declare else foreign_exchange)(destination.exchange, vhost),
        },
    )
    shared["messages"] |= messages(events)
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
    said = [reference("channels", key, "messages", name) for name in events]
    operation["messages"] += [one for one in said if one not in operation["messages"]]
