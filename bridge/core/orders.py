"""What the messages about an order add up to, whatever order they arrived in (DESIGN 4.1).

An order is never patched: it is assembled each time from every update that is known of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET

from bridge.core.model import (
    Code,
    Identifier,
    OrderSource,
    OrderUpdate,
    Patient,
    Person,
    PersonName,
    ScheduledStep,
    Stated,
)
from bridge.core.patients import Identity, comparable_issuers, is_placeholder
from bridge.core.struct import Value

# What an order control (HL7 table 0119) does to the order's status; "" leaves it to ORC-5, or else to what was known.
_CONTROLS = {
    "cancelled": "CA CR OC RP RU",
    "discontinued": "DC DR OD",
    "on-hold": "HD OH HR",
    "scheduled": "NW OK XO XR XX RL OR OE RO RQ PA CH UC UD UM UX",
    "": "SC SN NA SR SS RE CN LI RR RF PR NR DE UN UR UH",
}
_BY_CONTROL = {control: status for status, controls in _CONTROLS.items() for control in controls.split()}
# ORC-5 (table 0038) refines it, but where the control itself takes the order away or brings it back.
_BY_STATUS = {
    "A": "in-progress",
    "CA": "cancelled",
    "CM": "completed",
    "DC": "discontinued",
    "HD": "on-hold",
    "IP": "in-progress",
    "RP": "cancelled",
    "SC": "scheduled",
}
_REFINED_BY_STATUS = frozenset({"NW", "OK", "XO", "XR", "XX", "SC", "SN", "NA", "SR", "SS", "RE", ""})
_TAKES_AWAY = frozenset({"cancelled", "discontinued"})


class Order(Value):
    """One requested procedure as it stands. `id` is derived from its identifiers alone."""

    id: str
    status: str | None
    source: OrderSource
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


def is_known_control(update: OrderUpdate) -> bool:
    """An unknown order control is kept and reported, and changes nothing."""
    return (update.order_control or "") in _BY_CONTROL or not update.order_control


def assemble(updates: Iterable[OrderUpdate]) -> dict[str, Order]:
    """The orders that these updates describe, by id.

    `updates` must be a whole family (`family_keys`): a message that states less than others is a message about each
    of those orders, and never joins two of them.
    """
    known = [update for update in updates if is_known_control(update)]
    orders = (
        _fold(level, value, procedure, members)
        for level, value, group in _groups(known)
        for procedure, members in _by_requested_procedure(group)
    )
    return {order.id: order for order in orders}


def family_keys(update: OrderUpdate) -> frozenset[tuple[str, str]]:
    """What connects updates that may be about one order: (`filler`, `placer` or `accession`, bare value)."""
    stated = (
        ("filler", _identifier(update.filler_order_number)),
        ("placer", _identifier(update.placer_order_number)),
        ("accession", _accession(update)),
    )
    return frozenset((level, number.value) for level, number in stated if number)


def _identifier(number: Any) -> Identifier | None:
    return number if isinstance(number, Identifier) and not is_placeholder(number.value) else None


def _accession(update: OrderUpdate) -> Identifier | None:
    numbers = update.accession_numbers
    return _identifier(numbers[0]) if isinstance(numbers, tuple) and numbers else None


def _groups(updates: Sequence[OrderUpdate]) -> list[tuple[str, Identifier | None, list[OrderUpdate]]]:
    """Each filler order, and each placer order or accession number that no filler order is known for."""
    by_level: dict[str, list[tuple[Identifier | None, OrderUpdate]]] = defaultdict(list)
    for update in updates:
        filler, placer = _identifier(update.filler_order_number), _identifier(update.placer_order_number)
        level = "filler" if filler else "placer" if placer else "accession"
        by_level[level].append((filler or placer or _accession(update), update))

    groups: list[tuple[str, Identifier | None, list[OrderUpdate]]] = []
    for level in ("filler", "placer", "accession"):
        members = by_level[level]
        joined = [(number, update, _stated_by(level, number, groups)) for number, update in members]
        groups += _by_number(level, [(number, update) for number, update, owners in joined if not owners])
        for _, update, owners in joined:
            for group in owners:
                group.append(update)
    return groups


def _stated_by(
    level: str, number: Identifier | None, groups: Sequence[tuple[str, Identifier | None, list[OrderUpdate]]]
) -> list[list[OrderUpdate]]:
    """The members of each group of which some message also states this number."""
    if number is None or level == "filler":
        return []

    def states(update: OrderUpdate) -> bool:
        own = _identifier(update.placer_order_number) if level == "placer" else _accession(update)
        return own is not None and _same(own, number)

    return [members for _, _, members in groups if any(states(update) for update in members)]


def _by_number(
    level: str, stated: Sequence[tuple[Identifier | None, OrderUpdate]]
) -> list[tuple[str, Identifier | None, list[OrderUpdate]]]:
    """One group for each number; a number without issuer is about each issuer's, and joins none of them."""
    groups: list[tuple[str, Identifier | None, list[OrderUpdate]]] = []
    for with_issuer in (True, False):
        for number, update in sorted(stated, key=lambda pair: _order_key(pair[1])):
            if (number is not None and number.issuer is not None) is not with_issuer:
                continue
            homes = [members for _, known, members in groups if number and known and _same(number, known)]
            for members in homes:
                members.append(update)
            if not homes:
                groups.append((level, number, [update]))
    return groups


def _same(one: Identifier, other: Identifier) -> bool:
    return one.value == other.value and comparable_issuers(one.issuer, other.issuer)


def _by_requested_procedure(group: Sequence[OrderUpdate]) -> list[tuple[str, list[OrderUpdate]]]:
    """One list for each requested procedure ID; an update without one is about every one of them."""
    stated = sorted({_procedure(update) for update in group} - {""})
    return [(rp, [u for u in group if _procedure(u) in ("", rp)]) for rp in stated or [""]]


def _procedure(update: OrderUpdate) -> str:
    stated = update.requested_procedure_id
    return stated.value if isinstance(stated, Stated) else ""


def _order_key(update: OrderUpdate) -> tuple[str, int, bytes]:
    """Oldest first; at one time: new, other, cancel; then by content, so that arrival never matters."""
    rank = 0 if update.order_control == "NW" else 2 if _status(update) in _TAKES_AWAY else 1
    return update.message_time.rstrip("Z"), rank, msgspec.json.encode(update)


def _status(update: OrderUpdate) -> str | None:
    """The status that an update gives, or None where it says nothing about it."""
    control = update.order_control or ""
    refined = _BY_STATUS.get(update.order_status or "") if control in _REFINED_BY_STATUS else None
    return refined or _BY_CONTROL.get(control) or None


_FOLDED = tuple(
    name
    for name in OrderUpdate.__struct_fields__
    if name in Order.__struct_fields__ and name not in ("source", "accession_numbers", "study_instance_uids")
)


def _fold(level: str, number: Identifier | None, procedure: str, members: Sequence[OrderUpdate]) -> Order:
    """The newest statement of each field."""
    updates = sorted(members, key=_order_key)
    newest: dict[str, Any] = {}
    names: list[PersonName] = []
    birth_dates: list[str] = []
    status = None
    for update in updates:
        for field in _PATIENT_FIELDS + _LISTS + _FOLDED:
            if (value := getattr(update, field)) is not UNSET:
                newest[field] = value
        if isinstance(update.patient_names, tuple):
            names[:0] = [name for name in update.patient_names if name not in names]
        if isinstance(update.birth_date, str) and update.birth_date not in birth_dates:
            birth_dates.insert(0, update.birth_date)
        status = _status(update) or status
    patient = Patient(
        identifiers=newest.pop("patient_identifiers", ()),
        names=newest.pop("patient_names", ()),
        birth_date=newest.pop("birth_date", None),
        sex=newest.pop("sex", None),
    )
    return Order(
        id=_order_id(level, number, procedure, updates),
        status=status,
        source=updates[-1].source,
        patient=patient,
        identity=Identity(patient.identifiers, tuple(sorted(names, key=repr)), tuple(sorted(birth_dates)), patient.sex),
        **newest,
    )


_PATIENT_FIELDS = ("patient_identifiers", "patient_names", "birth_date", "sex")
_LISTS = ("accession_numbers", "study_instance_uids")


def _order_id(level: str, number: Identifier | None, procedure: str, updates: Sequence[OrderUpdate]) -> str:
    """The same identifiers give the same id on every machine; it tells nothing about the patient."""
    issuer = number.issuer if number else None
    named = (level, number.value if number else msgspec.json.encode(updates[0]).hex(), procedure)
    forms = (issuer.universal_id or issuer.namespace_id or "",) if issuer else ("",)
    return "o-" + sha256("\x1f".join(named + forms).encode()).hexdigest()[:20]
