"""Which message led to an entry of a study's history, as its sender would recognise it."""

import zlib
from collections.abc import Iterable

from bridge.core.channel import DataType
from bridge.core.errors import Invalid
from bridge.formats import hl7, hl7_xml
from bridge.formats.reading import Form, form_of
from bridge.store.rows import HistoryEntry, StoredMessage
from bridge.store.transaction import Transaction


def named(db: Transaction, history: Iterable[HistoryEntry]) -> dict[str, str]:
    """By the message's id: `ORM^O01 C1005`, type and control id, of an HL7 message; `object` of anything else."""
    messages = db.messages({entry.message for entry in history if not entry.user})
    return {message.id: _type_and_control_id(message) or "object" for message in messages.values()}


def _type_and_control_id(message: StoredMessage) -> str | None:
    if not message.body:
        return None
    body = zlib.decompress(message.body)
    try:
        if form_of(body, DataType.HL7V2) is Form.HL7_XML:
            body = hl7_xml.er7(body, None).text.encode()
        header = hl7.parse(body)
    except Invalid:  # it was read by a channel that declares another character set
        return "HL7 message"
    stated = (header.value("MSH-9.1"), header.value("MSH-9.2"))
    return " ".join(["^".join(part for part in stated if part), header.value("MSH-10") or ""]).strip()
