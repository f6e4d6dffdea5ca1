"""Where a channel says that its senders keep what, in place of where the standards have it.

HL7 places are read with the order that they are about (`bridge.formats.hl7_groups`), DICOM ones here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from msgspec.structs import replace

from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Key, Mistake
from bridge.core.model import Identifier, Instance
from bridge.core.normalisation import ValueRules
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.hl7_paths import Path, parse_path
from bridge.formats.lost_characters import LOST

# Where IHE RAD-4 and HL7 2.5.1 have it: the field, of which the first component is read.
USUAL = {
    "placer_order_number": ("ORC-2", "OBR-2"),
    "filler_order_number": ("ORC-3", "OBR-3"),
    "accession_number": ("IPC-1", "OBR-18"),
    "study_instance_uid": ("IPC-3", "ZDS-1"),
    "requested_procedure_id": ("IPC-2", "OBR-19"),
    "scheduled_procedure_step_id": ("IPC-4", "OBR-20"),
    "modality": ("IPC-5", "OBR-24"),
}


def mistakes(channel: Channel) -> Iterator[Mistake]:
    """What is wrong about the places of a channel and its senders."""
    rules = channel.normalisation
    if rules is None:
        return
    table = "order" if channel.source.data_type is DataType.HL7V2 else "object"
    stated: list[tuple[Key, ValueRules, ValueRules]] = [
        (("transformer", table), rules.rules, rules.rules),
        *(
            (("transformer", "sender", sender.number, table), sender.rules, rules.rules_for(sender.when))
            for sender in rules.senders
        ),
    ]
    found: list[Mistake] = [
        ((*key, name), said)
        for key, own, _ in stated
        for name, places in own.places.items()
        for place in places
        if (said := _mistake(channel.source.data_type, place))
    ]
    if not found and table == "order":
        found = [
            ((*key, name if name in own.places else other), said)
            for key, own, effective in stated
            if own.places
            for name, other, said in _read_twice(effective)
        ]
    yield from found


def _mistake(data_type: DataType, place: str) -> str | None:
    try:
        if data_type is DataType.DICOM:
            attribute_tag(place)
        elif parse_path(place).occurrence:
            return f"{place}: no number behind the segment, which is that of the order"
    except (ConfigError, ValueError) as error:
        return str(error)
    return None


def _read_twice(rules: ValueRules) -> Iterator[tuple[str, str, str]]:
    """Two things that would be read from one field, and what is wrong about that."""
    read = [(name, place) for name, places in {**USUAL, **rules.places}.items() for place in places]
    for (name, place), (other, another) in combinations(read, 2):
        if name != other and _overlap(parse_path(place), parse_path(another)):
            said = f"{place} would be read as {name} and as {other}: say where each is kept, [] for nowhere"
            yield name, other, said


def _overlap(one: Path, other: Path) -> bool:
    """Whether two paths read the same: a field as a whole reads its components, too."""
    same_field = (one.segment, one.field) == (other.segment, other.field)
    return same_field and (one.component == other.component or None in (one.component, other.component))


def asked(channel: Channel) -> list[str]:
    """The attributes that have to be read of an object for the sake of its places."""
    if channel.normalisation is None:
        return []
    rules = (channel.normalisation.rules, *(sender.rules for sender in channel.normalisation.senders))
    return [place for one in rules for places in one.places.values() for place in places]


def kept(instance: Instance, places: Mapping[str, Sequence[str]]) -> Instance:
    """The object with its numbers from where its sender keeps them; other patient IDs and requests stay as they are."""
    statement = instance.statement
    if "accession_number" in places:
        statement = replace(statement, accession_number=_identifier(instance, places["accession_number"]))
    if "patient_id" in places:
        usual = f"{attribute_tag('PatientID'):08X}"
        others = tuple(one for one in statement.patient.identifiers if one.where != usual)
        stated = _identifier(instance, places["patient_id"])
        identifiers = (stated, *others) if stated else others
        statement = replace(statement, patient=replace(statement.patient, identifiers=identifiers))
    return replace(instance, statement=statement)


def _identifier(instance: Instance, places: Sequence[str]) -> Identifier | None:
    """The first value; one that lost a character, or stands beside another, is none."""
    statement = instance.statement
    read = {one.where: one for one in (statement.accession_number, *statement.patient.identifiers) if one}
    for place in places:
        tag = f"{attribute_tag(place):08X}"
        if tag in read:  # with its issuer
            return read[tag]
        stated = [str(one) for one in instance.dicom.get(tag, {}).get("Value", ()) if isinstance(one, str | int)]
        if len(stated) == 1 and (value := stated[0].strip()) and LOST not in value:
            return Identifier(value, tag)
    return None
