"""What is read at the places of HL7 messages where a channel says that its senders keep it."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from bridge.core.model import Identifier, Stated
from bridge.formats.hl7 import Segment
from bridge.formats.hl7_paths import Path, parse_path
from bridge.formats.hl7_values import Said, entity, first, known, patient_identifier, stated

T = TypeVar("T")


def at_places(
    places: Iterable[str], segment: Callable[[str], Segment | None], read: Callable[[Segment, Path, int], Said[T]]
) -> list[Said[T]]:
    """What every repetition says at the first place that has a value; None where there is none, but one is deleted.

    `segment` finds that of a name which is about the matter at hand; `read` reads one repetition.
    """
    deleted = False
    for path in map(parse_path, places):
        found = segment(path.segment)
        if found is None:
            continue
        repetitions = [path.repetition] if path.repetition else range(1, len(found.repetitions(path.field)) + 1)
        said = [read(found, path, repetition) for repetition in repetitions]
        if known(first(*said)):
            return said
        deleted = deleted or None in said
    return [None] if deleted else []


def entity_at(segment: Segment, path: Path, repetition: int) -> Said[Identifier]:
    """A whole EI, with its issuer; of a path with a component only the value that stands there."""
    if path.component is None:
        return entity(segment, path.field, 0, repetition)
    return _alone(segment, path, repetition)


def patient_identifier_at(segment: Segment, path: Path, repetition: int) -> Said[Identifier]:
    """The same of a CX."""
    if path.component is None:
        return patient_identifier(segment, path.field, repetition)
    return _alone(segment, path, repetition)


def stated_at(segment: Segment, path: Path, repetition: int) -> Said[Stated]:
    """One component, the first unless the path says which."""
    return stated(segment, path.field, path.component or 0, repetition, read=path.component or 1)


def _alone(segment: Segment, path: Path, repetition: int) -> Said[Identifier]:
    said = stated_at(segment, path, repetition)
    return Identifier(said.value, said.where) if isinstance(said, Stated) else said
