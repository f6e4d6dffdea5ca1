"""What a decision says: the verdict about a study and everything that led to it, in the shape that is published.

The codes are stable; docs/correlation.md explains each, and a test holds it against the tuples below.
"""

from enum import StrEnum

from bridge.core.struct import Value


class Verdict(StrEnum):
    """Linked to orders; no order known; a person must choose or confirm; what is known contradicts a link."""

    MATCHED = "matched"
    PENDING = "pending"
    AMBIGUOUS = "ambiguous"
    CONFLICT = "conflict"


# What forbids the link to one order, the gravest first; and what forbids every link of the study.
CONTRADICTIONS = ("patient-differs", "order-cancelled", "order-contradicts-itself", "unlinked-by-person")
STUDY_CONTRADICTIONS = ("objects-of-different-patients", "keys-disagree", "incorrect-worklist-entry")

REASONS = {
    Verdict.PENDING: ("no-order", "patient-identity-removed", "no-instances"),
    Verdict.AMBIGUOUS: ("several-orders", "patient-unverified"),
    Verdict.CONFLICT: STUDY_CONTRADICTIONS + CONTRADICTIONS,
}

# A person's link goes before every contradiction that is known before it; what it goes against is a warning.
OVERRIDDEN = tuple(
    f"overridden-{code}"
    for code in (
        "objects-of-different-patients",
        "keys-disagree",
        "patient-differs",
        "order-cancelled",
        "order-contradicts-itself",
    )
)

WARNINGS = (
    "patient-name-differs",
    "birth-date-differs",
    "sex-differs",
    "accession-number-differs",
    "study-instance-uid-differs",
    "filler-order-number-differs",
    "placer-order-number-differs",
    "order-discontinued",
    "modality-differs",
    "procedure-unresolved",
    "request-without-order",
    "study-instance-uid-shared",
    "object-moved",
    "object-patient-changed",
    "linked-by-person",
    *OVERRIDDEN,
)

HINTS = ("format-only", "merged")

PERSON = "person"  # the key, and the rule, of a link that a person decided
# Among a candidate's keys: what suggests it, and never links.
PATIENT_MODALITY_DAY, REPLACEMENT = "patient-modality-day", "replacement"
SUGGESTIONS = (PATIENT_MODALITY_DAY, REPLACEMENT)


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
    """An order that shares a key with the study, that a person linked, or that is suggested.

    `keys` are the rules, the others are codes. `patient-modality-day` and `replacement` suggest and never link.
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
