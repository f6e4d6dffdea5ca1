"""`bridge run` as systemd runs it: started again whenever it ends."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.conftest import REPOSITORY

LONGEST_END = 75.0  # seconds after SIGTERM, as in the systemd unit of docs/operations.md
_READY = re.compile(rb"\bready\W+channels\b")  # in either form of the log

_LOOK_EVERY = 0.1  # seconds
_AGAIN = 0.5  # seconds before a process that ended by itself is started again


class Process:
    """One `bridge run`, with its log in a file."""

    def __init__(self, folder: Path, name: str, environment: dict[str, str], *arguments: str) -> None:
        self.log = folder / f"{name}.log"
        self.exits: Counter[int] = Counter()
        self.too_slow = 0  # ends that took longer than the grace time
        self.running: subprocess.Popen[bytes] | None = None
        self._began_at = 0  # in the log
        self._folder = folder
        self._environment = environment
        self._command = [sys.executable, "-m", "bridge", *arguments, "run"]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether it has come so far as to take messages."""
        if self.running is None:
            return False
        with self.log.open("rb") as log:
            log.seek(self._began_at)
            return _READY.search(log.read()) is not None

    def wait_until_ready(self, seconds: float) -> None:
        """For at most so long."""
        deadline = time.monotonic() + seconds
        while not self.ready and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, and waits until it has ended."""
        process = self.running
        if process is None:
            return
        process.terminate()
        try:
            process.wait(LONGEST_END)
        except subprocess.TimeoutExpired:
            self.too_slow += 1
            process.kill()

    def end(self) -> None:
        """In order, and for good."""
        self._ending.set()
        while self._thread.is_alive():
            self.terminate()
            self._thread.join(1)

    def abandon(self) -> None:
        """At once and for good, whatever has gone wrong; nothing where it has ended."""
        self._ending.set()
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        process = self.running
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _keep_up(self) -> None:
        while not self._ending.is_set():
            with self.log.open("ab") as log:
                self._began_at = log.tell()
                process = subprocess.Popen(self._command, env=self._environment, cwd=self._folder, stderr=log)
                self.running = process
                code = process.wait()
                self.running = None
            self.exits[code] += 1
            if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
                self._ending.wait(_AGAIN)


def environment(amqp_url: str, database_url: str, **settings: str) -> dict[str, str]:
    """Of a bridge with the shipped channels, and nothing of whoever runs the tests."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")},
        "BRIDGE_AMQP_URL": amqp_url,
        "BRIDGE_DATABASE_URL": database_url,
        "BRIDGE_CHANNELS": str(REPOSITORY / "channels"),
        "BRIDGE_SITE": "chaos",
        "BRIDGE_LOG_FORMAT": "json",
        **settings,
    }
