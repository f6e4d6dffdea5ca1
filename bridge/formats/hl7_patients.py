"""HL7 v2 patient messages (ADT, HL7 2.5.1 chapter 3) to what they say about patients, their merges and links.

Nobody may be merged or linked whom the message does not name: what leaves a doubt is refused, never guessed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import Identifier, IdentityChange, PatientUpdate, PersonName
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_reader import PRIOR, Reader
from bridge.formats.hl7_values import known, names
from bridge.formats.lost_characters import LOST

_Kind = Literal["merge", "link", "unlink"]

_PAIRS: dict[str, _Kind] = {"A24": "link", "A37": "unlink"}  # two PID and no MRG (3.3.24, 3.3.37)
_ACCOUNT_CHANGES = frozenset(("A06", "A07"))  # their MRG is about the account number, MRG-3 (3.3.6, 3.3.7)


@dataclass(slots=True)
class _Record:
    """A PID and what stands behind it."""

    patient: Segment
    visit: Segment | None = None  # PV1
    merges: list[Segment] = field(default_factory=list)  # MRG


def read_patient(reader: Reader, limits: Limits) -> tuple[PatientUpdate, ...]:
    """What an admission, discharge, registration or update says: one update for each PID.

    Raises Invalid: `hl7-no-patient`, `max-orders`.
    """
    records = _records(reader, limits)
    updates = [(record, _update(reader, record)) for record in records]
    named = tuple(update for _, update in updates if update.patient_identifiers)
    if not named:
        raise _nobody(reader, records[0])
    for record, update in updates:
        if not update.patient_identifiers:
            reader.warnings.append(f"{_nobody(reader, record).reason}: {record.patient.path} is not read")
    if reader.event not in _ACCOUNT_CHANGES:
        _leave_merges(reader)
    return named


def read_identity_changes(reader: Reader, limits: Limits) -> tuple[PatientUpdate | IdentityChange, ...]:
    """What a merge or change of identifiers (A18, A34, A36, A40, A47), a link (A24) or its end (A37) says.

    In the message's sequence: an update for each PID, and a change for each MRG behind it, or for the two PID.

    Raises Invalid: `hl7-no-patient`, `hl7-no-prior-identifier`, `hl7-not-two-patients`, `hl7-lost-characters`,
    `max-orders`.
    """
    records = _records(reader, limits)
    used = reader.id_fields if "ids" in reader.places else [3]
    for name, number in [*(("PID", one) for one in used), *(("MRG", PRIOR[one]) for one in used)]:
        for segment in reader.message.named(name):
            if LOST in segment.field(number):
                place = segment.where(number)
                raise Invalid("hl7-lost-characters", f"{place} has characters that an earlier system lost")
    return tuple(_linked(reader, records) if reader.event in _PAIRS else _merged(reader, records))


def _merged(reader: Reader, records: list[_Record]) -> Iterator[PatientUpdate | IdentityChange]:
    """Each MRG goes with the PID before it (3.3.40); in any other sequence nobody can tell who survives."""
    merges = reader.message.named("MRG")
    if sum(len(record.merges) for record in records) < len(merges):
        raise Invalid("hl7-no-patient", f"{merges[0].path} has no PID before it")
    for record in records:
        update = _update(reader, record)
        surviving = known(update.patient_identifiers) or ()
        if not surviving:
            raise _nobody(reader, record)
        if not record.merges:
            raise Invalid("hl7-no-prior-identifier", f"{record.patient.path} has no MRG behind it")
        yield update
        for merge in record.merges:
            prior = _prior_identifiers(reader, merge)
            yield _change(reader, "merge", surviving, prior, known(names(merge, 7)) or ())


def _linked(reader: Reader, records: list[_Record]) -> Iterator[PatientUpdate | IdentityChange]:
    if len(records) != 2:
        raise Invalid("hl7-not-two-patients", f"the message has {len(records)} PID segments, {reader.event} two")
    updates = [_update(reader, record) for record in records]
    one, other = (known(update.patient_identifiers) or () for update in updates)
    if not (one and other):
        raise _nobody(reader, records[1 if one else 0])
    _leave_merges(reader)
    yield from updates
    yield _change(reader, _PAIRS[reader.event], one, other, known(updates[1].patient_names) or ())


def _records(reader: Reader, limits: Limits) -> list[_Record]:
    found: list[_Record] = []
    for segment in reader.message.segments:
        match segment.name:
            case "PID":
                found.append(_Record(segment))
            case "PV1" if found and not found[-1].visit:
                found[-1].visit = segment
            case "MRG" if found:
                found[-1].merges.append(segment)
    if not found:
        raise Invalid("hl7-no-patient", "the message has no PID segment")
    if max(len(found), len(reader.message.named("MRG"))) > limits.max_orders:
        raise limits.exceeded("max_orders")
    return found


def _update(reader: Reader, record: _Record) -> PatientUpdate:
    return PatientUpdate(
        message_time=_time(reader),
        event=reader.event,
        source=reader.source,
        **reader.patient_fields(record.patient, record.visit),
    )


def _change(
    reader: Reader,
    kind: _Kind,
    patient: tuple[Identifier, ...],
    prior: tuple[Identifier, ...],
    prior_names: tuple[PersonName, ...],
) -> IdentityChange:
    places = {(one.value, one.issuer): one.where for one in patient}
    for one in prior:
        if place := places.get((one.value, one.issuer)):
            reader.warnings.append(f"{one.where} is the same identifier as {place}")
    return IdentityChange(
        message_time=_time(reader),
        event=reader.event,
        source=reader.source,
        kind=kind,
        patient_identifiers=patient,
        prior_identifiers=prior,
        prior_names=prior_names,
    )


def _prior_identifiers(reader: Reader, merge: Segment) -> tuple[Identifier, ...]:
    found = known(reader.prior_identifiers(merge))
    if not found:
        raise Invalid("hl7-no-prior-identifier", _nothing(merge, [PRIOR[one] for one in reader.id_fields]))
    return found


def _nobody(reader: Reader, record: _Record) -> Invalid:
    return Invalid("hl7-no-patient", _nothing(record.patient, reader.id_fields))


def _nothing(segment: Segment, fields: Sequence[int]) -> str:
    places = [segment.where(field) for field in fields]
    return f"{' and '.join(places)} hold{'s' if len(places) == 1 else ''} no identifier"


def _leave_merges(reader: Reader) -> None:
    """Says that an MRG is not read, in a message that merges nobody."""
    for merge in reader.message.named("MRG"):
        reader.warnings.append(f"{merge.path} is not read: {reader.source.message_type} merges no patients")


def _time(reader: Reader) -> str:
    """EVN-2, when the event was recorded, or MSH-7."""
    event = next(iter(reader.message.named("EVN")), None)
    return reader.message_time(known(reader.moment(event, 2)))
