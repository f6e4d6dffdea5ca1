"""Channel files: one TOML file is one channel; every mistake in every file is reported at once with its place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from bridge.config.python_hooks import change
from bridge.config.stated import Duration, mistakes, toml
from bridge.core.channel import (
    DEFAULT_ATTRIBUTES,
    READ_MESSAGES,
    Channel,
    DataType,
    Destination,
    Example,
    Source,
    covers,
)
from bridge.core.errors import ConfigError
from bridge.core.events import EVENTS
from bridge.core.filtering import Condition, Filter, Place
from bridge.core.model import Issuer
from bridge.core.normalisation import STEP, Normalisation, Sender, ValueRules

# 500 objects of 512 KB were 285 MB in memory (DESIGN 7).
_PREFETCH = {DataType.HL7V2: 500, DataType.DICOM: 64}


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write the name of a time zone, such as Europe/Berlin") from None
    return name


def _event_pattern(pattern: str) -> str:
    if not any(covers(pattern, name) for name in EVENTS):
        raise ValueError(f"no event has this name; there are {', '.join(EVENTS)}")
    return pattern


def _designator(written: str) -> str:
    if not re.fullmatch(r"[^&^|~\\]*(&[^&^|~\\]+&[^&^|~\\]+)?", written):
        raise ValueError("write NAMESPACE or NAMESPACE&OID&ISO")
    return written


def _step(written: str) -> str:
    if not STEP.fullmatch(written):
        raise ValueError("write trim, upper, lower, strip_leading_zeros, strip_prefix:TEXT or strip_suffix:TEXT")
    return written


def _pattern(written: str) -> str:
    try:
        re.compile(written)
    except re.error as error:
        raise ValueError(f"not a regular expression of Python: {error}") from None
    return written


_Designator = Annotated[str, AfterValidator(_designator)]
_Steps = list[
    Annotated[str, AfterValidator(_step), WithJsonSchema({"type": "string", "pattern": f"^({STEP.pattern})$"})]
]
_Events = [*EVENTS, *sorted({f"{name.partition('.')[0]}.*" for name in EVENTS})]
_EventPattern = Annotated[str, AfterValidator(_event_pattern), WithJsonSchema({"type": "string", "enum": _Events})]
_MessageType = Annotated[
    str,
    Field(pattern=r"^[A-Z][A-Z0-9]{2}\^[A-Z][A-Z0-9]{2}$"),
    WithJsonSchema({"type": "string", "enum": list(READ_MESSAGES)}),
]
_Words = list[Annotated[str, Field(pattern=r"\S")]]
_Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _SourceFile(_Part):
    """Where messages come from: a RabbitMQ queue."""

    type: Literal["rabbitmq"] = "rabbitmq"
    data_type: DataType
    exchange: str = "bridge.in"
    queue: str = Field(min_length=1, max_length=255)
    bindings: list[str] = Field(min_length=1)
    prefetch: int | None = Field(None, ge=1, le=65535)
    charset: str = "ISO-8859-1"


def _one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


class _ConditionFile(_Part):
    """A condition: one place, and one question about the values there."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [_one_of("path", "attribute", "header"), _one_of("in", "not_in", "matches", "present")]
        }
    )
    path: _Text | None = None
    attribute: _Text | None = None
    header: Literal["calling-aet"] | None = None
    within: list[str] | None = Field(None, alias="in", min_length=1)
    not_in: list[str] | None = Field(None, min_length=1)
    matches: Annotated[str, AfterValidator(_pattern)] | None = None
    present: bool | None = None
    reason: _Text | None = None

    @model_validator(mode="after")
    def _one_place_and_one_test(self) -> Self:
        if sum(one is not None for one in (self.path, self.attribute, self.header)) != 1:
            raise ValueError("write exactly one of path, attribute, header")
        if sum(one is not None for one in (self.within, self.not_in, self.matches, self.present)) != 1:
            raise ValueError("write exactly one of in, not_in, matches, present")
        return self

    def condition(self) -> Condition:
        places = {Place.PATH: self.path, Place.ATTRIBUTE: self.attribute, Place.HEADER: self.header}
        [(kind, place)] = [(kind, place) for kind, place in places.items() if place is not None]
        return Condition(
            kind=kind,
            place=place,
            within=None if self.within is None else frozenset(word.strip() for word in self.within),
            outside=None if self.not_in is None else frozenset(word.strip() for word in self.not_in),
            matches=self.matches,
            present=self.present,
            reason=self.reason,
        )


class _FilterFile(_Part):
    """Which messages are accepted; others are FILTERED."""

    message_types: list[_MessageType] = list(READ_MESSAGES)
    accept: list[_ConditionFile] = []
    reject: list[_ConditionFile] = []


class _IssuersFile(_Part):
    """Who has assigned an identifier that states no issuer: NAMESPACE or NAMESPACE&OID&ISO."""

    patient_id: _Designator | None = None
    accession_number: _Designator | None = None
    placer_order_number: _Designator | None = None
    filler_order_number: _Designator | None = None


class _NormaliseFile(_Part):
    """What is done to identifiers before they are compared: trim, upper, strip_leading_zeros, strip_prefix:X …"""

    patient_id: _Steps | None = None
    accession_number: _Steps | None = None
    placer_order_number: _Steps | None = None
    filler_order_number: _Steps | None = None
    requested_procedure_id: _Steps | None = None


_Places = list[_Text]


class _OrderFile(_Part):
    """Where senders of HL7 keep what is said of an order: HL7 paths, of which the first with a value holds."""

    placer_order_number: _Places | None = None
    filler_order_number: _Places | None = None
    accession_number: _Places | None = None
    study_instance_uid: _Places | None = None
    requested_procedure_id: _Places | None = None
    scheduled_procedure_step_id: _Places | None = None
    modality: _Places | None = None


class _ObjectFile(_Part):
    """Where senders of DICOM keep numbers: attributes of the object itself, of which the first with a value holds."""

    patient_id: _Places | None = None
    accession_number: _Places | None = None


class _WhenFile(_Part):
    """The sender that a table is about: all that is named must be equal."""

    sending_application: _Text | None = None
    sending_facility: _Text | None = None
    calling_ae_title: _Text | None = None
    station_name: _Text | None = None


_STATED = {  # what a message says of its sender
    DataType.HL7V2: ("sending_application", "sending_facility"),
    DataType.DICOM: ("calling_ae_title", "station_name"),
}


class _SenderFile(_Part):
    """What differs for one sender."""

    when: _WhenFile
    order: _OrderFile = _OrderFile()
    object: _ObjectFile = _ObjectFile()
    issuers: _IssuersFile = _IssuersFile()
    normalise: _NormaliseFile = _NormaliseFile()
    placeholders: _Words | None = None


class _TransformerFile(_Part):
    """How messages are read."""

    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    order: _OrderFile = _OrderFile()
    object: _ObjectFile = _ObjectFile()
    issuers: _IssuersFile = _IssuersFile()
    normalise: _NormaliseFile = _NormaliseFile()
    placeholders: _Words = []
    python: Annotated[Any, BeforeValidator(change), WithJsonSchema({"type": "string"})] = None
    sender: list[_SenderFile] = []


class _CorrelationFile(_Part):
    """Times of this channel's studies."""

    settle_after: Duration | None = None
    hold_for: Duration | None = None


class _DestinationFile(_Part):
    """Where events go, which, and with which attributes."""

    name: str = "events"
    type: Literal["rabbitmq"] = "rabbitmq"
    exchange: str = "bridge.events"
    events: list[_EventPattern] = ["instance.*", "study.*", "message.rejected"]
    attributes: list[str] = list(DEFAULT_ATTRIBUTES)


class _ExampleFile(_Part):
    """A message and what the channel must make of it; bridge check runs it."""

    model_config = ConfigDict(json_schema_extra=_one_of("message", "file"))
    name: str
    message: _Text | None = None
    file: _Text | None = None
    headers: dict[Literal["calling-aet"], str] = {}
    outcome: Literal["TRANSFORMED", "FILTERED", "ERROR"] = "TRANSFORMED"
    orders: int | None = Field(None, ge=0)
    code: str | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _one_message(self) -> Self:
        if (self.message is None) == (self.file is None):
            raise ValueError("write message or file")
        return self


class _ChannelFile(_Part):
    """A channel of the HL7 v2 to DICOM bridge; docs/channels.md explains every key."""

    description: str = ""
    enabled: bool = True
    source: _SourceFile
    filter: _FilterFile = _FilterFile()
    transformer: _TransformerFile = _TransformerFile()
    correlation: _CorrelationFile = _CorrelationFile()
    destinations: list[_DestinationFile] = Field(default=[_DestinationFile()], min_length=1, max_length=1)
    examples: list[_ExampleFile] = []


_MODELS = (
    _ChannelFile, _SourceFile, _FilterFile, _ConditionFile, _TransformerFile, _SenderFile, _WhenFile, _OrderFile,
    _ObjectFile, _IssuersFile, _NormaliseFile, _CorrelationFile, _DestinationFile, _ExampleFile,
)  # fmt: skip


def channel_file_schema() -> dict[str, Any]:
    """The JSON Schema of a channel file, as pydantic writes it."""
    return _ChannelFile.model_json_schema()


def load_channels(place: Path) -> list[Channel]:
    """The enabled channels of a folder, by file name, or the one of a file.

    Raises:
        ConfigError: every mistake in every file, one line each; or there is no channel at all.
    """
    channels: list[Channel] = []
    found: list[str] = []
    for file in sorted(place.glob("*.toml")) if place.is_dir() else [place]:
        try:
            channels += _channel(file)
        except ConfigError as error:
            found += error.mistakes
    queues = [channel.source.queue for channel in channels]
    found += [
        f"queue {queue} is the source of several channels" for queue in sorted(set(queues)) if queues.count(queue) > 1
    ]
    if not channels and not found:
        found.append(f"{place}: there is no enabled channel")
    if found:
        raise ConfigError(*found)
    return channels


def _channel(file: Path) -> list[Channel]:
    try:
        table = toml(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    if key := _mapped_instance_number(table):
        raise ConfigError(f"{file}: {key}: {_NO_CARRIER}")
    try:
        stated = _ChannelFile.model_validate(table)
    except ValidationError as error:
        raise ConfigError(*mistakes(error, str(file), _MODELS)) from None
    if wrong := list(_mistaken_tables(stated)):
        raise ConfigError(*(f"{file}: {mistake}" for mistake in wrong))
    if not stated.enabled:
        return []
    source, destination = stated.source, stated.destinations[0]
    settle_after, hold_for = stated.correlation.settle_after, stated.correlation.hold_for
    return [
        Channel(
            name=file.stem,
            description=stated.description,
            source=Source(
                data_type=source.data_type,
                exchange=source.exchange,
                queue=source.queue,
                bindings=tuple(source.bindings),
                prefetch=source.prefetch or _PREFETCH[source.data_type],
                charset=source.charset,
                timezone=stated.transformer.timezone,
            ),
            message_types=tuple(stated.filter.message_types),
            filter=Filter(
                accept=tuple(one.condition() for one in stated.filter.accept),
                reject=tuple(one.condition() for one in stated.filter.reject),
            ),
            destination=Destination(
                exchange=destination.exchange,
                events=tuple(destination.events),
                attributes=tuple(destination.attributes),
            ),
            folder=str(file.parent),
            examples=tuple(Example(**example.model_dump()) for example in stated.examples),
            normalisation=_normalisation(stated.transformer),
            settle_after=None if settle_after is None else settle_after.total_seconds(),
            hold_for=None if hold_for is None else hold_for.total_seconds(),
            change=stated.transformer.python,
        )
    ]


def _normalisation(stated: _TransformerFile) -> Normalisation | None:
    """The rules of a channel, the most specific sender last; None where it has none."""
    rules = _value_rules(stated)
    senders = [Sender(_when(sender), _value_rules(sender)) for sender in stated.sender]
    said = (*rules.issuers.values(), *rules.steps.values(), rules.placeholders)
    if not (senders or rules.places or any(said)):
        return None
    return Normalisation(rules, tuple(sorted(senders, key=lambda sender: len(sender.when))))


def _value_rules(stated: _TransformerFile | _SenderFile) -> ValueRules:
    words = stated.placeholders
    return ValueRules(
        issuers={kind: _issuer(written) for kind, written in stated.issuers if written is not None},
        steps={kind: tuple(steps) for kind, steps in stated.normalise if steps is not None},
        placeholders=None if words is None else frozenset(word.strip().upper() for word in words),
        places={kind: tuple(places) for kind, places in (*stated.order, *stated.object) if places is not None},
    )


def _issuer(written: str) -> Issuer | None:
    """`NAMESPACE` or `NAMESPACE&OID&ISO`, as HL7's HD in a component; None for an empty text."""
    parts = [part.strip() or None for part in written.split("&")]
    return Issuer(*parts) if any(parts) else None


def _when(sender: _SenderFile) -> dict[str, str]:
    return {name: value for name, value in sender.when if value is not None}


def _mistaken_tables(stated: _ChannelFile) -> Iterator[str]:
    data_type, seen = stated.source.data_type, []
    known = _STATED[data_type]
    for number, sender in enumerate(stated.transformer.sender):
        place, when = f"transformer.sender.{number}.when", _when(sender)
        if not when or not set(when) <= set(known):
            yield f"{place}: of {data_type} name {' or '.join(known)}, or both"
        if when in seen:
            yield f"{place}: stated twice"
        seen.append(when)
    of_another, name = (DataType.DICOM, "object") if data_type is DataType.HL7V2 else (DataType.HL7V2, "order")
    tables = {"transformer": stated.transformer} | {
        f"transformer.sender.{number}": sender for number, sender in enumerate(stated.transformer.sender)
    }
    for place, table in tables.items():
        if any(places is not None for _, places in getattr(table, name)):
            yield f"{place}.{name}: this is about {of_another}, and the channel reads {data_type}"


_NO_CARRIER = (
    "HL7 v2 has no field for Instance Number (0020,0013); it is in every instance.* event, "
    "data.instance.instanceNumber (docs/channels.md#instance-number)"
)
_INSTANCE_NUMBER = {"instancenumber", "00200013"}


def _mapped_instance_number(table: dict[str, Any], place: str = "") -> str | None:
    """The key by which a channel maps Instance Number, other than as an attribute that a destination carries."""
    for key, value in table.items():
        where = f"{place}{key}"
        for name in (key, value):
            if isinstance(name, str) and re.sub(r"[^a-z0-9]", "", name.lower()) in _INSTANCE_NUMBER:
                return where
        if isinstance(value, dict) and (found := _mapped_instance_number(value, f"{where}.")):
            return found
    return None
