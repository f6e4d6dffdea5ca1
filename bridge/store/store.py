"""The store: one database, its transactions, and its schema."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from bridge.core.errors import ConfigError, Refused, Unavailable
from bridge.store import schema
from bridge.store.claims import Claims, Contended, NoClaims, most_claims, most_messages
from bridge.store.dialects import engine_for, insert_into, lock_file, sqlite_file
from bridge.store.transaction import Transaction

_MIGRATIONS = Path(__file__).parent / "migrations"
_TRIES_BESIDE_OTHERS = 5  # then a transaction runs alone, which cannot fail for want of a key
_TRIES = 8  # in all
_MIGRATING = text("SELECT pg_advisory_xact_lock(0, 1)")

T = TypeVar("T")


class Store:
    """One database. Use it from any thread.

    SQLite has one writer at a time, and one process. On PostgreSQL the processes of a site share the database; what is
    decided from the same keys takes turns. One that is not `durable` is for trying things out: it may lose what was
    committed when the machine stops.

    Raises (every method):
        ConfigError: the URL, the schema or the database's encoding is not what it has to be.
        Unavailable: the database does not answer, is locked, or is full; `Refused` where it lets nobody in.
    """

    def __init__(self, database_url: str, *, durable: bool = True) -> None:
        self._engine = engine_for(database_url, durable=durable)
        self.file = sqlite_file(self._engine.url)
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"  # this process, among those of a site
        self._turn = threading.Lock() if self.file else nullcontext()
        self._most_claims = 0

    @property
    def name(self) -> str:
        """The database's URL without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, with everything that it did committed, or nothing of it when it raises.

        `work` may be begun again when another process is in its way: it has no effect but on the database.
        """
        claims: frozenset[int] = frozenset()
        alone = False
        for tries in range(_TRIES):
            try:
                with self._writing(claims, alone=alone) as db:
                    return work(db)
            except Contended as contended:
                claims |= contended.claims
                alone = alone or contended.too_many or tries + 1 >= _TRIES_BESIDE_OTHERS
        raise Unavailable("other processes have been in the way for too long")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end, or rolled back by an exception.

        It is for what depends on no key: `transact` is begun again where another process is in its way.

        Raises:
            Unavailable: also when another process is in its way.
        """
        try:
            with self._writing(frozenset(), alone=False) as db:
                yield db
        except Contended:
            raise Unavailable("another process has changed the same rows; try again") from None

    @contextmanager
    def _writing(self, claims: frozenset[int], *, alone: bool) -> Iterator[Transaction]:
        with self._turn, _reported(), _in_the_way(), self._engine.begin() as connection:
            yield Transaction(connection, self._claims(connection, claims, alone=alone))

    def _claims(self, connection: Connection, wanted: frozenset[int], *, alone: bool) -> Claims | NoClaims:
        if self.file:
            return NoClaims()
        self._most_claims = self._most_claims or most_claims(connection)
        return Claims(connection, wanted, most=self._most_claims, alone=alone)

    def most_messages(self) -> int | None:
        """How many messages one transaction should be about at most; None for as many as there are."""
        if self.file:
            return None
        if not self._most_claims:
            with _reported(), self._engine.connect() as connection:
                self._most_claims = most_claims(connection)
        return most_messages(self._most_claims)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view."""
        with _reported(), self._connect() as connection, connection.begin():
            yield Transaction(connection, NoClaims())

    def _connect(self) -> Connection:
        """For reading; it must not create the file of a database that is not there."""
        if not self.file:
            return self._engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        if not self.file.exists():
            raise ConfigError(f"there is no database {self.file.name} yet: bridge run or bridge migrate creates it")
        return self._engine.connect().execution_options(bridge_reading=True)

    def lock(self) -> Callable[[], None]:
        """Claims a SQLite database for this process; returns what lets go of it.

        Raises:
            ConfigError: nothing can be written in the file's folder.
            Unavailable: another process holds it.
        """
        return lock_file(self.file.with_name(self.file.name + ".lock")) if self.file else lambda: None

    def migrate(self) -> tuple[str | None, str]:
        """Brings the schema to the current revision; returns the revisions before and after."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._turn, _reported(), self._engine.begin() as connection:
            if not self.file:
                connection.execute(_MIGRATING)  # processes that start together: the second one finds it done
                _check_encoding(connection)
            before = MigrationContext.configure(connection).get_current_revision()
            _check_known(before)
            config.attributes["connection"] = connection
            upgrade(config, "head")
            epoch = insert_into(schema.setting, connection.dialect.name).values(name="epoch", value=uuid4().hex)
            connection.execute(epoch.on_conflict_do_nothing())
        return before, _head()

    def is_empty(self) -> bool:
        """Whether the database holds no table at all."""
        if self.file and not self.file.exists():
            return True
        with _reported(), self._connect() as connection:
            return not inspect(connection).get_table_names()

    def check_schema(self) -> None:
        """Raises ConfigError unless the schema is the one that this version works with."""
        with _reported(), self._connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current != _head():
            _check_known(current)
            raise ConfigError(
                f"the database schema is {current or 'absent'}, this version needs {_head()}: run bridge migrate"
            )

    def epoch(self) -> str:
        """Names this database's life: a restored database should start a new one."""
        with _reported(), self._connect() as connection:
            query = select(schema.setting.c.value).where(schema.setting.c.name == "epoch")
            return str(connection.execute(query).scalar_one())

    def close(self) -> None:
        self._engine.dispose()


def _head() -> str:
    return str(ScriptDirectory(str(_MIGRATIONS)).get_current_head())


def _check_known(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
    if revision and revision not in known:
        raise ConfigError(
            f"the database schema is {revision}, and this version knows {_head()} at most: a later version has used it;"
            " install that one, or restore the backup from before"
        )


def _check_encoding(connection: Connection) -> None:
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise ConfigError(f"the database's encoding is {encoding}: create it with ENCODING 'UTF8'")


@contextmanager
def _reported() -> Iterator[None]:
    """A database that does not do its part is Unavailable; what a message or a bug did to it stays as it is.

    Its own text may hold values, so it is kept only where no statement was given: when it cannot be reached.
    """
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        cause = getattr(error.orig, "sqlite_errorname", type(error.orig).__name__)
        said = "" if error.statement or state else " ".join(str(error.orig).split())
        if cause.startswith(_NO_DATABASE_OF_OURS) or any(words in said for words in _LETS_NOBODY_IN):
            raise Refused(f"the database lets nobody in ({said or cause})") from None
        if _is_refused(error, state):
            raise RowRefused(f"the database refuses what is to be stored ({cause} {state})") from None
        raise Unavailable(f"the database does not answer ({said or cause})") from None


@contextmanager
def _in_the_way() -> Iterator[None]:
    """Another transaction's being in the way is no fault of the database."""
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _CONTENDED:
            raise Contended from None
        raise


class RowRefused(Exception):
    """What was to be stored is not what the database takes: a message's fault, or a bug."""


def _is_refused(error: DBAPIError, state: str) -> bool:
    if state.startswith(_LIMIT):
        return True
    if isinstance(error, InterfaceError):
        return not error.connection_invalidated
    return isinstance(error, DataError | IntegrityError | ProgrammingError) and state not in _OF_THE_SCHEMA


_CONTENDED = frozenset({"40001", "40P01", "55P03"})  # serialisation failure, deadlock, lock timeout
_LIMIT = "54"  # a value that is too large
_NO_DATABASE_OF_OURS = ("SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")
# PostgreSQL gives no code for these before there is a connection; in another language they are waited for.
_LETS_NOBODY_IN = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied",
    "invalid connection option",
    "invalid sslmode value",
    "certificate verify failed",
)
_OF_THE_SCHEMA = frozenset({"42P01", "42703", "42501"})  # a table or column is not there, or not ours to use
