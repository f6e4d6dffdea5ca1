"""Runs a private PostgreSQL server for tests, benchmark and chaos; it never touches one that is not its own.

    owner (LocalPostgres) ──lifeline── watcher (`watch`) ── server (postgres) ── its backends

The lifeline is a pipe that closes however the owner ends: a normal end, an exception, Ctrl-C, SIGKILL. The watcher then
ends everything below it and removes the folder. The server listens on loopback only, and runs as a user without rights.
"""

import itertools
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from sqlalchemy.engine import make_url

from bridge.core.errors import ConfigError, Unavailable
from bridge.private_server import adopt_orphans, end_children, ended_with_its_parent, install, tail

START_SECONDS = 60.0  # until the server takes connections: 1 to 2 on two idle cores, of which initdb is the most
STOP_SECONDS = 30.0  # for an orderly end, which takes less than 1; then the server is killed

_INSTALL = Path(__file__).with_name("localpostgres_install.sh")
_REPOSITORY = Path(__file__).parent.parent
_PACKAGED = Path("/usr/lib/postgresql")  # of Debian, Ubuntu and postgresql.org: a folder for each version

_LOOPBACK = "127.0.0.1"
_PORTS = range(10_000, 32_000)  # below those that Linux gives to outgoing connections, as in bridge.localbroker
_PORT_ATTEMPTS = 3

_START, _STOP, _KILL = b"S", b"T", b"K"  # what the owner asks for through the lifeline
_WATCH = "import json, sys; from tests.localpostgres import watch; watch(**json.loads(sys.argv[1]))"


def postgres_programs() -> Path:
    """The folder of `postgres` and `initdb`, installed when there is none.

    Raises ConfigError when there is none and none can be installed from here.
    """
    return _find_programs() or install("postgresql", "postgresql", _find_programs, _INSTALL)


def _find_programs() -> Path | None:
    in_path = Path(shutil.which("initdb") or "").resolve().parent
    packaged = sorted(_PACKAGED.glob("[0-9]*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in (in_path, *packaged):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    return None


class LocalPostgres:
    """A PostgreSQL server of our own: `with LocalPostgres() as postgres: Store(postgres.new_database())`.

    Its data stay over `stop`, `kill` and `start`, and go when the block ends. Without `durable` nothing is written
    through to the disk: faster, and safe against everything but a crash of the machine. With `tls`, the files of a
    certificate and its key, it takes encrypted connections too.

    Entering and `start` raise ConfigError when there is no PostgreSQL and none can be installed; Unavailable, with the
    last lines of its log, when it does not start.
    """

    def __init__(self, *, durable: bool = True, tls: tuple[Path, Path] | None = None) -> None:
        self.folder = Path(tempfile.gettempdir(), f"hl7-dicom-bridge-postgres-{secrets.token_hex(8)}").absolute()
        self.log = self.folder / "postgres.log"
        self.port = 0  # known once started, kept from then on
        self._durable = durable
        self._tls = tls
        self._password = secrets.token_hex(16)
        self._numbers = itertools.count(1)
        self._watcher: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's, for administration and for looking from outside; what the bridge takes is `new_database`."""
        return self._url("postgres", "postgres")

    @property
    def pid(self) -> int:
        """The server's first process, while it runs. To end it use `stop` and `kill`."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def new_database(self, options: str = "") -> str:
        """The URL of a fresh, empty database for a role that owns it and has no other rights.

        `options` are those of CREATE DATABASE, such as `ENCODING 'LATIN1'`; without any it is UTF8 with locale C.
        """
        return self._create("template0", options)

    def copy_database(self, url: str) -> str:
        """The URL of a copy of one that `new_database` made; nobody may be connected to it."""
        return self._create(str(make_url(url).database))

    def sorting_as_people_do(self) -> str:
        """Options of `new_database` for a locale in which a comes before B, where this server knows one."""
        with self._connect() as connection:
            knows_one = connection.info.server_version >= 150_000
        return "LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'" if knows_one else ""

    def drop_database(self, url: str) -> None:
        """Removes one that `new_database` made, whoever is connected to it."""
        self.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """Runs one statement of administration as the superuser, outside of a transaction."""
        with self._connect() as connection:
            connection.execute(statement.encode())

    def __enter__(self) -> Self:
        programs = postgres_programs()
        for _ in range(_PORT_ATTEMPTS):
            self.port = _free_port()
            try:
                self._launch(programs)
                self.start()
                self.execute(f"CREATE ROLE bridge LOGIN PASSWORD '{self._password}'")
                return self
            except BaseException as error:
                self._let_go()
                if not (isinstance(error, Unavailable) and "Address already in use" in str(error)):
                    raise
        raise Unavailable("PostgreSQL did not start: no port stayed free")

    def __exit__(self, *_error: object) -> None:
        self._let_go()

    def start(self) -> None:
        """Start the server, and return when it takes connections; after `stop` or `kill` where and with what it was."""
        if not self._ask(_START):
            with self.log.open("rb") as log:
                raise Unavailable(f"PostgreSQL did not start; the end of its log:\n{tail(log)}")

    def stop(self) -> None:
        """End the server in order, without waiting for its clients."""
        self._ask(_STOP)

    def kill(self) -> None:
        """End the server with all its processes as a crash would."""
        self._ask(_KILL)

    def restart(self) -> None:
        """End the server in order and start it again."""
        self.stop()
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All its processes stand where they are (SIGSTOP): connections stay open, and nobody answers."""
        server = psutil.Process(self.pid)
        below: list[psutil.Process] = []
        try:
            server.suspend()  # first: it starts no others from here on
            below = server.children()
            for process in below:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in (*below, server):
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def _create(self, template: str, options: str = "") -> str:
        name = f"bridge_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER bridge TEMPLATE {template} {options}")
        return self._url("bridge", name)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}:{self._password}@{_LOOPBACK}:{self.port}/{database}"

    def _launch(self, programs: Path) -> None:
        """Start the watcher, which waits for orders."""
        user = _unprivileged()
        self.folder.mkdir(mode=0o700)
        os.chown(self.folder, *user.values())
        password = self._own("password", self._password.encode(), user)
        data = str(self.folder / "data")
        settings = {
            "listen_addresses": _LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "dynamic_shared_memory_type": "mmap",  # in the folder: a killed server leaves nothing in /dev/shm
            "fsync": "on" if self._durable else "off",
        }
        if self._tls:
            certificate, key = (file.read_bytes() for file in self._tls)
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = self._own("server.crt", certificate, user)
            settings["ssl_key_file"] = self._own("server.key", key, user)
        initdb = [str(programs / "initdb"), "-D", data, "-U", "postgres", f"--pwfile={password}", "--no-sync"]
        task = {
            "initdb": [*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            "postgres": [str(programs / "postgres"), "-D", data, *(f"--{k}={v}" for k, v in settings.items())],
            "user": user,
            "folder": str(self.folder),
        }
        self._watcher = subprocess.Popen(
            [sys.executable, "-c", _WATCH, json.dumps(task)],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def _own(self, name: str, content: bytes, user: Mapping[str, int]) -> str:
        """Write a file that nobody but the server reads; PostgreSQL refuses a key that others may read."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_bytes(content)
        os.chown(file, *user.values())
        return str(file)

    def _ask(self, order: bytes) -> bool:
        """Give the watcher an order and wait until it is done; whether the server takes connections now."""
        if self._watcher is None or self._watcher.stdin is None or self._watcher.stdout is None:
            raise RuntimeError("this server runs inside its `with` block only")
        self._watcher.stdin.write(order)
        return self._watcher.stdout.read(1) == _START

    def _let_go(self) -> None:
        """Close the lifeline: the watcher does the rest, even when Ctrl-C comes again and nobody waits for it."""
        if self._watcher is not None:
            with self._watcher:  # closes the pipes and waits
                pass
            self._watcher = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    """A port that nobody has at this moment."""
    while True:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.socket() as tried:
            tried.bind((_LOOPBACK, port))
            return port


def _unprivileged() -> dict[str, int]:
    """Who runs the server, which refuses to run as root: we, or for root the user of the package, or nobody."""
    if os.geteuid() != 0:
        return {"user": os.geteuid(), "group": os.getegid()}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            return {"user": account.pw_uid, "group": account.pw_gid}
    raise ConfigError("PostgreSQL does not run as root: add a user postgres")


def watch(initdb: list[str], postgres: list[str], user: dict[str, int], folder: str) -> None:
    """What the watcher process does: obey the owner until it has ended, then end the server and remove the folder.

    Standard input is the lifeline; each order is answered on standard output when it is done.
    """
    adopt_orphans()
    server: subprocess.Popen[bytes] | None = None
    with Path(folder, "postgres.log").open("ab") as log:
        options: dict[str, Any] = {
            **(user | {"extra_groups": []} if os.geteuid() == 0 else {}),
            "cwd": folder,
            "env": {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            "stdin": subprocess.DEVNULL,
            "stdout": log,
            "stderr": log,
            "preexec_fn": ended_with_its_parent(signal.SIGQUIT),
        }
        while order := os.read(0, 1):
            ready = False
            if order == _START:
                if server is None:
                    subprocess.run(initdb, **options, check=False)
                if server is None or server.poll() is not None:
                    end_children()  # what a crash has left
                    server = subprocess.Popen(postgres, **options)
                ready = _is_ready(server, Path(folder, "data", "postmaster.pid"))
            elif server is not None:
                _end(server, signal.SIGINT if order == _STOP else signal.SIGKILL)
            with suppress(BrokenPipeError):  # the owner has ended
                os.write(1, _START if ready else _STOP)
    if server is not None:
        _end(server, signal.SIGQUIT)  # at once, but its shared memory is given back
    shutil.rmtree(folder, ignore_errors=True)


def _is_ready(server: "subprocess.Popen[bytes]", status: Path) -> bool:
    """Whether the server comes to take connections: it writes so itself, and nobody else's listener is taken for it."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):  # not written yet
            lines = status.read_text().splitlines()
            if lines[:1] == [str(server.pid)] and lines[7:] and lines[7].strip() == "ready":
                return True
        time.sleep(0.02)
    return False


def _end(server: "subprocess.Popen[bytes]", how: int) -> None:
    server.send_signal(how)
    with suppress(subprocess.TimeoutExpired):
        server.wait(STOP_SECONDS)
    end_children()


def main() -> None:
    """`python -m tests.localpostgres`: start one, print the URL of an empty database, run until Ctrl-C."""
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)  # SIGINT too: a shell's background job begins with it ignored
    with suppress(KeyboardInterrupt), LocalPostgres() as postgres:
        print(postgres.new_database(), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
