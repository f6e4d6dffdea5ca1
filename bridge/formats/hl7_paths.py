"""Places in an HL7 v2 message as they are written: `PID-3[2].4.1`."""

import re
from functools import lru_cache
from typing import NamedTuple

_PATH = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[([1-9][0-9]{0,3})\])?-([1-9][0-9]{0,2})(?:\[([1-9][0-9]{0,3})\])?"
    r"(?:\.([1-9][0-9]{0,2}))?(?:\.([1-9][0-9]{0,2}))?"
)


class Path(NamedTuple):
    """A place in a message, `SEG[occurrence]-field[repetition].component.subcomponent`, counted from 1 everywhere.

    What is not written is None.
    """

    segment: str
    occurrence: int | None
    field: int
    repetition: int | None
    component: int | None
    subcomponent: int | None


@lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """`PID-3[2].4.1`, `ORC[2]-3`, `OBR-18`. Raises ValueError for anything else."""
    found = _PATH.fullmatch(text)
    if not found:
        raise ValueError(f"not an HL7 path such as PID-3[2].4.1: {text!r}")
    name, *numbers = found.groups()
    occurrence, field, repetition, component, subcomponent = (int(number) if number else None for number in numbers)
    return Path(name, occurrence, field or 1, repetition, component, subcomponent)
