"""JSON Schemas of the events, generated from the classes that are published, and shipped as files for consumers.

`python -m bridge.schema` writes the files; a test holds them to the code. They stay open: `v1` may gain fields.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from bridge.core.events import EVENTS, CloudEvent, event_type, schema_id

FOLDER = Path(__file__).parent / "schemas"


def event_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the event `name`, such as `instance.enriched`."""
    data: Any = EVENTS[name]
    schema = msgspec.json.schema(CloudEvent[data])
    shapes = schema["$defs"]
    for shape in shapes.values():
        _tell_what_is_sent(shape)
    envelope = shapes[schema["$ref"].removeprefix("#/$defs/")]["properties"]
    envelope["specversion"] = {"const": "1.0"}
    envelope["type"] = {"const": event_type(name)}
    envelope["dataschema"] = {"const": schema_id(name)}
    envelope["datacontenttype"] = {"const": "application/json"}
    envelope["source"]["format"] = "uri"
    envelope["time"]["format"] = "date-time"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": schema_id(name), "title": name} | schema


def _tell_what_is_sent(shape: dict[str, Any]) -> None:
    """A default is for our own constructors: every field is sent, and is null where there is nothing to say."""
    shape["description"] = re.sub(r"\s+", " ", shape["description"])
    properties = shape.get("properties")
    if properties is not None:
        shape["required"] = list(properties)
        for stated in properties.values():
            stated.pop("default", None)
            stated.get("anyOf", []).sort(key={"type": "null"}.__eq__)  # last, which msgspec before 0.22 has first


def write(folder: Path) -> None:
    """Every event's schema as a file of its own."""
    folder.mkdir(exist_ok=True)
    for name in EVENTS:
        (folder / file_name(name)).write_text(json.dumps(event_schema(name), indent=2) + "\n")


def file_name(name: str) -> str:
    """Where the schema of an event stands in `bridge/schemas`."""
    return f"{name}.v1.json"


if __name__ == "__main__":
    write(FOLDER)
