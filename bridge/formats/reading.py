"""Which format a message is in, and what it says: the one door from bytes to facts (DESIGN 3.3)."""

from email.message import Message

from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Invalid
from bridge.core.model import Filtered, Instance, OrderMessage
from bridge.core.ports import Inbound
from bridge.formats import hl7_charsets
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.hl7_messages import read_orders

Fact = OrderMessage | Instance | Filtered

_ER7 = frozenset({"application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7", "text/plain"})
_PART10 = frozenset({"application/dicom"})
_UNTYPED = frozenset({"application/octet-stream", ""})
_TYPES = {DataType.HL7V2: _ER7 | _UNTYPED, DataType.DICOM: _PART10 | _UNTYPED}


def mistakes(channel: Channel) -> list[str]:
    """What a channel names that its format does not know, one line each."""
    found = []
    if hl7_charsets.codec(channel.source.charset) is None:
        found.append(f"{channel.name}: source.charset: write the name of a character set, such as ISO-8859-1")
    for name in channel.destination.attributes:
        try:
            attribute_tag(name)
        except ConfigError as error:
            found.append(f"{channel.name}: destinations.attributes: {error}")
    return found


def read(inbound: Inbound, channel: Channel) -> Fact:
    """What a message says.

    Raises:
        Invalid: it cannot be read; code and reason say why, and hold no value of it.
    """
    content_type, charset = _content_type(inbound.content_type)
    if content_type not in _TYPES[channel.source.data_type]:
        raise Invalid("unsupported-content-type", f"channel {channel.name} does not read this content_type")
    if inbound.content_encoding and not _is_charset(inbound.content_encoding):
        raise Invalid("unsupported-content-encoding", f"channel {channel.name} does not read this content_encoding")
    if not inbound.body:
        raise Invalid("empty", "the body has no bytes")
    if channel.source.data_type is DataType.DICOM:
        return read_instance(inbound.body, attributes=channel.destination.attributes)
    return read_orders(
        inbound.body,
        channel=channel.name,
        charset=channel.source.charset,
        stated_charset=charset,
        accepted=channel.message_types,
        timezone=channel.source.timezone,
    )


def _content_type(stated: str | None) -> tuple[str, str | None]:
    """The media type in lower case, and its charset parameter where that names a known one."""
    header = Message()
    header["content-type"] = stated or ""
    charset = header.get_param("charset")
    media_type = (stated or "").partition(";")[0].strip().lower()
    return media_type, charset if isinstance(charset, str) and _is_charset(charset) else None


def _is_charset(name: str) -> bool:
    """Engines put the name of a character set into content_encoding; it says nothing about the bytes' encoding."""
    try:
        "".encode(name)
    except LookupError:
        return False
    return True
