"""The ORC/OBR groups of an HL7 v2 order message (ORM^O01, OMI^O23, OMG^O19; HL7 2.3 to 2.8) to order updates.

One update is one requested procedure, as IHE RAD-4 and HL7 2.5.1 4.5.6 (IPC) understand it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import Filtered, Identifier, OrderNumbers, OrderUpdate, Stated
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_groups import Group, groups
from bridge.formats.hl7_order_group import RELATIONS, updates
from bridge.formats.hl7_reader import Reader
from bridge.formats.hl7_values import first, known, text

_AHEAD = {"RP": "RO", "RQ": "RO", "RU": "RO", "PA": "CH"}  # order controls that call for others behind them
_MAY_DIFFER = frozenset(("message_time", "scheduled_steps", "modality", "accession_numbers", "study_instance_uids"))


def read_orders(reader: Reader, limits: Limits) -> tuple[OrderUpdate, ...] | Filtered:
    """What an order message says: one update for each requested procedure.

    Raises Invalid: `hl7-no-order`, `max-orders`.
    """
    found = groups(reader)
    if not found:
        raise Invalid("hl7-no-order", "the order message has neither an ORC nor an OBR segment")
    ordered = _without_prior_results(found, reader)
    if not ordered:
        return Filtered("nothing but prior results")
    imaging = [group for group in ordered if group.detail or not group.not_imaging]
    if not imaging:
        return Filtered(f"no imaging order: {found[0].not_imaging} stands in the place of OBR")
    if sum(len(group.procedures) or 1 for group in imaging) > limits.max_orders:  # each is compared with each
        raise limits.exceeded("max_orders")
    stated = ((group, update) for group in imaging for update in updates(reader, group))
    return _one_each(_with_those_ahead(stated), reader.warnings)


def _without_prior_results(found: list[Group], reader: Reader) -> list[Group]:
    """OMG^O19 may carry earlier results, behind a PID of their own or an ORC-1 PR: they order nothing."""
    ordered = [
        group
        for group in found
        if known(text(group.order, 1)) != "PR"
        and (reader.source.message_type != "OMG^O19" or group.patient is found[0].patient)
    ]
    if len(ordered) < len(found):
        reader.warnings.append(f"groups of prior results: {len(found) - len(ordered)}, not read as orders")
    return ordered


def _with_those_ahead(stated: Iterable[tuple[Group, OrderUpdate]]) -> Iterator[tuple[Group, OrderUpdate]]:
    """Replacements with the orders that they replace, children with their parents, where these stand ahead of them.

    HL7 2.5.1, 4.5.1.1. The first belongs to the first ahead, and so on; where more follow, they belong to the last.
    """
    ahead: dict[Any, OrderNumbers] = {}
    behind: list[Any] = []
    call: tuple[Segment | None, str] = (None, "")  # whose orders, and which order control follows them
    for group, update in stated:
        control = update.order_control or ""
        numbers = OrderNumbers(known(update.placer_order_number), known(update.filler_order_number))
        if control in _AHEAD and numbers != OrderNumbers():
            if behind or call != (group.patient, _AHEAD[control]):
                ahead, behind, call = {}, [], (group.patient, _AHEAD[control])
            ahead.setdefault(_bare(numbers), numbers)
        elif ahead and call == (group.patient, control):
            if _bare(numbers) not in behind:
                behind.append(_bare(numbers))
            place = min(behind.index(_bare(numbers)), len(ahead) - 1)
            update = replace(update, **{RELATIONS[control]: [*ahead.values()][place]})
        yield group, update


def _one_each(stated: Iterable[tuple[Group, OrderUpdate]], warnings: list[str]) -> tuple[OrderUpdate, ...]:
    """One update a requested procedure: IHE RAD-4 sends an ORC/OBR pair for each step, and one ZDS behind the last."""
    found: list[tuple[Group, OrderUpdate]] = []
    for group, update in stated:
        for index, (known_group, known_update) in enumerate(found):
            if _same_procedure(known_group, known_update, group, update):
                for name in _differing(known_update, update):
                    warnings.append(f"{group.where} repeats {known_group.where} with another {name}: the first is kept")
                found[index] = (known_group, _merged(known_update, update))
                break
        else:
            found.append((group, update))
    return tuple(update for _, update in found)


def _same_procedure(group: Group, update: OrderUpdate, other_group: Group, other: OrderUpdate) -> bool:
    return (
        group.patient is other_group.patient
        and update.order_control == other.order_control
        and (group is other_group or _same_order(update, other))
        and _bare(update.requested_procedure_id) == _bare(other.requested_procedure_id)
        and not _contradict(update.study_instance_uids, other.study_instance_uids)
        and not _contradict(update.accession_numbers, other.accession_numbers)
    )


def _same_order(update: OrderUpdate, other: OrderUpdate) -> bool:
    """Filler order number, else placer order number, else accession number (DESIGN 4.1)."""
    for name in ("filler_order_number", "placer_order_number"):
        one, another = _bare(getattr(update, name)), _bare(getattr(other, name))
        if one and another:
            return bool(one == another)
    numbers = _bare(update.accession_numbers)
    return bool(numbers) and numbers == _bare(other.accession_numbers)


def _contradict(one: Any, other: Any) -> bool:
    return bool(one and other and _bare(one) != _bare(other))


def _differing(update: OrderUpdate, other: OrderUpdate) -> list[str]:
    """The fields that two messages about one requested procedure should agree in, and do not."""
    pairs = ((name, getattr(update, name), getattr(other, name)) for name in update.__struct_fields__)
    return [
        name.replace("_", " ")
        for name, one, another in pairs
        if name not in _MAY_DIFFER and one and another and _bare(one) != _bare(another)
    ]


def _merged(update: OrderUpdate, other: OrderUpdate) -> OrderUpdate:
    """Everything that either says, the first one first; the scheduled steps of both."""
    pairs = ((name, getattr(update, name), getattr(other, name)) for name in update.__struct_fields__)
    fields: dict[str, Any] = {name: one or another or first(one, another) for name, one, another in pairs}
    steps = [*(update.scheduled_steps or ()), *(other.scheduled_steps or ())]
    fields["scheduled_steps"] = tuple(dict.fromkeys(steps)) or UNSET
    return OrderUpdate(**fields)


def _bare(said: Any) -> Any:
    """A value without the place it stands in; None for none."""
    if isinstance(said, tuple):
        return frozenset(_bare(one) for one in said)
    if isinstance(said, OrderNumbers):
        return (_bare(said.placer_order_number), _bare(said.filler_order_number))
    if isinstance(said, Identifier):
        return (said.value, said.issuer)
    return said.value if isinstance(said, Stated) else said or None
