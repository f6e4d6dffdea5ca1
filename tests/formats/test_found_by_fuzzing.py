"""Every input that `make fuzz` once found is read or refused by now."""

from pathlib import Path

import pytest

from tests.fuzz.readers import READERS

FOUND = Path(__file__).parents[1] / "fuzz" / "found"


@pytest.mark.parametrize("name", READERS)
def test_what_the_fuzzer_found_is_read_or_refused(name: str) -> None:
    READERS[name](b"")
    for file in sorted(FOUND.glob(f"{name}-*")):
        READERS[name](file.read_bytes())
