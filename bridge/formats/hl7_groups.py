"""The ORC/OBR groups of HL7 v2 order and result messages: which segments say something about one order.

HL7 2.5.1 4.4 (ORM, OMG, OMI) and 7.3.1 (ORU), as loosely as senders keep to them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.core.errors import Invalid
from bridge.core.model import Code, Identifier, OrderNumbers
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_paths import Path
from bridge.formats.hl7_places import at_places, entity_at
from bridge.formats.hl7_reader import Reader
from bridge.formats.hl7_values import Said, code, distinct, entity, entity_of_pair, every, first, known

T = TypeVar("T")

_ORDER_NUMBERS = {2: "placer_order_number", 3: "filler_order_number"}
_NOT_IMAGING = frozenset(("RXO", "ODS", "ODT", "RQD", "RQ1"))  # ORM^O01: pharmacy, diet, supply in the place of OBR


@dataclass(slots=True)
class Group:
    """The segments that say something about one ORC/OBR pair. `shares_order`: its ORC has several OBR."""

    patient: Segment | None
    visit: Segment | None
    order: Segment | None = None
    detail: Segment | None = None
    shares_order: bool = False
    order_timings: list[Segment] = field(default_factory=list)  # TQ1 before the OBR, of the ORC
    timings: list[Segment] = field(default_factory=list)  # TQ1 behind the OBR
    procedures: list[Segment] = field(default_factory=list)  # IPC
    studies: list[Segment] = field(default_factory=list)  # ZDS
    observations: list[Segment] = field(default_factory=list)  # OBX
    not_imaging: str | None = None  # the segment that stands in the place of the OBR
    others: dict[str, Segment] = field(default_factory=dict)  # the first of each further name
    common: dict[str, Segment] = field(default_factory=dict)  # the same ahead of the patient's first group

    @property
    def timing(self) -> Segment | None:
        """The TQ1 that holds."""
        return next(iter(self.timings or self.order_timings), None)

    def segment(self, name: str, procedure: Segment | None) -> Segment | None:
        """The segment of this name that speaks of the group, or of one requested procedure of it (IPC)."""
        own = {"PID": self.patient, "PV1": self.visit, "ORC": self.order, "OBR": self.detail, "TQ1": self.timing}
        own |= {"IPC": procedure, "ZDS": next(iter(self.studies), None)}
        return own[name] if name in own else self.others.get(name) or self.common.get(name)

    @property
    def where(self) -> str:
        """The segment that the group begins with, such as `ORC[2]`."""
        segment = self.order if self.order and not self.shares_order else self.detail or self.order
        return segment.path if segment else ""

    def add(self, segments: Sequence[Segment]) -> None:
        """Takes IPC, ZDS and OBX in."""
        kept = {"IPC": self.procedures, "ZDS": self.studies, "OBX": self.observations}
        for segment in segments:
            kept[segment.name].append(segment)


def groups(reader: Reader) -> list[Group]:
    """Every group, in the message's order.

    An OBR without its own ORC shares the one before; a later PID begins another patient; an IPC, ZDS or OBX ahead of a
    patient's first group belongs to it.

    Raises Invalid: `hl7-no-patient` for a PID behind groups that have none, `hl7-several-patients` for two together.
    """
    found: list[Group] = []
    group: Group | None = None
    patient: Segment | None = None
    visit: Segment | None = None
    ahead: list[Segment] = []
    of_all: dict[str, Segment] = {}  # further segments ahead of the first patient, by name
    common = of_all
    for segment in reader.message.segments:
        match segment.name:
            case "PID":
                if found and not patient:
                    raise Invalid("hl7-no-patient", f"{segment.path} stands behind orders that may be its")
                if patient and not (found and found[-1].patient is patient):
                    raise Invalid("hl7-several-patients", f"{patient.path} and {segment.path} stand before one order")
                patient, visit, group, common = segment, None, None, dict(of_all)
            case "PV1":
                visit = segment
                if group and not group.visit:
                    group.visit = visit
            case "ORC":
                group = Group(patient, visit, segment, common=common)
                found.append(group)
            case "OBR":
                if group is None or group.detail:
                    group = _sharing(group) if group and group.order else Group(patient, visit, common=common)
                    found.append(group)
                group.detail = segment
            case "TQ1" if group:
                (group.timings if group.detail else group.order_timings).append(segment)
            case "IPC" | "ZDS" | "OBX":
                ahead.append(segment)
            case name:
                if group and name in _NOT_IMAGING:
                    group.not_imaging = name
                (group.others if group else common).setdefault(name, segment)
        if group and ahead:
            group.add(ahead)
            ahead.clear()
    if found and ahead:  # of the group before, it would be another patient's
        reader.warnings.append(f"{ahead[0].path}: no ORC or OBR follows, not read")
    return found


def _sharing(group: Group) -> Group:
    group.shares_order = True
    return Group(
        group.patient,
        group.visit,
        group.order,
        shares_order=True,
        order_timings=group.order_timings,
        common=group.common,
    )


def order_number(reader: Reader, group: Group, number: int) -> Said[Identifier]:
    """ORC-2 or OBR-2, ORC-3 or OBR-3: the ORC's, but where it is shared by several OBR."""
    if (name := _ORDER_NUMBERS[number]) in reader.places:
        return first(*kept(reader, group, name, entity_at, ()))
    order, detail = (_only(reader, segment, number) for segment in (group.order, group.detail))
    if group.shares_order:
        return first(detail, order)
    one, other = known(order), known(detail)
    if one and other and one.value != other.value:
        reader.warnings.append(f"{one.where} and {other.where} differ: {one.where} is taken")
    return first(order, detail)


def _only(reader: Reader, segment: Segment | None, number: int) -> Said[Identifier]:
    """The first repetition that says something; a second number is one too many (HL7 2.5.1, 4.5.1)."""
    said = every(entity, segment, number, 1)
    if segment and len(distinct(said) or ()) > 1:
        reader.warnings.append(f"{segment.where(number)}: several numbers, the first is taken")
    return first(*said)


def parent_order(group: Group) -> OrderNumbers | None:
    """ORC-8, else OBR-29: the order that this one was made from, or is related to."""
    for segment, number in ((group.order, 8), (group.detail, 29)):
        placer, filler = entity_of_pair(segment, number, 1), entity_of_pair(segment, number, 2)
        if placer or filler:
            return OrderNumbers(placer, filler)
    return None


def requested_procedure(reader: Reader, group: Group) -> Said[Code]:
    """OBR-44, else OBR-4, else what OBR-4 states in another coding system."""
    detail = group.detail
    usual = code(detail, 44), code(detail, 4), code(detail, 4, 4)
    return first(*kept(reader, group, "procedure", _code_at, usual))


def _code_at(segment: Segment, path: Path, repetition: int) -> Said[Code]:
    """A code and the two components behind it; those of a whole field are the first three."""
    return code(segment, path.field, path.component or 1, repetition)


# Where a channel says that its sender keeps what (`transformer.order`)


def kept(
    reader: Reader,
    group: Group,
    name: str,
    read: Callable[[Segment, Path, int], Said[T]],
    usual: Iterable[Said[T]],
    procedure: Segment | None = None,
) -> Iterable[Said[T]]:
    """What stands at the first of the stated places that has a value; what usually does where the channel states none.

    `read` reads one repetition of a field, or the component that a path names.
    """
    if name not in reader.places:
        return usual
    return at_places(reader.places[name], lambda segment: group.segment(segment, procedure), read)
