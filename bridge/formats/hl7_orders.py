"""One ORC/OBR group of an HL7 v2 message to order updates: one for each requested procedure that it names.

It states what the group says and where; it must never read Instance Number (0020,0013), which no HL7 v2 field carries.
Which field stands for what: IHE RAD-4 and RAD-13 for OBR-18 to OBR-24 and ZDS, HL7 2.5.1 4.5.6 for IPC.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from bridge.core.model import Code, Identifier, Issuer, OrderSource, OrderUpdate, ScheduledStep, Stated
from bridge.formats.hl7 import Message, Segment
from bridge.formats.hl7_values import (
    Moment,
    Said,
    T,
    code,
    date_of_birth,
    entity,
    every,
    first,
    identifiers,
    known,
    moment,
    names,
    offset,
    person,
    person_name,
    stated,
    text,
    texts,
)

_PRIORITIES = {"S": "STAT", "A": "HIGH", "P": "HIGH", "C": "HIGH", "R": "ROUTINE", "T": "MEDIUM"}  # tables 0485, 0027
_SEXES = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O"}  # table 0001 to PS3.3 C.7.1.1; U is unknown


@dataclass(slots=True)
class Group:
    """The segments that say something about one ORC/OBR pair. `shares_order`: its ORC has several OBR."""

    patient: Segment | None
    visit: Segment | None
    order: Segment | None = None
    detail: Segment | None = None
    shares_order: bool = False
    order_timings: list[Segment] = field(default_factory=list)  # TQ1 before the OBR, of the ORC
    timings: list[Segment] = field(default_factory=list)  # TQ1 behind the OBR
    procedures: list[Segment] = field(default_factory=list)  # IPC
    studies: list[Segment] = field(default_factory=list)  # ZDS
    not_imaging: str | None = None  # the segment that stands in the place of the OBR

    @property
    def timing(self) -> Segment | None:
        """The TQ1 that holds."""
        return next(iter(self.timings or self.order_timings), None)

    @property
    def where(self) -> str:
        """The segment that the group begins with, such as `ORC[2]`."""
        segment = self.order if self.order and not self.shares_order else self.detail or self.order
        return segment.path if segment else ""


class Reader:
    """Reads the groups of one message; what is wrong is added to `warnings`, which name places and never values."""

    def __init__(self, message: Message, message_type: str, channel: str, timezone: str) -> None:
        self.warnings = list(message.warnings)
        header = message.segments[0]
        self._zone = offset(known(text(header, 7)) or "") or _zone(timezone)
        self._sent_at = known(self._moment(header, 7))
        self._source = OrderSource(
            sending_application=known(text(header, 3)),
            sending_facility=known(text(header, 4)),
            message_type=message_type,
            message_control_id=known(text(header, 10)),
            channel=channel,
        )

    def updates(self, group: Group) -> Iterator[OrderUpdate]:
        """One update for each IPC, or one where there is none."""
        order, detail, patient = group.order, group.detail, group.patient
        ordered_at = self._moment(order, 9)
        alike: dict[str, Any] = {
            "message_time": self._message_time(known(ordered_at)),
            "order_control": known(text(order, 1)),
            "source": self._source,
            "order_status": text(order, 5),
            "placer_order_number": self._number(group, 2),
            "filler_order_number": self._number(group, 3),
            "procedure": first(code(detail, 44), code(detail, 4), code(detail, 4, 4)),
            "priority": _priority(group),
            "reason": _joined(_coded_text(detail, 31)),
            "clinical_information": _joined(_whole_text(detail, 13)),
            "ordered_at": _written(ordered_at),
            "patient_identifiers": first(identifiers(patient, 3), identifiers(patient, 2)),
            "patient_names": names(patient, 5),
            "birth_date": self._birth_date(patient),
            "sex": _sex(patient),
            "visit_number": text(group.visit, 19),
            "account_number": text(patient, 18),
            "ordering_provider": first(person(order, 12), person(detail, 16)),
        }
        start = self._scheduled_start(group)
        # A ZDS or OBR-18 that repeats what one IPC says is about that one; any other value contradicts them all.
        accessions = [every(entity, procedure, 1, 1) for procedure in group.procedures]
        studies = [every(stated, procedure, 3, 1) for procedure in group.procedures]
        more_accessions = _news(every(entity, detail, 18, 0), chain(*accessions))
        more_studies = _news([said for study in group.studies for said in every(stated, study, 1, 1)], chain(*studies))
        for index, procedure in enumerate(group.procedures or (None,)):
            step = _step(group, procedure, start)
            yield OrderUpdate(
                **alike,
                accession_numbers=_distinct([*(accessions[index] if procedure else ()), *more_accessions]),
                study_instance_uids=_distinct([*(studies[index] if procedure else ()), *more_studies]),
                requested_procedure_id=first(stated(procedure, 2, 1), stated(detail, 19)),
                modality=_modality(group, procedure),
                scheduled_steps=(step,) if step else UNSET,
            )

    def _number(self, group: Group, number: int) -> Said[Identifier]:
        """ORC-2 or OBR-2, ORC-3 or OBR-3: the ORC's, but where it is shared by several OBR."""
        order, detail = entity(group.order, number), entity(group.detail, number)
        if group.shares_order:
            return first(detail, order)
        one, other = known(order), known(detail)
        if one and other and one.value != other.value:
            self.warnings.append(f"{one.where} and {other.where} differ: {one.where} is taken")
        return first(order, detail)

    def _message_time(self, ordered_at: Moment | None) -> str:
        """ORC-9 or else MSH-7, in UTC; the first that has a time of day, as a day alone cannot order messages."""
        stated_times = [one for one in (ordered_at, self._sent_at) if one]
        chosen = next((one for one in stated_times if one.timed), next(iter(stated_times), None))
        return chosen.in_utc() if chosen else ""

    def _moment(self, segment: Segment | None, number: int, component: int = 1) -> Said[Moment]:
        said = text(segment, number, component)
        if segment is None or not isinstance(said, str):
            return None if said is None else UNSET
        found = moment(said, self._zone)
        if not found:
            where = segment.where(number, 1, component if component > 1 else 0)
            self.warnings.append(f"{where}: not a date and time")
        return found or UNSET

    def _scheduled_start(self, group: Group) -> str | None:
        found = first(self._moment(group.timing, 7), self._moment(group.order, 7, 4), self._moment(group.detail, 27, 4))
        return known(_written(found))

    def _birth_date(self, patient: Segment | None) -> Said[str]:
        said = text(patient, 7)
        if patient is None or not isinstance(said, str):
            return said
        found = date_of_birth(said)
        if not found:
            self.warnings.append(f"{patient.where(7)}: not a date")
        return found or UNSET


def _written(said: Said[Moment]) -> Said[str]:
    return said.rfc3339() if isinstance(said, Moment) else said


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _priority(group: Group) -> Said[str]:
    said = first(text(group.order, 7, 6), text(group.timing, 9), text(group.detail, 27, 6), text(group.detail, 5))
    return _PRIORITIES.get(said) if isinstance(said, str) else said


def _sex(patient: Segment | None) -> Said[str]:
    said = text(patient, 8)
    return _SEXES.get(said) if isinstance(said, str) else said


def _modality(group: Group, procedure: Segment | None) -> Said[Stated]:
    return first(stated(procedure, 5, 1), stated(group.detail, 24))


def _step(group: Group, procedure: Segment | None, start: str | None) -> ScheduledStep | None:
    """The scheduled step of an IPC, else of the OBR; none where nothing but a procedure is stated."""
    detail = group.detail
    step_id = known(first(text(procedure, 4), text(detail, 20)))
    modality = known(_modality(group, procedure))
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


def _coded_text(detail: Segment | None, number: int) -> Iterator[Said[str]]:
    """The text of each CE or CWE, or else its code."""
    for repetition in range(1, len(detail.repetitions(number)) + 1 if detail else 1):
        yield first(text(detail, number, 2, repetition), text(detail, number, 1, repetition))


def _whole_text(detail: Segment | None, number: int) -> Iterator[Said[str]]:
    """Everything that is said in a field: plain text to HL7 2.6, a CWE since."""
    for repetition in range(1, len(detail.repetitions(number)) + 1 if detail else 1):
        for component in range(1, len(detail.components(number, repetition)) + 1 if detail else 1):
            yield text(detail, number, component, repetition)


def _joined(said: Iterable[Said[str]]) -> Said[str]:
    every_one = list(said)
    return "; ".join(one for one in every_one if isinstance(one, str)) or first(*every_one)


def _distinct(said: list[Said[T]]) -> tuple[T, ...] | UnsetType:
    """Every distinct value, the first place it stands in; empty where there is none but one is deleted."""
    found = tuple(one for one in _news(said) if one is not None and not isinstance(one, UnsetType))
    return found if found or None in said else UNSET


def _news(said: list[Said[T]], known_already: Iterable[Said[T]] = ()) -> list[Said[T]]:
    """What neither is known already nor was said before: another value, or the same of another issuer."""
    issuers: dict[str, set[Issuer | None]] = {}
    for one in known_already:
        if isinstance(one, Identifier | Stated):
            issuers.setdefault(one.value, set()).add(_issuer(one))
    news: list[Said[T]] = []
    for one in said:
        if isinstance(one, Identifier | Stated):
            known_issuers, issuer = issuers.setdefault(one.value, set()), _issuer(one)
            if known_issuers and (issuer is None or not known_issuers.isdisjoint((None, issuer))):
                continue
            known_issuers.add(issuer)
        news.append(one)
    return news


def _issuer(said: Identifier | Stated) -> Issuer | None:
    return said.issuer if isinstance(said, Identifier) else None
