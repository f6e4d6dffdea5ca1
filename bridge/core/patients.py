"""Whether two statements about a patient are about one person: same, different or unknown (DESIGN 4.3).

Missing never differs, and nothing here may be relaxed for the sake of a link: a wrong "same" puts images into
another patient's record.
"""

import unicodedata
from collections.abc import Container, Iterable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from bridge.core.model import Identifier, Issuer, Patient, PersonName
from bridge.core.struct import Value

# HL7 table 0203, the types that belong to one person: medical record, internal, external, national unique identifier.
PERSON_TYPES = frozenset({None, "MR", "PI", "PT", "NI"})

# What people type when a field insists on a value.
PLACEHOLDERS = frozenset({"NONE", "NULL", "N/A", "NA", "UNKNOWN", "UNK", "ANONYMOUS", "ANON", "TEST", "X"})
_PLACEHOLDER_FAMILY_NAMES = PLACEHOLDERS - {"NA", "X"}  # which are people's names
_PLACEHOLDER_DATES = frozenset({"1900-01-01", "1800-01-01", "1899-12-30", "0001-01-01", "9999-12-31"})
# Given names of the newborn until they have one: twins share them, and the birth date.
_NOT_NAMED_YET = frozenset({"BABY", "BABYBOY", "BABYGIRL", "BOY", "GIRL", "INFANT", "NEWBORN", "TWIN"})

# Letters that are written out where a keyboard has none, and letters whose stroke is no combining mark.
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_WITHOUT_STROKE = str.maketrans("øłđðħ\u0131", "olddhi") | str.maketrans({"æ": "ae", "œ": "oe"})


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


# Each comparison: True where something agrees, False where all that can be compared differs, None where nothing can.


def compare_identifiers(one: Identity, other: Identity) -> bool | None:
    """By the identifiers of one person whose issuers do not rule it out."""
    return _overall(a.value == b.value for a, b in identifier_pairs(one, other))


def compare_names(one: Identity, other: Identity) -> bool | None:
    """By family and first given name, in any representation, without case and diacritics."""
    return _overall(agrees for _, _, agrees in name_pairs(one, other))


def compare_birth_dates(one: Identity, other: Identity) -> bool | None:
    """To the common precision; placeholder dates are missing."""
    return _overall(agrees for _, _, agrees in birth_date_pairs(one, other))


def compare_sexes(one: Identity, other: Identity) -> bool | None:
    """`O` is no statement about anybody."""
    known = {"F", "M"}
    return one.sex == other.sex if one.sex in known and other.sex in known else None


def _overall(outcomes: Iterable[bool | None]) -> bool | None:
    found = set(outcomes)
    return True if True in found else False if False in found else None


# What is compared, pair by pair, so that whoever reports an outcome can show what led to it.


def identifier_pairs(one: Identity, other: Identity) -> list[tuple[Identifier, Identifier]]:
    """The identifiers that can be compared."""
    return [
        (a, b)
        for a in person_identifiers(one)
        for b in person_identifiers(other)
        if comparable_issuers(a.issuer, b.issuer)
    ]


def name_pairs(one: Identity, other: Identity) -> list[tuple[str, str, bool | None]]:
    """The names as written, in scripts that can be compared; None where one lacks the given name that decides."""
    return [
        (a.written, b.written, _same_name(a, b))
        for a in _representations(one.names)
        for b in _representations(other.names)
        if a.script == b.script
    ]


def birth_date_pairs(one: Identity, other: Identity) -> list[tuple[str, str, bool]]:
    """The birth dates but for placeholders."""
    return [
        (a, b, a.startswith(b) or b.startswith(a))
        for a in one.birth_dates
        for b in other.birth_dates
        if a not in _PLACEHOLDER_DATES and b not in _PLACEHOLDER_DATES
    ]


def person_identifiers(who: Identity) -> list[Identifier]:
    """The identifiers that belong to one person: no visit, account or insurance numbers, no placeholders."""
    return [i for i in who.identifiers if i.type_code in PERSON_TYPES and not is_placeholder(i.value)]


def is_placeholder(value: str, words: Container[str] = PLACEHOLDERS) -> bool:
    """Whether a value stands for "no value"."""
    return value.strip().upper() in words or not value.strip(" 0-.*?")


def comparable_issuers(one: Issuer | None, other: Issuer | None) -> bool:
    """Whether two identifiers may be compared: both issuers present and different means no (DESIGN 4.2)."""
    ours, theirs = designator(one), designator(other)
    if not any(ours) or not any(theirs):
        return True
    if ours[1] and theirs[1]:
        return ours[1] == theirs[1]
    return bool({*ours} & {*theirs} - {""})


def designator(issuer: Issuer | None) -> tuple[str, str]:
    """Namespace and universal ID without case, even where one field holds a whole HD joined by `&`; "" for none."""
    if issuer is None:
        return "", ""
    stated = [(part or "").casefold() for part in (issuer.namespace_id, issuer.universal_id)]
    joined = next((part for part in stated if "&" in part), None)
    namespace, universal = joined.split("&")[:2] if joined else stated
    return namespace.strip(), universal.strip()


class _Name(NamedTuple):
    """One representation of a name; family and first given name in every folding, the latter empty where unknown."""

    written: str
    script: str
    family: frozenset[str]
    given: frozenset[str]


def _representations(names: Iterable[PersonName]) -> list[_Name]:
    written = [text for name in names for text in (name.alphabetic, name.ideographic, name.phonetic) if text]
    return [name for text in written if (name := _name(text)) is not None]


@lru_cache(maxsize=4096)
def _name(written: str) -> _Name | None:
    family, _, rest = written.partition("^")
    given = next(iter(rest.partition("^")[0].split()), "")
    folded = _foldings(family)
    if not folded or is_placeholder(family, _PLACEHOLDER_FAMILY_NAMES):
        return None
    unnamed = given.upper() in _NOT_NAMED_YET or is_placeholder(given)
    return _Name(written, _script(family), folded, frozenset() if unnamed else _foldings(given))


def _same_name(one: _Name, other: _Name) -> bool | None:
    if one.family.isdisjoint(other.family):
        return False
    if not one.given or not other.given:
        return None
    return not one.given.isdisjoint(other.given)


def _foldings(text: str) -> frozenset[str]:
    """The letters without case and diacritics, and the same with umlauts written out."""
    lower = unicodedata.normalize("NFC", text).casefold()
    return frozenset(bare for form in (lower, lower.translate(_WRITTEN_OUT)) if (bare := _bare(form)))


def _bare(text: str) -> str:
    """Letters and digits alone, each in its one form whatever its width."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_WITHOUT_STROKE))
    kept = unicodedata.normalize("NFC", "".join(c for c in decomposed if not _is_diacritic(c)))
    return "".join(c for c in kept if unicodedata.category(c)[0] in "LMN")


def _is_diacritic(character: str) -> bool:
    """Marks above and below, Hebrew and Arabic points; others (kana voicing, vowel signs) are part of the letter."""
    combining = unicodedata.combining(character)
    return combining >= 200 or 10 <= combining <= 36


def _script(text: str) -> str:
    letter = next((c for c in unicodedata.normalize("NFKC", text) if c.isalpha()), None)
    return unicodedata.name(letter, "").partition(" ")[0] if letter else ""
