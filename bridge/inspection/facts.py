"""Reads the messages of a file as a channel does, and says in JSON what was understood; decides and stores nothing."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import fields, replace

from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Invalid
from bridge.core.facts import NAMES
from bridge.core.limits import Limits
from bridge.core.model import Fact, Filtered, Identifier, Instance, Reading, RejectionNote, Stated
from bridge.core.ports import Inbound
from bridge.core.redaction import redacted
from bridge.core.struct import Value, json_name
from bridge.formats import dicom_names, hl7, hl7_names
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.dicom_values import text
from bridge.formats.files import FileType, file_type
from bridge.formats.reading import Content, Form, contents, hl7_message, read_or_refused

# The patient of an `OrderUpdate` or `PatientUpdate`, shown as those of the other facts and of the events.
_OF_PATIENT = {
    "patientIdentifiers": "patient.identifiers",
    "patientNames": "patient.names",
    "birthDate": "patient.birthDate",
    "sex": "patient.sex",
}
_PATH = re.compile(r"(\w{3})(?:\[[0-9]+\])?-([0-9]+)")  # an HL7 path, and no DICOM tag
_SPECIFIC_CHARACTER_SET = 0x00080005
_UIDS = {  # which an `Instance` has without their places
    "sop_instance_uid": "00080018",
    "study_instance_uid": "0020000D",
    "series_instance_uid": "0020000E",
}

# Whose value no person is known by, as `bridge explain --redact` has it too.
_OF_NOBODY = {
    "modality",
    "requestedProcedureID",
    "scheduledProcedureStepID",
    "seriesInstanceUID",
    "sopInstanceUID",
    "studyInstanceUID",
    "studyInstanceUIDs",
}


class SegmentSeen(Value):
    """One segment of an HL7 message; `name` is the standard's, `fields` the number of its last field."""

    segment: str
    occurrence: int
    name: str | None
    fields: int


class Inspected(Value):
    """One message of a file, and what became of it as `bridge check` names it: TRANSFORMED, FILTERED or ERROR.

    `number` counts from 1 in the file, `size` is the message's own in bytes. `facts` are JSON objects: what was read,
    named as in the events, with `identifiers`, the list of every value whose place is known.
    """

    file: str
    number: int
    channel: str
    data_type: DataType
    content_type: str
    size: int
    outcome: str
    code: str | None = None
    reason: str | None = None
    charset: str | None = None
    message_type: str | None = None
    version: str | None = None
    message_control_id: str | None = None
    warnings: tuple[str, ...] = ()
    facts: tuple[dict[str, Any], ...] = ()
    segments: tuple[SegmentSeen, ...] = ()


def inspect(file: Path, channels: Sequence[Channel], data_type: DataType | None, limits: Limits) -> list[Inspected]:
    """Each message of a file (`-` for the standard input), read as the first channel of its data type reads it.

    A message that cannot be read is an ERROR with its code, and fails alone.

    Raises:
        ConfigError: the file cannot be opened, or no channel takes such data.
    """
    try:
        with nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb") as opened:
            body = opened.read(limits.max_message_size + 1)  # one more is over the bound
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    kind = file_type(file.name, body, data_type)
    channel = next((channel for channel in channels if channel.source.data_type is kind.data_type), None)
    if channel is None:
        raise ConfigError(f"{file}: no channel takes {kind.data_type}")
    return _held(str(file), body, kind, channel, channel.source.within(limits))


def _held(file: str, body: bytes, kind: FileType, channel: Channel, limits: Limits) -> list[Inspected]:
    inbound = Inbound(channel.name, body, content_type=kind.content_type, content_encoding=kind.content_encoding)
    unread = Inspected(file, 1, channel.name, kind.data_type, kind.content_type, len(body), "FILTERED")
    try:
        held = contents(inbound, kind.data_type, limits)
    except Invalid as error:
        return [_concluded(unread, error)]
    if not held:
        return [_concluded(unread, Filtered("a batch or an array that holds nothing"))]
    return [_inspected(replace(unread, number=i), content, channel, limits) for i, content in enumerate(held, start=1)]


def _inspected(unread: Inspected, content: Content, channel: Channel, limits: Limits) -> Inspected:
    seen = replace(unread, content_type=content.form, size=len(content.body), warnings=content.warnings)
    with suppress(Invalid):  # which is said below
        seen = replace(seen, **_outside(content, channel, limits))
    return _concluded(seen, read_or_refused(content, channel, limits))


def _concluded(seen: Inspected, said: Reading | Filtered | Invalid) -> Inspected:
    match said:
        case Invalid():
            return replace(seen, outcome="ERROR", code=said.code, reason=said.reason)
        case Filtered():
            return replace(seen, outcome="FILTERED", reason=said.reason)
        case Reading():
            facts = tuple(_fact(fact, seen.version) for fact in said.facts)
            return replace(seen, outcome="TRANSFORMED", warnings=(*seen.warnings, *said.warnings), facts=facts)


def _outside(content: Content, channel: Channel, limits: Limits) -> dict[str, Any]:
    """What is known of a message beside its facts: character set, and of HL7 its header and segments."""
    match content.form:
        case Form.ER7 | Form.HL7_XML:
            return _of_hl7(hl7_message(content, channel, limits))
        case Form.PART10:
            _, header = read_part10(content.body, limits)
            return {"charset": text(header, _SPECIFIC_CHARACTER_SET)}
    return {}


def _of_hl7(message: hl7.Message) -> dict[str, Any]:
    version = message.value("MSH-12")
    return {
        "charset": message.codec,
        "message_type": "^".join(part for part in (message.value("MSH-9.1"), message.value("MSH-9.2")) if part) or None,
        "version": version,
        "message_control_id": message.value("MSH-10"),
        "segments": tuple(
            SegmentSeen(one.name, one.occurrence, hl7_names.segment_name(one.name), len(one.fields) - 1)
            for one in message.segments
        ),
    }


# Facts to JSON


def _fact(fact: Fact, version: str | None) -> dict[str, Any]:
    shown = {"fact": NAMES.get(type(fact), "instance"), **_json(fact)}
    stated = list(_stated(fact))
    if isinstance(fact, Instance):
        shown |= shown.pop("statement")
        shown["dicom"] = shown.pop("dicom")  # it is long, and stands last
        del shown["warnings"]  # the message's
    may_be_deleted = [field.name for field in fields(fact) if field.default is UNSET]
    if may_be_deleted:
        deleted = [_name(name) for name in may_be_deleted if getattr(fact, name) in (None, ())]
        shown["deleted"] = [_OF_PATIENT.get(name, name) for name in deleted]
        shown["patient"] = {place.rpartition(".")[2]: shown.pop(name) for name, place in _OF_PATIENT.items()}
        stated = [(_OF_PATIENT.get(name, name), one) for name, one in stated]
    return {**shown, "identifiers": [_placed(name, one, version) for name, one in stated]}


def _json(value: Any) -> Any:
    """A value as in the events: absent is null, a place is left out."""
    match value:
        case Stated():
            return value.value
        case Identifier():
            return {"value": value.value, "issuer": msgspec.to_builtins(value.issuer), "typeCode": value.type_code}
        case Value():
            return {_name(name): _json(getattr(value, name)) for name in value.__struct_fields__}
        case tuple():
            return [_json(one) for one in value]
        case msgspec.UnsetType():
            return None
    return value


def _name(field: str) -> str:
    return "studyInstanceUIDs" if field == "study_instance_uids" else json_name(field)


def _stated(value: Any, name: str = "") -> Iterator[tuple[str, Identifier | Stated]]:
    """Every value whose place is known, with where it stands in the JSON: `requests.accessionNumber`."""
    match value:
        case Identifier() | Stated():
            yield name, value
        case RejectionNote():
            return  # what it names are other objects
        case tuple():
            for one in value:
                yield from _stated(one, name)
        case Value():
            for field in value.__struct_fields__:
                inner = getattr(value, field)
                if field in _UIDS and isinstance(inner, str):
                    inner = Stated(inner, _UIDS[field])
                outer = f"{name}." if name else ""
                yield from _stated(inner, "" if field == "statement" else outer + _name(field))


def _placed(field: str, stated: Identifier | Stated, version: str | None) -> dict[str, Any]:
    """One value with its place, and what the standard calls that place."""
    where = stated.where
    if path := _PATH.match(where):
        place = {"path": where, "name": hl7_names.field_name(path[1], int(path[2]), version)}
    else:
        place = {"tag": where, "name": dicom_names.attribute_name(where)}
    said = _json(stated if isinstance(stated, Identifier) else Identifier(stated.value, where))
    return {"field": field, **place, **said}


def as_json(messages: Sequence[Inspected]) -> list[dict[str, Any]]:
    """An entry for each message."""
    return [msgspec.to_builtins(one) for one in messages]


def hidden(messages: Sequence[Inspected]) -> list[Inspected]:
    """The same without patient data."""
    return [replace(one, facts=tuple(_hidden(fact) for fact in one.facts)) for one in messages]


def _hidden(fact: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = redacted(fact)
    for one, known in zip(shown["identifiers"], fact["identifiers"], strict=True):
        if one["field"].rpartition(".")[2] in _OF_NOBODY:
            one["value"] = known["value"]
    return shown
