"""Looks up, in a message, the values that a channel's filter asks for: HL7 paths, DICOM attributes, AMQP headers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bridge.core.channel import Channel, DataType
from bridge.core.errors import ConfigError, Mistake
from bridge.core.filtering import Condition, Place
from bridge.core.model import Filtered, Instance
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.hl7_paths import parse_path

_PLACES = {DataType.HL7V2: Place.PATH, DataType.DICOM: Place.ATTRIBUTE}


def mistakes(channel: Channel) -> Iterator[Mistake]:
    """What is wrong about the places of the channel's conditions."""
    wanted = _PLACES[channel.source.data_type]
    for name, conditions in (("accept", channel.filter.accept), ("reject", channel.filter.reject)):
        for number, one in enumerate(conditions):
            key = ("filter", name, number, str(one.kind))
            try:
                if one.kind not in (wanted, Place.HEADER):
                    yield key, f"the channel reads {channel.source.data_type}: write {wanted}"
                elif one.kind is Place.PATH:
                    parse_path(one.place)
                elif one.kind is Place.ATTRIBUTE:
                    _tags(one.place)
            except (ConfigError, ValueError) as error:
                yield key, str(error)


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
