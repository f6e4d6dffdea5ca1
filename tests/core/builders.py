"""Facts in few words, as HL7 writes them: `A1^RIS` is a number and its issuer, `1^HOSP&1.2&ISO^AN` has a type too."""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import UNSET

from bridge.core.decision import CONTRADICTIONS, STUDY_CONTRADICTIONS
from bridge.core.evidence import Departure, StudyFacts
from bridge.core.link_decisions import reference_to
from bridge.core.model import (
    Identifier,
    IdentityChange,
    Issuer,
    LinkDecision,
    MessageSource,
    OrderNumbers,
    OrderUpdate,
    Patient,
    PersonName,
    Request,
    ScheduledStep,
    Stated,
    Statement,
)
from bridge.core.orders import Order, assemble
from bridge.core.patients import Identity
from bridge.core.persons import Persons
from bridge.core.policy import DEFAULT_POLICY, Policy

MADE_BY_MODALITY = "1.99"  # a Study Instance UID that no order has


def issuer(text: str) -> Issuer | None:
    parts = [part or None for part in text.split("&")]
    return Issuer(*parts) if text else None


def number(text: str, where: str) -> Identifier:
    value, authority, type_code = [*text.split("^"), "", ""][:3]
    return Identifier(value, where, issuer(authority), type_code or None)


def identifiers(text: str) -> tuple[Identifier, ...]:
    return tuple(number(one, f"PID-3[{i}].1") for i, one in enumerate(text.split(), start=1))


def person(ids: str = "", name: str | PersonName = "", born: str = "", sex: str | None = None) -> Patient:
    """A patient; `name` is in DICOM's form. Nothing is stated unless it is given."""
    names = (PersonName(name) if isinstance(name, str) else name,) if name else ()
    return Patient(identifiers(ids), names, born or None, sex)


def who(ids: str = "", name: str | PersonName = "", born: str = "") -> Identity:
    """The same as what is compared."""
    said = person(ids, name, born)
    return Identity(said.identifiers, said.names, (born,) if born else ())


JANE = person("100^HOSP", "Doe^Jane", "1970-01-31", "F")
JOHN = person("200^HOSP", "Smith^John", "1955-12-24", "M")


def update(
    filler: str = "",
    *,
    placer: str = "",
    accession: str = "",
    uid: str = "",
    rp: str = "",
    steps: tuple[str, ...] = (),
    modality: str = "",
    patient: Patient | None = None,
    control: str | None = "NW",
    status: str = "",
    time: str = "2026-01-01T08:00:00Z",
    message: str = "1",
    **others: Any,
) -> OrderUpdate:
    """What one message says about one requested procedure; what is not given, or empty, is not mentioned.

    Several accession numbers or UIDs are separated by blanks.
    """
    stated: dict[str, Any] = {
        "order_status": status,
        "placer_order_number": number(placer, "ORC-2.1") if placer else None,
        "filler_order_number": number(filler, "ORC-3.1") if filler else None,
        "accession_numbers": tuple(number(one, "OBR-18") for one in accession.split()),
        "study_instance_uids": tuple(Stated(one, "ZDS-1.1") for one in uid.split()),
        "requested_procedure_id": Stated(rp, "OBR-19") if rp else None,
        "scheduled_steps": tuple(ScheduledStep(step) for step in steps),
        "modality": Stated(modality, "OBR-24") if modality else None,
    }
    if patient:
        stated |= {
            "patient_identifiers": patient.identifiers,
            "patient_names": patient.names,
            "birth_date": patient.birth_date,
            "sex": patient.sex,
        }
    return OrderUpdate(
        message_time=time,
        order_control=control,
        source=MessageSource("RIS", "HOSP", "ORM^O01", message, "orders"),
        **{field: value or UNSET for field, value in stated.items()} | others,
    )


def order(filler: str = "F1", **stated: Any) -> Order:
    """The one order that one message makes."""
    (made,) = assemble([update(filler, **stated)]).values()
    return made


def successor(filler: str, *, of: Order, **stated: Any) -> Order:
    """The order that a replacement (RO) puts in another's place."""
    replaced = OrderNumbers(of.placer_order_number, of.filler_order_number)
    return order(filler, control="RO", replaces=replaced, **stated)


def step(start: str, modality: str = "") -> ScheduledStep:
    """A scheduled step, `start` being a day or a time."""
    return ScheduledStep(modality=modality or None, scheduled_procedure_step_start_date_time=start)


def request(
    accession: str = "", *, rp: str = "", step: str = "", uid: str = "", filler: str = "", placer: str = ""
) -> Request:
    """An item of Request Attributes Sequence (0040,0275)."""
    place = "00400275[1]."
    return Request(
        study_instance_uid=Stated(uid, f"{place}0020000D") if uid else None,
        accession_number=number(accession, f"{place}00080050") if accession else None,
        requested_procedure_id=Stated(rp, f"{place}00401001") if rp else None,
        scheduled_procedure_step_id=Stated(step, f"{place}00400009") if step else None,
        filler_order_number=number(filler, f"{place}00402017") if filler else None,
        placer_order_number=number(placer, f"{place}00402016") if placer else None,
    )


def header(
    *,
    uid: str = MADE_BY_MODALITY,
    accession: str = "",
    requests: tuple[Request, ...] = (),
    patient: Patient = JANE,
    modality: str | None = "CT",
    identity_removed: bool = False,
    date: str | None = None,
    strict: bool = False,
) -> Statement:
    """What the header of an object says, by default of a study that is Jane's; `strict` as its channel says."""
    ids = tuple(Identifier(i.value, "00100020", i.issuer, i.type_code) for i in patient.identifiers)
    return Statement(
        study_instance_uid=uid,
        accession_number=number(accession, "00080050") if accession else None,
        requests=requests,
        patient=Patient(ids, patient.names, patient.birth_date, patient.sex),
        patient_identity_removed=identity_removed,
        modality=modality,
        study_date=date,
        strict_issuers=strict or UNSET,
    )


def study(
    *objects: Statement,
    rejections: Iterable[str] = (),
    departures: Iterable[Departure] = (),
    decisions: Iterable[LinkDecision] = (),
) -> StudyFacts:
    """What is known of one study."""
    return StudyFacts(objects, tuple(rejections), tuple(departures), tuple(decisions))


def decided(
    kind: Literal["link", "unlink", "undo"],
    named: Order,
    *,
    at: str = "2026-02-01T08:00:00Z",
    user: str = "ann",
    reason: str = "seen",
    uid: str = MADE_BY_MODALITY,
    overrides: tuple[str, ...] = STUDY_CONTRADICTIONS + CONTRADICTIONS,
) -> LinkDecision:
    """What a person decided about a study and an order, by default having seen all that speaks against it."""
    return LinkDecision(at, user, reason, kind, uid, reference_to(named), overrides)


def merged(*pairs: str, policy: Policy = DEFAULT_POLICY) -> Persons:
    """Merges (ADT^A40), each written `prior > survivor`, of records with one or more identifiers."""
    sides = [[identifiers(side) for side in pair.split(" > ")] for pair in pairs]
    source = MessageSource("ADT", "HOSP", "ADT^A40", "1", "orders")
    time = "2026-01-01T08:00:00Z"
    return Persons([IdentityChange(time, "A40", source, "merge", after, prior) for prior, after in sides], (), policy)
