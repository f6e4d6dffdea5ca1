"""From facts and decisions to the events that say them: what stands in each field, its id, and how it is routed."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from bridge.core.decision import Decision
from bridge.core.events import (
    Change,
    CloudEvent,
    Correlation,
    Data,
    InstanceData,
    Lineage,
    Previous,
    PublishedInstance,
    PublishedNumber,
    PublishedOrder,
    PublishedOrderNumbers,
    PublishedPatient,
    PublishedPatientIdentifier,
    PublishedReport,
    PublishedStudy,
    Retrieve,
    SeriesSummary,
    event_type,
    schema_id,
)
from bridge.core.model import Identifier, Instance, OrderNumbers, Patient, Report, Stated, Statement
from bridge.core.orders import Order
from bridge.core.ports import Outbound
from bridge.core.reconciliation import Difference
from bridge.core.struct import Value, encode


class Origin(Value):
    """Whose events these are: the site, and the epoch of its database (a restored one starts a new epoch)."""

    site: str
    epoch: str

    @property
    def source(self) -> str:
        return _source(self.site)


@lru_cache(maxsize=16)
def _source(site: str) -> str:
    return f"urn:hl7-dicom-bridge:{quote(site)}"


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


@lru_cache(maxsize=1024)
def routing_keys(
    name: str, modalities: tuple[str, ...], template: str = "{entity}.{fact}.{modality}"
) -> tuple[str, ...]:
    """A key for each modality, the first of which leads; `none` where there is none. Each key once."""
    entity, _, fact = name.partition(".")
    words = [modality if _MODALITY.fullmatch(modality) else "none" for modality in modalities]
    return tuple(dict.fromkeys(template.format(entity=entity, fact=fact, modality=word) for word in words or ["none"]))


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
        replaces=_published_numbers(order.replaces),
        parent=_published_numbers(order.parent),
    )


def compact(order: PublishedOrder) -> PublishedOrder:
    """Its numbers, status and modality alone: thousands of events of one study need not say all of it again."""
    nobody = PublishedPatient(identifiers=(), name=None, birth_date=None, sex=None)
    told = ("procedure", "priority", "reason", "clinical_information", "ordered_at", "visit_number", "account_number")
    return replace(order, **dict.fromkeys(told), ordering_provider=None, patient=nobody, scheduled_steps=())


def _published_numbers(numbers: OrderNumbers | None) -> PublishedOrderNumbers | None:
    if numbers is None:
        return None
    return PublishedOrderNumbers(
        published_number(numbers.placer_order_number), published_number(numbers.filler_order_number)
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


def published_report(report: Report) -> PublishedReport:
    return PublishedReport(
        placer_order_number=published_number(report.placer_order_number),
        filler_order_number=published_number(report.filler_order_number),
        accession_number=published_number(next(iter(report.accession_numbers), None)),
        requested_procedure_id=_text(report.requested_procedure_id),
        result_status=report.result_status,
        reported_at=report.reported_at,
        procedure=report.procedure,
        source=report.source,
    )


def changes(before: Any, after: Any, pointer: str = "") -> list[Change]:
    """Where two JSON values differ; lists of other lengths differ as a whole."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        parts = [(name, before[name], after[name]) for name in after]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        parts = [(str(i), one, other) for i, (one, other) in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after else [Change(pointer, before, after)]
    return [change for name, one, other in parts for change in changes(one, other, f"{pointer}/{name}")]


def instance_data(
    instance: Instance,
    decided: Correlation,
    orders: tuple[PublishedOrder, ...],
    reconciliation: tuple[Difference, ...],
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
        orders=orders,
        reconciliation=reconciliation,
        lineage=lineage,
    )


_MOST_BYTES = 8 * 1024 * 1024  # of an event; RabbitMQ 4 takes messages of 16 MiB as it is shipped


def outbound(
    event: CloudEvent[Any],
    channel: str,
    destination: str,
    keys: Sequence[str],
    *,
    correlation_id: str | None,
    traceparent: str | None,
) -> Outbound:
    """An event as a destination takes it; its row is not known yet. One that is too large goes without `dicom`."""
    body = encode(event)
    if len(body) > _MOST_BYTES and isinstance(event.data, InstanceData):
        instance = replace(event.data.instance, dicom={}, dicom_omitted=True)
        body = encode(replace(event, data=replace(event.data, instance=instance)))
    attributes = ("specversion", "id", "source", "type", "subject", "time", "dataschema", "partitionkey", "sequence")
    return Outbound(
        id=0,
        channel=channel,
        destination=destination,
        routing_key=keys[0],
        copies=tuple(keys[1:]),
        event_id=event.id,
        type=event.type,
        time=event.time,
        body=body,
        headers={name: getattr(event, name) for name in (*attributes, "datacontenttype")},
        correlation_id=correlation_id,
        traceparent=traceparent,
    )
