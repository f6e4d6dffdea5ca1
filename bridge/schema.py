"""JSON Schemas of the events and of channel files, generated from the classes, and shipped as files.

`python -m bridge.schema` writes the files; a test holds them to the code. Those of events stay open: `v1` may gain
fields.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from bridge.config import channel_file_schema
from bridge.core.events import EVENTS, CloudEvent, event_type, schema_id

FOLDER = Path(__file__).parent / "schemas"
CHANNEL_SCHEMA = ".schema/channel.schema.json"  # beside channel files, whose first line names it for editors
_BY_NAME = ("properties", "$defs")  # the parts of a schema that hold schemas by name


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


def channel_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7, which editors of TOML know) of a channel file."""
    tidied: dict[str, Any] = _as_toml(channel_file_schema())
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "channel"} | tidied


def _as_toml(stated: Any) -> Any:
    """An absent key where Python has None; without titles, which repeat the keys, and defaults of whole tables."""
    if isinstance(stated, list):
        return [_as_toml(one) for one in stated]
    if not isinstance(stated, dict):
        return stated
    kept = {key: _as_toml(one) for key, one in stated.items() if key not in ("title", *_BY_NAME)}
    kept |= {key: {name: _as_toml(one) for name, one in stated[key].items()} for key in _BY_NAME if key in stated}
    if not isinstance(kept.get("default"), str | int | bool):
        kept.pop("default", None)
    [option] = [one for one in kept.pop("anyOf", [{}]) if one != {"type": "null"}]
    return kept | option


def write(folder: Path) -> None:
    """Every event's schema as a file of its own."""
    folder.mkdir(exist_ok=True)
    for name in EVENTS:
        (folder / file_name(name)).write_text(_text(event_schema(name)))


def write_channel_schema(channels: Path) -> None:
    """The schema of channel files, for a folder of channels."""
    file = channels / CHANNEL_SCHEMA
    file.parent.mkdir(exist_ok=True)
    file.write_text(_text(channel_schema()))


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def file_name(name: str) -> str:
    """Where the schema of an event stands in `bridge/schemas`."""
    return f"{name}.v1.json"


if __name__ == "__main__":
    write(FOLDER)
    write_channel_schema(FOLDER.parents[1] / "channels")
