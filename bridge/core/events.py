"""The events that the bridge publishes: CloudEvents 1.0, structured mode (DESIGN 3.4).

These shapes are the contract with consumers: `v1` only ever gains fields. Absent is null, never an empty string.
"""

from typing import Any, Generic, TypeVar

from bridge.core.decision import Candidate, Evidence, Finding, Verdict
from bridge.core.instance_number import InstanceNumber, InstanceNumberSummary
from bridge.core.model import (
    Code,
    Issuer,
    MessageSource,
    Person,
    PersonName,
    ScheduledStep,
)
from bridge.core.reconciliation import Difference
from bridge.core.struct import Value

CONTENT_TYPE = "application/cloudevents+json"
_TYPE_PREFIX, _TYPE_SUFFIX = "io.github.hl7dicombridge.", ".v1"


class PublishedNumber(Value):
    """An identifier with its issuer (HL7 EI)."""

    value: str
    issuer: Issuer | None


class PublishedPatientIdentifier(Value):
    """A patient identifier; `typeCode` is CX.5 (HL7 table 0203)."""

    value: str
    issuer: Issuer | None
    type_code: str | None


class PublishedPatient(Value):
    """A patient as the order or the object states it.

    `birthDate` is `YYYY-MM-DD`, or as much of it as is known; `sex` is F, M or O (PS3.3 C.7.1.1).
    """

    identifiers: tuple[PublishedPatientIdentifier, ...]
    name: PersonName | None
    birth_date: str | None
    sex: str | None


class PublishedOrderNumbers(Value):
    """Another order, as the sender named it."""

    placer_order_number: PublishedNumber | None
    filler_order_number: PublishedNumber | None


class PublishedOrder(Value):
    """One requested procedure as it stands when the event is made.

    `id` is the same for the same identifiers. `status` is scheduled, in-progress, completed, on-hold, discontinued or
    cancelled; `priority` STAT, HIGH, ROUTINE or MEDIUM; `source` the message that stated the order last. `replaces` is
    the order in whose place it stands (RO), `parent` the one that it is a child of (ORC-8).
    """

    id: str
    placer_order_number: PublishedNumber | None
    filler_order_number: PublishedNumber | None
    accession_number: PublishedNumber | None
    requested_procedure_id: str | None
    study_instance_uid: str | None
    status: str | None
    modality: str | None
    procedure: Code | None
    priority: str | None
    reason: str | None
    clinical_information: str | None
    ordered_at: str | None
    patient: PublishedPatient
    visit_number: str | None
    account_number: str | None
    ordering_provider: Person | None
    scheduled_steps: tuple[ScheduledStep, ...]
    source: MessageSource
    replaces: PublishedOrderNumbers | None
    parent: PublishedOrderNumbers | None


class Retrieve(Value):
    """Where a consumer gets the object, from the channel's template; never called by the bridge."""

    url: str | None = None
    ae_title: str | None = None


class PublishedInstance(Value):
    """One DICOM object. `dicom` is the DICOM JSON Model (PS3.18 F) of the attributes that the channel keeps.

    `dicomOmitted` says that it was left out, because the event would have been larger than 8 MiB.
    """

    sop_instance_uid: str
    sop_class_uid: str | None
    sop_class_name: str | None
    series_instance_uid: str | None
    study_instance_uid: str
    transfer_syntax_uid: str | None
    modality: str | None
    series_number: int | None
    number_of_frames: int | None
    instance_number: InstanceNumber
    accession_number: PublishedNumber | None
    patient: PublishedPatient
    retrieve: Retrieve | None
    dicom: dict[str, Any]
    dicom_omitted: bool = False


class SeriesSummary(Value):
    """One series of the study; `instanceNumbers` is null but in `study.settled` and `study.ready`."""

    series_instance_uid: str | None
    modality: str | None
    number_of_instances: int
    instance_numbers: InstanceNumberSummary | None = None


class PublishedStudy(Value):
    """A study as it stands when the event is made."""

    study_instance_uid: str
    modalities: tuple[str, ...]
    accession_numbers: tuple[PublishedNumber, ...]
    patient: PublishedPatient
    number_of_series: int
    number_of_instances: int
    series: tuple[SeriesSummary, ...]


class Previous(Value):
    """The verdict before this one."""

    verdict: Verdict
    orders: tuple[str, ...]


class Correlation(Value):
    """The verdict about the study, and why.

    `reason` is set unless the study is matched, `rule` (the strongest key that links) where it is. A contradiction
    forbids a link, a warning never does; `candidates` are all orders that share a key. `previous` is null at first.
    """

    verdict: Verdict
    reason: str | None
    rule: str | None
    evidence: tuple[Evidence, ...]
    warnings: tuple[Finding, ...]
    contradictions: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    previous: Previous | None


class Lineage(Value):
    """Ids of messages: the object's own (null in events of a study), and the one that led to this event."""

    message: str | None
    caused_by: str


class InstanceData(Value, kw_only=True):
    """`data` of `instance.*`.

    `revision` counts within the study: a higher one is newer. `orders` are the linked ones; `compactOrders` says that
    they are told by their numbers, status and modality alone. `reconciliation` proposes.
    """

    revision: int
    channel: str
    instance: PublishedInstance
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    reconciliation: tuple[Difference, ...]
    lineage: Lineage
    compact_orders: bool = False


class Rejection(Value):
    """Why a rejection note (IHE RAD IOCM) took the object out: its code (DCM), and the note's SOP Instance UID."""

    code: str
    meaning: str
    note: str


class RejectedInstanceData(InstanceData, kw_only=True):
    """`data` of `instance.rejected`."""

    rejection: Rejection


class StudyData(Value, kw_only=True):
    """`data` of `study.*`; `revision`, `orders` and `compactOrders` as in events of instances."""

    revision: int
    channel: str
    study: PublishedStudy
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    lineage: Lineage
    compact_orders: bool = False


class SettledData(StudyData, kw_only=True):
    """`data` of `study.settled`, and of `study.ready`: no new object came for `quietTime` seconds.

    `reason` says what the end was taken from: `quiet`, as there is no reliable signal. `reopened`: it had settled
    before, and objects came after that.
    """

    reason: str
    quiet_time: float
    reopened: bool


class OverdueData(StudyData, kw_only=True):
    """`data` of `study.overdue`: pending `since` then, longer than `holdFor` seconds."""

    since: str
    hold_for: float


class Change(Value):
    """One value of `data` that is another than in the event before; `pointer` is a JSON Pointer (RFC 6901)."""

    pointer: str
    before: Any
    after: Any


class AmendedData(StudyData, kw_only=True):
    """`data` of `study.amended`: the same orders are linked, and something about the link or them has changed."""

    changes: tuple[Change, ...]


class PublishedReport(Value):
    """A report's status, never its text; `resultStatus` is OBR-25 (HL7 table 0123), such as P, F, C or X."""

    placer_order_number: PublishedNumber | None
    filler_order_number: PublishedNumber | None
    accession_number: PublishedNumber | None
    requested_procedure_id: str | None
    result_status: str | None
    reported_at: str | None
    procedure: Code | None
    source: MessageSource


class ReportedData(StudyData, kw_only=True):
    """`data` of `study.reported`: all reports that are known for the linked orders, the newest first."""

    reports: tuple[PublishedReport, ...]


class RejectedMessage(Value):
    """A message that could not be read, without its body."""

    id: str
    message_id: str | None
    content_type: str | None
    size: int


class RejectedData(Value):
    """`data` of `message.rejected`. `code` is stable; `reason` is for people and holds no patient data."""

    revision: int
    channel: str
    code: str
    reason: str
    message: RejectedMessage


Data = TypeVar("Data", bound=InstanceData | StudyData | RejectedData)


class CloudEvent(Value, Generic[Data]):
    """A CloudEvents 1.0 event in structured mode, with the extensions `partitionkey` and `sequence`.

    `id` is the same for the same fact however often it is published. `subject` is the SOP or Study Instance UID, or the
    message's id; `partitionkey` the Study Instance UID; `sequence` the revision.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    partitionkey: str
    sequence: str
    data: Data


EVENTS: dict[str, type[InstanceData] | type[StudyData] | type[RejectedData]] = {
    **dict.fromkeys(("instance.enriched", "instance.pending", "instance.ambiguous", "instance.conflict"), InstanceData),
    "instance.rejected": RejectedInstanceData,
    **dict.fromkeys(("study.matched", "study.ambiguous", "study.conflict", "study.unlinked"), StudyData),
    "study.amended": AmendedData,
    "study.overdue": OverdueData,
    **dict.fromkeys(("study.settled", "study.ready"), SettledData),
    "study.reported": ReportedData,
    "message.rejected": RejectedData,
}


def event_type(name: str) -> str:
    """The CloudEvents type of an event."""
    return f"{_TYPE_PREFIX}{name}{_TYPE_SUFFIX}"


def event_name(event_type: str) -> str:
    """The event that a CloudEvents type names."""
    return event_type.removeprefix(_TYPE_PREFIX).removesuffix(_TYPE_SUFFIX)


def schema_id(name: str) -> str:
    """The URI that names the JSON Schema of an event."""
    return f"urn:hl7-dicom-bridge:schema:{name}.v1"
