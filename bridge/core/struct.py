"""The base of every value: immutable, compared by content, and named in JSON as the standards name it."""

from typing import dataclass_transform

from msgspec import Struct, json

_ACRONYMS = {"id": "ID", "uid": "UID", "ae": "AE"}


def json_name(name: str) -> str:
    """The JSON name of a field: its DICOM keyword with a lower first letter (`sop_class_uid` is `sopClassUID`)."""
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@dataclass_transform(frozen_default=True)
class Value(Struct, frozen=True, gc=False, rename=json_name):
    """A value of the domain."""


# JSON in which equal values are equal bytes.
encode = json.Encoder(order="deterministic").encode
