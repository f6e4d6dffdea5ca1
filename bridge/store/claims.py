"""What one write transaction has claimed for itself, so that several processes never decide from the same keys at once.

Everything that is looked up by a value is claimed by that value before it is read, whether there is something or not:
of an order and a study that arrive at the same moment in two processes, the second one sees the first (DESIGN 4.4).
PostgreSQL keeps the claims as advisory locks of the transaction. SQLite has one writer, who needs none.
"""

from collections.abc import Collection, Iterable
from hashlib import blake2b

from sqlalchemy import Connection, text

_SHARE = 8  # no transaction takes more than this part of the lock table, which all of them share
_KEYS_OF_A_MESSAGE = 16  # an order or an object has six to ten

_CAPACITY = text(
    "SELECT current_setting('max_locks_per_transaction')::int"
    " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
)
_TRY = text("SELECT bool_and(pg_try_advisory_xact_lock(claim)) FROM unnest(CAST(:claims AS bigint[])) AS claim")
_WAIT = text("SELECT count(pg_advisory_xact_lock(claim)) FROM unnest(CAST(:claims AS bigint[])) AS claim")
# Every transaction holds this one, shared; one that needs more keys than may be locked holds it alone.
_BESIDE_OTHERS = text("SELECT pg_advisory_xact_lock_shared(0, 0)")
_ALONE = text("SELECT pg_advisory_xact_lock(0, 0)")


class Contended(Exception):
    """The transaction has to begin again: with these claims from its start, or alone."""

    def __init__(self, claims: Collection[int] = (), *, too_many: bool = False) -> None:
        super().__init__("begin again")
        self.claims = frozenset(claims)
        self.too_many = too_many


class NoClaims:
    """Of a database with one writer at a time."""

    def add(self, values: Iterable[str]) -> None:
        """Nothing is to be claimed."""


class Claims:
    """Those of one transaction. The first ones are waited for, in sorted order: two transactions cannot wait for each
    other. Later ones must be free; where they are not, the transaction begins again with them.
    """

    def __init__(self, connection: Connection, wanted: Collection[int], *, most: int, alone: bool) -> None:
        self._connection = connection
        self._most = most
        self._alone = alone
        self._held = set(wanted)
        connection.execute(_ALONE if alone else _BESIDE_OTHERS)
        if wanted and not alone:
            connection.execute(_WAIT, {"claims": sorted(wanted)})

    def add(self, values: Iterable[str]) -> None:
        """Claims what is looked up by these values.

        Raises:
            Contended: another transaction holds one of them, or they are too many.
        """
        missing = set() if self._alone else {_claim(value) for value in values} - self._held
        if not missing:
            return
        if len(self._held) + len(missing) > self._most:
            raise Contended(too_many=True)
        if not self._connection.scalar(_TRY, {"claims": sorted(missing)}):
            raise Contended(self._held | missing)
        self._held |= missing


def most_claims(connection: Connection) -> int:
    """How many one transaction may hold: the lock table is shared by all of the server."""
    return max(1, int(connection.scalar(_CAPACITY) or 0) // _SHARE)


def most_messages(claims: int) -> int:
    """How many messages one transaction may be about with so many claims."""
    return max(1, claims // _KEYS_OF_A_MESSAGE)


def _claim(value: str) -> int:
    """64 bits for a value of any kind; two values with the same ones wait for each other in vain, now and then."""
    return int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), signed=True)
