"""What differs between the databases: how a connection is set up and how a write transaction begins."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridge.core.errors import ConfigError, Unavailable

# Pages in the write-ahead log before it is copied back (16 MiB, against SQLite's 4): a burst is not interrupted.
_WAL_PAGES = 4096
_BUSY_SECONDS = 5  # then the batch is tried again


def engine_for(database_url: str, *, durable: bool = True) -> Engine:
    """An engine for `sqlite:///file` or `postgresql+psycopg://…`; one that is not durable is for trying things out.

    Raises:
        ConfigError: the URL is not one of these.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise ConfigError("database_url is not a database URL, such as sqlite:///bridge.db") from error
    if url.get_backend_name() != "sqlite":
        raise ConfigError(f"database_url: {url.get_backend_name()} is not supported; use sqlite:///file")
    if url.database in (None, "", ":memory:"):
        raise ConfigError("database_url must name a file: a database in memory would lose what was acknowledged")
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", lambda connection, _record: _prepare_sqlite(connection, durable=durable))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, *, durable: bool) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={'FULL' if durable else 'OFF'}",
        f"wal_autocheckpoint={_WAL_PAGES}",
        "foreign_keys=ON",
        "cache_size=-65536",
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


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for any other database."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def lock_file(path: Path) -> Callable[[], None]:
    """Holds `path` for this process (SQLite serves one `bridge run`); returns what lets go of it.

    Raises:
        Unavailable: another process holds it.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Unavailable(f"another bridge is running on this SQLite database ({path.name} is locked)") from error
    return lambda: os.close(descriptor)
