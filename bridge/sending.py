"""Files to publications as a channel would make them, and events to lines for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from bridge.amqp import Publication, properties
from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Invalid
from bridge.core.events import event_name
from bridge.formats import hl7
from bridge.formats.dicom import read_instance
from bridge.formats.files import file_type
from bridge.formats.selection import Selection


def publication(file: Path, channels: Sequence[Channel], data_type: DataType | None) -> Publication:
    """A file, addressed to the first channel of its data type.

    Raises:
        ConfigError: the file cannot be opened, or no channel takes such data.
    """
    try:
        body = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    kind = file_type(file.name, body, data_type).data_type
    channel = next((channel for channel in channels if channel.source.data_type is kind), None)
    if channel is None:
        raise ConfigError(f"{file}: no channel takes {kind}")
    return addressed(body, kind, channel.source.exchange)


def addressed(body: bytes, kind: DataType, exchange: str) -> Publication:
    """A body with the routing key and properties that an engine gives it."""
    message_id = str(uuid4())
    key = f"hl7.{_message_type(body)}" if kind is DataType.HL7V2 else f"dicom.{_modality(body)}"
    _, content_type, content_encoding = file_type("", body, kind)
    stated = properties(content_type=content_type, content_encoding=content_encoding, message_id=message_id)
    return Publication(exchange, key, body, stated, key=message_id)


def _message_type(body: bytes) -> str:
    try:
        message = hl7.parse(body)
    except Invalid:
        return "unknown"
    parts = (message.value("MSH-9.1"), message.value("MSH-9.2"))
    return ".".join(part for part in parts if part and part.isalnum()) or "unknown"


def _modality(body: bytes) -> str:
    try:
        modality = read_instance(body, attributes=Selection(frozenset())).statement.modality
    except Invalid:
        modality = None
    return modality if modality and modality.isalnum() else "unknown"


def one_line(body: bytes) -> str:
    """An event in one line: type, subject, verdict, what decided, orders."""
    event = json.loads(body)
    name = event_name(event["type"])
    data = event["data"]
    if "correlation" not in data:
        return f"{name}  {data['channel']}  {data['code']}"
    decided = data["correlation"]
    number = data.get("instance", {}).get("instanceNumber")
    shown = f"  instance number {number['value']} {number['status']}" if number else ""
    why = decided["rule"] or decided["reason"]
    return f"{name}  {event['subject']}{shown}  {why}  {' '.join(order_name(order) for order in data['orders']) or '-'}"


def order_name(order: dict[str, dict[str, str]]) -> str:
    """The number by which people know an order."""
    for number in ("fillerOrderNumber", "placerOrderNumber", "accessionNumber"):
        if order.get(number):
            return order[number]["value"]
    return str(order["id"])
