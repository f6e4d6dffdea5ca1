"""What differs between the databases: how a connection is set up and how a write transaction begins."""

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, TextClause, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.core.errors import ConfigError, Unavailable

# Pages in the write-ahead log before it is copied back (16 MiB, against SQLite's 4): a burst is not interrupted.
_WAL_PAGES = 4096
# Of each connection, and the threads have several. Four times as much was not faster, and took 50 MB more.
_CACHE_KIB = 16 * 1024
_BUSY_SECONDS = 5  # then the batch is tried again

# A server that does not answer is noticed; one that lost us, or a process that was stopped in the middle of a
# transaction, lets go of its locks.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "hl7-dicom-bridge",
    "client_encoding": "utf8",
    "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=30s -c TimeZone=UTC",
}


def engine_for(database_url: str, *, durable: bool = True) -> Engine:
    """An engine for `sqlite:///file` or `postgresql+psycopg://…`; one that is not durable is for trying things out.

    Raises:
        ConfigError: the URL is not one of these.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise ConfigError("database_url is not a database URL, such as sqlite:///bridge.db") from error
    if url.drivername == "postgresql+psycopg":
        return _postgresql(url, durable=durable)
    if url.get_backend_name() != "sqlite":
        raise ConfigError(
            f"database_url: {url.drivername} is not supported; use sqlite:///file or postgresql+psycopg://…"
        )
    if url.database in (None, "", ":memory:"):
        raise ConfigError("database_url must name a file: a database in memory would lose what was acknowledged")
    # Last in, first out: each connection has a cache of its own, and most of the time one or two are in use.
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, pool_use_lifo=True, hide_parameters=True)
    event.listen(engine, "connect", lambda connection, _record: _prepare_sqlite(connection, durable=durable))
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "do_connect", lambda *_: _keep_private(Path(str(url.database))))
    return engine


def _postgresql(url: URL, *, durable: bool) -> Engine:
    """Connections are tried before they are used, as the server may have been restarted in between."""
    stated = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
    if "options" in stated:
        stated["options"] = f"{stated['options']} -c synchronous_commit={'on' if durable else 'off'}"
    try:
        return create_engine(
            url, connect_args=stated, pool_pre_ping=True, isolation_level="READ COMMITTED", hide_parameters=True
        )
    except ModuleNotFoundError:
        raise ConfigError("database_url: PostgreSQL needs psycopg: pip install 'hl7-dicom-bridge[postgres]'") from None


def _keep_private(file: Path) -> None:
    """A database that is made is its owner's alone, whatever the umask; SQLite's files beside it follow its mode.

    One that exists must not be opened here: closing it would end SQLite's own locks in this process (fcntl(2)), and the
    next command beside the service would take away the write-ahead log from under it.
    """
    with suppress(OSError):  # it exists; or SQLite says what is wrong
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def readable_by_others(file: Path) -> bool:
    """Whether anybody on this machine may read it."""
    return bool(file.stat().st_mode & stat.S_IROTH)


def _prepare_sqlite(connection: Any, *, durable: bool) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={'FULL' if durable else 'OFF'}",
        f"wal_autocheckpoint={_WAL_PAGES}",
        "foreign_keys=ON",
        f"cache_size=-{_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: one that upgrades later can fail with SQLITE_BUSY in the middle of its work."""
    reading = connection.get_execution_options().get("bridge_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def insert_into(table: Table, dialect: str) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT of the dialect with this name, which knows ON CONFLICT."""
    construct: Callable[[Table], sqlite.Insert | postgresql.Insert] = (
        sqlite.insert if dialect == "sqlite" else postgresql.insert
    )
    return construct(table)


def clock_of(dialect: str) -> TextClause:
    """What gives the database's time in seconds since 1970."""
    return text(_CLOCKS[dialect])


_CLOCKS = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
}


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for any other database."""
    return Path(url.database).resolve() if url.get_backend_name() == "sqlite" and url.database else None


def lock_file(path: Path) -> Callable[[], None]:
    """Holds `path` for this process (SQLite serves one `bridge run`); returns what lets go of it.

    Raises:
        ConfigError: it cannot be made.
        Unavailable: another process holds it.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigError(f"database_url: {path} cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Unavailable(f"another bridge is running on this SQLite database ({path.name} is locked)") from error
    return lambda: os.close(descriptor)
