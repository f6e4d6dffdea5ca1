"""The events that the bridge publishes: CloudEvents 1.0, structured mode (DESIGN 3.4).

These shapes are the contract with consumers: `v1` only ever gains fields. Absent is null, never an empty string.
"""

import re
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from bridge.core.decision import Candidate, Decision, Evidence, Finding, Verdict
from bridge.core.instance_number import InstanceNumber
from bridge.core.model import (
    Code,
    Identifier,
    Instance,
    Issuer,
    OrderSource,
    Patient,
    Person,
    PersonName,
    ScheduledStep,
    Stated,
    Statement,
)
from bridge.core.orders import Order
from bridge.core.reconciliation import Difference, reconcile
from bridge.core.struct import Value

CONTENT_TYPE = "application/cloudevents+json"


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


class PublishedOrder(Value):
    """One requested procedure as it stands when the event is made.

    `id` is the same for the same identifiers. `status` is scheduled, in-progress, completed, on-hold, discontinued or
    cancelled; `priority` STAT, HIGH, ROUTINE or MEDIUM; `source` the message that stated the order last.
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
    source: OrderSource


class Retrieve(Value):
    """Where a consumer gets the object, from the channel's template; never called by the bridge."""

    url: str | None = None
    ae_title: str | None = None


class PublishedInstance(Value):
    """One DICOM object. `dicom` is the DICOM JSON Model (PS3.18 F) of the attributes that the channel keeps."""

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


class SeriesSummary(Value):
    """One series of the study."""

    series_instance_uid: str | None
    modality: str | None
    number_of_instances: int


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


class InstanceData(Value):
    """`data` of `instance.*`.

    `revision` counts within the study: a higher one is newer. `orders` are the linked ones. `reconciliation` proposes.
    """

    revision: int
    channel: str
    instance: PublishedInstance
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    reconciliation: tuple[Difference, ...]
    lineage: Lineage


class StudyData(Value):
    """`data` of `study.*`. `revision` counts within the study: a higher one is newer. `orders` are the linked ones."""

    revision: int
    channel: str
    study: PublishedStudy
    correlation: Correlation
    orders: tuple[PublishedOrder, ...]
    lineage: Lineage


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


Data = TypeVar("Data", InstanceData, StudyData, RejectedData)


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
    **dict.fromkeys(("study.matched", "study.ambiguous", "study.conflict", "study.unlinked"), StudyData),
    "message.rejected": RejectedData,
}


class Origin(Value):
    """Whose events these are: the site, and the epoch of its database (a restored one starts a new epoch)."""

    site: str
    epoch: str

    @property
    def source(self) -> str:
        return f"urn:hl7-dicom-bridge:{quote(self.site)}"


def event_type(name: str) -> str:
    """The CloudEvents type of an event."""
    return f"io.github.hl7dicombridge.{name}.v1"


def schema_id(name: str) -> str:
    """The URI that names the JSON Schema of an event."""
    return f"urn:hl7-dicom-bridge:schema:{name}.v1"


def cloud_event(origin: Origin, name: str, *, subject: str, partition: str, time: str, data: Data) -> CloudEvent[Data]:
    """The event `name` (`instance.enriched`). The same fact has the same id however often it is made.

    `partition` is part of the id because revisions count within a study, and an object can move to another one.
    """
    identity = "\x1f".join((origin.site, origin.epoch, event_type(name), partition, subject, str(data.revision)))
    return CloudEvent(
        specversion="1.0",
        id=str(uuid5(NAMESPACE_URL, identity)),
        source=origin.source,
        type=event_type(name),
        subject=subject,
        time=time,
        datacontenttype="application/json",
        dataschema=schema_id(name),
        partitionkey=partition,
        sequence=str(data.revision),
        data=data,
    )


_MODALITY = re.compile(r"[A-Za-z0-9_ -]{1,16}")  # CS (PS3.5 6.2), and what is no danger to a routing key


def routing_keys(name: str, modalities: tuple[str, ...]) -> tuple[str, ...]:
    """`<entity>.<fact>.<modality>`, one for each modality, the first of which leads; `none` where there is none."""
    words = [modality if _MODALITY.fullmatch(modality) else "none" for modality in modalities]
    return tuple(dict.fromkeys(f"{name}.{word}" for word in words or ["none"]))


# An event leads with what was acquired; what was made from it stands last (DESIGN 3.4).
_DERIVED_LAST = ("SR", "KO", "PR", "SEG")


def ordered_modalities(modalities: set[str]) -> tuple[str, ...]:
    """Modalities in the fixed order of routing: acquisitions by name, then SR, KO, PR, SEG."""
    return tuple(sorted(modalities, key=lambda m: (_DERIVED_LAST.index(m) + 1 if m in _DERIVED_LAST else 0, m)))


def correlation(decision: Decision, previous: Previous | None) -> Correlation:
    said = {name: getattr(decision, name) for name in Correlation.__struct_fields__ if name != "previous"}
    return Correlation(**said, previous=previous)


def published_number(number: Identifier | None) -> PublishedNumber | None:
    return PublishedNumber(number.value, number.issuer) if number else None


def published_patient(patient: Patient) -> PublishedPatient:
    return PublishedPatient(
        identifiers=tuple(PublishedPatientIdentifier(i.value, i.issuer, i.type_code) for i in patient.identifiers),
        name=patient.names[0] if patient.names else None,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def published_order(order: Order) -> PublishedOrder:
    return PublishedOrder(
        id=order.id,
        placer_order_number=published_number(order.placer_order_number),
        filler_order_number=published_number(order.filler_order_number),
        accession_number=published_number(next(iter(order.accession_numbers), None)),
        requested_procedure_id=_text(order.requested_procedure_id),
        study_instance_uid=_text(next(iter(order.study_instance_uids), None)),
        status=order.status,
        modality=_text(order.modality),
        procedure=order.procedure,
        priority=order.priority,
        reason=order.reason,
        clinical_information=order.clinical_information,
        ordered_at=order.ordered_at,
        patient=published_patient(order.patient),
        visit_number=order.visit_number,
        account_number=order.account_number,
        ordering_provider=order.ordering_provider,
        scheduled_steps=order.scheduled_steps,
        source=order.source,
    )


def _text(stated: Stated | None) -> str | None:
    return stated.value if stated else None


def published_instance(instance: Instance, retrieve: Retrieve | None = None) -> PublishedInstance:
    said = instance.statement
    return PublishedInstance(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        sop_class_name=instance.sop_class_name,
        series_instance_uid=instance.series_instance_uid,
        study_instance_uid=said.study_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        modality=said.modality,
        series_number=instance.series_number,
        number_of_frames=instance.number_of_frames,
        instance_number=instance.instance_number,
        accession_number=published_number(said.accession_number),
        patient=published_patient(said.patient),
        retrieve=retrieve,
        dicom=instance.dicom,
    )


def published_study(uid: str, statements: tuple[Statement, ...], series: tuple[SeriesSummary, ...]) -> PublishedStudy:
    """A study from its distinct statements; the patient is that of the fullest one."""
    said = sorted(statements, key=repr)
    numbers = [published_number(s.accession_number) for s in said]
    patients = [s.patient for s in said] or [Patient()]
    return PublishedStudy(
        study_instance_uid=uid,
        modalities=ordered_modalities({s.modality for s in said if s.modality}),
        accession_numbers=tuple(dict.fromkeys(number for number in numbers if number)),
        patient=published_patient(max(patients, key=lambda patient: len(repr(patient)))),
        number_of_series=len(series),
        number_of_instances=sum(one.number_of_instances for one in series),
        series=series,
    )


def instance_data(
    instance: Instance,
    decided: Correlation,
    orders: tuple[Order, ...],
    *,
    revision: int,
    channel: str,
    lineage: Lineage,
    retrieve: Retrieve | None = None,
) -> InstanceData:
    return InstanceData(
        revision=revision,
        channel=channel,
        instance=published_instance(instance, retrieve),
        correlation=decided,
        orders=tuple(published_order(order) for order in orders),
        reconciliation=reconcile(instance.statement, orders),
        lineage=lineage,
    )
