"""Each of the real files nobody here wrote gives its facts or one reason, as the reviewed table says."""

import re

import pytest

from tests.formats.corpus import REFUSED, ROOT, TABLE, files, outcome
from tests.test_docs import explained

STATED = dict(line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines())
PRESENT = list(files()) if ROOT.is_dir() else []

needs_the_files = pytest.mark.skipif(not PRESENT, reason=f"the real files are not in {ROOT}")


@needs_the_files
def test_every_file_gives_what_the_table_says() -> None:
    found = {name: outcome(name, path.read_bytes()) for name, path in PRESENT}
    differing = {name: (STATED.get(name), found.get(name)) for name in STATED | found}
    assert not {name: pair for name, pair in differing.items() if pair[0] != pair[1]}


def test_every_reason_of_the_table_is_one_that_the_documentation_explains() -> None:
    documented = explained("docs/operations.md")
    reasons = set(re.findall(rf"{REFUSED}([a-z0-9-]+)", "\n".join(STATED.values())))
    assert reasons <= documented
    assert len(STATED) == 1086
