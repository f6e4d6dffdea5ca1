"""HL7 v2 result messages (ORU^R01, HL7 2.5.1 7.3.1) to reports: what each OBR reports on, and how final it is.

The report's text must never be kept.
"""

import re
from collections.abc import Iterator
from itertools import chain

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import Report, Stated
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_groups import (
    Group,
    groups,
    kept,
    order_number,
    requested_procedure,
)
from bridge.formats.hl7_places import entity_at, stated_at
from bridge.formats.hl7_reader import Reader, written
from bridge.formats.hl7_values import distinct, entity, every, first, known, stated, text

# OBX-3 of an observation that holds a Study Instance UID: IHE RAD-28 has the label, RAD-128 and PS3.16 the codes.
_STUDY_CODES = frozenset(("110180", "113014"))  # DCM: Study Instance UID, DICOM Study
_CODED_IN = frozenset(("", "DCM", "1.2.840.10008.2.16.4"))
_STUDY_LABELS = frozenset(("studyinstanceuid", "dicomstudy"))
_NOT_A_LETTER = re.compile(r"[^a-z]")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_LONGEST_UID = 64  # PS3.5 9.1
# PS3.18 9.1 (studyUID), and what viewers call it
_UID_PARAMETER = re.compile(r"[?&]study_?(?:instance_?)?uid=([^&#]*)", re.IGNORECASE)


def read_reports(reader: Reader, limits: Limits) -> tuple[Report, ...]:
    """What a result message says: one report for each OBR, those of laboratories included.

    Raises Invalid: `hl7-no-order`, `max-orders`.
    """
    found = groups(reader)
    if not found:
        raise Invalid("hl7-no-order", "the result message has neither an ORC nor an OBR segment")
    if len(found) > limits.max_orders:
        raise limits.exceeded("max_orders")
    return tuple(_report(reader, group) for group in found)


def _report(reader: Reader, group: Group) -> Report:
    detail, procedures = group.detail, group.procedures
    reported_at = reader.moment(detail, 22)
    status = known(text(detail, 25))
    accessions = [every(entity, procedure, 1, 1) for procedure in procedures]
    studies = [every(stated, study, 1, 1) for study in group.studies]
    studies += [every(stated, procedure, 3, 1) for procedure in procedures]
    procedure_ids = [stated(detail, 19), *(stated(one, 2, 1) for one in procedures)]
    accession = chain(every(entity, detail, 18, 0), *accessions)
    study = chain(_observed_studies(reader, group), *studies)
    return Report(
        # OBR-22 comes last, as many senders leave it as it is when a report is corrected
        message_time=reader.message_time(otherwise=known(reported_at)),
        source=reader.source,
        patient=reader.patient(group.patient),
        placer_order_number=known(order_number(reader, group, 2)),
        filler_order_number=known(order_number(reader, group, 3)),
        accession_numbers=known(distinct(kept(reader, group, "accession_number", entity_at, accession))) or (),
        requested_procedure_id=known(first(*kept(reader, group, "requested_procedure_id", stated_at, procedure_ids))),
        study_instance_uids=known(distinct(kept(reader, group, "study_instance_uid", stated_at, study))) or (),
        result_status=status.upper() if status else None,
        reported_at=known(written(reported_at)),
        procedure=known(requested_procedure(reader, group)),
    )


def _observed_studies(reader: Reader, group: Group) -> Iterator[Stated]:
    """The Study Instance UIDs in OBX-5; a value there that is none is a warning."""
    for observation in group.observations:
        if _is_about_study(observation):
            for repetition in range(1, len(observation.repetitions(5)) + 1):
                yield from _observed_study(reader, observation, repetition)


def _is_about_study(observation: Segment) -> bool:
    for component in (1, 4):  # the identifier and the alternate one of a CE or CWE
        code, label, system = (known(text(observation, 3, component + n)) or "" for n in range(3))
        if code in _STUDY_CODES and system.upper() in _CODED_IN:
            return True
        if not _STUDY_LABELS.isdisjoint((_letters(code), _letters(label))):
            return True
    return False


def _observed_study(reader: Reader, observation: Segment, repetition: int) -> Iterator[Stated]:
    """The first component, whatever the data type; of an HD (OBX-2) also its universal ID."""
    components = (1, 2) if known(text(observation, 2)) == "HD" else (1,)
    values = {component: known(text(observation, 5, component, repetition)) for component in components}
    for component, value in values.items():
        if value and (uid := _uid(value)):
            yield Stated(uid, observation.where(5, repetition, component if component > 1 else 0))
            return
    if any(values.values()):
        reader.warnings.append(f"{observation.where(5, repetition)}: not a Study Instance UID")


def _uid(value: str) -> str | None:
    """A UID, or the one in the query of a URL."""
    parameter = _UID_PARAMETER.search(value)
    uid = parameter[1] if parameter else value
    return uid if len(uid) <= _LONGEST_UID and _UID.fullmatch(uid) else None


def _letters(label: str) -> str:
    return _NOT_A_LETTER.sub("", label.lower())
