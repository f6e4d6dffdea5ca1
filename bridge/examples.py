"""Runs the examples of channels: what is read of a message, as its channel file states it. Needs no broker.

What an example says of events and studies is looked at by `bridge.scenarios`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from msgspec import UNSET

from bridge.core.channel import Channel, DataType, Example
from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS
from bridge.core.model import Filtered, Identifier, Issuer, OrderUpdate, PersonName, Reading, ScheduledStep, Stated
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, read_or_refused

_PYDICOM = "pydicom:"


def failures(channel: Channel) -> list[str]:
    """For each example of the channel that does not come out as stated, what is and what should be."""
    return [
        failure(channel, example, found) for example in channel.examples if (found := [*_differences(channel, example)])
    ]


def failure(channel: Channel, example: Example, differences: Sequence[str]) -> str:
    """How a failed example is told: on one line, or with a line for each of several differences."""
    listed = f" {differences[0]}" if len(differences) == 1 else "".join(f"\n    {one}" for one in differences)
    return f"{channel.name}: example {example.name!r}:{listed}"


def _differences(channel: Channel, example: Example) -> Iterator[str]:
    said: list[Reading | Filtered | Invalid] = []
    try:
        for body in bodies(channel, example):
            said += _read(channel, Inbound(channel.name, body, headers=example.headers))
    except OSError as error:
        yield f"{error.filename}: {error.strerror}"
        return
    for what, expected, found in (
        ("outcome", example.outcome, {_OUTCOMES[type(one)] for one in said}),
        ("code", example.code, {one.code if isinstance(one, Invalid) else None for one in said}),
        ("reason", example.reason, {None if isinstance(one, Reading) else one.reason for one in said}),
    ):
        if said and expected is not None and found != {expected}:
            yield f"{what} is {', '.join(map(str, found))}, should be {expected}"
    if example.orders is not None:
        facts = [fact for one in said if isinstance(one, Reading) for fact in one.facts]
        yield from _unlike(example.orders, [fact for fact in facts if isinstance(fact, OrderUpdate)])


def bodies(channel: Channel, example: Example) -> Iterator[bytes]:
    """The messages of an example that are of the channel's data type. Raises OSError where a file cannot be read."""
    if example.message is not None:
        yield example.message.encode()
    for name in example.files:
        if data_type_of(name) is channel.source.data_type:
            yield example_file(channel.folder, name).read_bytes()


def data_type_of(name: str) -> DataType:
    """What the file of an example holds, by its name."""
    return DataType.HL7V2 if name.endswith(".hl7") else DataType.DICOM


def _read(channel: Channel, inbound: Inbound) -> list[Reading | Filtered | Invalid]:
    limits = channel.source.within(DEFAULT_LIMITS)
    try:
        return [
            read_or_refused(content, channel, limits) for content in contents(inbound, channel.source.data_type, limits)
        ]
    except Invalid as error:
        return [error]


_OUTCOMES = {Reading: "TRANSFORMED", Filtered: "FILTERED", Invalid: "ERROR"}


def _unlike(expected: Sequence[Mapping[str, Any]], found: Sequence[OrderUpdate]) -> Iterator[str]:
    """Where the requested procedures that were read are others than stated, in their sequence."""
    if len(expected) != len(found):
        yield f"{len(found)} requested procedures are read, should be {len(expected)}"
        return
    for number, (stated, update) in enumerate(zip(expected, found, strict=True), start=1):
        read = _in_words_of_files(update)
        patient = stated.get("patient", {})
        wanted = {**stated, **{f"patient.{name}": one for name, one in patient.items()}}
        wanted.pop("patient", None)
        for name, one in wanted.items():
            if not _agrees(one, read[name]):
                yield f"order {number}: {name} is {_written(read[name])}, should be {_written(one)}"


def _in_words_of_files(update: OrderUpdate) -> dict[str, Any]:
    """What is read of a requested procedure, by the keys of channel files; what is absent is None."""
    known: dict[str, Any] = {
        name: None if (one := getattr(update, name)) is UNSET else one for name in OrderUpdate.__struct_fields__
    }
    step = next(iter(known["scheduled_steps"] or ()), ScheduledStep())
    names: tuple[PersonName, ...] = known["patient_names"] or ()
    return {
        **{name: known[name] for name in ("order_control", "placer_order_number", "filler_order_number")},
        **{name: known[name] for name in ("requested_procedure_id", "modality", "priority", "reason")},
        "accession_number": known["accession_numbers"] or None,
        "study_instance_uid": known["study_instance_uids"] or None,
        "scheduled_procedure_step_id": step.scheduled_procedure_step_id,
        "scheduled_start": step.scheduled_procedure_step_start_date_time,
        "procedure": known["procedure"] and known["procedure"].code,
        "patient.ids": known["patient_identifiers"] or (),
        "patient.name": names[0].alphabetic if names else None,
        "patient.birth_date": known["birth_date"],
        "patient.sex": known["sex"],
    }


def _agrees(expected: Any, found: Any) -> bool:
    match expected, found:
        case [*_], [*_]:
            pairs = zip(expected, found, strict=False)
            return len(expected) == len(found) and all(_agrees(one, other) for one, other in pairs)
        case _, (only,):
            return _agrees(expected, only)
        case Mapping(), Identifier() | Stated():
            place = re.sub(r"\[\d+\]", "", found.where)
            issuer = found.issuer if isinstance(found, Identifier) else None
            return (
                found.value == expected["value"]
                and expected.get("issuer") in (None, _designator(issuer))
                and (expected.get("from") is None or f"{place}.".startswith(f"{expected['from']}."))
            )
        case Mapping(), _:
            return bool((found or "") == expected["value"])
        case _, Stated():
            return bool(found.value == expected)
    return bool((found or "") == expected)


def _designator(issuer: Issuer | None) -> str:
    """As a channel file writes an issuer."""
    if issuer is None:
        return ""
    parts = (issuer.namespace_id, issuer.universal_id, issuer.universal_id_type)
    return "&".join(part or "" for part in parts).rstrip("&")


def _written(one: Any) -> str:
    """A value as it is told: with its issuer and its place where it has them."""
    match one:
        case None | "":
            return "absent"
        case str():
            return f'"{one}"'
        case [*_]:
            return " and ".join(map(_written, one)) or "absent"
        case Mapping():
            issuer, place = one.get("issuer"), one.get("from")
        case Identifier():
            issuer, place = _designator(one.issuer), one.where
        case Stated():
            issuer, place = None, one.where
    value = one["value"] if isinstance(one, Mapping) else one.value
    if not value:
        return "absent"
    return f'"{value}"{f" of {issuer}" if issuer else ""}{f" from {place}" if place else ""}'


def example_file(folder: str, name: str) -> Path:
    """A file beside a channel, or `pydicom:NAME`, one of the files that the pydicom package ships."""
    if not name.startswith(_PYDICOM):
        return Path(folder) / name
    shipped = Path(str(files("pydicom.data")))
    for place in ("test_files", "charset_files"):
        found = shipped / place / name.removeprefix(_PYDICOM)
        if found.is_file():
            return found
    return shipped / name
