"""Whether the service lives, and whether it is ready: proven by what its parts answered lately, never by their state.

`/livez` and `/readyz` say so over HTTP, with `/metrics` beside them, and systemd is told the same. Nothing here touches
a message, the broker or the database.
"""

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socketserver import ThreadingTCPServer
from typing import Any, Literal, NamedTuple

from bridge import __version__, metrics
from bridge.core.errors import Unavailable

log = logging.getLogger(__name__)

ANSWER_WITHIN = 5.0  # seconds; every part is asked at least every two
STUCK_AFTER = 600.0  # seconds with one batch
_LOOK_EVERY = 1.0  # seconds between two reports to systemd
_REQUEST_SECONDS = 5.0  # a client that asks for nothing is left


class Report(NamedTuple):
    """An answer: `parts` gives for each what is known of it, and under `reason` what is wrong, if anything."""

    good: bool
    parts: Mapping[str, Mapping[str, float | str | None]]

    @property
    def reasons(self) -> str:
        """What is wrong, in one line."""
        return "; ".join(f"{name}: {said['reason']}" for name, said in self.parts.items() if said["reason"])


class Health:
    """What the parts proved, and when; `monotonic` gives seconds.

    `threads` are those by name that have to be there while the service runs, `parts` those that have to answer.
    """

    def __init__(self, monotonic: Callable[[], float], threads: Collection[str], parts: Collection[str]) -> None:
        self._monotonic = monotonic
        self._threads = tuple(threads)
        self._answered: dict[str, float | None] = dict.fromkeys(parts)
        self._failed: dict[str, str] = {}
        self._busy: dict[str, float] = {}
        self.phase: Literal["starting", "running", "ending"] = "starting"

    def running(self) -> None:
        """From now on, all threads have to be there."""
        self.phase = "running"

    def ending(self) -> None:
        """From now on, threads may end, and the service is not ready."""
        self.phase = "ending"

    def answered(self, part: str) -> None:
        """A part did what it is there for."""
        self._answered[part] = self._monotonic()
        self._failed.pop(part, None)

    def failed(self, part: str, reason: str) -> None:
        """A part could not do what it is there for; so it stays until it has `answered`."""
        self._failed[part] = reason

    @contextmanager
    def busy(self, thread: str) -> Iterator[None]:
        """While a thread is at work that has to come to an end."""
        self._busy[thread] = self._monotonic()
        try:
            yield
        finally:
            del self._busy[thread]

    def live(self) -> Report:
        """Whether every thread is there, and none is stuck. A service that starts or ends is alive."""
        there = {thread.name for thread in threading.enumerate()}
        parts = {}
        for name in self._threads if self.phase == "running" else ():
            began = self._busy.get(name)
            busy = None if began is None else self._monotonic() - began
            reason = None
            if name not in there:
                reason = "the thread has ended"
            elif busy is not None and busy > STUCK_AFTER:
                reason = f"at work on one batch for more than {STUCK_AFTER:.0f} s"
            parts[name] = {"busy": _rounded(busy), "reason": reason}
        return _report(parts)

    def ready(self) -> Report:
        """Whether every part has answered lately."""
        parts: dict[str, dict[str, float | str | None]] = {}
        if self.phase != "running":
            parts["service"] = {"age": None, "reason": self.phase}
        for name, answered in self._answered.items():
            age = None if answered is None else self._monotonic() - answered
            reason = self._failed.get(name)
            if age is None:
                reason = reason or "has not answered yet"
            elif age > ANSWER_WITHIN:
                reason = f"has not answered for {age:.0f} s" + (f": {reason}" if reason else "")
            parts[name] = {"age": _rounded(age), "reason": reason}
        return _report(parts)


def _report(parts: Mapping[str, Mapping[str, float | str | None]]) -> Report:
    return Report(all(said["reason"] is None for said in parts.values()), parts)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


class _Answers(BaseHTTPRequestHandler):
    """One request. What was asked for is neither logged nor shown."""

    server: "_Listener"
    server_version, sys_version = f"hl7-dicom-bridge/{__version__}", ""
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.text())
            case "/livez":
                self._report("live", self.server.health.live())
            case "/readyz":
                self._report("ready", self.server.health.ready())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there are /metrics, /livez and /readyz\n")

    def _report(self, name: str, report: Report) -> None:
        status = HTTPStatus.OK if report.good else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps({name: report.good, "parts": report.parts}, indent=2) + "\n"
        self._answer(status, "application/json", body.encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_values: Any) -> None:
        """Nothing: what others ask for is no event of the bridge."""


class _Listener(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, health: Health) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.health = health
        super().__init__((host, port), _Answers)

    def handle_error(self, _request: object, _address: object) -> None:
        """A client that has gone before its answer is no error of ours."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("bug: a request was not answered", exc_info=error)


def listen(address: tuple[str, int], health: Health) -> Callable[[], None]:
    """Serves `/metrics`, `/livez` and `/readyz` from threads of their own; returns what ends that.

    Raises:
        Unavailable: the address cannot be had.
    """
    host, port = address
    try:
        listener = _Listener(host, port, health)
    except OSError as error:
        raise Unavailable(f"http_listen: cannot listen on {host} port {port}: {error.strerror}") from None
    threading.Thread(target=listener.serve_forever, name="http", daemon=True).start()
    log.info("metrics and health", extra={"host": host, "port": listener.server_address[1]})
    if not ip_address(host).is_loopback:
        log.warning("metrics and health are read by everybody who reaches that address")

    def end() -> None:
        listener.shutdown()
        listener.server_close()

    return end


def systemd_listens() -> bool:
    """Whether the process was started by systemd with `Type=notify`."""
    return "NOTIFY_SOCKET" in os.environ


def notify(*said: str) -> None:
    """Tells systemd (sd_notify(3)), where it listens."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        place = f"\0{address[1:]}" if address.startswith("@") else address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(_LOOK_EVERY)
            datagrams.sendto("\n".join(said).encode(), place)


def report(health: Health, stopped: threading.Event) -> None:
    """Until it is stopped: logs when the service ceases to be ready and when it is so again, and tells systemd.

    It is told READY once, what the service waits for, and to spare it (WATCHDOG) for as long as it is alive.
    """
    told = was_ready = False
    while not stopped.wait(_LOOK_EVERY):
        ready = health.ready()
        said = [f"STATUS={'ready' if ready.good else f'not ready: {ready.reasons}'}"]
        if ready.good and not told:
            said.append("READY=1")
            told = True
        elif told and health.phase == "running" and ready.good != was_ready:
            if ready.good:
                log.info("ready again")
            else:
                log.warning("not ready: %s", ready.reasons)
        was_ready = ready.good
        if health.live().good:
            said.append("WATCHDOG=1")
        notify(*said)
