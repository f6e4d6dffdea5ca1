"""What the messages about one order make of its status, and of its start where it is scheduled by appointments.

ORC-1 is HL7 table 0119, ORC-5 table 0038. An appointment never makes an order: it moves or cancels one.
"""

from collections.abc import Container, Iterable
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from bridge.core.model import Appointment, OrderUpdate
from bridge.core.order_numbers import replaces_itself, same_number
from bridge.core.struct import encode

OrderFact: TypeAlias = OrderUpdate | Appointment

# What an order control does to the order's status. "restored": as before it was taken away or held, for a request that
# was released or could not be met. "" leaves it to ORC-5, or else to what was known.
_CONTROLS = {
    "scheduled": "NW RO CH",
    "changed": "OK XO XR XX",  # "restored" where ORC-5 says nothing
    "restored": "RL OE OR UC UD UM UH",
    "cancelled": "CA CR OC RP RQ RU",  # a replaced order is treated as cancelled (HL7 2.5.1, 4.5.1.1, note to RO)
    "discontinued": "DC DR OD",
    "on-hold": "HD HR OH",
    "": "AF CN CP DE DF FU LI MC NA NR OF OP PA PR PY RE RF RR SC SN SR SS UA UF UN UR UX",
}
_BY_CONTROL = {control: status for status, controls in _CONTROLS.items() for control in controls.split()}
# ORC-5 refines it, but where the control itself takes the order away or brings it back.
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
_RANKS = {"discontinued": 2, "cancelled": 3}  # at one moment: new before other before what takes the order away
_TAKES_AWAY = frozenset(_RANKS)
_SUSPENDS = _TAKES_AWAY | {"on-hold"}
_BOOKED = frozenset({"S12", "S13", "S14"})
_CALLED_OFF = "S15"
_STILL_TO_COME = frozenset({None, "scheduled", "on-hold"})  # what a cancelled appointment cancels


def is_known_control(update: OrderUpdate) -> bool:
    """An unknown order control is kept and reported, and changes nothing."""
    return not update.order_control or update.order_control in _BY_CONTROL


def moment(said: OrderFact) -> str:
    """The time of a statement, written so that it compares to the fraction of a second."""
    return said.message_time.rstrip("Z")


def in_sequence(said: Iterable[OrderFact]) -> list[OrderFact]:
    """Oldest first; at one time: new, other, cancel, replacement of itself; then by content: arrival never matters."""
    when = [(_when(one), one) for one in said]
    if len({key for key, _ in when}) < len(when):  # content only where it is needed: writing it is slow
        return [one for _, _, one in sorted(((key, encode(one), one) for key, one in when), key=itemgetter(0, 1))]
    return [one for _, one in sorted(when, key=itemgetter(0))]


def _when(said: OrderFact) -> tuple[str, int]:
    return moment(said), rank(said)


def rank(said: OrderFact) -> int:
    """Which of two statements of one time is the newer: the higher."""
    if isinstance(said, Appointment):
        return _RANKS["cancelled"] if said.event == _CALLED_OFF else 1
    if replaces_itself(said):
        return _RANKS["cancelled"] + 1
    return 0 if said.order_control == "NW" else _RANKS.get(_status(said) or "", 1)


def _status(update: OrderUpdate) -> str | None:
    """The status that an update gives ("restored": see `_CONTROLS`), or None where it says nothing about it."""
    by_control = _BY_CONTROL.get(update.order_control or "", "")
    by_status = _BY_STATUS.get(update.order_status or "")
    match by_control:
        case "cancelled" | "discontinued" | "on-hold":
            return by_control
        case "restored":
            return by_status if by_status and by_status not in _SUSPENDS else by_control
        case "changed":
            return by_status or "restored"
        case _:
            return by_status or by_control or None


class Course(NamedTuple):
    """`start` is that of the appointment that stands, None where the order's own messages say when."""

    status: str | None
    start: str | None


def course(history: Iterable[OrderFact], shared: Container[int]) -> Course:
    """What everything that was said about one order, oldest first, comes to.

    `shared` holds the `id` of each fact that is about several orders: it neither brings one back that a fact about that
    order alone has taken away, nor makes it less than cancelled.
    """
    status: str | None = None
    standing = "scheduled"  # the last status that was neither taken away nor held
    start: str | None = None
    booked: list[Appointment] = []
    away_alone = False  # taken away or held by a message about this order alone
    called_off: bool | None = None  # no appointment stands: whether the one that said so was about this order alone
    for said in history:
        alone = id(said) not in shared
        if isinstance(said, Appointment):
            booked = _bookings(booked, said)
            if said.event in _BOOKED:
                called_off = None
                start = said.start or start
            elif said.event == _CALLED_OFF:
                start = booked[-1].start if booked else None
                if not booked and status in _STILL_TO_COME:
                    called_off = alone
            continue
        if any(step.scheduled_procedure_step_start_date_time for step in said.scheduled_steps or ()):
            start = None
        given = _status(said)
        if given in _SUSPENDS:
            status = given if alone or not away_alone or given == "cancelled" else status
            away_alone = away_alone or alone
        elif given and (alone or not away_alone):
            status = standing = standing if given == "restored" else given
            away_alone = False
            called_off = None if alone else called_off or None
    return Course(status if called_off is None or status in _TAKES_AWAY else "cancelled", start)


def _bookings(booked: list[Appointment], said: Appointment) -> list[Appointment]:
    """The appointments that stand: an order may have several, and one that is cancelled is not all of them."""
    if said.event == _CALLED_OFF:
        return [one for one in booked if not _same_appointment(one, said)]
    if said.event in _BOOKED:
        return [*(one for one in booked if not _same_appointment(one, said)), said]
    return booked


def _same_appointment(one: Appointment, other: Appointment) -> bool:
    """By the filler's ID (SCH-2), else the placer's (SCH-1); without an ID on both sides it is the same."""
    for mine, theirs in (
        (one.filler_appointment_id, other.filler_appointment_id),
        (one.placer_appointment_id, other.placer_appointment_id),
    ):
        if mine and theirs:
            return same_number(mine, theirs)
    return True
