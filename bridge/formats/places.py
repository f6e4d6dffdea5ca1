"""Where a channel says that its senders keep what, in place of where the standards have it.

HL7 places are read with the order that they are about (`bridge.formats.hl7_groups`), DICOM ones here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from msgspec.structs import replace

from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Key, Mistake
from bridge.core.model import Identifier, Instance, Request, Stated
from bridge.core.normalisation import ValueRules
from bridge.formats import date_formats
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.hl7_paths import parse_path
from bridge.formats.hl7_reader import PRIOR
from bridge.formats.lost_characters import LOST

# Where IHE RAD-4, HL7 2.5.1 and DICOM have it: a field, of which the first component is read; an attribute.
USUAL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "order": {
        "placer_order_number": ("ORC-2", "OBR-2"),
        "filler_order_number": ("ORC-3", "OBR-3"),
        "accession_number": ("IPC-1", "OBR-18"),
        "study_instance_uid": ("IPC-3", "ZDS-1"),
        "requested_procedure_id": ("IPC-2", "OBR-19"),
        "scheduled_procedure_step_id": ("IPC-4", "OBR-20"),
        "modality": ("IPC-5", "OBR-24"),
        "scheduled_start": ("TQ1-7", "ORC-7.4", "OBR-27.4"),
        "procedure": ("OBR-44", "OBR-4", "OBR-4.4"),
        "reason": ("OBR-31",),
        "ordering_provider": ("ORC-12", "OBR-16"),
        "priority": ("ORC-7.6", "TQ1-9", "OBR-27.6", "OBR-5"),
    },
    "patient": {"ids": ("PID-3", "PID-2"), "name": ("PID-5",), "birth_date": ("PID-7",), "sex": ("PID-8",)},
    "object": {
        "patient_id": ("PatientID",),
        "accession_number": ("AccessionNumber",),
        "placer_order_number": ("PlacerOrderNumberImagingServiceRequest",),
        "filler_order_number": ("FillerOrderNumberImagingServiceRequest",),
        "requested_procedure_id": (),
    },
}
_TABLES = {DataType.HL7V2: ("order", "patient"), DataType.DICOM: ("object",)}
_WHOLE = {"name", "ordering_provider"}  # of which every component is read
_OF_REQUESTS = ("placer_order_number", "filler_order_number", "requested_procedure_id")


def mistakes(channel: Channel) -> Iterator[Mistake]:
    """What is wrong about the places and date formats of a channel and its senders."""
    rules = channel.normalisation
    if rules is None:
        return
    stated: list[tuple[Key, ValueRules, ValueRules]] = [
        (("transformer",), rules.rules, rules.rules),
        *(
            (("transformer", "sender", sender.number), sender.rules, rules.rules_for(sender.when))
            for sender in rules.senders
        ),
    ]
    tables = _TABLES[channel.source.data_type]
    usual = {name: places for table in tables for name, places in USUAL[table].items()}
    holders = {name: table for table in tables for name in USUAL[table]}
    found: list[Mistake] = [
        ((*key, holders[name], name), said)
        for key, own, _ in stated
        for name, places in own.places.items()
        for place in places
        if (said := _mistake(holders[name], name, place))
    ]
    if not found:
        for key, own, effective in stated:
            for name, other, said in _read_twice({**usual, **effective.places}, tables) if own.places else ():
                one = name if name in own.places else other
                found.append(((*key, holders[one], one), said))
    yield from found
    for key, own, _ in stated:
        yield from (
            ((*key, "date_formats", number), said) for number, said in date_formats.mistakes(own.date_formats or ())
        )


def _mistake(table: str, name: str, place: str) -> str | None:
    try:
        if table == "object":
            attribute_tag(place)
            return None
        path = parse_path(place)
    except (ConfigError, ValueError) as error:
        return str(error)
    if path.occurrence:
        return f"{place}: no number behind the segment, which is that of the {table}"
    if path.subcomponent:
        return f"{place}: no subcomponent, the component is read whole"
    if name in _WHOLE and path.component:
        return f"{place}: no component, the whole field is read"
    if name == "name" and path.repetition:
        return f"{place}: no number behind the field, every name in it is read"
    if name == "ids" and (path.segment != "PID" or path.field not in PRIOR):
        return f"{place}: write PID-3, PID-2 or PID-4, of which MRG has the prior ones"
    if table == "patient" and path.segment != "PID":
        return f"{place}: write a field of PID, as any other segment may be another patient's"
    return None


def _read_twice(places: Mapping[str, Sequence[str]], tables: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Two things that would be read from one place, and what is wrong about that."""
    read = [(name, place) for name, stated in places.items() for place in stated]
    alike = _same_attribute if "object" in tables else _overlap
    for (name, place), (other, another) in combinations(read, 2):
        if name != other and alike(place, another):
            nowhere = "" if USUAL["patient"].keys() & {name, other} else ", [] for nowhere"
            yield name, other, f"{place} would be read as {name} and as {other}: say where each is kept{nowhere}"


def _overlap(one: str, other: str) -> bool:
    """Whether two paths read the same: a field as a whole reads its components, too."""
    a, b = parse_path(one), parse_path(other)
    return (a.segment, a.field) == (b.segment, b.field) and (
        a.component == b.component or None in (a.component, b.component)
    )


def _same_attribute(one: str, other: str) -> bool:
    return attribute_tag(one) == attribute_tag(other)


def asked(channel: Channel) -> list[str]:
    """The attributes that have to be read of an object for the sake of its places."""
    if channel.normalisation is None:
        return []
    rules = (channel.normalisation.rules, *(sender.rules for sender in channel.normalisation.senders))
    return [place for one in rules for places in one.places.values() for place in places]


def kept(instance: Instance, places: Mapping[str, Sequence[str]]) -> Instance:
    """The object with its numbers from where its sender keeps them; other patient IDs and requests stay as they are."""
    if not places:
        return instance
    statement = instance.statement
    own = next((request for request in statement.requests if _is_of_the_object(request)), Request())
    usual = (statement.accession_number, *statement.patient.identifiers)
    read = {one.where: one for one in (*usual, own.placer_order_number, own.filler_order_number) if one}
    found = {name: _identifier(instance, stated, read) for name, stated in places.items()}
    if "accession_number" in found:
        statement = replace(statement, accession_number=found["accession_number"])
    if "patient_id" in found:
        tag = f"{attribute_tag('PatientID'):08X}"
        others = tuple(one for one in statement.patient.identifiers if one.where != tag)
        identifiers = (one, *others) if (one := found["patient_id"]) else others
        statement = replace(statement, patient=replace(statement.patient, identifiers=identifiers))
    numbers: dict[str, Identifier | Stated | None] = {name: found[name] for name in _OF_REQUESTS if name in found}
    if number := numbers.get("requested_procedure_id"):
        numbers["requested_procedure_id"] = Stated(number.value, number.where)
    if numbers:
        others_asked = tuple(request for request in statement.requests if request is not own)
        now = replace(own, **numbers)
        statement = replace(statement, requests=(*others_asked, now) if now != Request() else others_asked)
    return replace(instance, statement=statement)


def _is_of_the_object(request: Request) -> bool:
    """Whether its numbers stand beside the request sequences, not in one of them."""
    numbers = request.placer_order_number, request.filler_order_number
    return any(one and "." not in one.where for one in numbers)


def _identifier(instance: Instance, places: Sequence[str], read: Mapping[str, Identifier]) -> Identifier | None:
    """The first value; one that lost a character, or stands beside another, is none. `read` are those by their tag."""
    for place in places:
        tag = f"{attribute_tag(place):08X}"
        if tag in read:  # with its issuer
            return read[tag]
        stated = [str(one) for one in instance.dicom.get(tag, {}).get("Value", ()) if isinstance(one, str | int)]
        if len(stated) == 1 and (value := stated[0].strip()) and LOST not in value:
            return Identifier(value, tag)
    return None
