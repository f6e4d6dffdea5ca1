"""JSON Schemas of the events, generated from the classes that are published, and shipped as files for consumers."""

from pathlib import Path
from typing import Any

import msgspec

from bridge.core.events import EVENTS, CloudEvent, schema_id

FOLDER = Path(__file__).parent / "schemas"


def event_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the event `name`, such as `instance.enriched`."""
    data: Any = EVENTS[name]
    schema = msgspec.json.schema(CloudEvent[data])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": schema_id(name), "title": name} | schema
