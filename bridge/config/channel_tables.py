"""How a channel file is written: its tables, their keys and defaults, and what each may hold (docs/channels.md)."""

import re
from string import Formatter
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from bridge.config.python_hooks import change
from bridge.config.scenario_files import StudyEnd
from bridge.config.stated import Duration, Nesting, Size
from bridge.core.channel import DEFAULT_ATTRIBUTES, EVERY_EVENT, READ_MESSAGES, DataType, Example, covers
from bridge.core.events import EVENTS
from bridge.core.filtering import Condition, Place
from bridge.core.normalisation import STEP


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write the name of a time zone, such as Europe/Berlin") from None
    return name


def _event_pattern(pattern: str) -> str:
    if not any(covers(pattern, name) for name in EVENTS):
        raise ValueError("no event has this name; bridge schema lists them")
    return pattern


def _event_name(name: str) -> str:
    if name not in EVENTS:
        raise ValueError("no event has this name; bridge schema lists them")
    return name


def _designator(written: str) -> str:
    if not re.fullmatch(r"[^&^|~\\]*(&[^&^|~\\]+&[^&^|~\\]+)?", written):
        raise ValueError("write NAMESPACE or NAMESPACE&OID&ISO")
    return written


def _step(written: str) -> str:
    if not STEP.fullmatch(written):
        raise ValueError(
            "write trim, upper, lower, strip_leading_zeros, strip_prefix:TEXT, strip_suffix:TEXT, split:TEXT:N or pad:N"
        )
    return written


def _modality(written: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{1,15}", written):
        raise ValueError("write a modality as DICOM has it, such as CT")
    return written


def _message_type(written: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]{2}\^[A-Z][A-Z0-9]{2}", written):
        raise ValueError("write type and trigger event, such as ORM^O01")
    return written


def _named(template: str) -> set[str]:
    """The names in braces of a template."""
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(template)]
    except ValueError as error:
        raise ValueError(f"not a text with names in braces: {error}") from None
    if any(spec or conversion for _, spec, conversion in parts):
        raise ValueError("write nothing but a name in braces")
    return {name for name, _, _ in parts if name is not None}


def _routing_key(template: str) -> str:
    if not template or not _named(template) <= {"entity", "fact", "modality"} or len(template.encode()) > 200:
        raise ValueError("write up to 200 bytes, in braces nothing but {entity}, {fact} and {modality}")
    return template


def _url_template(template: str) -> str:
    if not _named(template) <= {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"}:
        raise ValueError(
            "write a URL, in braces nothing but {StudyInstanceUID}, {SeriesInstanceUID} and {SOPInstanceUID}"
        )
    return template


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
    AfterValidator(_message_type),
    WithJsonSchema({"type": "string", "enum": list(READ_MESSAGES)}),
]
_Words = list[Annotated[str, Field(pattern=r"\S")]]
_Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SourceFile(Part):
    """Where messages come from: a RabbitMQ queue."""

    type: Literal["rabbitmq"] = "rabbitmq"
    data_type: DataType
    exchange: str = "bridge.in"
    queue: str = Field(min_length=1, max_length=255)
    bindings: list[str] = Field(min_length=1)
    prefetch: int | None = Field(None, ge=1, le=65535)
    batch: int = Field(200, ge=1, le=1000)
    charset: str = "ISO-8859-1"
    max_size: Size | None = None
    max_nesting: Nesting | None = None
    references: list[_Text] | None = None


def _one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


class ConditionFile(Part):
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


class FilterFile(Part):
    """Which messages are accepted; others are FILTERED."""

    message_types: list[_MessageType] = list(READ_MESSAGES)
    accept: list[ConditionFile] = []
    reject: list[ConditionFile] = []


class IssuersFile(Part):
    """Who has assigned an identifier that states no issuer: NAMESPACE or NAMESPACE&OID&ISO."""

    patient_id: _Designator | None = None
    accession_number: _Designator | None = None
    placer_order_number: _Designator | None = None
    filler_order_number: _Designator | None = None


class NormaliseFile(Part):
    """What is done to identifiers before they are compared: trim, upper, strip_prefix:X, split:X:N, pad:N …"""

    patient_id: _Steps | None = None
    accession_number: _Steps | None = None
    placer_order_number: _Steps | None = None
    filler_order_number: _Steps | None = None
    requested_procedure_id: _Steps | None = None


_Places = list[_Text]


class OrderFile(Part):
    """Where senders of HL7 keep what is said of an order: HL7 paths, of which the first with a value holds."""

    placer_order_number: _Places | None = None
    filler_order_number: _Places | None = None
    accession_number: _Places | None = None
    study_instance_uid: _Places | None = None
    requested_procedure_id: _Places | None = None
    scheduled_procedure_step_id: _Places | None = None
    modality: _Places | None = None
    scheduled_start: _Places | None = None
    procedure: _Places | None = None
    reason: _Places | None = None
    ordering_provider: _Places | None = None
    priority: _Places | None = None


_Somewhere = Annotated[_Places, Field(min_length=1)]


class PatientFile(Part):
    """Where in PID senders of HL7 keep what is said of a patient; nowhere is no answer, or nothing would contradict."""

    ids: _Somewhere | None = None
    name: _Somewhere | None = None
    birth_date: _Somewhere | None = None
    sex: _Somewhere | None = None


class ObjectFile(Part):
    """Where senders of DICOM keep numbers: attributes of the object itself, of which the first with a value holds."""

    patient_id: _Places | None = None
    accession_number: _Places | None = None
    placer_order_number: _Places | None = None
    filler_order_number: _Places | None = None
    requested_procedure_id: _Places | None = None


class CodesFile(Part):
    """What senders of HL7 write for a code of the standard; what is not named here stays as it is."""

    modality: dict[_Text, Annotated[str, AfterValidator(_modality)]] | None = None
    sex: dict[_Text, Literal["F", "M", "O", "U"]] | None = None


class WhenFile(Part):
    """The sender that a table is about: all that is named must be equal."""

    sending_application: _Text | None = None
    sending_facility: _Text | None = None
    calling_ae_title: _Text | None = None
    station_name: _Text | None = None


STATED = {  # what a message says of its sender
    DataType.HL7V2: ("sending_application", "sending_facility"),
    DataType.DICOM: ("calling_ae_title", "station_name"),
}


class SenderFile(Part):
    """What differs for one sender."""

    when: WhenFile
    order: OrderFile = OrderFile()
    patient: PatientFile = PatientFile()
    object: ObjectFile = ObjectFile()
    issuers: IssuersFile = IssuersFile()
    normalise: NormaliseFile = NormaliseFile()
    codes: CodesFile = CodesFile()
    date_formats: list[_Text] | None = None
    placeholders: _Words | None = None


class TransformerFile(Part):
    """How messages are read."""

    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    order: OrderFile = OrderFile()
    patient: PatientFile = PatientFile()
    object: ObjectFile = ObjectFile()
    issuers: IssuersFile = IssuersFile()
    normalise: NormaliseFile = NormaliseFile()
    codes: CodesFile = CodesFile()
    date_formats: list[_Text] = []
    placeholders: _Words = []
    python: Annotated[Any, BeforeValidator(change), WithJsonSchema({"type": "string"})] = None
    sender: list[SenderFile] = []


_Rule = Literal["study-instance-uid", "accession-number", "filler-order-number", "placer-order-number"]


class CorrelationFile(Part):
    """Times of this channel's studies, and how the numbers of its objects are compared."""

    strict_issuers: bool = False
    rules: list[_Rule] | None = None
    settle_after: Duration | None = None
    hold_for: Duration | None = None


class DestinationFile(Part):
    """Where events go, which, and with which attributes."""

    name: _Text = "events"
    type: Literal["rabbitmq"] = "rabbitmq"
    exchange: _Text = "bridge.events"
    declare: bool = True
    routing_key: Annotated[str, AfterValidator(_routing_key)] = "{entity}.{fact}.{modality}"
    events: list[_EventPattern] = list(EVERY_EVENT)
    accept: list[ConditionFile] = []
    reject: list[ConditionFile] = []
    attributes: list[str] = list(DEFAULT_ATTRIBUTES)
    private: bool = False
    orders: Literal["full", "compact"] = "full"


class RetrieveFile(Part):
    """Where consumers get the objects; copied into events of instances, and never called."""

    url: Annotated[str, AfterValidator(_url_template)] | None = None
    ae_title: Annotated[str, Field(pattern=r"^[^\\\s]([^\\]{0,14}[^\\\s])?$")] | None = None


class NumberFile(Part):
    """A number that must have been read: its value, and where stated who assigned it and where it stood."""

    value: str
    issuer: _Designator | None = None
    place: _Text | None = Field(None, alias="from")


_Number = Annotated[
    NumberFile,
    BeforeValidator(lambda stated: {"value": stated} if isinstance(stated, str) else stated),
    WithJsonSchema(
        {
            "type": ["string", "object"],
            "required": ["value"],
            "properties": {name: {"type": "string"} for name in ("value", "issuer", "from")},
            "additionalProperties": False,
        }
    ),
]


class ExpectedPatientFile(Part):
    """What must have been read of an order's patient."""

    ids: list[_Number] | None = None
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None


class ExpectedOrderFile(Part):
    """What must have been read of a requested procedure. What is not stated is not looked at; "" is absent."""

    order_control: str | None = None
    placer_order_number: _Number | None = None
    filler_order_number: _Number | None = None
    accession_number: _Number | None = None
    study_instance_uid: _Number | None = None
    requested_procedure_id: _Number | None = None
    scheduled_procedure_step_id: _Number | None = None
    scheduled_start: str | None = None
    modality: str | None = None
    procedure: str | None = None
    priority: str | None = None
    reason: str | None = None
    patient: ExpectedPatientFile = ExpectedPatientFile()


class ExpectedEventFile(Part):
    """An event that must be published: what is stated has to stand in it, "" for none."""

    type: Annotated[str, AfterValidator(_event_name), WithJsonSchema({"type": "string", "enum": list(EVENTS)})]
    destination: _Text | None = None
    routing_key: _Text | None = None
    data: dict[str, Any] = {}


class ExampleFile(Part):
    """Messages and what the channel must make of them; bridge check runs it."""

    model_config = ConfigDict(json_schema_extra=_one_of("message", "file", "files"))
    name: str
    message: _Text | None = None
    file: _Text | None = None
    files: list[_Text] | None = Field(None, min_length=1)
    headers: dict[Literal["calling-aet"], str] = {}
    outcome: Literal["TRANSFORMED", "FILTERED", "ERROR"] = "TRANSFORMED"
    code: str | None = None
    reason: str | None = None
    orders: list[ExpectedOrderFile] | None = None
    events: list[ExpectedEventFile] = []
    studies: list[StudyEnd] = []

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(one is not None for one in (self.message, self.file, self.files)) != 1:
            raise ValueError("write message, file or files")
        if (self.events or self.studies) and self.outcome != "TRANSFORMED":
            raise ValueError("events and studies come of messages that are TRANSFORMED")
        return self

    def example(self) -> Example:
        return Example(
            name=self.name,
            message=self.message,
            files=(self.file,) if self.file else tuple(self.files or ()),
            headers=dict[str, str](self.headers.items()),
            outcome=self.outcome,
            code=self.code,
            reason=self.reason,
            orders=None if self.orders is None else tuple(_stated(one) for one in self.orders),
            events=tuple(_stated(one) for one in self.events),
            studies=tuple(_stated(one) for one in self.studies),
        )


def _stated(table: BaseModel) -> dict[str, Any]:
    return table.model_dump(by_alias=True, exclude_unset=True)


class ChannelFile(Part):
    """A channel of the HL7 v2 to DICOM bridge; docs/channels.md explains every key."""

    description: str = ""
    enabled: bool = True
    source: SourceFile
    filter: FilterFile = FilterFile()
    transformer: TransformerFile = TransformerFile()
    correlation: CorrelationFile = CorrelationFile()
    retrieve: RetrieveFile = RetrieveFile()
    destinations: list[DestinationFile] = Field(default=[DestinationFile()], min_length=1)
    examples: list[ExampleFile] = []


MODELS = (
    ChannelFile, SourceFile, FilterFile, ConditionFile, TransformerFile, SenderFile, WhenFile, OrderFile,
    PatientFile, ObjectFile, CodesFile, IssuersFile, NormaliseFile, CorrelationFile, RetrieveFile, DestinationFile,
    ExampleFile, ExpectedOrderFile, ExpectedPatientFile, ExpectedEventFile, NumberFile, StudyEnd,
)  # fmt: skip
