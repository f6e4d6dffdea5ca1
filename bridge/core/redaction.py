"""What is shown to people and programs: without what patients, or their orders, could be recognised by, where that is
asked for, and never with what would steer a terminal."""

from typing import Any

HIDDEN = "●●●"

_PATIENT_DATA = {"value", "alphabetic", "ideographic", "phonetic", "birthDate", "sex", "visitNumber", "accountNumber"}
_PATIENT_DATA |= {"requestedProcedureID", "Value"}  # without issuer; and of the DICOM JSON Model
_ORDER_DATA = {*_PATIENT_DATA, "clinicalInformation", "reason"}
_SHOWN = "instanceNumber"  # a number in a series, of which nobody can be recognised


def redacted(value: Any) -> Any:
    """The same JSON value, with everything hidden that says something about a patient."""
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    if not isinstance(value, dict):
        return value
    hidden = _ORDER_DATA if "clinicalInformation" in value else _PATIENT_DATA
    return {name: _redacted(name, known, hidden) for name, known in value.items()}


def _redacted(name: str, known: Any, hidden: set[str]) -> Any:
    if name == _SHOWN:
        return known
    return HIDDEN if name in hidden and known else redacted(known)


def printable(text: str) -> str:
    """Text without what would steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
