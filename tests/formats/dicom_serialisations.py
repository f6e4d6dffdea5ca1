"""Compares what is read of an object in JSON or XML with what is read of its DICOM file."""

import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from pydicom import Dataset, dcmread

from bridge.core.errors import Invalid
from bridge.core.model import Instance
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.dicom_writing import Part10
from bridge.formats.selection import selection

SHARED = Path(__file__).parents[2].parent / "shared"
CORPUS = SHARED / "data" / "dicom"
MIRTH = SHARED / "reference" / "mirth" / "dicom"


class Sample(NamedTuple):
    name: str
    attributes: tuple[str, ...]  # all that the header has
    instance: Instance  # as our reader reads the file
    data_set: Dataset  # as pydicom reads it, without pixel data


@cache
def corpus() -> tuple[Sample, ...]:
    """Every file of the corpus that both our reader and pydicom read."""
    return tuple(_samples())


def _samples() -> Iterator[Sample]:
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file():
            continue
        body = path.read_bytes()
        try:
            attributes = attributes_of(body)
            instance = read_instance(body, attributes=selection(*attributes))
        except Invalid:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data_set = dcmread(path, stop_before_pixels=True, force=True)
            except OSError:
                continue
        yield Sample(path.name, attributes, instance, data_set)


def attributes_of(body: bytes) -> tuple[str, ...]:
    """The tags of a file's header but group lengths, which no other serialisation has, and private creators."""
    _, header = read_part10(body)
    return tuple(
        f"{tag:08X}"
        for tag in header.elements
        if tag & 0xFFFF and tag >> 16 != 0x7FE0 and not (tag >> 16 & 1 and tag & 0xFFFF <= 0xFF)
    )


def instance_of(written: Part10, attributes: tuple[str, ...]) -> Instance:
    instance = read_instance(written.body, attributes=selection(*attributes))
    return replace(instance, transfer_syntax_uid=written.transfer_syntax_uid)


def comparable(instance: Instance, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """All that the instance says but warnings, the padding of Instance Number, and carets that end a name."""
    found: dict[str, Any] = _without_carets(msgspec.to_builtins(instance))
    del found["warnings"]
    number = found["instanceNumber"]
    number["raw"] = number["raw"] and number["raw"].strip(" ").replace("\\x00", "")
    number["flags"] = [flag for flag in number["flags"] if flag not in ("padded", "null-padded")]
    for name in without:
        found.pop(name)
    return found


def _without_carets(value: Any) -> Any:
    match value:
        case dict():
            names = ("alphabetic", "ideographic", "phonetic")
            return {
                key: inner.rstrip("^") if isinstance(inner, str) and key.lower() in names else _without_carets(inner)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [_without_carets(inner) for inner in value]
    return value
