"""Whether two statements about a patient are about one person: same, different or unknown (DESIGN 4.3).

Missing never differs, and nothing here may be relaxed for the sake of a link: a wrong "same" puts images into
another patient's record.
"""

import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from bridge.core.model import Identifier, Issuer, Patient, PersonName
from bridge.core.struct import Value

# HL7 table 0203, the types that belong to one person: medical record, internal, external, national unique identifier.
PERSON_TYPES = frozenset({None, "MR", "PI", "PT", "NI"})

# What people type when a field insists on a value.
PLACEHOLDERS = frozenset({"NONE", "NULL", "N/A", "NA", "UNKNOWN", "UNK", "ANONYMOUS", "ANON", "TEST", "X"})
_PLACEHOLDER_DATES = frozenset({"1900-01-01", "1800-01-01", "1899-12-30", "0001-01-01", "9999-12-31"})

_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_JAPANESE_VOICING = {"\u3099", "\u309a"}  # part of the letter, not a diacritic


class Comparison(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Identity(Value):
    """Everything that tells one person from another. An order's keeps each name and birth date ever stated for it."""

    identifiers: tuple[Identifier, ...] = ()
    names: tuple[PersonName, ...] = ()
    birth_dates: tuple[str, ...] = ()
    sex: str | None = None


def identity(patient: Patient) -> Identity:
    """The identity that one message states."""
    return Identity(
        identifiers=patient.identifiers,
        names=patient.names,
        birth_dates=(patient.birth_date,) if patient.birth_date else (),
        sex=patient.sex,
    )


def compare(one: Identity, other: Identity) -> Comparison:
    """Whether two identities are one person's (DESIGN 4.3, in its order)."""
    name, birth_date = compare_names(one, other), compare_birth_dates(one, other)
    shared = compare_identifiers(one, other)
    if name is False and birth_date is False:
        return Comparison.DIFFERENT
    if shared is not None:
        return Comparison.SAME if shared else Comparison.DIFFERENT
    if name is False or birth_date is False:
        return Comparison.DIFFERENT
    return Comparison.SAME if name and birth_date else Comparison.UNKNOWN


def person_identifiers(who: Identity) -> list[Identifier]:
    """The identifiers that belong to one person: no visit, account or insurance numbers, no placeholders."""
    return [i for i in who.identifiers if i.type_code in PERSON_TYPES and not is_placeholder(i.value)]


def is_placeholder(value: str) -> bool:
    """Whether a value stands for "no value"."""
    return value.strip().upper() in PLACEHOLDERS or not value.strip(" 0-.*?")


def compare_identifiers(one: Identity, other: Identity) -> bool | None:
    """True: one is shared. False: comparable ones exist and none is shared. None: nothing can be compared."""
    comparable = [
        a.value == b.value
        for a in person_identifiers(one)
        for b in person_identifiers(other)
        if comparable_issuers(a.issuer, b.issuer)
    ]
    return any(comparable) if comparable else None


def comparable_issuers(one: Issuer | None, other: Issuer | None) -> bool:
    """Whether two identifiers may be compared: both issuers present and different means no (DESIGN 4.2)."""
    if one is None or other is None:
        return True
    if one.universal_id and other.universal_id:
        return one.universal_id.casefold() == other.universal_id.casefold()
    return not _issuer_forms(one).isdisjoint(_issuer_forms(other))


def _issuer_forms(issuer: Issuer) -> set[str]:
    """Namespace, universal ID, and both out of a namespace that holds a whole HD joined by `&`."""
    stated = [issuer.namespace_id or "", issuer.universal_id or ""]
    parts = [part for value in stated for part in value.split("&")[:2]]
    return {part.strip().casefold() for part in parts if part.strip()}


def compare_names(one: Identity, other: Identity) -> bool | None:
    """By family and first given name, in any representation, without case and diacritics."""
    results = [
        _compare_parts(a, b)
        for a in _representations(one.names)
        for b in _representations(other.names)
        if a[0] == b[0]  # names in different scripts cannot be compared
    ]
    if True in results:
        return True
    return False if False in results else None


def compare_birth_dates(one: Identity, other: Identity) -> bool | None:
    """To the common precision; placeholder dates are missing."""
    results = [
        a[: min(len(a), len(b))] == b[: min(len(a), len(b))]
        for a in one.birth_dates
        for b in other.birth_dates
        if a not in _PLACEHOLDER_DATES and b not in _PLACEHOLDER_DATES
    ]
    return any(results) if results else None


def compare_sexes(one: Identity, other: Identity) -> bool | None:
    """`O` is no statement about anybody."""
    known = {"F", "M"}
    return one.sex == other.sex if one.sex in known and other.sex in known else None


_NameParts = tuple[str, frozenset[str], frozenset[str]]  # script; family and first given name, each in every folding


def _representations(names: Iterable[PersonName]) -> list[_NameParts]:
    written = [text for name in names for text in (name.alphabetic, name.ideographic, name.phonetic) if text]
    return [parts for text in written if (parts := _name_parts(text)) is not None]


@lru_cache(maxsize=4096)
def _name_parts(text: str) -> _NameParts | None:
    family, _, rest = text.partition("^")
    given = rest.partition("^")[0].split()
    folded = _foldings(family)
    if not folded or is_placeholder(family):
        return None
    return _script(family), folded, _foldings(given[0]) if given else frozenset()


def _compare_parts(one: _NameParts, other: _NameParts) -> bool | None:
    if one[1].isdisjoint(other[1]):
        return False
    if not one[2] or not other[2]:
        return None
    return not one[2].isdisjoint(other[2])


def _foldings(text: str) -> frozenset[str]:
    """The letters without case and diacritics, and the same with umlauts written out."""
    lower = unicodedata.normalize("NFC", text).casefold()
    return frozenset(folded for form in (lower, lower.translate(_GERMAN)) if (folded := _without_diacritics(form)))


def _without_diacritics(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    kept = (c for c in decomposed if c in _JAPANESE_VOICING or not unicodedata.combining(c))
    return "".join(c for c in unicodedata.normalize("NFC", "".join(kept)) if c.isalnum())


def _script(text: str) -> str:
    letter = next((c for c in unicodedata.normalize("NFKC", text) if c.isalpha()), "")
    return unicodedata.name(letter, "").partition(" ")[0]
