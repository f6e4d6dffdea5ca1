"""HL7 v2 messages to facts: imaging orders (ORM^O01, OMI^O23, OMG^O19; HL7 2.3 to 2.8).

One update is one requested procedure, as IHE RAD-4 and HL7 2.5.1 4.5.6 (IPC) understand it. Other types are filtered.
"""

import re
from collections.abc import Container, Iterable
from typing import Any

from msgspec import UNSET

from bridge.core.channel import ORDER_MESSAGES
from bridge.core.errors import Invalid
from bridge.core.model import Filtered, Identifier, OrderMessage, OrderUpdate, Stated
from bridge.formats import hl7
from bridge.formats.hl7 import Message, Segment
from bridge.formats.hl7_orders import Group, Reader
from bridge.formats.hl7_values import first, known, text

_TRIGGERS = {"ORM": "O01", "OMI": "O23", "OMG": "O19"}  # where MSH-9 states no trigger event
_TYPE = re.compile(r"[A-Z0-9]{3}(\^[A-Z0-9]{3})?")
_NOT_IMAGING = frozenset(("RXO", "ODS", "ODT", "RQD", "RQ1"))  # ORM^O01: pharmacy, diet, supply in the place of OBR
_MOST_ORDERS = 500  # in one message; each is compared with each
_MAY_DIFFER = frozenset(("message_time", "scheduled_steps", "modality", "accession_numbers", "study_instance_uids"))


def read_orders(
    body: bytes,
    *,
    channel: str,
    charset: str = "ISO-8859-1",
    stated_charset: str | None = None,
    accepted: Container[str] = ORDER_MESSAGES,
    timezone: str = "UTC",
) -> OrderMessage | Filtered:
    """What an order message says.

    `stated_charset` is what the transport states, before MSH-18; `charset` holds where nothing is stated, or something
    wrong; `accepted` are the channel's message types, such as `ORM^O01`;
    `timezone` (IANA) is where the sender is, for times without an offset in a message whose MSH-7 has none either.

    Raises Invalid: `hl7-no-message-type`, `hl7-no-order`, `hl7-too-many-orders`, and what `hl7.parse` raises.
    """
    message = hl7.parse(body, charset, stated_charset)
    message_type = _message_type(message)
    if message_type not in accepted:
        return Filtered(f"message type {_printable(message_type)} is not accepted by this channel")
    if message_type not in ORDER_MESSAGES:
        return Filtered(f"message type {_printable(message_type)} is not an imaging order")
    groups = _groups(message.segments)
    if not groups:
        raise Invalid("hl7-no-order", "the order message has neither an ORC nor an OBR segment")
    imaging = [group for group in groups if group.detail or not group.not_imaging]
    if not imaging:
        return Filtered(f"no imaging order: {groups[0].not_imaging} stands in the place of OBR")
    if sum(len(group.procedures) or 1 for group in imaging) > _MOST_ORDERS:
        raise Invalid("hl7-too-many-orders", f"more than {_MOST_ORDERS} ORC, OBR or IPC segments")
    reader = Reader(message, message_type, channel, timezone)
    updates = _one_each(((group, update) for group in imaging for update in reader.updates(group)), reader.warnings)
    return OrderMessage(updates, updates[0].source.message_control_id, tuple(dict.fromkeys(reader.warnings)))


def _message_type(message: Message) -> str:
    header = message.segments[0]
    code = known(text(header, 9))
    if not code:
        raise Invalid("hl7-no-message-type", "MSH-9 is empty")
    trigger = known(text(header, 9, 2)) or _TRIGGERS.get(code)
    return f"{code}^{trigger}" if trigger else code


def _printable(message_type: str) -> str:
    return message_type if _TYPE.fullmatch(message_type) else "in MSH-9, which is malformed,"


def _groups(segments: Iterable[Segment]) -> list[Group]:
    """The ORC/OBR groups. An OBR without its own ORC shares the one before; a later PID begins another patient."""
    groups: list[Group] = []
    group: Group | None = None
    patient: Segment | None = None
    visit: Segment | None = None
    ahead: list[Segment] = []  # ZDS before the first group
    for segment in segments:
        match segment.name:
            case "PID":
                patient, visit, group = segment, None, None
            case "PV1":
                visit = segment
                if group and not group.visit:
                    group.visit = visit
            case "ORC":
                group = Group(patient, visit, segment)
                groups.append(group)
            case "OBR":
                if group is None or group.detail:
                    group = _sharing(group) if group and group.order else Group(patient, visit)
                    groups.append(group)
                group.detail = segment
            case "TQ1" if group:
                (group.timings if group.detail else group.order_timings).append(segment)
            case "IPC" if group:
                group.procedures.append(segment)
            case "ZDS":
                (group.studies if group else ahead).append(segment)
            case name if group and name in _NOT_IMAGING:
                group.not_imaging = name
    if groups:
        groups[0].studies.extend(ahead)
    return groups


def _sharing(group: Group) -> Group:
    group.shares_order = True
    return Group(group.patient, group.visit, group.order, shares_order=True, order_timings=group.order_timings)


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
    if isinstance(said, Identifier):
        return (said.value, said.issuer)
    return said.value if isinstance(said, Stated) else said or None
