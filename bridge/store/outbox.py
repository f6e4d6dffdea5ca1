"""The events that are owed: read in their sequence, forgotten when they are confirmed, kept when they are refused."""

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import bindparam, delete, select, update

from bridge.core.ports import Delivery, Outbound
from bridge.store import schema as t
from bridge.store.dialects import insert_into
from bridge.store.transaction import Transaction

_decode = msgspec.json.Decoder(Outbound).decode

_OWED = (
    select(t.outbox.c.id, t.outbox.c.doc)
    .where(t.outbox.c.study.not_in(select(t.outbox.c.study).where(t.outbox.c.refused)))
    .order_by(t.outbox.c.id)
)
_SETTLE = delete(t.outbox).where(t.outbox.c.id.in_(bindparam("rows", expanding=True))).returning(t.outbox.c.id)


def owed(db: Transaction, limit: int) -> list[Outbound]:
    """The oldest events that are not confirmed yet, but for those that wait behind a refused one."""
    rows = db.connection.execute(_OWED.limit(limit))
    return [msgspec.structs.replace(_decode(row.doc), id=row.id) for row in rows]


def settle(db: Transaction, confirmed: Mapping[int, Delivery]) -> Counter[Delivery]:
    """Forgets confirmed events by their rows; counts each once, though two processes may have published it."""
    gone = db.connection.execute(_SETTLE, {"rows": list(confirmed)}).scalars()
    counted = Counter(confirmed[row] for row in gone)
    count(db, {delivery.upper(): number for delivery, number in counted.items()})
    return counted


def count(db: Transaction, counters: Mapping[str, int]) -> None:
    """Adds to counters, which stay."""
    for name, number in sorted(counters.items()):
        statement = insert_into(t.counter, db.connection.dialect.name).values(name=name, value=number)
        changed = {"value": t.counter.c.value + statement.excluded.value}
        db.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def refuse(db: Transaction, rows: Collection[int]) -> None:
    """Keeps events that the broker does not take, with all that follows of their studies."""
    db.connection.execute(update(t.outbox).where(t.outbox.c.id.in_(rows)).values(refused=True))


def try_refused(db: Transaction) -> None:
    """Lets refused events be sent once more."""
    db.connection.execute(update(t.outbox).where(t.outbox.c.refused).values(refused=False))
