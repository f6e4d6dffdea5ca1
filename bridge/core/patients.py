"""Whether two statements about a patient are about one person: same, different or unknown (DESIGN 4.3).

Missing never differs, and nothing here may be relaxed for the sake of a link: a wrong "same" puts images into
another patient's record.
"""

import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import UNSET

from bridge.core.identifiers import PERSON_TYPES as PERSON_TYPES
from bridge.core.identifiers import PLACEHOLDERS as PLACEHOLDERS
from bridge.core.identifiers import comparable_issuers as comparable_issuers
from bridge.core.identifiers import designator as designator
from bridge.core.identifiers import is_placeholder as is_placeholder
from bridge.core.identifiers import of_one_person
from bridge.core.model import Identifier, Patient, PatientStatement, PersonName
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.struct import Value, encode

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


def identity_of(statements: Iterable[PatientStatement], persons: Persons = NO_MERGES) -> Identity:
    """The identifiers as last stated, and every name and birth date stated of this person, the newest first."""
    own = about_current_patient(statements, persons)
    return stated_identity(newest_fields(own), own)


def about_current_patient(
    statements: Iterable[PatientStatement], persons: Persons = NO_MERGES
) -> list[PatientStatement]:
    """Those about the person whose identifiers were stated last, the oldest first.

    An order that is moved to another patient keeps nothing of the earlier one, even where the other one's number was
    used for several people. A statement without an identifier is about the patient of the one before it.
    """
    oldest_first = sorted(statements, key=_age)
    meant: list[Identifier] = []
    about = []
    for statement in oldest_first:
        meant = of_one_person(statement.identifiers or (), persons.policy) or meant
        about.append(meant)
    return [
        statement
        for statement, theirs in zip(oldest_first, about, strict=True)
        if theirs is meant or not theirs or any(persons.same(a, b) for a in theirs for b in meant)
    ]


def newest_fields(statements: Iterable[PatientStatement]) -> Patient:
    """The newest statement of each field, whomever it is about."""
    known: dict[str, Any] = {}
    for statement in sorted(statements, key=_age):
        known |= {name: value for name in _FIELDS if (value := getattr(statement, name)) is not UNSET}
    return Patient(**known)


def stated_identity(patient: Patient, statements: Iterable[PatientStatement]) -> Identity:
    """A patient with every name and birth date that these statements give, the newest first."""
    newest_first = sorted(statements, key=_age, reverse=True)
    return Identity(
        identifiers=patient.identifiers,
        names=tuple(dict.fromkeys(name for s in newest_first for name in s.names or ())),
        birth_dates=tuple(dict.fromkeys(s.birth_date for s in newest_first if isinstance(s.birth_date, str))),
        sex=patient.sex,
    )


_FIELDS = Patient.__struct_fields__


def _age(statement: PatientStatement) -> tuple[str, int, bytes]:
    """Oldest first; at one time by what kind of message it was, then by content, so that arrival never matters."""
    return statement.message_time.rstrip("Z"), statement.rank, encode(statement)


def compare(one: Identity, other: Identity, persons: Persons = NO_MERGES) -> Comparison:
    """Whether two identities are one person's (DESIGN 4.3, in its order)."""
    name, birth_date = compare_names(one, other), compare_birth_dates(one, other)
    shared = compare_identifiers(one, other, persons)
    if name is False and birth_date is False:
        return Comparison.DIFFERENT
    if shared is not None:
        return Comparison.SAME if shared else Comparison.DIFFERENT
    if name is False or birth_date is False:
        return Comparison.DIFFERENT
    return Comparison.SAME if name and birth_date else Comparison.UNKNOWN


# Each comparison: True where something agrees, False where all that can be compared differs, None where nothing can.


def compare_identifiers(one: Identity, other: Identity, persons: Persons = NO_MERGES) -> bool | None:
    """By the identifiers of one person whose issuers do not rule it out, or that are one person by merges."""
    return _overall(persons.agree(a, b) for a, b in identifier_pairs(one, other, persons))


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
    return True if True in found else None if None in found or not found else False


# What is compared, pair by pair, so that whoever reports an outcome can show what led to it.


def identifier_pairs(
    one: Identity, other: Identity, persons: Persons = NO_MERGES
) -> list[tuple[Identifier, Identifier]]:
    """The identifiers that can be compared: `persons.agree` says which agree."""
    return [
        (a, b)
        for a in person_identifiers(one, persons)
        for b in person_identifiers(other, persons)
        if persons.may_be_compared(a, b)
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


def person_identifiers(who: Identity, persons: Persons = NO_MERGES) -> list[Identifier]:
    """The identifiers that belong to one person: no account or insurance number, no re-used one, no placeholder."""
    return [i for i in of_one_person(who.identifiers, persons.policy) if persons.identifies(i)]


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
