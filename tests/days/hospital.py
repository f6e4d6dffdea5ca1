"""Whole hospital days, made up: orders, their lives, patients, merges and objects, with everything that goes wrong.

Values are few and taken from small pools, so that they collide: sites number their patients and orders alike,
temporary numbers are used again, twins share a birth date. One code makes them from any `random.Random`, that of
Hypothesis included.
"""

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

from tests.days import imaging, ordering, patients
from tests.days.messages import Day
from tests.days.world import World

_SHORTEST, _LONGEST = 6, 14  # messages

_HAPPENINGS: dict[Callable[[World], None], int] = {  # how often each, of all
    ordering.order: 20,
    ordering.update: 16,
    ordering.change_status: 10,
    ordering.appointment: 4,
    ordering.report: 2,
    imaging.images: 34,
    imaging.corrected_object: 5,
    imaging.rejection: 3,
    patients.patient_update: 6,
    patients.merge: 8,
    patients.link: 3,
    patients.trauma: 5,
}
_BY_PEOPLE: dict[Callable[[World], None], int] = {imaging.person_link: 10, patients.unmerge: 4}


def day(r: Random, *, by_people: bool = False) -> Day:
    """A day of 6 to 14 messages; `by_people` adds what people decide with `bridge link` and `bridge unmerge`."""
    world = World(r)
    ordering.order(world)
    length = r.randint(_SHORTEST, _LONGEST)
    happenings = _HAPPENINGS | _BY_PEOPLE if by_people else _HAPPENINGS
    what, weights = list(happenings), list(happenings.values())
    while len(world.messages) < length:
        r.choices(what, weights)[0](world)
    return tuple(world.messages[:_LONGEST])


@st.composite
def days(draw: st.DrawFn, by_people: bool = False) -> Day:
    """The same days, drawn by Hypothesis."""
    return day(draw(st.randoms(use_true_random=False)), by_people=by_people)
