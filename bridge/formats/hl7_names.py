"""The standard's names of HL7 v2 segments and fields, for people. The one place that needs hl7apy while running.

Nothing is read by a name: a field that has none here is a field like any other.
"""

import re
from functools import cache
from typing import Any

_VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
_DEFAULT, _NEWEST = "2.5.1", _VERSIONS[-1]

# hl7apy has no names of segments. Of the messages that are read: HL7 2.5.1 appendix A.4; those of later versions too.
_SEGMENTS = {
    "ABS": "Abstract",
    "ACC": "Accident",
    "AIG": "Appointment Information - General Resource",
    "AIL": "Appointment Information - Location Resource",
    "AIP": "Appointment Information - Personnel Resource",
    "AIS": "Appointment Information",
    "AL1": "Patient Allergy Information",
    "APR": "Appointment Preferences",
    "ARV": "Access Restriction",
    "BHS": "Batch Header",
    "BLG": "Billing",
    "BTS": "Batch Trailer",
    "CTD": "Contact Data",
    "CTI": "Clinical Trial Identification",
    "DB1": "Disability",
    "DG1": "Diagnosis",
    "DRG": "Diagnosis Related Group",
    "DSC": "Continuation Pointer",
    "ERR": "Error",
    "EVN": "Event Type",
    "FHS": "File Header",
    "FT1": "Financial Transaction",
    "FTS": "File Trailer",
    "GT1": "Guarantor",
    "IAM": "Patient Adverse Reaction Information",
    "IN1": "Insurance",
    "IN2": "Insurance Additional Information",
    "IN3": "Insurance Additional Information, Certification",
    "IPC": "Imaging Procedure Control",
    "MRG": "Merge Patient Information",
    "MSA": "Message Acknowledgment",
    "MSH": "Message Header",
    "NK1": "Next of Kin / Associated Parties",
    "NTE": "Notes and Comments",
    "OBR": "Observation Request",
    "OBX": "Observation/Result",
    "ODS": "Dietary Orders, Supplements, and Preferences",
    "ODT": "Diet Tray Instructions",
    "ORC": "Common Order",
    "PD1": "Patient Additional Demographic",
    "PDA": "Patient Death and Autopsy",
    "PID": "Patient Identification",
    "PR1": "Procedures",
    "PRT": "Participation Information",
    "PV1": "Patient Visit",
    "PV2": "Patient Visit - Additional Information",
    "RGS": "Resource Group",
    "ROL": "Role",
    "RQ1": "Requisition Detail-1",
    "RQD": "Requisition Detail",
    "RXC": "Pharmacy/Treatment Component Order",
    "RXO": "Pharmacy/Treatment Order",
    "RXR": "Pharmacy/Treatment Route",
    "SAC": "Specimen Container Detail",
    "SCH": "Scheduling Activity Information",
    "SFT": "Software Segment",
    "SPM": "Specimen",
    "TQ1": "Timing/Quantity",
    "TQ2": "Timing/Quantity Relationship",
    "TXA": "Transcription Document Header",
    "UB1": "UB82",
    "UB2": "UB92 Data",
    "ZDS": "Study Instance UID (IHE RAD)",
}
_IHE_FIELDS = {("ZDS", 1): "Study Instance UID"}  # IHE RAD TF-2, 4.4.4.1.2.6

_ABBREVIATIONS = frozenset(("AE", "DEA", "DMV", "DRG", "ID", "NDC", "SSN", "UB", "UID", "VAT", "VIP"))
_SMALL_WORDS = frozenset(("a", "and", "at", "by", "for", "from", "in", "of", "on", "or", "per", "that", "the", "to"))
_JOINED = {"Date Time": "Date/Time", "Quantity Timing": "Quantity/Timing"}


def segment_name(segment: str) -> str | None:
    """`Patient Identification` for `PID`; None for a Z segment, or one of a message that is not read."""
    return _SEGMENTS.get(segment)


def field_name(segment: str, field: int, version: str | None = None) -> str | None:
    """`Placer Field 1` for OBR-18, as the version (MSH-12) calls it; None where the standard knows no such field.

    A version that hl7apy does not have is read as the one before it, none or nonsense as 2.5.1. A field that came later
    than the version has its later name: senders state an old version and use what they need of newer ones.
    """
    if named := _IHE_FIELDS.get((segment, field)):
        return named
    for known in (_nearest(version), _NEWEST):
        if definition := _fields(known).get(f"{segment}_{field}"):
            return _as_written(definition[3], segment)
    return None


@cache
def _fields(version: str) -> dict[str, Any]:
    """hl7apy's definitions of the fields: kind, components, data type, name in capitals, table, length."""
    from hl7apy import load_library  # slow to load, for which nobody waits who wants no names

    fields: dict[str, Any] = load_library(version).FIELDS
    return fields


@cache
def _nearest(stated: str | None) -> str:
    number = re.match(r"2(?:\.[0-9]{1,4}){1,3}(?![0-9])", (stated or "").strip())
    if not number:
        return _DEFAULT
    earlier = [version for version in _VERSIONS if _order(version) <= _order(number[0])]
    return earlier[-1] if earlier else _VERSIONS[0]


def _order(version: str) -> tuple[int, ...]:
    """2.5.0 is 2.5."""
    numbers = [int(number) for number in version.split(".")]
    while numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _as_written(capitals: str, segment: str) -> str:
    """`Date/Time of Birth` for `DATE_TIME_OF_BIRTH`, `Set ID - PID` for `SET_ID_PID`, as the standard writes them."""
    capitals = capitals.replace("_S_", "'S_")
    words = [_word(word) for word in capitals.split("_") if word]
    own = words[-1:] == [segment.capitalize()] and len(words) > 1
    name = " ".join(words[:-1] if own else words)
    for apart, joined in _JOINED.items():
        name = name.replace(apart, joined)
    return name[:1].upper() + name[1:] + (f" - {segment}" if own else "")


def _word(word: str) -> str:
    if word in _ABBREVIATIONS:
        return word
    return word.lower() if word.lower() in _SMALL_WORDS else word.capitalize()
