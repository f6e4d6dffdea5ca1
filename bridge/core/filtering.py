"""What a channel accepts: conditions on the values of a message, which whoever knows its format looks up."""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from bridge.core.struct import Value


class Place(StrEnum):
    """Where the values of a condition stand."""

    PATH = "path"  # of an HL7 message
    ATTRIBUTE = "attribute"  # of a DICOM object, by keyword or tag, inside sequences with dots
    HEADER = "header"  # of the AMQP message


class Condition(Value):
    """A test of the values at one place. A value that is absent, empty or deleted is the empty text.

    Exactly one of `within` (a value is one of these texts), `outside` (none is), `matches` (a regular expression is
    found in one) and `present` (whether there is a value at all) is stated. Values are compared without blanks around.
    """

    kind: Place
    place: str
    within: frozenset[str] | None = None
    outside: frozenset[str] | None = None
    matches: str | None = None
    present: bool | None = None
    reason: str | None = None

    def holds(self, values: Sequence[str]) -> bool:
        stated = [one for value in values if (one := value.strip())]
        if self.present is not None:
            return bool(stated) == self.present
        looked_at = stated or [""]
        if self.within is not None:
            return not self.within.isdisjoint(looked_at)
        if self.outside is not None:
            return self.outside.isdisjoint(looked_at)
        return any(re.search(self.matches or "", one) for one in looked_at)


class Filter(Value):
    """A message is accepted when each of `accept` holds and none of `reject`."""

    accept: tuple[Condition, ...] = ()
    reject: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.accept or self.reject)

    def conditions(self, kind: Place) -> list[Condition]:
        return [one for one in (*self.accept, *self.reject) if one.kind is kind]

    def refusal(self, values: Callable[[Condition], Sequence[str]]) -> str | None:
        """Why a message is not accepted, None where it is; the reason names the place and never a value."""
        for one in self.accept:
            if not one.holds(values(one)):
                return one.reason or f"{one.place} is not what this channel accepts"
        for one in self.reject:
            if one.holds(values(one)):
                return one.reason or f"{one.place} is what this channel rejects"
        return None
