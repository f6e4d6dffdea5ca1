"""What the messages about an order add up to, whatever order they arrived in (DESIGN 4.1).

An order is never patched: it is assembled each time from every update that is known of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from msgspec import UNSET

from bridge.core.model import (
    Code,
    Identifier,
    MessageSource,
    OrderUpdate,
    Patient,
    Person,
    PersonName,
    ScheduledStep,
    Stated,
)
from bridge.core.patients import Identity, comparable_issuers, designator, is_placeholder
from bridge.core.struct import Value, encode

# What an order control (HL7 table 0119) does to the order's status. "restored": as before it was taken away or held,
# for a request that was released or could not be met. "" leaves it to ORC-5, or else to what was known.
_CONTROLS = {
    "scheduled": "NW OK XO XR XX RO PA CH",
    "cancelled": "CA CR OC RP RQ RU",  # a replaced order is treated as cancelled (HL7 2.5.1, 4.5.1.1, note to RO)
    "discontinued": "DC DR OD",
    "on-hold": "HD HR OH",
    "restored": "RL OE OR UC UD UM UH",
    "": "AF CN CP DE DF FU LI MC NA NR OF OP PR PY RE RF RR SC SN SR SS UA UF UN UR UX",
}
_BY_CONTROL = {control: status for status, controls in _CONTROLS.items() for control in controls.split()}
# ORC-5 (HL7 table 0038) refines it, but where the control itself takes the order away or brings it back.
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
_TAKES_AWAY = frozenset({"cancelled", "discontinued"})
_SUSPENDS = _TAKES_AWAY | {"on-hold"}

_LEVELS = ("filler", "placer", "accession")  # the number that names an order, where a message states several


class Order(Value):
    """One requested procedure as it stands. `id` is derived from its identifiers alone.

    `status` is scheduled, in-progress, completed, on-hold, discontinued or cancelled, None where no message says.
    `patient` is as last stated, `identity` what it is compared by.
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


def is_known_control(update: OrderUpdate) -> bool:
    """An unknown order control is kept and reported, and changes nothing."""
    return not update.order_control or update.order_control in _BY_CONTROL


def assemble(updates: Iterable[OrderUpdate]) -> dict[str, Order]:
    """The orders that these updates describe, by id.

    `updates` must be a whole family (`family_keys`): a message that states less than others is a message about each
    of those orders, and never joins two of them.
    """
    orders = (
        _fold(group, procedure, members)
        for group in _groups([update for update in updates if is_known_control(update)])
        for procedure, members in _by_requested_procedure(group.members)
    )
    return {order.id: order for order in orders}


def family_keys(update: OrderUpdate) -> frozenset[tuple[str, str]]:
    """What connects updates that may be about one order: (`filler`, `placer` or `accession`, bare value)."""
    stated = ((level, _number(update, level)) for level in _LEVELS)
    return frozenset((level, number.value) for level, number in stated if number)


def _number(update: OrderUpdate, level: str) -> Identifier | None:
    stated: Any
    match level:
        case "filler":
            stated = update.filler_order_number
        case "placer":
            stated = update.placer_order_number
        case _:
            stated = next(iter(update.accession_numbers or ()), None)
    return stated if isinstance(stated, Identifier) and not is_placeholder(stated.value) else None


class _Group(NamedTuple):
    """The updates about one filler order, or one placer order or accession number without a filler order."""

    name: tuple[str, str, str]  # level, number, issuer
    members: list[OrderUpdate]


def _groups(updates: Iterable[OrderUpdate]) -> list[_Group]:
    """Each filler order, and each placer order or accession number that no filler order is known for.

    The more a message says, the earlier it is its turn; one that says less is about each order that its number may
    mean, and joins none of them. Among numbers with equally full issuers "the same" is transitive.
    """
    turns: dict[tuple[int, int], list[OrderUpdate]] = defaultdict(list)
    for update in updates:
        index = next((i for i, level in enumerate(_LEVELS) if _number(update, level)), len(_LEVELS) - 1)
        turns[index, _vagueness(_number(update, _LEVELS[index]))].append(update)
    groups: list[_Group] = []
    for (index, _), turn in sorted(turns.items()):
        groups += _joined(_LEVELS[index], turn, groups)
    return groups


def _joined(level: str, updates: Iterable[OrderUpdate], groups: Iterable[_Group]) -> list[_Group]:
    """Adds each update to the orders that it is about, and gives those that are new; what is added decides nothing."""
    new: dict[tuple[str, str, str], _Group] = {}
    at_home: list[tuple[OrderUpdate, list[_Group]]] = []
    for update, homes in _homes(level, updates, groups):
        if _agreeing(update, homes):
            at_home.append((update, homes))
        else:
            name = _name(level, update)
            new.setdefault(name, _Group(name, [])).members.append(update)
    found: list[tuple[OrderUpdate, list[_Group]]] = []
    for update, homes in at_home:
        own = new.get(_name(level, update))
        found.append((update, _agreeing(update, [*homes, own] if own else homes)))
    for update, homes in found:
        for group in homes:
            group.members.append(update)
    return list(new.values())


def _homes(
    level: str, updates: Iterable[OrderUpdate], groups: Iterable[_Group]
) -> Iterator[tuple[OrderUpdate, list[_Group]]]:
    """Each update with the groups that its number may mean."""
    stating: dict[str, list[tuple[_Group, Identifier]]] = defaultdict(list)
    for group in groups:
        for number in {number for member in group.members if (number := _number(member, level))}:
            stating[number.value].append((group, number))
    for update in updates:
        own = _number(update, level)
        known = stating.get(own.value, ()) if own else ()
        found = {g.name: g for g, number in known if own and comparable_issuers(own.issuer, number.issuer)}
        yield update, list(found.values())


def _agreeing(update: OrderUpdate, groups: list[_Group]) -> list[_Group]:
    """Of several orders that a message may be about, those with its accession number and requested procedure ID.

    Where none has it, those that state none; where all state another one, the message is about none of them.
    """
    for said in (_accession, _procedure):
        if len(groups) > 1 and (own := said(update)):
            stated = [(group, {said(member) for member in group.members} - {""}) for group in groups]
            groups = [group for group, values in stated if own in values] or [g for g, values in stated if not values]
    return groups


def _vagueness(number: Identifier | None) -> int:
    namespace, universal = designator(number.issuer if number else None)
    return 0 if universal else 1 if namespace else 2


def _name(level: str, update: OrderUpdate) -> tuple[str, str, str]:
    """What an order is called by this message; by its whole content where it has no number."""
    number = _number(update, level)
    namespace, universal = designator(number.issuer if number else None)
    return level, number.value if number else encode(update).hex(), universal or namespace


def _accession(update: OrderUpdate) -> str:
    number = _number(update, "accession")
    return number.value if number else ""


def _procedure(update: OrderUpdate) -> str:
    stated = update.requested_procedure_id
    return stated.value if isinstance(stated, Stated) else ""


_Procedure = tuple[str, str, str]  # requested procedure ID, accession number, Study Instance UID; "" where not needed


def _by_requested_procedure(group: Sequence[OrderUpdate]) -> list[tuple[_Procedure, list[OrderUpdate]]]:
    """One list for each requested procedure; an update is about every one that it does not disagree with.

    Its ID names a procedure. Where one message tells several apart by less, accession number and UID do too.
    """
    told = {_told(update) for update in group}
    apart = _told_apart(group)
    names = apart | {(rp, "", "") for rp, _, _ in told - apart if rp and rp not in {name[0] for name in apart}}
    if not names:
        return [(("", "", ""), list(group))]
    names |= {one for one in told if not any(_agree(one, name) for name in names)}
    return [(name, [update for update in group if _agree(_told(update), name)]) for name in sorted(names)]


def _told_apart(group: Iterable[OrderUpdate]) -> set[_Procedure]:
    """The procedures that a message states separately, though not by different IDs."""
    stated: dict[Any, set[_Procedure]] = defaultdict(set)
    for update in group:
        if update.source.message_control_id:
            stated[update.source, update.message_time, _procedure(update)].add(_told(update))
    return {name for names in stated.values() if len(names) > 1 for name in names}


def _told(update: OrderUpdate) -> _Procedure:
    uids = update.study_instance_uids or ()
    return _procedure(update), _accession(update), uids[0].value if uids else ""


def _agree(one: _Procedure, other: _Procedure) -> bool:
    return all(not a or not b or a == b for a, b in zip(one, other, strict=True))


def _order_key(update: OrderUpdate) -> tuple[str, int, bytes]:
    """Oldest first; at one time: new, other, cancel; then by content, so that arrival never matters."""
    rank = 0 if update.order_control == "NW" else 2 if _status(update) in _TAKES_AWAY else 1
    return update.message_time.rstrip("Z"), rank, encode(update)


def _status(update: OrderUpdate) -> str | None:
    """The status that an update gives ("restored": see `_CONTROLS`), or None where it says nothing about it."""
    by_control = _BY_CONTROL.get(update.order_control or "", "")
    refined = _BY_STATUS.get(update.order_status or "") if by_control in ("scheduled", "") else None
    return refined or by_control or None


# The fields of which an order has the newest statement as it is.
_NEWEST = tuple(name for name in OrderUpdate.__struct_fields__ if name in Order.__struct_fields__ and name != "source")
_OF_PATIENT = {"patient_identifiers": "identifiers", "patient_names": "names", "birth_date": "birth_date", "sex": "sex"}


def _fold(group: _Group, procedure: _Procedure, members: Iterable[OrderUpdate]) -> Order:
    """The newest statement of each field, and every name and birth date ever stated, the newest first."""
    updates = sorted(members, key=_order_key)
    newest: dict[str, Any] = {}
    patient: dict[str, Any] = {}
    names: dict[PersonName, None] = {}
    birth_dates: dict[str, None] = {}
    status: str | None = None
    standing = "scheduled"
    for update in updates:
        newest |= {name: value for name in _NEWEST if (value := getattr(update, name)) is not UNSET}
        patient |= {mine: value for name, mine in _OF_PATIENT.items() if (value := getattr(update, name)) is not UNSET}
        names = dict.fromkeys(update.patient_names or ()) | names
        birth_dates = dict.fromkeys([update.birth_date] if isinstance(update.birth_date, str) else []) | birth_dates
        said = _status(update)
        status = standing if said == "restored" else said or status
        standing = status if status and status not in _SUSPENDS else standing
    known = Patient(**patient)
    return Order(
        id=_order_id(group, procedure),
        status=status,
        source=updates[-1].source,
        patient=known,
        identity=Identity(known.identifiers, tuple(names), tuple(birth_dates), known.sex),
        **newest,
    )


def _order_id(group: _Group, procedure: _Procedure) -> str:
    """The same identifiers give the same id on every machine; it tells nothing about the patient."""
    return "o-" + sha256("\x1f".join(group.name + procedure).encode()).hexdigest()[:20]
