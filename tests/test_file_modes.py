"""What holds patient data is its owner's alone, whatever the umask says."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.app import prepare_store
from bridge.store.store import Store
from tests.desk import Desk, hl7
from tests.samples import orm


@pytest.fixture(autouse=True)
def permissive() -> Iterator[None]:
    """Everybody may read and write what is made."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {file.name: oct(file.stat().st_mode & 0o777) for file in sorted(folder.iterdir())}


def test_the_database_and_the_files_beside_it_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    release = desk.store.lock()
    desk.receive(hl7(orm(1)))
    names = ("bridge.db", "bridge.db-shm", "bridge.db-wal", "bridge.db.lock")
    assert modes(tmp_path) == dict.fromkeys(names, "0o600")
    release()
    desk.close()


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_database_that_everybody_can_read_is_warned_of_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, *, warned: bool
) -> None:
    Desk(tmp_path).close()
    file = tmp_path / "bridge.db"
    file.chmod(mode)
    with caplog.at_level(logging.WARNING), closing(Store(f"sqlite:///{file}")) as store:
        prepare_store(store)
    assert (f"chmod 600 {file}" in caplog.text) is warned
    assert file.stat().st_mode & 0o777 == mode


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unable to open database file"):
        Desk(tmp_path / "absent")
    assert not list(tmp_path.iterdir())
