"""What is PostgreSQL's alone: what its database has to be, what it says no with, and a server that goes and comes."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bridge.core.errors import ConfigError, Unavailable
from bridge.store.rows import StoredMessage
from bridge.store.store import Store
from bridge.store.transaction import Transaction
from tests.faults.authority import Authority
from tests.localpostgres import LocalPostgres

MESSAGE = StoredMessage("m", "orders", "TRANSFORMED", reason="SECRET")


@pytest.fixture
def url(postgres: LocalPostgres) -> Iterator[str]:
    made = postgres.new_database()
    yield made
    postgres.drop_database(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(Store(url)) as made:
        made.migrate()
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[LocalPostgres]:
    """One that the tests of this module may end."""
    with LocalPostgres(durable=False) as made:
        yield made


def setting(store: Store, name: str) -> object:
    with store._engine.connect() as connection:
        return connection.exec_driver_sql(f"SHOW {name}").scalar()


def execute(store: Store, statement: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql(statement)


def stated(url: str, **parameters: str) -> str:
    return make_url(url).update_query_dict(parameters).render_as_string(hide_password=False)


def keep(db: Transaction) -> int:
    db.messages(["m"])
    db.save_messages([MESSAGE])
    return 42


# What the database has to be


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_character_is_refused_with_what_to_do(
    postgres: LocalPostgres, encoding: str
) -> None:
    url = postgres.new_database(f"ENCODING '{encoding}' LOCALE 'C'")
    with closing(Store(url)) as store, pytest.raises(ConfigError, match=f"{encoding}.*UTF8"):
        store.migrate()
    postgres.drop_database(url)


def test_text_is_utf8_whatever_the_service_has_in_its_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    row = StoredMessage("m", "orders", "ERROR", reason="日本語 Ω")
    with closing(Store(url)) as store:
        store.migrate()
        with store.write() as db:
            db.save_messages([row])
        with store.read() as db:
            assert db.messages(["m"]) == {"m": row}


def test_every_commit_is_on_the_disk_whatever_is_the_databases_default(postgres: LocalPostgres, store: Store) -> None:
    for name, value in (("synchronous_commit", "off"), ("default_transaction_isolation", "serializable")):
        postgres.execute(f"ALTER DATABASE {store._engine.url.database} SET {name} = {value}")
    store._engine.dispose()
    assert setting(store, "synchronous_commit") == "on"
    assert setting(store, "transaction_isolation") == "read committed"


def test_the_role_that_owns_the_database_needs_no_other_rights(store: Store) -> None:
    with store._engine.connect() as connection:
        rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        assert connection.exec_driver_sql(f"SELECT {rights} FROM pg_roles WHERE rolname = user").scalar() is False  # noqa: S608 - constant
    assert store.transact(keep) == 42


def test_the_password_is_in_no_name_and_no_error(postgres: LocalPostgres, url: str) -> None:
    password = make_url(url).password or ""
    wrong = make_url(url).set(password=password[::-1]).render_as_string(hide_password=False)
    for bad in (wrong, make_url(url).set(database="nowhere").render_as_string(hide_password=False)):
        with closing(Store(bad)) as store, pytest.raises(Unavailable) as failure:
            store.check_schema()
        said = store.name + repr(store) + "".join(traceback.format_exception(failure.value))
        assert password not in said
        assert password[::-1] not in said
        assert "authentication failed" in said or "does not exist" in said


# What it says no with


def trip(store: Store, sqlstate: str, times: int) -> None:
    """Whoever stores a message is told `sqlstate`, so many times."""
    execute(store, "CREATE SEQUENCE told")
    execute(
        store,
        "CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF nextval('told') <= {times} THEN RAISE 'tripped over SECRET' USING ERRCODE = '{sqlstate}'; END IF;"
        " RETURN NEW; END $$",
    )
    execute(store, "CREATE TRIGGER trip BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION trip()")


CONTENDED = {"40001": "serialization_failure", "40P01": "deadlock_detected", "55P03": "lock_not_available"}
NOT_NOW = {
    "08006": "connection_failure",
    "25006": "read_only_sql_transaction",
    "25P03": "idle_in_transaction_session_timeout",
    "42501": "insufficient_privilege",
    "42P01": "undefined_table",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "55000": "object_not_in_prerequisite_state",
    "57014": "query_canceled",
    "57P01": "admin_shutdown",
    "58030": "io_error",
    "XX000": "internal_error",
    "XX001": "data_corrupted",
}


@pytest.mark.parametrize("sqlstate", CONTENDED, ids=CONTENDED.get)
@pytest.mark.timeout(30)
def test_a_transaction_that_others_were_in_the_way_of_begins_again(store: Store, sqlstate: str) -> None:
    trip(store, sqlstate, 3)
    assert store.transact(keep) == 42
    with store.read() as db:
        assert db.messages(["m"]) == {"m": MESSAGE}


@pytest.mark.parametrize("sqlstate", CONTENDED, ids=CONTENDED.get)
@pytest.mark.timeout(30)
def test_one_that_others_are_always_in_the_way_of_ends_as_unavailable(store: Store, sqlstate: str) -> None:
    """The source keeps the messages then, and can be told to end."""
    trip(store, sqlstate, 1_000_000)
    with pytest.raises(Unavailable):
        store.transact(keep)


@pytest.mark.parametrize("sqlstate", NOT_NOW, ids=NOT_NOW.get)
def test_what_the_server_cannot_do_now_is_unavailable_and_no_fault_of_the_messages(store: Store, sqlstate: str) -> None:
    trip(store, sqlstate, 1)
    with pytest.raises(Unavailable) as failure:
        store.transact(keep)
    assert "SECRET" not in "".join(traceback.format_exception(failure.value))
    assert store.transact(keep) == 42


@pytest.mark.timeout(30)
def test_who_waits_for_another_to_migrate_for_too_long_is_told_that_it_is_unavailable(url: str) -> None:
    with closing(Store(url)) as one, closing(Store(stated(url, options="-c lock_timeout=200ms"))) as other:
        with one._engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(0, 1)")
            with pytest.raises(Unavailable):
                other.migrate()
        other.migrate()


# A server that goes and comes


@pytest.mark.parametrize("end", [LocalPostgres.stop, LocalPostgres.kill], ids=["stop", "kill"])
def test_a_server_that_ends_in_the_middle_of_a_transaction_leaves_nothing_of_it(
    server: LocalPostgres, end: Callable[[LocalPostgres], None]
) -> None:
    with closing(Store(server.new_database())) as store:
        store.migrate()

        def work(db: Transaction) -> None:
            db.save_messages([MESSAGE])
            end(server)
            db.save_clock(1.0)

        with pytest.raises(Unavailable):
            store.transact(work)
        with pytest.raises(Unavailable, match="refused"):
            store.transact(keep)
        server.start()
        with store.read() as db:
            assert db.messages(["m"]) == {}
        assert store.transact(keep) == 42


def test_connections_of_before_a_restart_cost_no_transaction(server: LocalPostgres) -> None:
    with closing(Store(server.new_database())) as store:
        store.migrate()
        server.restart()
        assert store.transact(keep) == 42
        server.restart()
        with store.read() as db:
            assert db.messages(["m"]) == {"m": MESSAGE}


@pytest.mark.timeout(60)
def test_a_server_that_does_not_answer_is_unavailable_to_who_connects(server: LocalPostgres) -> None:
    with closing(Store(stated(server.new_database(), connect_timeout="2"))) as store:
        store.migrate()
        store.close()
        with server.paused(), pytest.raises(Unavailable):
            store.transact(keep)
        assert store.transact(keep) == 42


def test_a_server_that_takes_no_more_connections_is_unavailable(server: LocalPostgres) -> None:
    url = server.new_database()
    server.execute(f"ALTER DATABASE {make_url(url).database} CONNECTION LIMIT 1")
    with closing(Store(url)) as store, closing(Store(url)) as other:
        store.migrate()
        with store.read(), pytest.raises(Unavailable, match="too many connections"):
            other.is_empty()


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> Iterator[LocalPostgres]:
    """A server whose certificate is for `localhost`, but not for its address."""
    with LocalPostgres(durable=False, tls=authority.certificate("server", "localhost")) as made:
        yield made


def encrypted(server: LocalPostgres, host: str, root: Path) -> str:
    url = make_url(server.new_database()).set(host=host).render_as_string(hide_password=False)
    return stated(url, sslmode="verify-full", sslrootcert=str(root))


def test_a_server_of_the_right_authority_and_name_is_trusted(tls: LocalPostgres, authority: Authority) -> None:
    with closing(Store(encrypted(tls, "localhost", authority.file))) as store:
        store.migrate()
        with store._engine.connect() as connection:
            query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert connection.exec_driver_sql(query).scalar() is True


def test_a_server_of_another_authority_or_name_is_not(tls: LocalPostgres, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    for host, root in (("localhost", other.file), ("127.0.0.1", authority.file)):
        with closing(Store(encrypted(tls, host, root))) as store, pytest.raises(Unavailable, match="certificate"):
            store.migrate()


def test_a_server_without_encryption_is_not_spoken_to_where_it_was_asked_for(
    postgres: LocalPostgres, authority: Authority
) -> None:
    with (
        closing(Store(encrypted(postgres, "localhost", authority.file))) as store,
        pytest.raises(Unavailable, match="SSL"),
    ):
        store.migrate()
