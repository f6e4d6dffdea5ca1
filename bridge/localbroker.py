"""Runs a private RabbitMQ node for demo, tests and benchmark; it never touches a process or port that is not its own.

    owner (LocalBroker) ──lifeline── watcher (`watch`) ──┬── node (beam.smp) ── its own children
                                                         └── epmd, the node's own

The lifeline is a pipe that closes however the owner ends: a normal end, an exception, Ctrl-C, SIGKILL. The watcher then
ends everything below it and removes a temporary folder. Everything listens on loopback only.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

from bridge.core.errors import ConfigError, Unavailable
from bridge.private_server import adopt_orphans, end_children, ended_with_its_parent, install, tail

START_SECONDS = 60.0  # until AMQP answers: 4 on two idle cores
STOP_SECONDS = 30.0  # for an orderly end, which takes 1; then the node is killed

_INSTALL = Path(__file__).with_name("localbroker_install.sh")
_PACKAGED_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # of Debian, Ubuntu and rabbitmq.com
_OLDEST_VERSION = (3, 10)  # the first with at-least-once dead lettering of quorum queues

_LOOPBACK = "127.0.0.1"
# Below the ports that Linux gives to outgoing connections (32768 and up): while the node is down no client can sit on a
# port of ours, not even a reconnecting one that meets itself there.
_PORTS = range(10_000, 32_000)
_PORT_ATTEMPTS = 3

_TERMINATE, _KILL = b"T", b"K"  # what the owner asks for through the lifeline
_WATCH = "import json, sys; from bridge.localbroker import watch; watch(**json.loads(sys.argv[1]))"

# Memory and write-ahead log (512 MB if not told) for a machine that has other work to do.
_SETTINGS = """\
listeners.tcp.private = 127.0.0.1:{port}
default_user = guest
default_pass = guest
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
"""


def rabbitmq_server() -> Path:
    """The `rabbitmq-server` script of this machine, installed when there is none.

    Raises ConfigError when there is none and none can be installed from here.
    """
    wanted = "rabbitmq-server 3.10 or later"
    return _find_server() or install("rabbitmq-server", wanted, _find_server, _INSTALL, str(_PACKAGED_SERVER))


def _find_server() -> Path | None:
    # The packages put a wrapper into PATH that changes to the user and the folders of the system's broker; the real
    # script has `rabbitmq-env` beside it.
    for candidate in (shutil.which("rabbitmq-server") or "", _PACKAGED_SERVER):
        script = Path(candidate).resolve()
        if script.name == "rabbitmq-server" and (script.parent / "rabbitmq-env").is_file():
            return script
    return None


class Ports(NamedTuple):
    """The three ports of a node."""

    amqp: int
    distribution: int
    epmd: int

    @classmethod
    def free(cls) -> Self:
        """Three ports that nobody has at this moment."""
        with ExitStack() as held:
            ports: list[int] = []
            while len(ports) < len(cls._fields):
                port = secrets.choice(_PORTS)
                with suppress(OSError):
                    held.enter_context(socket.socket()).bind((_LOOPBACK, port))
                    ports.append(port)
            return cls(*ports)

    def taken(self) -> bool:
        """Whether somebody has one of them."""
        try:
            for port in self:
                socket.create_server((_LOOPBACK, port)).close()
        except OSError:
            return True
        return False


class LocalBroker:
    """A RabbitMQ node of our own: `with LocalBroker() as broker: connect(broker.url)`.

    Without `folder` its files are in a temporary one, and at the end the node is killed and the folder removed. With
    `folder` it is stopped in order and the files stay: a later broker in that folder goes on with them. There are no
    plugins, so no management interface; user and password are `guest`. `settings` are further lines of rabbitmq.conf.

    Entering and `start` raise ConfigError when there is no RabbitMQ and none can be installed, when it is too old, or
    when another broker runs in `folder`; Unavailable, with the last lines of its log, when the node does not answer.
    """

    def __init__(self, folder: Path | None = None, *, settings: str = "") -> None:
        self._settings = settings
        self._temporary = folder is None
        self.folder = (folder or Path(tempfile.gettempdir(), f"hl7-dicom-bridge-{secrets.token_hex(8)}")).absolute()
        self.log = self.folder / "broker.log"
        self._ports: Ports | None = None  # known once started, kept from then on
        self._environment: dict[str, str] = {}  # of the node and its tools, once started
        self._watcher: subprocess.Popen[bytes] | None = None
        self._lifeline = -1

    @property
    def port(self) -> int:
        """Where AMQP answers, the same after every start."""
        if self._ports is None:
            raise RuntimeError("this broker was never started")
        return self._ports.amqp

    @property
    def url(self) -> str:
        """What `BRIDGE_AMQP_URL` takes."""
        return f"amqp://guest:guest@{_LOOPBACK}:{self.port}/%2F"

    @property
    def pid(self) -> int:
        """The process of the node that was started last, to measure it. To end it use `stop` and `kill`."""
        return int((self.folder / "node.pid").read_text())

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=not self._temporary)
        try:
            self.start()
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            if not self._temporary:
                self.stop()
        finally:
            self._let_go()

    def start(self) -> None:
        """Start the node, and return when it answers; after `stop`, `kill` or a crash with the same port and files."""
        if self._watcher is not None and self._watcher.poll() is None:
            return
        self.kill()  # closes what a crash has left
        server = rabbitmq_server()
        for _ in range(_PORT_ATTEMPTS):
            ports = self._ports or Ports.free()
            version = self._launch(server, ports)
            if version >= _OLDEST_VERSION:
                self._ports = ports
                return
            self.kill()
            if version:
                raise ConfigError("RabbitMQ {}.{} is too old: 3.10 or later is needed".format(*version))
            if self._ports or not ports.taken():
                break
        with self.log.open("rb") as log:
            raise Unavailable(f"RabbitMQ did not start; the end of its log:\n{tail(log)}")

    def stop(self) -> None:
        """End the node in order."""
        self._end(_TERMINATE)

    def kill(self) -> None:
        """End the node as a crash would. RabbitMQ then loses a quorum queue that it has only just declared."""
        self._end(_KILL)

    def restart(self) -> None:
        """End the node in order and start it again."""
        self.stop()
        self.start()

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` answers about this node, such as to `close_all_connections`; Unavailable when it fails."""
        command = [str(rabbitmq_server().with_name("rabbitmqctl")), "--quiet", *arguments]
        answer = subprocess.run(command, env=self._environment, capture_output=True, text=True)  # noqa: S603 - as above
        if answer.returncode:
            raise Unavailable(f"rabbitmqctl {arguments[0]}: {answer.stderr.strip()}")
        return answer.stdout

    def _launch(self, server: Path, ports: Ports) -> tuple[int, ...]:
        """Start watcher, epmd and node; the version of RabbitMQ, or nothing when it does not answer."""
        with self.log.open("ab") as log:
            try:
                # The node's processes have the log as their output and so share the lock: it lasts as long as they.
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(f"another broker runs in {self.folder}") from None
            name = _node_name(self.folder)
            self._environment = _write_settings(self.folder, name, ports, self._settings)
            task = {
                "epmd": [_epmd(), "-port", str(ports.epmd), "-address", _LOOPBACK],
                "node": [str(server)],
                "environment": self._environment,
                "folder": str(self.folder),
                "temporary": self._temporary,
            }
            watcher = [sys.executable, "-c", _WATCH, json.dumps(task)]
            end, self._lifeline = os.pipe()
            self._watcher = subprocess.Popen(watcher, stdin=end, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - this module
            os.close(end)
        deadline = time.monotonic() + START_SECONDS
        while self._watcher.poll() is None and time.monotonic() < deadline:
            greeting = _greeting(ports.amqp)
            version = re.search(rb"\x07versionS....(\d+)\.(\d+)", greeting, re.DOTALL)
            if version and f"{name}@".encode() in greeting:  # in cluster_name: the listener is our node
                return tuple(map(int, version.groups()))
            time.sleep(0.05)
        return ()

    def _end(self, order: bytes) -> None:
        if self._watcher is None:
            return
        for request in (order, _KILL):
            with suppress(BrokenPipeError):  # the node has ended by itself
                os.write(self._lifeline, request)
            with suppress(subprocess.TimeoutExpired):
                self._watcher.wait(STOP_SECONDS)
                break
        os.close(self._lifeline)
        self._watcher = None

    def _let_go(self) -> None:
        """Close the lifeline: the watcher does the rest, even when Ctrl-C comes again and nobody waits for it."""
        if self._watcher is not None:
            os.close(self._lifeline)
            self._watcher.wait()
            self._watcher = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def _node_name(folder: Path) -> str:
    """The name of this folder's node: no other node has it, and it stays, for the node's files are filed under it."""
    cookie = folder / ".erlang.cookie"
    if not cookie.exists():
        cookie.touch(mode=0o600)
        cookie.write_text(secrets.token_hex(20))
        cookie.chmod(0o400)
    return f"bridge-{hashlib.sha256(cookie.read_bytes()).hexdigest()[:16]}"


def _write_settings(folder: Path, node: str, ports: Ports, further: str) -> dict[str, str]:
    """Write the node's settings, and give its environment: nothing of the user's or the system's RabbitMQ comes in."""
    (folder / "rabbitmq.conf").write_text(_SETTINGS.format(port=ports.amqp) + further)
    for nothing in ("advanced.config", "enabled_plugins"):
        (folder / nothing).write_text("[].\n")
    (folder / "rabbitmq-env.conf").touch()
    return {key: value for key, value in os.environ.items() if key in ("PATH", "LD_LIBRARY_PATH", "TZ")} | {
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),  # where the cookie is
        "ERL_EPMD_ADDRESS": _LOOPBACK,
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_AFLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",  # for the virtual machine that looks for epmd too
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_NODENAME": f"{node}@localhost",
        "RABBITMQ_DIST_PORT": str(ports.distribution),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "database"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",  # our log is its standard output, which has what is said before logging begins too
        "RABBITMQ_PID_FILE": str(folder / "node.pid"),
        "RABBITMQ_SCHEDULER_BUSY_WAIT_THRESHOLD": "short",  # starts in 4 seconds; with RabbitMQ's `none` in 7 to 20
        "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the node instead of waiting for it
    }


def _epmd() -> str:
    """epmd, Erlang's port mapper: in PATH, or beside `erl`."""
    path = shutil.which("epmd") or shutil.which("epmd", path=Path(shutil.which("erl") or "").resolve().parent)
    if path is None:
        raise ConfigError("there is a rabbitmq-server but no Erlang: put erl and epmd into PATH")
    return path


def _greeting(port: int) -> bytes:
    """What a listener answers to the protocol header (AMQP 0-9-1, 4.2.2): Connection.Start's payload, or nothing."""
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=1) as connection, connection.makefile("rb") as stream:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            size = int.from_bytes(stream.read(7)[3:])  # after type and channel (2.3.5)
            return stream.read(min(size, 1 << 16))
    except OSError:
        return b""


def watch(epmd: list[str], node: list[str], environment: dict[str, str], folder: str, temporary: bool) -> None:
    """What the watcher process does: run epmd and the node until one of them or the owner has ended, then end the rest.

    Standard input is the lifeline.
    """
    adopt_orphans()

    def run(command: list[str]) -> subprocess.Popen[bytes]:
        with_us = ended_with_its_parent(signal.SIGKILL)
        return subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, preexec_fn=with_us)  # noqa: S603 - from `_launch`

    mapper, broker = run(epmd), run(node)
    abandoned = threading.Event()

    def obey() -> None:
        while order := os.read(0, 1):
            broker.send_signal(signal.SIGTERM if order == _TERMINATE else signal.SIGKILL)
        abandoned.set()
        broker.kill()

    threading.Thread(target=obey, daemon=True).start()
    while os.wait()[0] not in (mapper.pid, broker.pid):
        pass
    end_children()
    if temporary and abandoned.is_set():
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """`python -m bridge.localbroker`: start one, print its URL, run until Ctrl-C."""
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)  # SIGINT too: a shell's background job begins with it ignored
    with suppress(KeyboardInterrupt), LocalBroker() as broker:
        print(broker.url, flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
