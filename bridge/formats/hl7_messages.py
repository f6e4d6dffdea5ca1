"""HL7 v2 messages to facts: which types are read (HL7 table 0354), and by what. Other types are filtered."""

import re
from collections.abc import Callable, Container, Mapping

from bridge.core.channel import (
    IDENTITY_MESSAGES,
    ORDER_MESSAGES,
    PATIENT_MESSAGES,
    READ_MESSAGES,
    REPORT_MESSAGES,
    SCHEDULING_MESSAGES,
)
from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Filtered, HL7Fact, Reading
from bridge.core.normalisation import Normalisation
from bridge.formats.hl7 import Message, Segment
from bridge.formats.hl7_appointments import read_appointments
from bridge.formats.hl7_orders import read_orders
from bridge.formats.hl7_patients import read_identity_changes, read_patient
from bridge.formats.hl7_reader import Reader
from bridge.formats.hl7_reports import read_reports
from bridge.formats.hl7_values import known, text

_READ: Mapping[str, Callable[[Reader, Limits], tuple[HL7Fact, ...] | Filtered]] = {
    **dict.fromkeys(ORDER_MESSAGES, read_orders),
    **dict.fromkeys(PATIENT_MESSAGES, read_patient),
    **dict.fromkeys(IDENTITY_MESSAGES, read_identity_changes),
    **dict.fromkeys(REPORT_MESSAGES, read_reports),
    **dict.fromkeys(SCHEDULING_MESSAGES, read_appointments),
}
_CODES = frozenset(name[:3] for name in _READ)
_TRIGGERS = {"ORM": "O01", "OMI": "O23", "OMG": "O19", "ORU": "R01"}  # where nothing states a trigger event
_TYPE = re.compile(r"[A-Z0-9]{3}(\^[A-Z0-9]{3})?")


def read_message(
    message: Message,
    *,
    channel: str,
    accepted: Container[str] = READ_MESSAGES,
    timezone: str = "UTC",
    normalisation: Normalisation | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Reading | Filtered:
    """What a message says.

    `accepted` are the channel's message types, such as `ORM^O01`; `timezone` (IANA) is where the sender is, for times
    without an offset in a message whose MSH-7 has none either; `normalisation` says where this sender keeps what.

    Raises Invalid: `hl7-no-message-type`, `hl7-bad-msh`, and what the reader of its type raises.
    """
    message_type = _message_type(message)
    if message_type.startswith("ACK"):
        return Filtered("an acknowledgement")
    if message_type not in accepted:
        return Filtered(f"message type {_printable(message_type)} is not accepted by this channel")
    read = _READ.get(message_type)
    if read is None:
        return Filtered(f"message type {_printable(message_type)} says nothing that is read")
    if message.named("ADD") or any(known(text(segment, 1)) for segment in message.named("DSC")):
        raise Invalid("hl7-continued", "it is a part of a longer message (ADD or DSC): its last value may be cut")
    if message.odd_delimiters:
        raise Invalid(
            "hl7-bad-msh", "MSH-1 and MSH-2 are not two to six distinct punctuation marks: they may cut values"
        )
    reader = Reader(message, message_type, channel, timezone, normalisation)
    facts = read(reader, limits)
    if isinstance(facts, Filtered):
        return facts
    patient = max((_stored_size(segment) for segment in message.named("PID")), default=0)
    if patient * len(facts) > limits.max_inflated_size:  # each fact is stored with its patient
        raise limits.exceeded("max_inflated_size")
    return Reading(facts, tuple(dict.fromkeys(reader.warnings)))


def _message_type(message: Message) -> str:
    header = message.segments[0]
    code = (known(text(header, 9)) or "").upper()
    if not code:
        raise Invalid("hl7-no-message-type", "MSH-9 is empty")
    event = next(iter(message.named("EVN")), None)
    trigger = (known(text(header, 9, 2)) or known(text(event, 1)) or _TRIGGERS.get(code) or "").upper()
    message_type = f"{code}^{trigger}" if trigger else code
    meant = any(one in code for one in _CODES)
    if meant and not trigger:
        raise Invalid("hl7-no-message-type", "MSH-9 has no trigger event, and there is no EVN-1")
    if meant and not _TYPE.fullmatch(message_type):
        raise Invalid("hl7-no-message-type", "MSH-9 is malformed")
    return message_type


def _printable(message_type: str) -> str:
    return message_type if _TYPE.fullmatch(message_type) else "in MSH-9, which is malformed,"


def _stored_size(patient: Segment) -> int:
    """About how many bytes a patient takes when stored: the text, and each identifier's own frame."""
    return sum(map(len, patient.fields)) + 100 * len(patient.repetitions(3))
