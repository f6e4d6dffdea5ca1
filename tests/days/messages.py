"""The messages of a hospital day as plain values, before anything of the bridge has seen them.

Every value is short (`F1`); rendering puts the day's own prefix to it. `true_person` is the generator's knowledge of
who somebody really is: the oracle must never look at it.
"""

from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

DELETED = '""'  # HL7's null: the sender deletes what was known (HL7 2.5.1, 2.5.3)
UNKNOWN_CONTROL = "ZZ"  # none of HL7 table 0119
PLACEHOLDERS = ("NONE", "0")  # no number at all, the same on every day


class _Short:
    """Shown without what is empty: a counterexample is read by people."""

    def __repr__(self) -> str:
        shown = [(one.name, getattr(self, one.name)) for one in fields(self)]  # type: ignore[arg-type]  # of a dataclass
        stated = [f"{name}={value!r}" for name, value in shown if value not in ((), "", None, False)]
        return f"{type(self).__name__}({', '.join(stated)})"


@dataclass(frozen=True, repr=False)
class Number:
    """An identifier and the site that assigned it; None where the message leaves the issuer out."""

    value: str
    site: str | None = None
    type_code: str | None = None  # CX.5

    def __repr__(self) -> str:
        return "^".join(part for part in (self.value, self.site, self.type_code) if part)


@dataclass(frozen=True, repr=False)
class Patient(_Short):
    """A patient as a message states it. Empty is absent; DELETED stands only in names and birth dates of HL7."""

    numbers: tuple[Number, ...] = ()
    names: tuple[str, ...] = ()  # Family^Given
    birth_date: str = ""  # YYYYMMDD, YYYYMM, YYYY
    sex: str = ""


@dataclass(frozen=True, repr=False)
class Procedure(_Short):
    """A requested procedure as an order group states it: an IPC, or OBR-18 to OBR-24 and ZDS."""

    accession: Number | None = None
    study: str = ""
    requested_procedure: str = ""
    step: str = ""
    modality: str = ""


@dataclass(frozen=True, repr=False)
class Group(_Short):
    """An ORC/OBR group. `other_accession` (OBR-18) and `other_study` (ZDS-1) stand beside those of its IPC."""

    control: str
    status: str = ""
    placer: Number | None = None
    filler: Number | None = None
    procedures: tuple[Procedure, ...] = (Procedure(),)
    other_accession: Number | None = None
    other_study: str = ""
    replaced_filler: Number | None = None  # ORC-8 of ORC-1 RO


@dataclass(frozen=True, repr=False)
class OrderMessage(_Short):
    """ORM^O01, or OMI^O23 with an IPC for each procedure."""

    time: int  # seconds of the day
    facility: str
    kind: Literal["ORM", "OMI"]
    patient: Patient
    groups: tuple[Group, ...]
    true_person: int
    start: int | None = None  # of the scheduled steps
    sent: int | None = None  # MSH-7, where the message is sent later than ORC-9 says that it was stated


@dataclass(frozen=True, repr=False)
class PatientMessage(_Short):
    """An ADT message about one patient."""

    time: int
    facility: str
    event: str  # A04, A08, A28, A31
    patient: Patient
    true_person: int


@dataclass(frozen=True, repr=False)
class Merge(_Short):
    """ADT^A40 and kin: the prior numbers now belong to the person of the patient."""

    time: int
    facility: str
    event: str  # A18, A34, A36, A40, A47
    patient: Patient
    prior: tuple[Number, ...]
    prior_names: tuple[str, ...]
    true_person: int


@dataclass(frozen=True, repr=False)
class Link(_Short):
    """ADT^A24, or A37 that ends it."""

    time: int
    facility: str
    event: str
    patient: Patient
    other: Patient
    true_person: int


@dataclass(frozen=True, repr=False)
class Appointment(_Short):
    """SIU^S12 to S15 and S26."""

    time: int
    facility: str
    event: str
    patient: Patient
    placers: tuple[Number, ...]
    fillers: tuple[Number, ...]
    start: int
    true_person: int


@dataclass(frozen=True, repr=False)
class Report(_Short):
    """ORU^R01."""

    time: int
    facility: str
    patient: Patient
    filler: Number | None
    accession: Number | None
    study: str
    true_person: int


@dataclass(frozen=True, repr=False)
class Request(_Short):
    """An item of Request Attributes (0040,0275) or Referenced Request (0040,A370)."""

    study: str = ""
    accession: Number | None = None
    requested_procedure: str = ""
    step: str = ""
    placer: Number | None = None
    filler: Number | None = None


@dataclass(frozen=True, repr=False)
class ObjectMessage(_Short):
    """A DICOM object. `modified` is its Attribute Modification DateTime, which tells versions of one object apart."""

    instance: str
    study: str
    patient: Patient  # one number, further ones are Other Patient IDs
    accession: Number | None
    requests: tuple[Request, ...]
    placer: Number | None
    filler: Number | None
    identity_removed: bool
    modality: str
    modified: int | None
    true_person: int


@dataclass(frozen=True, repr=False)
class RejectionNote(_Short):
    """A Key Object Selection Document that takes objects out (IHE RAD IOCM)."""

    instance: str
    study: str
    code: str  # of CID 7010
    rejected: tuple[str, ...]  # objects of the same study
    patient: Patient
    true_person: int


@dataclass(frozen=True, repr=False)
class PersonLink(_Short):
    """`bridge link` and `bridge unlink`, or what takes them back. An order is named by its numbers."""

    time: int
    kind: Literal["link", "unlink", "undo"]
    study: str
    filler: Number | None
    placer: Number | None
    requested_procedure: str


@dataclass(frozen=True, repr=False)
class PersonUnmerge(_Short):
    """`bridge unmerge`, or what takes it back."""

    time: int
    kind: Literal["unmerge", "undo"]
    patient: Number
    prior: Number


HL7: TypeAlias = OrderMessage | PatientMessage | Merge | Link | Appointment | Report
DICOM: TypeAlias = ObjectMessage | RejectionNote
Decided: TypeAlias = PersonLink | PersonUnmerge
Message: TypeAlias = HL7 | DICOM | Decided
Day: TypeAlias = tuple[Message, ...]
