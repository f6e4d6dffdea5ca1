"""The events in the document: their JSON Schemas taken apart, and a message for each.

AsyncAPI's own schema format is a superset of JSON Schema draft 07, and tools need read no other. The events' schemas
use only what means the same in draft 07 and 2020-12, once `$schema`, `$id` and `$defs` are gone: `$id` would change
what their references are relative to, and the shapes in `$defs` become components, each there once for all events.
"""

from typing import Any

from bridge.asyncapi.pointers import Reference, reference
from bridge.core.events import CONTENT_TYPE, EVENTS, event_type
from bridge.schema import event_schema

_DEFINED = "#/$defs/"
_TEXT = {"type": "string"}

PROPERTIES = {  # of AMQP, which AsyncAPI's bindings have no place for
    "content_type": {"const": CONTENT_TYPE},
    "message_id": _TEXT | {"description": "The event's id."},
    "type": _TEXT | {"description": "The event's type."},
    "app_id": {"const": "hl7-dicom-bridge"},
    "timestamp": {"type": "integer", "description": "The event's time, in seconds since 1970."},
    "correlation_id": _TEXT
    | {"description": "That of the message that caused the event, else its message_id; absent where it had neither."},
    "delivery_mode": {"const": 2},
}
_FURTHER_HEADERS = {
    "CC": {
        "type": "array",
        "items": _TEXT,
        "description": "Further routing keys, one for each further modality of a study: each queue gets one copy.",
    },
    "traceparent": _TEXT | {"description": "That of the message that caused the event (W3C Trace Context)."},
}


def schema_name(event: str) -> str:
    """Under which name an event's schema stands among the components."""
    return f"{event}.v1"


def schemas() -> dict[str, Any]:
    """The schema of every event, and of every shape that they are made of."""
    found: dict[str, Any] = {}
    for name in EVENTS:
        schema = event_schema(name)
        shapes = _relocated(schema["$defs"])
        envelope = shapes.pop(schema["$ref"].removeprefix(_DEFINED))
        found |= shapes | {schema_name(name): {"title": name} | envelope}
    return found


def _relocated(stated: Any) -> Any:
    """The same with every reference leading to the components."""
    if isinstance(stated, list):
        return [_relocated(one) for one in stated]
    if not isinstance(stated, dict):
        return stated
    if "$ref" in stated:  # alone: draft 07 would not look at what stands beside it
        return reference("components", "schemas", stated["$ref"].removeprefix(_DEFINED))
    return {key: _relocated(one) for key, one in stated.items()}


def messages(schemas: dict[str, Any]) -> dict[str, Any]:
    """A message for each event, by the name of the event."""
    return {name: _message(name, schemas[schema_name(name)]["properties"]) for name in EVENTS}


def _message(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    headers = {f"ce-{attribute}": stated for attribute, stated in attributes.items() if attribute != "data"}
    payload: Reference = reference("components", "schemas", schema_name(name))
    return {
        "name": event_type(name),
        "title": name,
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": headers | _FURTHER_HEADERS, "required": list(headers)},
        "payload": payload,
        "bindings": {"amqp": {"messageType": event_type(name), "bindingVersion": "0.3.0"}},
        "traits": [reference("components", "messageTraits", "event")],
    }
