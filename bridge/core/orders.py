"""What the messages about an order add up to, whatever order they arrived in (DESIGN 4.1).

An order is never patched: it is assembled each time from everything that is known of it.
"""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import astuple, replace

from bridge.core.model import (
    Appointment,
    Code,
    Identifier,
    MessageSource,
    OrderNumbers,
    OrderUpdate,
    Patient,
    PatientStatement,
    Person,
    PersonName,
    ScheduledStep,
    Stated,
)
from bridge.core.order_families import Name, by_order
from bridge.core.order_numbers import LEVELS, is_named_by, named_by, number, replaces_itself
from bridge.core.order_status import OrderFact, course, in_sequence, is_known_control, rank
from bridge.core.patients import Identity, about_current_patient, newest_fields, stated_identity
from bridge.core.struct import Value


class Order(Value):
    """One requested procedure as it stands. `id` is derived from its identifiers alone.

    `status` is scheduled, in-progress, completed, on-hold, discontinued or cancelled, None where no message says.
    `patient` is as last stated, `identity` what it is compared by, `statements` everything that both were drawn from,
    the newest first.
    """

    id: str
    status: str | None
    source: MessageSource
    placer_order_number: Identifier | None = None
    filler_order_number: Identifier | None = None
    accession_numbers: tuple[Identifier, ...] = ()
    study_instance_uids: tuple[Stated, ...] = ()
    requested_procedure_id: Stated | None = None
    modality: Stated | None = None
    procedure: Code | None = None
    priority: str | None = None
    reason: str | None = None
    clinical_information: str | None = None
    ordered_at: str | None = None
    patient: Patient = Patient()
    identity: Identity = Identity()
    visit_number: str | None = None
    account_number: str | None = None
    ordering_provider: Person | None = None
    scheduled_steps: tuple[ScheduledStep, ...] = ()
    statements: tuple[PatientStatement, ...] = ()
    replaces: OrderNumbers | None = None
    parent: OrderNumbers | None = None


def assemble(updates: Iterable[OrderUpdate], appointments: Iterable[Appointment] = ()) -> dict[str, Order]:
    """The orders that these updates describe, by id, scheduled as these appointments say.

    `updates` must be a whole family (`family_keys`): a message that states less than others is a message about each
    of those orders, and never joins two of them. An appointment makes no order, and joins none.
    """
    known = [update for update in updates if is_known_control(update)]
    booked = list(appointments)
    histories: list[tuple[Name, list[OrderFact]]] = [
        (name, [*members, *(one for one in booked if is_named_by(one, members))]) for name, members in by_order(known)
    ]
    shared = _about_several([history for _, history in histories])
    orders = (_fold(name, history, shared) for name, history in histories)
    return {order.id: order for order in orders}


def family_keys(update: OrderUpdate) -> frozenset[tuple[str, str]]:
    """What connects updates that may be about one order: (`filler`, `placer` or `accession`, bare value)."""
    stated = ((level, number(update, level)) for level in LEVELS)
    return frozenset((level, one.value) for level, one in stated if one)


def _about_several(histories: Sequence[Iterable[OrderFact]]) -> Container[int]:
    """The `id` of each fact that is about more than one order."""
    if len(histories) < 2:
        return ()
    counted = Counter(one for history in histories for one in {id(fact) for fact in history})
    return {one for one, count in counted.items() if count > 1}


# The fields of which an order has the newest statement as it is, and those that are one patient's.
_NEWEST = tuple(name for name in OrderUpdate.__struct_fields__ if name in Order.__struct_fields__ and name != "source")
_OF_ONE_PATIENT = frozenset({"visit_number", "account_number", "reason", "clinical_information"})
_OF_ANY_PATIENT = tuple(name for name in _NEWEST if name not in _OF_ONE_PATIENT)

# Sending facility, and what a message says of the patient: the fields of PatientStatement without its time and rank.
_Said = tuple[
    str | None,
    tuple[Identifier, ...] | UnsetType,
    tuple[PersonName, ...] | UnsetType,
    str | UnsetType | None,
    str | UnsetType | None,
]


def _fold(name: Name, history: Iterable[OrderFact], shared: Container[int]) -> Order:
    """The newest statement of each field. What was moved to another patient keeps nothing of the earlier one."""
    facts = in_sequence(history)
    updates = [fact for fact in facts if isinstance(fact, OrderUpdate)]
    whose = _whose(updates)
    statements = _statements(updates, whose)
    own = about_current_patient(statements) if len(statements) > 1 else list(statements)
    patient = newest_fields(own)
    elsewhere = set(whose) - {astuple(one)[1:-1] for one in own} - {None} if len(own) < len(statements) else ()
    newest: dict[str, Any] = {}
    begun = _begun_anew(name[0], updates, whose, elsewhere)
    facts = facts[facts.index(updates[begun]) :] if begun else facts
    for update, said in zip(updates[begun:], whose[begun:], strict=True):
        fields = _OF_ANY_PATIENT if said in elsewhere else _NEWEST
        newest |= {field: value for field in fields if (value := getattr(update, field)) is not UNSET}
        if replaces_itself(update):
            del newest["replaces"]
    status, start = course(facts, shared)
    if start:
        steps = newest.get("scheduled_steps") or (ScheduledStep(),)
        newest["scheduled_steps"] = tuple(replace(one, scheduled_procedure_step_start_date_time=start) for one in steps)
    return Order(
        id="o-" + sha256("\x1f".join(name).encode()).hexdigest()[:20],  # tells nothing about the patient
        status=status,
        source=updates[-1].source,
        statements=statements,
        patient=patient,
        identity=stated_identity(patient, own),
        **newest,
    )


def _begun_anew(
    level: str, updates: Sequence[OrderUpdate], whose: Sequence[_Said | None], elsewhere: Container[_Said | None]
) -> int:
    """From where on it is another patient's, by a new order (NW) under a used number: nothing before is its own.

    One that names the order by less, such as its placer order number alone, is about the order that there is.
    """
    earlier = [said in elsewhere for said in whose]
    begun = (
        i + 1
        for i, (before, now) in enumerate(pairwise(earlier))
        if before and not now and updates[i + 1].order_control == "NW" and named_by(updates[i + 1]) == level
    )
    return max(begun, default=0)


def _whose(updates: Iterable[OrderUpdate]) -> list[_Said | None]:
    """What each update, oldest first, states of its patient, or the one before it that states anything.

    One that gives no identifiers is about the patient of the one before, whose facility says whose numbers they are.
    """
    whose: list[_Said | None] = []
    where: str | None = None
    meant: tuple[Identifier, ...] | UnsetType = UNSET
    said: _Said | None = None
    for update in updates:
        if _states_patient(update):
            if update.patient_identifiers is not UNSET or meant is UNSET:
                where, meant = update.source.sending_facility, update.patient_identifiers
            said = (where, meant, update.patient_names, update.birth_date, update.sex)
        whose.append(said)
    return whose


def _statements(updates: Iterable[OrderUpdate], whose: Iterable[_Said | None]) -> tuple[PatientStatement, ...]:
    """Each distinct statement about a patient with the time when it was made last, the newest first.

    One that goes on about the patient before it is older than all that name a patient at the same moment.
    """
    when: dict[_Said, OrderUpdate] = {}
    for update, said in zip(updates, whose, strict=True):
        if said and _states_patient(update):
            when.pop(said, None)
            when[said] = update
    return tuple(
        PatientStatement(last.message_time, *said, -1 if last.patient_identifiers is UNSET else rank(last))
        for said, last in reversed(when.items())
    )


def _states_patient(update: OrderUpdate) -> bool:
    stated = (update.patient_identifiers, update.patient_names, update.birth_date, update.sex)
    return any(one is not UNSET for one in stated)
