"""HL7 v2 scheduling messages (SIU, HL7 2.5.1 chapter 10) to appointments: which order is to be done when."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import Appointment, Code, Identifier
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_reader import Reader
from bridge.formats.hl7_values import Moment, code, distinct, entity, every, first, known, text

_Segments = Mapping[str, Sequence[Segment]]

# Where a start stands: of the appointment (TQ1 has replaced SCH-11 since HL7 2.5), its services, equipment,
# location and people.
_STARTS = (("TQ1", 7, 1), ("SCH", 11, 4), ("AIS", 4, 1), ("AIG", 8, 1), ("AIL", 6, 1), ("AIP", 6, 1))


def read_appointments(reader: Reader, limits: Limits) -> tuple[Appointment, ...]:
    """What a scheduling message says: one appointment for each SCH, of which the standard has one.

    Raises Invalid: `hl7-no-appointment`, `max-orders`.
    """
    schedules = reader.message.named("SCH")
    if not schedules:
        raise Invalid("hl7-no-appointment", "the scheduling message has no SCH segment")
    if len(schedules) > limits.max_orders:
        raise limits.exceeded("max_orders")
    return tuple(_appointment(reader, segments) for segments in _parts(reader.message.segments))


def _parts(segments: Sequence[Segment]) -> Iterator[_Segments]:
    """The segments of each appointment by name; those ahead of the first SCH belong to it."""
    part: dict[str, list[Segment]] = {}
    for segment in segments:
        if segment.name == "SCH" and "SCH" in part:
            yield part
            part = {}
        part.setdefault(segment.name, []).append(segment)
    yield part


def _appointment(reader: Reader, segments: _Segments) -> Appointment:
    schedule = segments["SCH"][0]
    patients = segments.get("PID", ())
    if len(patients) > 1:
        reader.warnings.append(f"{patients[1].path}: a further patient of the appointment, not read")
    placers, fillers = _order_numbers(schedule, segments)
    return Appointment(
        message_time=reader.message_time(),
        event=reader.event,
        source=reader.source,
        patient=reader.patient(next(iter(patients), None)),
        placer_appointment_id=known(entity(schedule, 1)),
        filler_appointment_id=known(entity(schedule, 2)),
        placer_order_numbers=placers,
        filler_order_numbers=fillers,
        start=_start(reader, segments),
        status=known(first(text(schedule, 25), text(schedule, 25, 2))),
        procedure=_procedure(reader, segments),
    )


def _order_numbers(schedule: Segment, segments: _Segments) -> tuple[tuple[Identifier, ...], tuple[Identifier, ...]]:
    """SCH-26 and SCH-27; without either, as before HL7 2.4, what an ORC or OBR says that a sender has added."""
    found = [known(distinct(every(entity, schedule, number, 1))) or () for number in (26, 27)]
    if not any(found):
        added = [*segments.get("ORC", ()), *segments.get("OBR", ())]
        found = [known(distinct(entity(segment, number) for segment in added)) or () for number in (2, 3)]
    return found[0], found[1]


def _start(reader: Reader, segments: _Segments) -> str | None:
    """The first that is stated; other places may disagree, and are named."""
    stated: list[tuple[str, Moment]] = []
    for name, number, component in _STARTS:
        for segment in segments.get(name, ()):
            if start := known(reader.moment(segment, number, component)):
                stated.append((segment.where(number, 1, component if component > 1 else 0), start))
                break
    if not stated:
        return None
    (place, start), *others = stated
    differing = [other_place for other_place, other in others if _differ(start, other)]
    if differing:
        reader.warnings.append(f"{', '.join(differing)}: another start than {place}, which is taken")
    return start.rfc3339()


def _differ(one: Moment, other: Moment) -> bool:
    """Whether two starts exclude each other, a day alone being any time of it."""
    if one.timed and other.timed:
        return one.when != other.when
    return one.when.date() != other.when.date()


def _procedure(reader: Reader, segments: _Segments) -> Code | None:
    """AIS-3, in its first coding system or else the other; the first service, where there are several."""
    found: Code | None = None
    place = ""
    for segment in segments.get("AIS", ()):
        procedure = known(first(code(segment, 3), code(segment, 3, 4)))
        if procedure and not found:
            found, place = procedure, segment.where(3)
        elif procedure and procedure != found:
            reader.warnings.append(f"{segment.where(3)}: another procedure than {place}, which is taken")
            break
    return found
