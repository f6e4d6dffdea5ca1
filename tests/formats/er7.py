"""Writes HL7 v2 messages segment by segment, and reads what they say."""

from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Filtered, Reading
from bridge.formats.hl7 import parse
from bridge.formats.hl7_messages import read_message


def segment(name: str, **fields: str) -> str:
    """`segment("OBR", f4="CTABD", f18="A1")`: fields by number."""
    numbers = {int(key[1:]): value for key, value in fields.items()}
    return "|".join([name, *(numbers.get(number, "") for number in range(1, max(numbers, default=0) + 1))])


def header(message_type: str = "ORM^O01", sent: str = "20260102083000", version: str = "2.3.1") -> str:
    return rf"MSH|^~\&|RIS^1.2&ISO|MAIN|BRIDGE|MAIN|{sent}||{message_type}|C1|P|{version}||||||UNICODE UTF-8"


def answer(*lines: str, timezone: str = "UTC", limits: Limits = DEFAULT_LIMITS) -> Reading | Filtered:
    """What becomes of a message; it is an ORM^O01 where no MSH is given."""
    body = "\r".join(lines if lines[0].startswith("MSH") else (header(), *lines)).encode()
    return read_message(parse(body, limits=limits), channel="hl7", timezone=timezone, limits=limits)


def read(*lines: str, timezone: str = "UTC", limits: Limits = DEFAULT_LIMITS) -> Reading:
    found = answer(*lines, timezone=timezone, limits=limits)
    assert isinstance(found, Reading)
    return found
