"""The numbers by which messages name an order: filler order number, else placer order number, else accession number."""

from collections.abc import Iterable

from bridge.core.identifiers import comparable_issuers, is_placeholder
from bridge.core.model import Appointment, Identifier, OrderNumbers, OrderUpdate

LEVELS = ("filler", "placer", "accession")  # the number that names an order, where a message states several


def number(update: OrderUpdate, level: str) -> Identifier | None:
    """The number of this level that an update states; a placeholder is none."""
    if level == "accession":
        stated = next(iter(update.accession_numbers or ()), None)
    else:
        stated = (update.filler_order_number if level == "filler" else update.placer_order_number) or None
    return stated if stated and not is_placeholder(stated.value) else None


def named_by(update: OrderUpdate) -> str:
    """The level of the number that an update names its order by."""
    return next((level for level in LEVELS if number(update, level)), LEVELS[-1])


def same_number(one: Identifier, other: Identifier) -> bool:
    """Equal values whose issuers do not rule it out."""
    return one.value == other.value and comparable_issuers(one.issuer, other.issuer)


def replaces_itself(update: OrderUpdate) -> bool:
    """Whether a replacement keeps the number of what it replaces: it is that order, as it is from then on."""
    if not isinstance(update.replaces, OrderNumbers):
        return False
    replaced = update.replaces.filler_order_number, update.replaces.placer_order_number
    for before, level in zip(replaced, LEVELS, strict=False):
        now = number(update, level)
        if before and now:
            return same_number(before, now)
    return False


def is_named_by(appointment: Appointment, updates: Iterable[OrderUpdate]) -> bool:
    """Whether SCH-27 names the order of these updates, or SCH-26 does where one side has no filler order number."""
    known = tuple(updates)
    for level, stated in (("filler", appointment.filler_order_numbers), ("placer", appointment.placer_order_numbers)):
        named = [one for one in stated if not is_placeholder(one.value)]
        own = {one for update in known if (one := number(update, level))}
        if named and own:
            return any(same_number(one, other) for one in named for other in own)
    return False
