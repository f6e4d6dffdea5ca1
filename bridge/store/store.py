"""The store: one database, its transactions, and its schema."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from bridge.core.errors import ConfigError, Unavailable
from bridge.store import schema
from bridge.store.dialects import engine_for, insert_into, lock_file, sqlite_file
from bridge.store.transaction import Transaction

_MIGRATIONS = Path(__file__).parent / "migrations"


class Store:
    """One database. Use it from any thread; write transactions take turns.

    One that is not `durable` is for trying things out: it may lose what was committed when the machine stops.

    Raises (every method):
        ConfigError: the URL or the schema is not what it has to be.
        Unavailable: the database does not answer, is locked, or is full.
    """

    def __init__(self, database_url: str, *, durable: bool = True) -> None:
        self._engine = engine_for(database_url, durable=durable)
        self.file = sqlite_file(self._engine.url)
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """The database's URL without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end, or rolled back by an exception."""
        with self._turn, _reported(), self._engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view."""
        with _reported(), self._connect() as connection, connection.begin():
            yield Transaction(connection)

    def _connect(self) -> Connection:
        """For reading; it must not create the file of a database that is not there."""
        if self.file and not self.file.exists():
            raise ConfigError(f"there is no database {self.file.name} yet: bridge run or bridge migrate creates it")
        return self._engine.connect().execution_options(bridge_reading=True)

    def lock(self) -> Callable[[], None]:
        """Claims a SQLite database for this process; returns what lets go of it."""
        return lock_file(self.file.with_name(self.file.name + ".lock")) if self.file else lambda: None

    def migrate(self) -> tuple[str | None, str]:
        """Brings the schema to the current revision; returns the revisions before and after."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._turn, _reported(), self._engine.begin() as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            config.attributes["connection"] = connection
            upgrade(config, "head")
            epoch = insert_into(schema.setting, connection.dialect.name).values(name="epoch", value=uuid4().hex)
            connection.execute(epoch.on_conflict_do_nothing())
        return before, _head()

    def is_empty(self) -> bool:
        """Whether the database holds no table at all."""
        with _reported(), self._engine.connect() as connection:
            return not inspect(connection).get_table_names()

    def check_schema(self) -> None:
        """Raises ConfigError unless the schema is the one that this version works with."""
        with _reported(), self._connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current != _head():
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


@contextmanager
def _reported() -> Iterator[None]:
    """A database that does not do its part is Unavailable; what a message or a bug did to it stays as it is.

    The driver's own text may hold values, so it is not kept.
    """
    try:
        yield
    except (DataError, IntegrityError, InterfaceError, ProgrammingError):
        raise
    except DBAPIError as error:
        raise Unavailable(f"the database does not answer ({type(error.orig).__name__})") from None
