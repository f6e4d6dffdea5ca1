"""An order's patient with what patient messages say of the same person (DESIGN 4.3).

A message must never give an order another patient's name: where a missing issuer leaves a doubt whom it means, its name
or birth date has to speak for it.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from bridge.core.identifiers import comparable_numbers, designator, number
from bridge.core.model import Identifier, PatientStatement, PatientUpdate
from bridge.core.orders import Order
from bridge.core.patients import (
    Identity,
    about_current_patient,
    compare_birth_dates,
    compare_names,
    identity_of,
    newest_fields,
    person_identifiers,
    stated_identity,
)
from bridge.core.persons import Persons


def as_known(order: Order, updates: Iterable[PatientUpdate], persons: Persons) -> Order:
    """The order with its patient as messages about that person state it, in any sequence.

    `patient` gains what is said of whom the order's identifiers lead to; `identity` also the names and birth dates of
    whoever leads to them (the patient's earlier numbers), and those of merged records (MRG-7). An order that states no
    patient stays as it is.
    """
    said = [_statement(update) for update in updates]
    if not order.statements or not (said or persons.changes):
        return order
    own = about_current_patient(order.statements, persons)
    who = identity_of(own, persons)
    where = next((s.sending_facility for s in reversed(own) if s.identifiers), None)
    to_publish = [s for s in said if _means(s, who, where, persons)]
    earlier = [s for s in said if _means(s, who, where, persons, backwards=True)]
    merged = [
        s
        for s in _merged_records(persons)
        if _means(s, who, where, persons) or _means(s, who, where, persons, backwards=True)
    ]
    patient = newest_fields([*own, *to_publish])
    known = stated_identity(patient, [*own, *to_publish, *earlier, *merged])
    beside_own = newest_fields([*own, *(s for s in to_publish if _states_one_of(s, who, where, persons))])
    return replace(order, patient=patient, identity=replace(known, identifiers=_all(beside_own.identifiers, who)))


def _statement(update: PatientUpdate) -> PatientStatement:
    return PatientStatement(
        message_time=update.message_time,
        sending_facility=update.source.sending_facility,
        identifiers=update.patient_identifiers,
        names=update.patient_names,
        birth_date=update.birth_date,
        sex=update.sex,
    )


def _merged_records(persons: Persons) -> list[PatientStatement]:
    return [
        PatientStatement(c.message_time, c.source.sending_facility, c.prior_identifiers, c.prior_names)
        for c in persons.changes
        if c.prior_names
    ]


def _means(
    said: PatientStatement, who: Identity, where: str | None, persons: Persons, *, backwards: bool = False
) -> bool:
    """Whether a statement is about a person to whom an order's identifiers lead, or (backwards) who leads to them.

    `where` is the facility that sent the order's identifiers: it alone tells whose a number without an issuer is.
    """
    one_place = where is not None and said.sending_facility == where
    ours = person_identifiers(who, persons)
    theirs = person_identifiers(Identity(said.identifiers or ()), persons)
    pairs = [(b, a) if backwards else (a, b) for a in ours for b in theirs]
    if any((one_place or (_issued(a) and _issued(b))) and persons.certainly_reaches(a, b) for a, b in pairs):
        return True
    if any(comparable_numbers(number(a), number(b), persons.policy) for a, b in pairs):
        return _speaks_for_itself(said, who)
    return any(persons.reaches(a, b) for a, b in pairs) and _agrees(said, who)


def _states_one_of(said: PatientStatement, who: Identity, where: str | None, persons: Persons) -> bool:
    """Whether it certainly names one of these numbers itself.

    A number that only merges or a guessed issuer lead to starts no further comparison: that would join two people.
    """
    one_place = where is not None and said.sending_facility == where
    stated = person_identifiers(Identity(said.identifiers or ()), persons)
    return any(
        comparable_numbers(number(a), number(b), persons.policy)
        and ((_issued(a) and _issued(b)) or (one_place and not _issued(a) and not _issued(b)))
        for a in person_identifiers(who, persons)
        for b in stated
    )


def _issued(identifier: Identifier) -> bool:
    return any(designator(identifier.issuer))


def _agrees(said: PatientStatement, who: Identity) -> bool:
    """Name and birth date both agree: nothing less speaks for a number that only doubtful merges lead to."""
    stated = stated_identity(newest_fields([said]), [said])
    return compare_names(stated, who) is True and compare_birth_dates(stated, who) is True


def _speaks_for_itself(said: PatientStatement, who: Identity) -> bool:
    """Neither name nor birth date differs, but for a name where the birth date agrees: people marry."""
    stated = stated_identity(newest_fields([said]), [said])
    name, birth_date = compare_names(stated, who), compare_birth_dates(stated, who)
    return birth_date is not False and (name is not False or birth_date is True)


def _all(newest: tuple[Identifier, ...], who: Identity) -> tuple[Identifier, ...]:
    """The newest identifiers first, then the order's own others."""
    stated = {(i.value, i.issuer, i.type_code) for i in newest}
    return *newest, *(i for i in who.identifiers if (i.value, i.issuer, i.type_code) not in stated)
