"""Fills a store with orders that came long ago, in bulk: to send so many messages would take hours.

One order is what the bridge makes of its message. The others are the same with other numbers, patients and days in the
gaps, and some of them are compared with what the bridge makes of theirs.
"""

import os
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from bodies import Examination, earlier, marks, order_body, sample_order, template
from msgspec.structs import asdict
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from bridge.core.channel import Channel
from bridge.core.facts import NAMES, fact_keys
from bridge.core.model import OrderUpdate, Reading
from bridge.core.order_families import by_order
from bridge.core.orders import assemble
from bridge.core.ports import Inbound
from bridge.core.rules import order_lookups
from bridge.core.struct import encode
from bridge.formats.reading import contents, read
from bridge.intake import message_id
from bridge.store import schema as t
from bridge.store.rows import StoredMessage

_CHUNK = 20_000  # orders of one statement
_COMPARED = 5_000  # one of so many is compared
# A database that is half filled is used by nobody.
_FAST = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-524288")

Pair = tuple[str, str]


class Wrong(Exception):
    """What was to be filled in is not what the bridge makes of the message."""


class Known(NamedTuple):
    """What the store keeps of a message about one order, or the same with gaps."""

    message: str  # its id
    name: str  # what the order's id is made from
    order_id: str
    order: str
    fact: str
    fact_keys: tuple[Pair, ...]  # level and value
    lookups: tuple[Pair, ...]  # rule and value


def fill(database: Path, channel: Channel, count: int) -> None:
    """Adds the last `count` orders before today to a SQLite database that no process has open.

    Raises:
        Wrong: they are not what the bridge would keep of their messages.
    """
    gaps = _with_gaps(_known(sample_order(), channel))
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for pragma in _FAST:
            connection.execute(f"PRAGMA {pragma}")
        [(first_fact,)] = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM fact")
        connection.execute("BEGIN")
        for last in range(count, 0, -_CHUNK):  # the earliest first, as they came
            chunk = [earlier(index) for index in reversed(range(max(last - _CHUNK, 0), last))]
            orders = [_filled(gaps, one, channel) for one in chunk]
            for one, order in list(zip(chunk, orders, strict=True))[::_COMPARED]:
                if order != _known(order_body(one), channel):
                    raise Wrong("an order that was filled in is another than the bridge makes of its message")
            _insert(connection, channel, orders, first_fact + count - last)
        connection.execute("COMMIT")
    with database.open("rb") as file:
        os.fsync(file.fileno())  # or the disk would be busy with it while the bridge is measured


def _known(body: bytes, channel: Channel) -> Known:
    """What the bridge keeps of a message about one order."""
    [content] = contents(Inbound(channel.name, body), channel.source.data_type)
    said = read(content, channel)
    updates = [fact for fact in said.facts if isinstance(fact, OrderUpdate)] if isinstance(said, Reading) else []
    [(name, [update])] = by_order(updates)
    [order] = assemble([update]).values()
    return Known(
        message=message_id(channel.name, body),
        name="\x1f".join(name),
        order_id=order.id,
        order=encode(order).decode(),
        fact=encode(update).decode(),
        fact_keys=tuple(sorted(fact_keys(update))),
        lookups=tuple(sorted(order_lookups(order))),
    )


def _with_gaps(sample: Known) -> Known:
    return sample._replace(
        name=template(sample.name),
        order=template(sample.order).replace(sample.order_id, "%(order-id)s"),
        fact=template(sample.fact),
        fact_keys=tuple((level, template(value)) for level, value in sample.fact_keys),
        lookups=tuple((rule, template(value)) for rule, value in sample.lookups),
    )


def _filled(gaps: Known, one: Examination, channel: Channel) -> Known:
    said = marks(one)
    name = gaps.name % said
    said["order-id"] = order_id = "o-" + sha256(name.encode()).hexdigest()[:20]
    return Known(
        message=message_id(channel.name, order_body(one)),
        name=name,
        order_id=order_id,
        order=gaps.order % said,
        fact=gaps.fact % said,
        fact_keys=tuple((level, value % said) for level, value in gaps.fact_keys),
        lookups=tuple((rule, value % said) for rule, value in gaps.lookups),
    )


def _insert(connection: sqlite3.Connection, channel: Channel, orders: Sequence[Known], first_fact: int) -> None:
    """Orders that came one after the other."""
    numbered = list(enumerate(orders, first_fact))
    message = _message_row(channel)
    rows: dict[Table, list[Any]] = {
        t.message: [message | {"id": one.message, "message_id": f"earlier-{row}"} for row, one in numbered],
        t.fact: [(row, one.message, NAMES[OrderUpdate], one.fact.encode(), t.DOC_VERSION) for row, one in numbered],
        t.fact_key: sorted((value, level, row) for row, one in numbered for level, value in one.fact_keys),
        t.imaging_order: [(one.order_id, one.order.encode(), t.DOC_VERSION) for one in orders],
        t.matching_key: sorted(("order", value, rule, one.order_id) for one in orders for rule, value in one.lookups),
    }
    for table, values in rows.items():
        style = "named" if isinstance(values[0], dict) else "qmark"
        connection.executemany(str(table.insert().compile(dialect=sqlite.dialect(paramstyle=style))), values)


def _message_row(channel: Channel) -> dict[str, Any]:
    """What the rows of all these messages have in common."""
    body = sample_order()
    common = StoredMessage(
        id="",
        channel=channel.name,
        status="TRANSFORMED",
        content_type="application/hl7-v2+er7",
        size=len(body),
        received_at="2026-11-22T09:00:00.000000Z",
        body=zlib.compress(body),
    )
    return {**asdict(common), "warnings": None}
