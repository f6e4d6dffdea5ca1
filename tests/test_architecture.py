"""The structure that newcomers may rely on."""

import ast
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY

PURE = {
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "msgspec",
    "operator",
    "re",
    "typing",
    "unicodedata",
    "urllib",  # its parse
    "uuid",
}


def imports_of(file: Path) -> set[str]:
    """The top names that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_imports_go_downwards_and_libraries_stand_behind_their_doors() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([str(linter)], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


def test_the_core_imports_only_what_does_no_io() -> None:
    for file in (REPOSITORY / "bridge" / "core").glob("*.py"):
        assert imports_of(file) <= PURE | {"bridge"}, file.name


def test_only_app_reads_the_clock() -> None:
    for file in (REPOSITORY / "bridge").rglob("*.py"):
        if file.name not in ("app.py", "demo.py", "localbroker.py"):  # the latter two measure how long they take
            assert "datetime.now" not in file.read_text(), file.name
            assert "time" not in imports_of(file), file.name


def test_what_a_bug_may_not_stop_is_caught_where_its_unit_of_work_begins_and_nowhere_else() -> None:
    """A message, a batch of events, a due study, a pass of purging; the command line; and around what others wrote."""
    found = {
        file.relative_to(REPOSITORY / "bridge").as_posix()
        for file in sorted((REPOSITORY / "bridge").rglob("*.py"))
        for line in file.read_text().splitlines()
        if line.strip().startswith("except Exception")
    }
    ours = {"cli.py", "deadlines.py", "intake.py", "purge.py", "relay.py"}
    assert found == ours | {"amqp/parameters.py", "config/python_hooks.py", "formats/reading.py"}
