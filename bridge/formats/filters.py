"""Looks up, in a message, the values that a channel's filter asks for: HL7 paths, DICOM attributes, AMQP headers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bridge.core.channel import Channel, DataType, Destination
from bridge.core.errors import ConfigError, Key, Mistake
from bridge.core.filtering import Condition, Filter, Place
from bridge.core.model import Filtered, Instance
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.hl7_paths import parse_path

_PLACES = {DataType.HL7V2: Place.PATH, DataType.DICOM: Place.ATTRIBUTE}


def mistakes(channel: Channel) -> Iterator[Mistake]:
    """What is wrong about the places of the channel's conditions, and of those of its destinations."""
    data_type = channel.source.data_type
    for key, one in _conditions(channel.filter, ("filter",)):
        if one.kind not in (_PLACES[data_type], Place.HEADER):
            yield key, f"the channel reads {data_type}: write {_PLACES[data_type]}"
        elif said := _mistake(one):
            yield key, said
    for number, destination in enumerate(channel.destinations):
        for key, one in _conditions(destination.filter, ("destinations", number)):
            if one.kind is not Place.ATTRIBUTE:
                yield key, "a destination asks for attributes of the objects: write attribute"
            elif data_type is not DataType.DICOM:
                yield (
                    key,
                    "its events are about messages: those about objects leave through the channel of DICOM",
                )
            elif said := _mistake(one):
                yield key, said


def _conditions(stated: Filter, table: Key) -> Iterator[tuple[Key, Condition]]:
    """Each condition with the key of its place."""
    for name, conditions in (("accept", stated.accept), ("reject", stated.reject)):
        for number, one in enumerate(conditions):
            yield (*table, name, number, str(one.kind)), one


def _mistake(one: Condition) -> str | None:
    try:
        if one.kind is Place.PATH:
            parse_path(one.place)
        elif one.kind is Place.ATTRIBUTE:
            _tags(one.place)
    except (ConfigError, ValueError) as error:
        return str(error)
    return None


def refused(channel: Channel, headers: Mapping[str, str], values: Callable[[str], Sequence[str]]) -> Filtered | None:
    """Why the channel does not accept a message, None where it does; `values` gives what stands at a place of it."""

    def asked_for(one: Condition) -> Sequence[str]:
        return [headers.get(one.place, "")] if one.kind is Place.HEADER else values(one.place)

    reason = channel.filter.refusal(asked_for)
    return Filtered(reason) if reason else None


def asked(channel: Channel) -> list[str]:
    """The attributes that have to be read of an object for the sake of the filter."""
    return [one.place.partition(".")[0] for one in channel.filter.conditions(Place.ATTRIBUTE)]


def values_of(instance: Instance, place: str) -> list[str]:
    """The values of an attribute of an object, of those that were `asked` for."""
    return list(_values(instance.dicom, _tags(place)))


def refused_by(destination: Destination, objects: Sequence[Instance]) -> bool:
    """Whether a destination does not take events about these objects; a value of any of them is looked at."""

    def values(one: Condition) -> Sequence[str]:
        return [value for instance in objects for value in values_of(instance, one.place)]

    return destination.filter.refusal(values) is not None


def _tags(place: str) -> list[str]:
    """`RequestAttributesSequence.AccessionNumber` as keys of the DICOM JSON Model. Raises ConfigError."""
    return [f"{attribute_tag(name):08X}" for name in place.split(".")]


def _values(model: Mapping[str, Any], tags: Sequence[str]) -> Iterator[str]:
    """Every value of an attribute, in each item of the sequences that it stands in (PS3.18 F.2)."""
    stated = model.get(tags[0], {}).get("Value", ())
    for value in stated:
        if len(tags) > 1:
            if isinstance(value, Mapping):
                yield from _values(value, tags[1:])
        elif isinstance(value, Mapping):  # the representations of a person's name, or an item of a sequence
            yield from [part for part in value.values() if isinstance(part, str)] or ["item"]
        elif value is not None:
            yield str(value)
