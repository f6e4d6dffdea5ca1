"""The orders that facts make, whatever sequence they arrive in and however often."""

from collections.abc import Iterable
from itertools import permutations

from bridge.core.model import Appointment, MessageSource, OrderUpdate, Patient
from bridge.core.orders import Order, assemble
from tests.core.builders import number

EARLY, NOON, LATE = "2026-01-01T08:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T20:00:00Z"


def made_of(*facts: OrderUpdate | Appointment) -> list[Order]:
    """The orders of these facts, which no sequence of arrival may change, sorted by their numbers."""
    expected = _assembled(facts)
    for arrived in list(permutations(facts))[:24]:
        assert _assembled(arrived) == expected
        assert _assembled([*arrived, *arrived]) == expected
    return sorted(expected.values(), key=lambda made: (filler(made), procedure(made)))


def _assembled(facts: Iterable[OrderUpdate | Appointment]) -> dict[str, Order]:
    known = tuple(facts)
    return assemble(
        [fact for fact in known if isinstance(fact, OrderUpdate)],
        [fact for fact in known if isinstance(fact, Appointment)],
    )


def only(*facts: OrderUpdate | Appointment) -> Order:
    (made,) = made_of(*facts)
    return made


def filler(made: Order) -> str:
    return made.filler_order_number.value if made.filler_order_number else ""


def procedure(made: Order) -> str:
    return made.requested_procedure_id.value if made.requested_procedure_id else ""


def accessions(orders: Iterable[Order]) -> list[str]:
    return [" ".join(number.value for number in made.accession_numbers) for made in orders]


def statuses(*facts: OrderUpdate | Appointment) -> dict[str, str | None]:
    return {f"{filler(made)}{procedure(made)}": made.status for made in made_of(*facts)}


def appointment(
    event: str, *, fillers: str = "", placers: str = "", own: str = "", start: str = "", time: str = NOON
) -> Appointment:
    """What one scheduling message says; several order numbers are separated by blanks, `own` is the appointment's."""
    return Appointment(
        message_time=time,
        event=event,
        source=MessageSource("RIS", "HOSP", f"SIU^{event}", "1", "orders"),
        patient=Patient(),
        filler_appointment_id=number(own, "SCH-2.1") if own else None,
        placer_order_numbers=tuple(number(one, "SCH-26.1") for one in placers.split()),
        filler_order_numbers=tuple(number(one, "SCH-27.1") for one in fillers.split()),
        start=start or None,
    )
