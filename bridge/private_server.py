"""What a private server of our own takes: its installation, the end of its log, and the end of everything below it."""

import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bridge.core.errors import ConfigError

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def install(package: str, wanted: str, find: Callable[[], Path | None], script: Path, *arguments: str) -> Path:
    """Runs an installation script as root, and finds what it has installed.

    Raises:
        ConfigError: we may not install what is wanted, or it did not succeed.
    """
    as_root = _as_root()
    if as_root is None:
        raise ConfigError(f"{package} is not installed: install {wanted}, or put it into PATH")
    print(f"{package} is not installed: installing it with apt-get, without starting it", file=sys.stderr)
    command = [*as_root, "/bin/sh", str(script), *arguments]
    with tempfile.TemporaryFile() as output:
        # Not `run`, which kills what it runs on Ctrl-C: dpkg must come to its end, and the script undo what it did.
        with subprocess.Popen(  # noqa: S603 - the script above
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        ) as installation:
            installation.wait()
        found = find()
        if installation.returncode != 0 or found is None:
            raise ConfigError(f"apt-get could not install {package}; install it yourself:\n{tail(output)}")
    return found


def _as_root() -> list[str] | None:
    """What to put before a command so that root runs it, or None where we may not install."""
    release: dict[str, str] = {}
    with suppress(OSError):
        release = platform.freedesktop_os_release()
    if "debian" not in (release.get("ID"), *release.get("ID_LIKE", "").split()):  # Ubuntu is like it
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    asks = subprocess.run([sudo, "-n", "true"], capture_output=True, start_new_session=True).returncode  # noqa: S603 - constant
    return None if asks else [sudo, "-n"]


def tail(file: BinaryIO, lines: int = 20) -> str:
    """The last lines of a log."""
    file.seek(0)
    return b"\n".join(file.read().splitlines()[-lines:]).decode(errors="replace")


def adopt_orphans() -> None:
    """What our children start stays below this process when they are gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def ended_with_its_parent(by: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the child gets this signal should somebody kill its parent."""
    return partial(_prctl, _PR_SET_PDEATHSIG, by)


def end_children() -> None:
    """Kills all children of this process, with those that become its children by that, until there are none."""
    with suppress(ChildProcessError):
        while True:
            for stat in Path("/proc").glob("[0-9]*/stat"):
                with suppress(OSError):  # ended meanwhile
                    _state, parent, *_ = stat.read_bytes().rpartition(b")")[2].split()  # proc_pid_stat(5)
                    if int(parent) == os.getpid():
                        os.kill(int(stat.parent.name), signal.SIGKILL)
            os.wait()


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)
