"""The facts: what one message says about orders, objects and patients, each value with the place it was read from.

A fact is what was stated, not what is true: nothing here is merged, compared or decided.
`where` is an HL7 path (`PID-3[2].1`) or a DICOM tag (`00100020`, `00400275[1].00080050`).
"""

from typing import Any, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from bridge.core.instance_number import InstanceNumber
from bridge.core.struct import Value


class Issuer(Value):
    """Who assigned an identifier: HL7's HD, DICOM's HL7v2 Hierarchic Designator Macro (PS3.3 10.17)."""

    namespace_id: str | None = None
    universal_id: str | None = None
    universal_id_type: str | None = None


class Stated(Value):
    """A plain value and the place it was read from."""

    value: str
    where: str


class Identifier(Value):
    """An identifier, its issuer, and the place it was read from (HL7 EI and CX)."""

    value: str
    where: str
    issuer: Issuer | None = None
    type_code: str | None = None  # CX.5, HL7 table 0203


class PersonName(Value):
    """A name in DICOM's PN form, `Family^Given^Middle^Prefix^Suffix`, for each representation (PS3.5 6.2)."""

    alphabetic: str | None = None
    ideographic: str | None = None
    phonetic: str | None = None


class Code(Value):
    """A coded entry (HL7 CE and CWE, DICOM code sequence)."""

    code: str | None = None
    display: str | None = None
    system: str | None = None


class Person(Value):
    """Somebody who is not the patient, such as the ordering provider (HL7 XCN)."""

    value: str | None = None
    issuer: Issuer | None = None
    name: PersonName | None = None


class Patient(Value):
    """A patient as one message states it.

    `birth_date` is `YYYY-MM-DD`, `YYYY-MM` or `YYYY`; `sex` is F, M or O (PS3.3 C.7.1.1).
    """

    identifiers: tuple[Identifier, ...] = ()
    names: tuple[PersonName, ...] = ()
    birth_date: str | None = None
    sex: str | None = None


class ScheduledStep(Value):
    """A scheduled procedure step (PS3.3 C.4.10)."""

    scheduled_procedure_step_id: str | None = None
    modality: str | None = None
    scheduled_procedure_step_start_date_time: str | None = None  # RFC 3339, or a date where no time is known
    scheduled_procedure_step_description: str | None = None
    scheduled_protocol_code: Code | None = None
    scheduled_station_ae_title: tuple[str, ...] = ()
    scheduled_station_name: tuple[str, ...] = ()
    scheduled_procedure_step_location: str | None = None
    scheduled_performing_physician_name: str | None = None


class MessageSource(Value):
    """The message that something was stated in."""

    sending_application: str | None = None
    sending_facility: str | None = None
    message_type: str | None = None
    message_control_id: str | None = None
    channel: str | None = None


class PatientStatement(Value):
    """A patient as one message about an order or a patient states it. UNSET and None as in `OrderUpdate`."""

    message_time: str  # RFC 3339 in UTC, "" where the message states no time at all
    sending_facility: str | None = None
    identifiers: tuple[Identifier, ...] | UnsetType = UNSET
    names: tuple[PersonName, ...] | UnsetType = UNSET
    birth_date: str | UnsetType | None = UNSET
    sex: str | UnsetType | None = UNSET
    rank: int = 1  # at one time the higher is newer: -1 where it names no patient, 0 of a new order, 1 of any other


class OrderNumbers(Value):
    """Another order as a message names it, such as the one that it replaces."""

    placer_order_number: Identifier | None = None
    filler_order_number: Identifier | None = None


class OrderUpdate(Value):
    """What one HL7 message says about one requested procedure.

    A field that the message does not mention is UNSET and changes nothing; one that it sets to `""` is None and
    deletes what was known (HL7 2.5.1, 2.5.3). `accession_numbers` and `study_instance_uids` list every distinct value
    that the message gives, the preferred place first; more than one makes the order contradictory with itself.
    """

    message_time: str  # RFC 3339 in UTC, "" where the message states no time at all
    order_control: str | None
    source: MessageSource
    order_status: str | UnsetType | None = UNSET
    placer_order_number: Identifier | UnsetType | None = UNSET
    filler_order_number: Identifier | UnsetType | None = UNSET
    accession_numbers: tuple[Identifier, ...] | UnsetType = UNSET
    study_instance_uids: tuple[Stated, ...] | UnsetType = UNSET
    requested_procedure_id: Stated | UnsetType | None = UNSET
    modality: Stated | UnsetType | None = UNSET
    procedure: Code | UnsetType | None = UNSET
    priority: str | UnsetType | None = UNSET  # STAT, HIGH, ROUTINE, MEDIUM
    reason: str | UnsetType | None = UNSET
    clinical_information: str | UnsetType | None = UNSET
    ordered_at: str | UnsetType | None = UNSET
    patient_identifiers: tuple[Identifier, ...] | UnsetType = UNSET
    patient_names: tuple[PersonName, ...] | UnsetType = UNSET
    birth_date: str | UnsetType | None = UNSET
    sex: str | UnsetType | None = UNSET
    visit_number: str | UnsetType | None = UNSET
    account_number: str | UnsetType | None = UNSET
    ordering_provider: Person | UnsetType | None = UNSET
    scheduled_steps: tuple[ScheduledStep, ...] | UnsetType = UNSET
    replaces: OrderNumbers | UnsetType = UNSET  # of ORC-1 RO: the order of RP or RU before it, or ORC-8
    parent: OrderNumbers | UnsetType = UNSET  # ORC-8 or OBR-29 of a child order


class Request(Value):
    """One item of Request Attributes (0040,0275) or Referenced Request (0040,A370)."""

    study_instance_uid: Stated | None = None
    accession_number: Identifier | None = None
    requested_procedure_id: Stated | None = None
    scheduled_procedure_step_id: Stated | None = None
    placer_order_number: Identifier | None = None
    filler_order_number: Identifier | None = None


class Statement(Value):
    """All of an object's header that linking looks at. The objects of a study mostly share one."""

    study_instance_uid: str
    accession_number: Identifier | None = None  # (0008,0050)
    requests: tuple[Request, ...] = ()
    patient: Patient = Patient()
    patient_identity_removed: bool = False  # (0012,0062)
    modality: str | None = None
    study_date: str | None = None  # (0008,0020), YYYY-MM-DD
    strict_issuers: bool | UnsetType = UNSET  # as `Policy`, where the object's channel says so; else nothing is stored


class RejectedInstance(Value):
    """One object that a rejection note takes out."""

    study_instance_uid: str | None
    sop_instance_uid: str


class RejectionNote(Value):
    """A Key Object Selection titled as rejection note (IHE RAD IOCM; PS3.16 CID 7010)."""

    code: str  # DCM 113001, 113037, 113038 or 113039
    instances: tuple[RejectedInstance, ...]


class Instance(Value):
    """What one DICOM object's header says."""

    sop_instance_uid: str
    sop_class_uid: str | None
    sop_class_name: str | None
    series_instance_uid: str | None
    transfer_syntax_uid: str | None
    series_number: int | None
    number_of_frames: int | None
    instance_number: InstanceNumber
    statement: Statement
    dicom: dict[str, Any]  # DICOM JSON Model (PS3.18 F) of the attributes that the channel keeps
    attributes_modified_at: str | None = None  # latest (0400,0562), RFC 3339
    warnings: tuple[str, ...] = ()  # what is odd about the header: places, never values
    rejects: RejectionNote | None = None
    station_name: str | None = None  # (0008,1010)


class PatientUpdate(Value):
    """What one HL7 message (ADT) says about one patient. UNSET and None as in `OrderUpdate`."""

    message_time: str  # RFC 3339 in UTC, "" where the message states no time at all
    event: str  # trigger event, such as A08
    source: MessageSource
    patient_identifiers: tuple[Identifier, ...] | UnsetType = UNSET
    patient_names: tuple[PersonName, ...] | UnsetType = UNSET
    birth_date: str | UnsetType | None = UNSET
    sex: str | UnsetType | None = UNSET
    visit_number: str | UnsetType | None = UNSET
    account_number: str | UnsetType | None = UNSET


class IdentityChange(Value):
    """What one HL7 message says about the identifiers of two patient records, one PID and its MRG or second PID.

    `merge` is directed (HL7 2.5.1, 3.3.40): the prior identifiers (MRG-1) now belong to the person of the PID. `link`
    and `unlink` (A24, A37) are not: `prior_identifiers` are those of the second PID.
    """

    message_time: str
    event: str  # trigger event, such as A40
    source: MessageSource
    kind: Literal["merge", "link", "unlink"]
    patient_identifiers: tuple[Identifier, ...]
    prior_identifiers: tuple[Identifier, ...]
    prior_names: tuple[PersonName, ...] = ()  # MRG-7, or PID-5 of the second PID


class Report(Value):
    """What one OBR of a result message (ORU^R01) says about the report of an imaging order; never the text."""

    message_time: str
    source: MessageSource
    patient: Patient
    placer_order_number: Identifier | None = None
    filler_order_number: Identifier | None = None
    accession_numbers: tuple[Identifier, ...] = ()
    requested_procedure_id: Stated | None = None
    study_instance_uids: tuple[Stated, ...] = ()
    result_status: str | None = None  # OBR-25, HL7 table 0123
    reported_at: str | None = None  # OBR-22, RFC 3339
    procedure: Code | None = None


class Appointment(Value):
    """What one scheduling message (SIU) says about when an order is to be done."""

    message_time: str
    event: str  # trigger event: S12 new, S13 rescheduled, S14 modified, S15 cancelled, S26 no show
    source: MessageSource
    patient: Patient
    placer_appointment_id: Identifier | None = None  # SCH-1
    filler_appointment_id: Identifier | None = None  # SCH-2
    placer_order_numbers: tuple[Identifier, ...] = ()  # SCH-26
    filler_order_numbers: tuple[Identifier, ...] = ()  # SCH-27
    start: str | None = None  # RFC 3339, or a date where no time is known
    status: str | None = None  # SCH-25, HL7 table 0278
    procedure: Code | None = None  # AIS-3


class OrderReference(Value):
    """An order as a person named it: by its id then, and by its numbers, which outlast the id."""

    id: str
    placer_order_number: Identifier | None = None
    filler_order_number: Identifier | None = None
    accession_number: Identifier | None = None
    requested_procedure_id: str | None = None
    patient: Patient = Patient()


class LinkDecision(Value):
    """What a person decided about one study and one order. `undo` takes back whatever was decided about the two.

    A link holds against the contradictions that the person saw and confirmed, `overrides`.
    """

    at: str  # RFC 3339 in UTC
    user: str
    reason: str
    kind: Literal["link", "unlink", "undo"]
    study_instance_uid: str
    order: OrderReference
    overrides: tuple[str, ...] = ()


class Unmerge(Value):
    """A person's decision that a merge or link of two patient identifiers was wrong; `undo` takes it back."""

    at: str  # RFC 3339 in UTC
    user: str
    reason: str
    kind: Literal["unmerge", "undo"]
    patient: Identifier
    prior: Identifier


HL7Fact: TypeAlias = OrderUpdate | PatientUpdate | IdentityChange | Report | Appointment
PersonFact: TypeAlias = LinkDecision | Unmerge
Fact: TypeAlias = HL7Fact | Instance


class Reading(Value):
    """What one message says, in its sequence; `warnings` name places, never values."""

    facts: tuple[Fact, ...]
    warnings: tuple[str, ...] = ()


class Filtered(Value):
    """A message that is read and not wanted, with the reason for people (no patient data)."""

    reason: str
