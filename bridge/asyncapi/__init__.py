"""The AsyncAPI 3.0 document of all that the bridge consumes and publishes, with these settings and channels.

It must never hold a credential: of the broker's URL only scheme, host, port and virtual host are taken.
"""

from collections.abc import Sequence
from typing import Any

from bridge import __version__
from bridge.asyncapi import events, inputs
from bridge.asyncapi.bindings import Addresses
from bridge.asyncapi.incoming import add_dead_letters, add_source
from bridge.asyncapi.outgoing import add_ways_out
from bridge.asyncapi.pointers import reference
from bridge.asyncapi.server import server
from bridge.config import Settings
from bridge.core.channel import Channel
from bridge.core.publishing import Origin

__all__ = ["document"]

_DESCRIPTION = (
    "Takes HL7 v2 messages and DICOM objects, correlates orders with objects, and publishes what belongs together as "
    "CloudEvents, at least once. For one study, a higher `revision` is newer. `v1` of an event only ever gains fields."
)


def document(settings: Settings, channels: Sequence[Channel]) -> dict[str, Any]:
    """The whole document; equal settings and channels give an equal one.

    Raises:
        ConfigError: the broker's URL is none, or it cannot be told where its credentials end.
    """
    broker = server(settings.amqp_url.get_secret_value())
    schemas = events.schemas()
    found = Addresses({}, {})
    for channel in channels:
        add_source(found, channel, broker.vhost)
    for channel in channels:
        add_ways_out(found, channel, broker.vhost)
    add_dead_letters(found, channels, broker.vhost)
    return {
        "asyncapi": "3.0.0",
        "id": Origin(settings.site, "").source,
        "info": {
            "title": "HL7 v2 to DICOM bridge",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": {"broker": broker.stated | {"security": [reference("components", "securitySchemes", "login")]}},
        "channels": found.channels,
        "operations": found.operations,
        "components": {
            "schemas": schemas,
            "messages": inputs.messages() | events.messages(schemas) | {"dead-letter": inputs.dead_letter()},
            "messageTraits": {
                "input": _trait(inputs.PROPERTIES),
                "event": _trait(events.PROPERTIES),
            },
            "correlationIds": {
                "trace": {
                    "location": "$message.header#/traceparent",
                    "description": "Passed on from a message to the events that it leads to; beside it the AMQP "
                    "property correlation_id, and data.lineage.causedBy, the bridge's own id of the message.",
                }
            },
            "securitySchemes": {"login": {"type": "userPassword", "description": "A login of the broker."}},
        },
    }


def _trait(properties: dict[str, Any]) -> dict[str, Any]:
    """What all messages of a kind have in common."""
    return {"correlationId": reference("components", "correlationIds", "trace"), "x-amqp-properties": properties}
