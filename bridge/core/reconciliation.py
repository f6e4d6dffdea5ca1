"""Where an object's header and its orders differ, and what the orders say: a proposal, never a silent change."""

from collections.abc import Sequence

from bridge.core.identifiers import is_placeholder, of_one_person
from bridge.core.model import Patient, Statement
from bridge.core.orders import Order
from bridge.core.struct import Value


class Difference(Value):
    """One attribute; dates are `YYYY-MM-DD`. `received` is null where the header leaves it empty."""

    tag: str
    keyword: str
    vr: str
    received: str | None
    ordered: str


def reconcile(said: Statement, orders: Sequence[Order]) -> tuple[Difference, ...]:
    """The attributes of which the orders, where they agree among themselves, say something else than the header."""
    header = said.patient
    number = said.accession_number
    rows = (
        ("00080050", "AccessionNumber", "SH", number.value if number else None, [_accessions(o) for o in orders]),
        ("00100010", "PatientName", "PN", _name(header), [[_name(o.patient)] for o in orders]),
        ("00100020", "PatientID", "LO", _patient_id(header), [_patient_ids(o) for o in orders]),
        ("00100030", "PatientBirthDate", "DA", header.birth_date, [_birth_date(header, o) for o in orders]),
        ("00100040", "PatientSex", "CS", header.sex, [[o.patient.sex] for o in orders]),
        ("0020000D", "StudyInstanceUID", "UI", said.study_instance_uid, [_study_uids(o) for o in orders]),
    )
    return tuple(
        Difference(tag, keyword, vr, received, proposed)
        for tag, keyword, vr, received, ordered in rows
        if (proposed := _proposal(received, ordered)) is not None
    )


def _proposal(received: str | None, ordered: Sequence[Sequence[str | None]]) -> str | None:
    """What every order says first, unless the header already says what one of them says."""
    first = {values[0] for values in ordered if values and values[0]}
    if len(first) != 1 or (received is not None and any(received in values for values in ordered)):
        return None
    return first.pop()


def _accessions(order: Order) -> list[str]:
    return [number.value for number in order.accession_numbers if not is_placeholder(number.value)]


def _study_uids(order: Order) -> list[str]:
    return [uid.value for uid in order.study_instance_uids]


def _patient_ids(order: Order) -> list[str]:
    """Those of the patient as known now: a number that was merged away is what the order does not say any more."""
    return [i.value for i in of_one_person(order.patient.identifiers)]


def _birth_date(header: Patient, order: Order) -> list[str | None]:
    """A date that is known less precisely says nothing else."""
    stated = order.patient.birth_date
    less_precise = stated and header.birth_date and header.birth_date.startswith(stated)
    return [header.birth_date if less_precise else stated]


def _patient_id(patient: Patient) -> str | None:
    """(0010,0020), not one of the other patient IDs."""
    return next((number.value for number in patient.identifiers if number.where == "00100020"), None)


def _name(patient: Patient) -> str | None:
    return (patient.names[0].alphabetic or "").rstrip("^ ") or None if patient.names else None
