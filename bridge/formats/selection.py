"""Which attributes of an object are kept for events: by keyword, tag or group, and private ones where that is said."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bridge.core.channel import Channel, Destination
from bridge.core.errors import ConfigError
from bridge.core.filtering import Place
from bridge.core.struct import Value
from bridge.formats.dicom_elements import is_private
from bridge.formats.dicom_values import attribute_tag, with_creators

_GROUP = re.compile(r"\(?([0-9A-Fa-f]{4}),?[xX]{4}\)?")  # as PS3.6 writes one: (0018,xxxx)


class Selection(Value):
    """Attributes of a data set by tag: these, those of whole groups, and all private ones where `private` says so."""

    tags: frozenset[int]
    groups: frozenset[int] = frozenset()
    private: bool = False

    def __contains__(self, tag: int) -> bool:
        if tag in self.tags:
            return True
        return tag & 0xFFFF != 0 and (tag >> 16 in self.groups or (self.private and is_private(tag)))

    def __or__(self, other: "Selection") -> "Selection":
        return Selection(self.tags | other.tags, self.groups | other.groups, self.private or other.private)

    @property
    def is_open(self) -> bool:
        """Whether only an object shows which attributes these are."""
        return bool(self.groups) or self.private


@lru_cache(maxsize=256)
def selection(*attributes: str, private: bool = False) -> Selection:
    """Attributes that are written as keyword (`PatientID`), tag (`00100020`, `(0010,0020)`) or group (`0010xxxx`).

    Raises ConfigError when one is none of these.
    """
    groups = {name: int(found[1], 16) for name in attributes if (found := _GROUP.fullmatch(name))}
    tags = with_creators(attribute_tag(name) for name in attributes if name not in groups)
    return Selection(frozenset(tags), frozenset(groups.values()), private)


def of_destination(destination: Destination) -> Selection:
    """What a destination's events carry."""
    return selection(*destination.attributes, private=destination.private)


@lru_cache(maxsize=64)
def kept(destinations: tuple[Destination, ...]) -> Selection:
    """What is kept of an object for the sake of these destinations: what their events carry, and what they ask for."""
    asked = [one.place.partition(".")[0] for each in destinations for one in each.filter.conditions(Place.ATTRIBUTE)]
    found = selection(*asked)
    for each in destinations:
        found |= of_destination(each)
    return found


def carried(dicom: dict[str, Any], channel: Channel, destination: Destination) -> dict[str, Any]:
    """Of what is kept of an object (DICOM JSON Model), what the events of this destination carry."""
    wanted = of_destination(destination)
    return dicom if wanted == kept(channel.destinations) else only(dicom, wanted)


def only(dicom: Mapping[str, Any], wanted: Selection) -> dict[str, Any]:
    """The attributes of a DICOM JSON Model that are selected."""
    return {tag: said for tag, said in dicom.items() if int(tag, 16) in wanted}


def mistake(attribute: str) -> str | None:
    """What is wrong about an attribute as a channel file writes it."""
    try:
        selection(attribute)
    except ConfigError as error:
        return str(error)
    return None
