"""Every code of a decision in plain words: what it means, what would change it, and the name of each key.

The words hold no value of a message, so they are the same with and without patient data.
"""

from typing import NamedTuple

from bridge.core.rules import ACCESSION_NUMBER, FILLER_ORDER_NUMBER, PLACER_ORDER_NUMBER, STUDY_INSTANCE_UID

Change = tuple[str, str]  # what would have to happen, and what follows from it


class Words(NamedTuple):
    """What a code means: in a few words, in a sentence, and what would change it without anyone touching the bridge."""

    short: str
    meaning: str
    changes: tuple[Change, ...] = ()


_RIGHT_ORDER: Change = (
    "the order of this study's patient arrives with this accession number or Study Instance UID",
    "then matched to it",
)
_OBJECTS_AGAIN: Change = (
    "the modality or PACS corrects the patient or the accession number and sends the objects again",
    "then decided anew",
)
_ORDER_AGAIN: Change = ("the order is corrected at its source and sent again", "then decided anew")
_REJECTION_NOTE: Change = (
    "the PACS sends a rejection note 113038 (incorrect worklist entry) for the objects",
    "then marked as rejected",
)

# Why a study is not linked, by verdict's reason. Those that are contradictions of an order stand below.
REASONS = {
    "no-order": Words(
        "no order shares a number with this study",
        "No order that is known has its Study Instance UID, its accession number or, where the objects name them, one "
        "of its order numbers.",
        (
            ("an order with this Study Instance UID or accession number arrives", "then matched to it"),
            (
                "the modality or PACS enters the accession number of the right order and sends the objects again",
                "then decided anew",
            ),
        ),
    ),
    "patient-identity-removed": Words(
        "the patient's identity was removed from the objects",
        "A header says Patient Identity Removed (0012,0062) YES: such a study is never linked, not even by a person.",
        (
            (
                "the objects are sent again without (0012,0062), if the patient's identity is in them",
                "then decided anew",
            ),
        ),
    ),
    "no-instances": Words(
        "no object is left",
        "Rejection notes took every object out of this study, or all went to other studies.",
        (("objects arrive in this study that no rejection note lists", "then decided anew"),),
    ),
    "several-orders": Words(
        "several orders fit, and nothing says which",
        "Orders that are not certainly one patient's, or numbers of two issuers, share a number with this study, which "
        "does not say enough to choose between them.",
        (
            ("the objects come again with a patient ID that one of the orders has", "then matched to that order"),
            ("one of the orders is cancelled, or its number or patient is corrected", "then decided anew"),
        ),
    ),
    "patient-unverified": Words(
        "nothing shows that both sides mean the same patient",
        "A number is shared, but study and order state nothing about the patient that could be compared. A number "
        "alone, other than the Study Instance UID, links nothing.",
        (
            ("one side states a patient ID that the other has, or both name and birth date", "then matched"),
            ("the order states this Study Instance UID", "then matched"),
        ),
    ),
    "objects-of-different-patients": Words(
        "its objects are of different patients",
        "Objects with this one Study Instance UID name patients that differ from each other.",
        (
            _OBJECTS_AGAIN,
            ("ADT^A40 or A47 says that these patients are one person", "then decided anew"),
            _REJECTION_NOTE,
        ),
    ),
    "keys-disagree": Words(
        "its numbers name different orders",
        "The Study Instance UID names one order, and the accession number another one. Often the worklist entry of the "
        "patient before was kept at the modality.",
        (
            (
                "the modality or PACS corrects the wrong one of the two numbers and sends the objects again",
                "then decided anew",
            ),
            ("the order that has the wrong number is corrected and sent again", "then decided anew"),
            _REJECTION_NOTE,
        ),
    ),
    "incorrect-worklist-entry": Words(
        "all objects were rejected: they were taken with the wrong worklist entry",
        "A rejection note 113038 (Incorrect Modality Worklist Entry) took out every object; nothing is left to link.",
        (
            ("the PACS sends the objects with the right worklist entry, under new UIDs", "then those are linked"),
            ("objects arrive in this study that no rejection note lists", "then decided anew"),
        ),
    ),
}

# What forbids the link to one order.
CONTRADICTIONS = {
    "patient-differs": Words(
        "the order that shares a number is for another patient",
        "Study and order name different patients. One number on two people: a wrong link would put these images into "
        "another patient's record.",
        (
            _RIGHT_ORDER,
            _OBJECTS_AGAIN,
            ("ADT^A40 or A47 says that the two patients are one person", "then matched to {order}"),
            _REJECTION_NOTE,
        ),
    ),
    "order-cancelled": Words(
        "the order that shares a number is cancelled",
        "The order was cancelled, deleted or replaced by another one.",
        (
            ("the order is taken up again (ORC-1 UC, or a newer NW or XO)", "then matched to {order}"),
            _RIGHT_ORDER,
        ),
    ),
    "order-contradicts-itself": Words(
        "the order gives two values for one number",
        "One message gives the order two different accession numbers (IPC-1, OBR-18) or Study Instance UIDs (IPC-3, "
        "ZDS-1); which one is meant cannot be known.",
        (("the order is sent again with one value", "then matched to {order}"),),
    ),
    "unlinked-by-person": Words(
        "a person has forbidden the link",
        "Somebody decided that study and order do not belong together; that holds until it is undone.",
        (_RIGHT_ORDER, _OBJECTS_AGAIN),
    ),
}

# What does not fit, and forbids nothing.
WARNINGS = {
    "patient-name-differs": "the names differ: a marriage, a temporary name, or a wrong number",
    "birth-date-differs": "the birth dates differ",
    "sex-differs": "one side says F, the other M",
    "accession-number-differs": "both state an accession number, and not the same one",
    "study-instance-uid-differs": "both state a Study Instance UID, and not the same one: the modality made its own",
    "filler-order-number-differs": "both state a filler order number, and not the same one",
    "placer-order-number-differs": "both state a placer order number, and not the same one",
    "order-discontinued": "the order was stopped; objects may exist all the same",
    "modality-differs": "the ordered modality is none of those that were used",
    "procedure-unresolved": "several requested procedures have this number and nothing tells them apart: linked to all",
    "request-without-order": "the objects name a request of which no order is linked",
    "study-instance-uid-shared": "orders of different patients carry this Study Instance UID, so it counts for nothing",
    "object-moved": "an object has been in this study and in another one",
    "object-patient-changed": "an object came again with another patient",
    "linked-by-person": "a person decided this link",
    "overridden-objects-of-different-patients": "linked by a person although the objects are of different patients",
    "overridden-keys-disagree": "linked by a person although the numbers name different orders",
    "overridden-patient-differs": "linked by a person although the order is for another patient",
    "overridden-order-cancelled": "linked by a person although the order is cancelled",
    "overridden-order-contradicts-itself": "linked by a person although the order gives two values for one number",
}

HINTS = {
    "format-only": "only the writing differs (leading zeros, a check digit, an issuer glued on); still not the same",
    "merged": "one person, by a merge or link of patients",
}

# What an order is suggested by. A suggestion never links.
SUGGESTIONS = {
    "patient-modality-day": Words(
        "same patient, same modality, scheduled for the day of the study",
        "It shares no number with the study.",
        (("order {order} comes again with this accession number or Study Instance UID", "then matched to it"),),
    ),
    "replacement": Words(
        "it replaces the cancelled order",
        "It shares no number with the study itself.",
        (("order {order} comes again with this accession number or Study Instance UID", "then matched to it"),),
    ),
}

# How the keys and the other comparisons are called.
KEYS = {
    STUDY_INSTANCE_UID: "Study Instance UID",
    ACCESSION_NUMBER: "accession number",
    FILLER_ORDER_NUMBER: "filler order number",
    PLACER_ORDER_NUMBER: "placer order number",
    "patient-id": "patient ID",
    "patient-name": "patient name",
    "birth-date": "birth date",
    "sex": "sex",
    "person": "a person's decision",
}

LINKED = "Both state the same {key}, and nothing that is known of the patient or of the order forbids the link."
LINKED_BY_PERSON = "A person decided this link; the rules alone would not link the two."

PERSONS_CHANGES: tuple[Change, ...] = (
    ("nothing that a message says of the order or the patient", "it holds until a person takes it back"),
    ("the objects come again without the patient's identity, or all are rejected", "then decided anew"),
)
MATCHED_CHANGES: tuple[Change, ...] = (
    ("the order is cancelled, or its number or patient becomes another one", "then unlinked, and consumers are told"),
    ("the objects come again with other numbers or another patient", "then decided anew"),
)


def reason(code: str | None) -> Words:
    """The words for the reason of a verdict."""
    return REASONS.get(code or "") or CONTRADICTIONS.get(code or "") or Words(code or "", "")


def finding(code: str) -> str:
    """A contradiction or a warning in a few words."""
    return WARNINGS.get(code) or reason(code).short
