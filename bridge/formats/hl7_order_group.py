"""One ORC/OBR group of an HL7 v2 message to order updates: one for each requested procedure that it names.

It states what the group says and where; it must never read Instance Number (0020,0013), which no HL7 v2 field carries.
Which field stands for what: IHE RAD-4 and RAD-13 for OBR-18 to OBR-24 and ZDS, HL7 2.5.1 4.5.6 for IPC.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from bridge.core.model import Code, OrderUpdate, Person, ScheduledStep, Stated
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_groups import (
    Group,
    kept,
    order_number,
    parent_order,
    requested_procedure,
)
from bridge.formats.hl7_paths import Path
from bridge.formats.hl7_places import entity_at, stated_at
from bridge.formats.hl7_reader import Reader, written
from bridge.formats.hl7_values import (
    Moment,
    Said,
    code,
    distinct,
    entity,
    every,
    first,
    known,
    news,
    person,
    person_name,
    stated,
    text,
    texts,
)

RELATIONS = {"CH": "parent", "RO": "replaces"}  # what another order is to one with this order control
_PRIORITIES = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "R": "ROUTINE", "T": "MEDIUM"}  # tables 0485, 0027


def updates(reader: Reader, group: Group) -> Iterator[OrderUpdate]:
    """One update for each IPC, or one where there is none.

    IPC-10 D (table 0206) cancels the requested procedure; a step that is deleted beside others of it is only left out.
    """
    order, detail, patient = group.order, group.detail, group.patient
    ordered_at = reader.moment(order, 9)
    control = known(_upper(text(order, 1)))
    relation = RELATIONS.get(control or "")
    parent = parent_order(group) if relation else None
    alike: dict[str, Any] = {
        "message_time": reader.message_time(known(ordered_at)),
        "order_control": control,
        "source": reader.source,
        "order_status": _upper(text(order, 5)),
        "placer_order_number": order_number(reader, group, 2),
        "filler_order_number": order_number(reader, group, 3),
        "procedure": requested_procedure(reader, group),
        "priority": _priority(reader, group),
        "reason": _joined(kept(reader, group, "reason", _reason_at, _coded_text(detail, 31))),
        "clinical_information": _joined(_whole_text(detail, 13)),
        "ordered_at": written(ordered_at),
        **reader.patient_fields(patient, group.visit),
        "ordering_provider": _ordering_provider(reader, group),
        **({relation: parent} if relation and parent else {}),
    }
    start = _scheduled_start(reader, group)
    # A ZDS or OBR-18 that repeats what one IPC says is about that one; any other value contradicts them all.
    accessions = [every(entity, procedure, 1, 1) for procedure in group.procedures]
    studies = [every(stated, procedure, 3, 1) for procedure in group.procedures]
    more_accessions = news(every(entity, detail, 18, 0), chain(*accessions))
    more_studies = news([said for study in group.studies for said in every(stated, study, 1, 1)], chain(*studies))
    staying = {_told(one) for one in group.procedures if not _is_deleted(one)}
    for index, procedure in enumerate(group.procedures or (None,)):
        deleted = _is_deleted(procedure)
        if deleted and _told(procedure) in staying:
            continue
        step = None if deleted else _step(reader, group, procedure, start)
        accession = [*(accessions[index] if procedure else ()), *more_accessions]
        study = [*(studies[index] if procedure else ()), *more_studies]
        yield OrderUpdate(
            **(alike | {"order_control": "CA"} if deleted else alike),
            accession_numbers=distinct(kept(reader, group, "accession_number", entity_at, accession, procedure)),
            study_instance_uids=distinct(kept(reader, group, "study_instance_uid", stated_at, study, procedure)),
            requested_procedure_id=_one(
                reader, group, procedure, "requested_procedure_id", stated(procedure, 2, 1), stated(detail, 19)
            ),
            modality=_modality(reader, group, procedure),
            scheduled_steps=(step,) if step else UNSET,
        )


def _is_deleted(procedure: Segment | None) -> bool:
    return _upper(text(procedure, 10)) == "D"


def _told(procedure: Segment | None) -> tuple[Said[str], Said[str]]:
    """What tells one requested procedure of a group from another: its ID and its study."""
    return text(procedure, 2), text(procedure, 3)


def _scheduled_start(reader: Reader, group: Group) -> str | None:
    def read(segment: Segment, path: Path, repetition: int) -> Said[Moment]:
        return reader.moment(segment, path.field, path.component or 1, repetition)

    timing, order, detail = group.timing, group.order, group.detail
    usual = (reader.moment(*place) for place in ((timing, 7), (order, 7, 4), (detail, 27, 4)))
    return known(written(first(*kept(reader, group, "scheduled_start", read, usual))))


def _priority(reader: Reader, group: Group) -> Said[str]:
    order, timing, detail = group.order, group.timing, group.detail
    usual = text(order, 7, 6), text(timing, 9), text(detail, 27, 6), text(detail, 5)
    said = first(*kept(reader, group, "priority", _text_at, usual))
    return _PRIORITIES.get(said) if isinstance(said, str) else said


def _ordering_provider(reader: Reader, group: Group) -> Said[Person]:
    def read(segment: Segment, path: Path, repetition: int) -> Said[Person]:
        return person(segment, path.field, repetition)

    usual = person(group.order, 12), person(group.detail, 16)
    return first(*kept(reader, group, "ordering_provider", read, usual))


def _text_at(segment: Segment, path: Path, repetition: int) -> Said[str]:
    return text(segment, path.field, path.component or 1, repetition)


def _reason_at(segment: Segment, path: Path, repetition: int) -> Said[str]:
    if path.component is None:
        return _text_or_code(segment, path.field, repetition)
    return _text_at(segment, path, repetition)


def _one(reader: Reader, group: Group, procedure: Segment | None, name: str, *usual: Said[Stated]) -> Said[Stated]:
    return first(*kept(reader, group, name, stated_at, usual, procedure))


def _modality(reader: Reader, group: Group, procedure: Segment | None) -> Said[Stated]:
    said = _one(reader, group, procedure, "modality", stated(procedure, 5, 1), stated(group.detail, 24))
    return replace(said, value=reader.meant("modality", said.value)) if isinstance(said, Stated) else said


def _step(reader: Reader, group: Group, procedure: Segment | None, start: str | None) -> ScheduledStep | None:
    """The scheduled step of an IPC, else of the OBR; none where nothing but a procedure is stated."""
    detail = group.detail
    stated_id = _one(reader, group, procedure, "scheduled_procedure_step_id", stated(procedure, 4), stated(detail, 20))
    step_id = said.value if (said := known(stated_id)) else None
    modality = known(_modality(reader, group, procedure))
    if not (step_id or modality or start):
        return None
    protocol: Said[Code]
    if procedure:
        protocol = code(procedure, 6)
        description = first(text(procedure, 6, 2), text(procedure, 6))
    else:  # OBR-4 is the requested procedure and, in its alternate components, the protocol (IHE RAD-4)
        protocol = first(code(detail, 4, 4), code(detail, 4))
        description = first(text(detail, 4, 5), text(detail, 4, 2))
    return ScheduledStep(
        scheduled_procedure_step_id=step_id,
        modality=modality.value if modality else None,
        scheduled_procedure_step_start_date_time=start,
        scheduled_procedure_step_description=known(description),
        scheduled_protocol_code=known(protocol),
        scheduled_station_ae_title=texts(procedure, 9),
        scheduled_station_name=texts(procedure, 7),
        scheduled_procedure_step_location=known(text(procedure, 8)),
        scheduled_performing_physician_name=_performing_physician(detail),
    )


def _performing_physician(detail: Segment | None) -> str | None:
    """OBR-34, an NDL whose first component is a CNN: identifier, then the name (HL7 2.5.1, 2.A.47)."""
    components = detail.components(34) if detail else []
    if detail is None or not components:
        return None
    return person_name(detail.encoding, detail.encoding.subcomponents(components[0])[1:7])


def _upper(said: Said[str]) -> Said[str]:
    return said.upper() if isinstance(said, str) else said


def _coded_text(detail: Segment | None, number: int) -> Iterator[Said[str]]:
    """The text of each CE or CWE, or else its code."""
    for repetition in range(1, len(detail.repetitions(number)) + 1 if detail else 1):
        yield _text_or_code(detail, number, repetition)


def _text_or_code(segment: Segment | None, number: int, repetition: int) -> Said[str]:
    return first(text(segment, number, 2, repetition), text(segment, number, 1, repetition))


def _whole_text(detail: Segment | None, number: int) -> Iterator[Said[str]]:
    """Everything that is said in a field: plain text to HL7 2.6, a CWE since."""
    for repetition in range(1, len(detail.repetitions(number)) + 1 if detail else 1):
        for component in range(1, len(detail.components(number, repetition)) + 1 if detail else 1):
            yield text(detail, number, component, repetition)


def _joined(said: Iterable[Said[str]]) -> Said[str]:
    every_one = list(said)
    return "; ".join(one for one in every_one if isinstance(one, str)) or first(*every_one)
