"""Hospital days, in any sequence and with any duplicates, end as the oracle says, and no link crosses patients."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.days.harness import Hospital
from tests.days.hospital import days
from tests.days.messages import Day
from tests.days.run import day_of, hospital


@pytest.fixture(scope="module")
def engines() -> Iterator[Hospital]:
    with hospital() as made:
        yield made


@settings(max_examples=50, derandomize=True)  # the long run looks for days that are new: tests.days.run
@given(st.data())
def test_a_day_in_any_sequence_ends_as_the_oracle_says(engines: Hospital, data: st.DataObject) -> None:
    made: Day = data.draw(st.booleans().flatmap(days))
    found = engines.run([made], data.draw(st.randoms(use_true_random=False)))
    assert not found, found[0]


def test_many_days_end_as_the_oracle_says(engines: Hospital) -> None:
    found = engines.run([day_of(seed) for seed in range(100)], Random(0))
    assert not found, found[0]
