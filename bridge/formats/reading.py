"""Which format a message is in, and what it says: the one door from bytes to facts (DESIGN 3.3).

First a message is taken out of its envelope (`contents`), then read (`read`): one that came in a batch stands or falls
alone.
"""

from collections.abc import Callable, Iterator, Mapping
from email.message import Message as Header
from enum import StrEnum
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from bridge.core.channel import READ_MESSAGES, Change, Channel, DataType
from bridge.core.errors import Invalid, Mistake
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Fact, Filtered, Instance, Reading, Request
from bridge.core.normalisation import Normalisation, names_nobody, normalised, sender_of
from bridge.core.ports import Inbound
from bridge.core.struct import Value
from bridge.formats import (
    dicom_json,
    dicom_xml,
    filters,
    hl7,
    hl7_batches,
    hl7_charsets,
    hl7_xml,
    places,
    references,
    selection,
)
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_writing import Part10
from bridge.formats.encodings import decoded, from_base64, is_charset, looks_like_base64
from bridge.formats.hl7_messages import read_message
from bridge.formats.selection import Selection


class Form(StrEnum):
    """How a message is written, called by its media type."""

    ER7 = "application/hl7-v2+er7"
    HL7_XML = "application/hl7-v2+xml"
    PART10 = "application/dicom"
    DICOM_JSON = "application/dicom+json"
    DICOM_XML = "application/dicom+xml"


_XML = ("application/xml", "text/xml")
_FORMS = {
    DataType.HL7V2: {
        **dict.fromkeys(("application/hl7-v2", "application/hl7-v2+er7", "x-application/hl7-v2+er7"), Form.ER7),
        **dict.fromkeys(("application/hl7-v2+xml", "application/hl7v2+xml", *_XML), Form.HL7_XML),
    },
    DataType.DICOM: {
        "application/dicom": Form.PART10,
        **dict.fromkeys(("application/dicom+json", "application/json"), Form.DICOM_JSON),
        **dict.fromkeys(("application/dicom+xml", "application/dicom+mirth-xml", *_XML), Form.DICOM_XML),
    },
}
_UNTYPED = {
    DataType.HL7V2: ("", "application/octet-stream", "text/plain"),
    DataType.DICOM: ("", "application/octet-stream"),
}
# Every media type that is read, in lower case, and the form that it states; None where the body shows it.
CONTENT_TYPES: dict[DataType, dict[str, Form | None]] = {
    data_type: {**forms, **dict.fromkeys((*_UNTYPED[data_type], references.CONTENT_TYPE))}
    for data_type, forms in _FORMS.items()
}
_SEEN = {  # what the first character says
    DataType.HL7V2: {b"<": Form.HL7_XML, b"M": Form.ER7, b"\x0b": Form.ER7},
    DataType.DICOM: {b"<": Form.DICOM_XML, b"{": Form.DICOM_JSON, b"[": Form.DICOM_JSON},
}
PLAIN = {DataType.HL7V2: Form.ER7, DataType.DICOM: Form.PART10}  # what is read where nothing says what it is
_LOOKED_AT = 4096  # bytes, in which something else than padding has to come


class Content(Value):
    """One message out of its envelope.

    `message` is how a sender would have sent it alone: the `Inbound` itself unless that was a batch. `body` is what it
    says, in `form`, without content encoding; `whole` is false for the beginning of a file that is larger than what is
    read.
    """

    message: Inbound
    body: bytes
    form: Form
    charset: str | None = None  # which the transport states for it
    likely_charset: str | None = None  # named where an encoding should be: it holds before the channel's
    warnings: tuple[str, ...] = ()
    whole: bool = True


def mistakes(channel: Channel) -> Iterator[Mistake]:
    """What a channel names that its format does not know."""
    if hl7_charsets.codec(channel.source.charset) is None:
        yield ("source", "charset"), "write the name of a character set, such as ISO-8859-1"
    for name in channel.message_types:
        if name not in READ_MESSAGES:
            yield ("filter", "message_types"), f"{name} is not read; docs/conformance.md lists what is"
    for number, destination in enumerate(channel.destinations):
        for name in destination.attributes:
            if said := selection.mistake(name):
                yield ("destinations", number, "attributes"), said
    yield from filters.mistakes(channel)
    yield from places.mistakes(channel)


def contents(inbound: Inbound, data_type: DataType, limits: Limits = DEFAULT_LIMITS) -> list[Content]:
    """The messages that an `Inbound` holds, in their sequence: one, or those of a batch or an array, of which none may
    be left.

    Raises:
        Invalid: its envelope cannot be opened; code and reason say why.
    """
    media_type, charset = _content_type(inbound.content_type)
    forms = CONTENT_TYPES[data_type]
    if media_type not in forms:
        raise Invalid("unsupported-content-type", f"no {data_type} is read from this content_type")
    if len(inbound.body) > limits.max_message_size:
        raise limits.exceeded("max_message_size")
    body, whole = decoded(inbound.body, inbound.content_encoding, limits), True
    if media_type == references.CONTENT_TYPE:
        body, whole = references.referred(body, limits)
        if not whole and data_type is DataType.HL7V2:  # of an object the header is enough
            raise limits.exceeded("max_message_size")
    if not body:
        raise Invalid("empty", "the body has no bytes")
    if body.startswith(b"${") and len(body) < 256:
        raise Invalid("unresolved-token", "the body is a ${…} token: the engine did not put the content in its place")
    stated = forms.get(media_type)
    warnings: tuple[str, ...] = ()
    if stated in (None, PLAIN[data_type]) and _is_bare_base64(body, data_type):
        body = from_base64(body)
        warnings = ("base64 without content_encoding: decoded",)
    form = form_of(body, data_type) or stated or PLAIN[data_type]
    if stated not in (None, form):
        warnings += (f"content_type: the body is {form}, not what is stated; read as that",)
    named = inbound.content_encoding if hl7_charsets.codec(inbound.content_encoding or "") else None
    content = Content(inbound, body, form, charset, named, warnings, whole)
    match form:
        case Form.ER7:
            batch = hl7_batches.split(body, limits)
            return _parts(content, batch.messages, tuple(batch.warnings))
        case Form.DICOM_JSON:
            objects = dicom_json.objects(body, charset, limits)  # in UTF-8, whatever the array was in
            return _parts(replace(content, charset=None), objects, ())
    return [content]


def read(content: Content, channel: Channel, limits: Limits = DEFAULT_LIMITS) -> Reading | Filtered:
    """What a message says, its identifiers as the channel's rules for values make them.

    Raises:
        Invalid: it cannot be read; code and reason say why, and hold no value of it.
    """
    said, headers = _READERS[content.form](content, channel, limits), content.message.headers
    if channel.normalisation and isinstance(said, Reading):
        said = _normalised(said, channel.normalisation, headers)
    if channel.change and isinstance(said, Reading):
        said = _changed(said, channel.change, headers)
    if (channel.strict_issuers or channel.no_keys) and isinstance(said, Reading):
        said = replace(said, facts=tuple(_as_compared(fact, channel) for fact in said.facts))
    return said


def read_or_refused(
    content: Content, channel: Channel, limits: Limits = DEFAULT_LIMITS
) -> Reading | Filtered | Invalid:
    """What a message says, or why it cannot be read."""
    try:
        return read(content, channel, limits)
    except Invalid as error:
        return error


def _parts(content: Content, bodies: list[bytes], warnings: tuple[str, ...]) -> list[Content]:
    """The content itself where it is one message, else each as a message of its own; `warnings` go to the first."""
    if bodies == [content.body]:
        return [replace(content, warnings=(*content.warnings, *warnings))]
    content_type = content.form + (f"; charset={content.charset}" if content.charset else "")
    outer = content.message
    return [
        Content(
            message=replace(
                outer,
                body=body,
                content_type=content_type,
                content_encoding=content.likely_charset,
                message_id=f"{outer.message_id}#{number + 1}" if outer.message_id else None,
                correlation_id=outer.correlation_id or outer.message_id,
            ),
            body=body,
            form=content.form,
            charset=content.charset,
            likely_charset=content.likely_charset,
            warnings=(*content.warnings, *warnings) if number == 0 else (),
        )
        for number, body in enumerate(bodies)
    ]


def hl7_message(content: Content, channel: Channel, limits: Limits = DEFAULT_LIMITS) -> hl7.Message:
    """The fields of an HL7 message in either form. Raises Invalid as `read`."""
    if content.form is Form.ER7:
        return hl7.parse(content.body, content.likely_charset or channel.source.charset, content.charset, limits)
    er7 = hl7_xml.er7(content.body, content.charset, limits)
    message = hl7.parse(er7.text.encode(), "UTF-8", "UTF-8", limits)
    message.warnings = (*er7.warnings, *message.warnings)
    return message


def _normalised(said: Reading, rules: Normalisation, headers: Mapping[str, str]) -> Reading | Filtered:
    """What remains of a message; a patient, merge or link of whose identifiers none does is not read."""
    facts = [normalised(fact, rules, headers) for fact in said.facts]
    kept = tuple(fact for fact in facts if not names_nobody(fact))
    if facts and not kept:
        return Filtered("by the channel's rules no identifier of its patient is a value")
    if len(kept) == len(facts):
        return Reading(kept, said.warnings)
    return Reading(kept, (*said.warnings, "by the channel's rules no identifier of a patient is a value: not read"))


def _changed(said: Reading, change: Change, headers: Mapping[str, str]) -> Reading | Filtered:
    """What the site's own Python makes of it. What is wrong with that fails the message; no value of it is told."""
    kept: list[Fact] = []
    for fact in said.facts:
        try:
            now = change(fact, headers)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            raise Invalid("python-hook", f"transformer.python failed on it ({type(error).__name__})") from None
        if now is not None and type(now) is not type(fact):
            raise Invalid("python-hook", f"transformer.python returned {type(now).__name__} for {type(fact).__name__}")
        kept += [now] if now is not None else []
    if said.facts and not kept:
        return Filtered("left out by transformer.python")
    return Reading(tuple(kept), said.warnings)


def _as_compared(fact: Fact, channel: Channel) -> Fact:
    """An object as it is compared: a number that is no key is not stated, and strict issuers are."""
    if not isinstance(fact, Instance):
        return fact
    none = dict.fromkeys(rule.replace("-", "_") for rule in channel.no_keys)
    said = fact.statement
    said = replace(
        said,
        accession_number=none.get("accession_number", said.accession_number),
        requests=tuple(one for item in said.requests if (one := replace(item, **none)) != Request()),
        strict_issuers=True if channel.strict_issuers else UNSET,
    )
    return replace(fact, statement=said)


def _read_hl7(content: Content, channel: Channel, limits: Limits) -> Reading | Filtered:
    message = hl7_message(content, channel, limits)
    return filters.refused(channel, content.message.headers, message.values) or read_message(
        message,
        channel=channel.name,
        accepted=channel.message_types,
        timezone=channel.source.timezone,
        normalisation=channel.normalisation,
        limits=limits,
    )


def _read_part10(content: Content, channel: Channel, limits: Limits) -> Reading | Filtered:
    try:
        instance = read_instance(content.body, attributes=_attributes(channel), limits=limits, whole=content.whole)
    except Invalid as error:
        if error.code == "dicom-truncated" and not content.whole:
            raise limits.exceeded("max_message_size") from None
        raise
    return _accepted(content, channel, instance)


def _read_dicom_json(content: Content, channel: Channel, limits: Limits) -> Reading | Filtered:
    return _read_written(content, dicom_json.part10(content.body, limits), channel, limits)


def _read_dicom_xml(content: Content, channel: Channel, limits: Limits) -> Reading | Filtered:
    return _read_written(content, dicom_xml.part10(content.body, content.charset, limits), channel, limits)


def _read_written(content: Content, written: Part10, channel: Channel, limits: Limits) -> Reading | Filtered:
    """An object in another serialisation, read as the Part 10 file that says the same."""
    instance = read_instance(written.body, attributes=_attributes(channel), limits=limits)
    instance = replace(instance, transfer_syntax_uid=written.transfer_syntax_uid)
    return _accepted(content, channel, instance, written.warnings)


def _accepted(content: Content, channel: Channel, read: Instance, warnings: tuple[str, ...] = ()) -> Reading | Filtered:
    headers = content.message.headers
    if refused := filters.refused(channel, headers, partial(filters.values_of, read)):
        return refused
    instance = read
    if rules := channel.normalisation:
        instance = places.kept(read, rules.rules_for(sender_of(read, headers)).places)
    if (kept := selection.kept(channel.destinations)) != _attributes(channel):
        instance = replace(instance, dicom=selection.only(instance.dicom, kept))
    return Reading((instance,), (*warnings, *instance.warnings))


def _attributes(channel: Channel) -> Selection:
    """What has to be read of an object: for its events, for the filter, and where its sender keeps numbers."""
    asked = (*filters.asked(channel), *places.asked(channel))
    return selection.kept(channel.destinations) | selection.selection(*asked)


_READERS: dict[Form, Callable[[Content, Channel, Limits], Reading | Filtered]] = {
    Form.ER7: _read_hl7,
    Form.HL7_XML: _read_hl7,
    Form.PART10: _read_part10,
    Form.DICOM_JSON: _read_dicom_json,
    Form.DICOM_XML: _read_dicom_xml,
}


def _content_type(stated: str | None) -> tuple[str, str | None]:
    """The media type in lower case, and its charset parameter where that names a known one."""
    header = Header()
    header["content-type"] = stated or ""
    charset = header.get_param("charset")
    media_type = (stated or "").partition(";")[0].strip().lower()
    return media_type, charset if isinstance(charset, str) and is_charset(charset) else None


def form_of(body: bytes, data_type: DataType) -> Form | None:
    """What a body is by its beginning, None where that does not tell."""
    if data_type is DataType.DICOM and body[128:132] == b"DICM":
        return Form.PART10
    return _SEEN[data_type].get(body[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n")[:1])


def _is_bare_base64(body: bytes, data_type: DataType) -> bool:
    """Whether an engine's author published the engine's own base64 text as it is."""
    if data_type is DataType.HL7V2:
        return body[:4] in (b"TVNI", b"C01T", b"RkhT", b"QkhT") and looks_like_base64(body)  # MSH, VT MS, FHS, BHS
    return body[:1].isalnum() and body[128:132] != b"DICM" and looks_like_base64(body)
