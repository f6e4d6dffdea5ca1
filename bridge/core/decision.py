"""What a decision says: the verdict about a study, and everything that led to it, in the shape that is published."""

from enum import StrEnum

from bridge.core.struct import Value


class Verdict(StrEnum):
    """Linked to orders; no order known; a person must choose or confirm; what is known contradicts a link."""

    MATCHED = "matched"
    PENDING = "pending"
    AMBIGUOUS = "ambiguous"
    CONFLICT = "conflict"


class Ordered(Value):
    """What the order says, and the HL7 path where it says so."""

    path: str
    value: str


class Received(Value):
    """What the object says, and the DICOM tag where it says so."""

    tag: str
    value: str


class Evidence(Value):
    """One comparison of a study with a candidate order; `outcome` is `agrees` or `differs`."""

    key: str
    outcome: str
    order: str
    ordered: Ordered
    received: Received
    hint: str | None = None  # `merged`: the identifiers are one person's, as a merge or link of patients says


class Finding(Value):
    """A contradiction or a warning. `order` is null where it is about the study alone."""

    code: str
    order: str | None = None
    ordered: Ordered | None = None
    received: Received | None = None
    hint: str | None = None


class Candidate(Value):
    """An order that shares a key with the study, or that is suggested; `keys` are the rules, the others are codes.

    `patient-modality-day` and `replacement` suggest and never link.
    """

    order: str
    keys: tuple[str, ...]
    contradictions: tuple[str, ...]
    warnings: tuple[str, ...]


class Decision(Value):
    """The verdict about a study, with all that led to it; `orders` are the linked ones' ids, empty unless matched."""

    verdict: Verdict
    reason: str | None = None
    rule: str | None = None
    orders: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[Finding, ...] = ()
    contradictions: tuple[Finding, ...] = ()
    candidates: tuple[Candidate, ...] = ()
