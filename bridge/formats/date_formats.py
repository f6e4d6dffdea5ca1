"""Times that a sender writes in a way of its own (`transformer.date_formats`), as Python's `strptime` has them.

No text may be read as two dates: a format that lets one is a mistake of the channel, whatever comes first.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from bridge.formats.hl7_values import EARLIEST_YEAR, LATEST_YEAR, Moment, date_of_birth, moment

_WRITE = "write %d, %m or %b, %Y, and for a time %H or %I with %p, then %M and %S, each once"
_DATE = ({"d", "m", "Y"}, {"d", "b", "Y"})
_TIME: tuple[set[str], ...] = (set(), {"H"}, {"H", "M"}, {"H", "M", "S"})
_TIME += tuple({"I", "p", *time} - {"H"} for time in _TIME[1:])
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
# In these years every digit of a year, month and day can be taken for one of another.
_DAYS = tuple(
    datetime(year, 1, 1, hour, minute, second, tzinfo=UTC) + timedelta(days=day)
    for year, hour, minute, second in ((1901, 1, 2, 3), (1912, 10, 11, 12), (2011, 0, 0, 0), (2012, 19, 20, 1))
    for day in range(365)
)


def moment_in(formats: Sequence[str], said: str, zone: tzinfo) -> Moment | None:
    """The time that is written in one of the formats; `zone` is where the sender is."""
    for form in formats:
        if found := _read(form, said):
            return Moment(found.replace(tzinfo=zone), not {"%H", "%I"}.isdisjoint(_directives(form)), "")
    return None


def _read(form: str, said: str) -> datetime | None:
    """As `strptime` has it, if it would be written so again, but for leading zeros and capitals."""
    try:
        found = datetime.strptime(said, form).replace(tzinfo=UTC)
    except ValueError:
        return None
    alike = _bare(found.strftime(form)) == _bare(said)
    return found if alike and EARLIEST_YEAR <= found.year <= LATEST_YEAR else None


def _bare(said: str) -> str:
    return _LEADING_ZEROS.sub("", said).casefold()


def _directives(form: str) -> list[str]:
    return re.findall(r"%.?", form)


def mistakes(formats: Sequence[str]) -> Iterator[tuple[int, str]]:
    """What is wrong about the formats of a channel or sender, each by its number."""
    wrong = [number for number, form in enumerate(formats) if not _is_whole(form)]
    yield from ((number, _WRITE) for number in wrong)
    if not wrong:
        for number, form in enumerate(formats):
            if said := _read_twice(form, formats[:number]):
                yield number, said


def _is_whole(form: str) -> bool:
    directives = [one[1:] for one in _directives(form)]
    date = {"d", "m", "b", "Y"}.intersection(directives)
    once = len(set(directives)) == len(directives)
    return once and date in _DATE and set(directives) - date in _TIME


def _read_twice(form: str, before: Sequence[str]) -> str | None:
    """What is wrong about a format of which a text could be read as another date, by HL7's own way or one before."""
    for day in _DAYS:
        written = day.strftime(form)
        meant = _told(moment_in((form,), written, UTC))
        hl7 = date_of_birth(written), _told(moment(written, UTC))
        for other in (*hl7, _told(moment_in(before, written, UTC))):
            if other and not _agree(meant, other):
                return f"{written} would be read as {meant[:10]} and as {other[:10]}: no text may be two dates"
    return None


def _told(found: Moment | None) -> str:
    return found.rfc3339() if found else ""


def _agree(one: str, other: str) -> bool:
    """Whether two times are of one day and, where both have a time of day, of one second."""
    return one == other if min(len(one), len(other)) > len("2026-01-02") else one[:10] == other[:10]
