"""What the bridge takes, and what it gives back as dead letters: a message for each content type, with its headers."""

import re
from typing import Any

from bridge.asyncapi.pointers import reference
from bridge.core.channel import DataType
from bridge.formats.reading import CONTENT_TYPES, Form
from bridge.formats.references import CONTENT_TYPE as REFERENCE

_TEXT = {"type": "string"}
_OPTIONAL_TEXT = _TEXT | {"description": "Kept in the events that the message leads to."}

PROPERTIES = {  # of AMQP, which AsyncAPI's bindings have no place for
    "content_type": _TEXT
    | {"description": "Compared without case and parameters; the parameter charset holds before what the body states."},
    "content_encoding": _TEXT
    | {"description": "None, gzip, base64, or several of them, undone from the last to the first."},
    "message_id": _OPTIONAL_TEXT,
    "correlation_id": _OPTIONAL_TEXT,
}
HEADERS = {
    "calling-aet": _TEXT | {"description": "The AE title or sender that a channel's rules may ask for."},
    "traceparent": _TEXT | {"description": "Passed on in the events (W3C Trace Context)."},
}
DEAD_HEADERS = {
    "bridge-error": _TEXT | {"description": "The code of what is wrong; stable."},
    "bridge-reason": _TEXT | {"description": "What is wrong, for people; names a place and never holds a value."},
    "bridge-channel": _TEXT | {"description": "The channel that received the message."},
    "bridge-message": _TEXT | {"description": "The bridge's id of the message."},
    "bridge-rejected-at": _TEXT | {"format": "date-time", "description": "When it was rejected."},
}

_PAYLOADS: dict[Form | None, dict[str, Any]] = {
    Form.ER7: _TEXT | {"description": "HL7 v2 in ER7; lines end in CR, LF or CRLF, with or without MLLP framing."},
    Form.HL7_XML: _TEXT | {"description": "HL7 v2.xml, or Mirth's XML serialisation of HL7 v2."},
    Form.PART10: _TEXT | {"format": "binary", "description": "A DICOM Part 10 file, or a data set without preamble."},
    Form.DICOM_JSON: {
        "type": ["object", "array"],
        "description": "DICOM JSON Model (PS3.18 F): an object, or several.",
    },
    Form.DICOM_XML: _TEXT | {"description": "Native DICOM Model (PS3.19), or Mirth's XML serialisation of a data set."},
    None: _TEXT | {"format": "binary", "description": "Any form of this data type: its first bytes show which."},
}
_REFERENCE_PAYLOAD = {
    "type": "object",
    "properties": {
        "uri": _TEXT | {"format": "uri", "description": "file:///folder/file, in a folder of the settings."}
    },
    "required": ["uri"],
    "description": "A file that holds the message.",
}


def message_name(data_type: DataType, content_type: str) -> str:
    """Under which name a content type's message stands among the components; the empty one is that of no type."""
    return f"{data_type}.{re.sub(r'[^A-Za-z0-9_-]', '.', content_type) or 'untyped'}"


def messages() -> dict[str, Any]:
    """A message for each content type that is read of each data type."""
    return {
        message_name(data_type, content_type): _message(data_type, content_type, form)
        for data_type, forms in CONTENT_TYPES.items()
        for content_type, form in forms.items()
    }


def _message(data_type: DataType, content_type: str, form: Form | None) -> dict[str, Any]:
    stated = {"contentType": content_type} if content_type else {}
    return stated | {
        "name": message_name(data_type, content_type),
        "title": f"{data_type}, {content_type or 'without a content type'}",
        "headers": {"type": "object", "properties": HEADERS},
        "payload": _REFERENCE_PAYLOAD if content_type == REFERENCE else _PAYLOADS[form],
        "traits": [reference("components", "messageTraits", "input")],
    }


def dead_letter() -> dict[str, Any]:
    """A message that could not be read."""
    return {
        "name": "dead-letter",
        "title": "A message that cannot be read",
        "description": "The message as it came, with its own properties and headers, and those that say what is wrong.",
        "headers": {"type": "object", "properties": HEADERS | DEAD_HEADERS, "required": list(DEAD_HEADERS)},
        "payload": {"description": "The body as it came."},
    }
