"""One database transaction: everything is loaded and written in sets, one statement for many rows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, Table, bindparam, delete, select, text
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ColumnElement

from bridge.core.decision import Decision
from bridge.core.facts import NAMES, fact_keys
from bridge.core.instance_number import InstanceNumber
from bridge.core.model import HL7Fact, LinkDecision, PersonFact, Statement
from bridge.core.orders import Order
from bridge.core.ports import Outbound
from bridge.core.struct import Value, encode
from bridge.store import schema as t
from bridge.store.claims import Claims, NoClaims
from bridge.store.dialects import insert_into
from bridge.store.lookups import Lookups, stored_key
from bridge.store.rows import (
    Due,
    HistoryEntry,
    StoredInstance,
    StoredMessage,
    StoredStudy,
    decode_fact,
    decode_instance,
)

Pair = tuple[str, str]

_OWED_TOGETHER = 500  # events of one statement: one order may link thousands of objects, each with an event of 5 KB
_IN_LIMIT = 500  # values in one IN: far below what either database allows


class _InSeries(Value):
    series_instance_uid: str | None
    instance_number: InstanceNumber
    statement: Statement


class _Numbered(Value):
    """As much of a stored instance as its Instance Number takes: a study may have thousands."""

    instance: _InSeries


_decode_order = msgspec.json.Decoder(Order).decode
_decode_numbered = msgspec.json.Decoder(_Numbered).decode
_decode_decision = msgspec.json.Decoder(Decision).decode
_decode_statement = msgspec.json.Decoder(Statement).decode
_decode_warnings = msgspec.json.Decoder(tuple[str, ...]).decode


def _with(query: Select[Any], column: ColumnElement[Any]) -> Select[Any]:
    """The query for rows whose column is one of the values `wanted`."""
    return query.where(column.in_(bindparam("wanted", expanding=True)))


# Made once: to build a statement takes SQLAlchemy longer than SQLite needs to run it.
_MESSAGES = _with(select(t.message), t.message.c.id)
_IDS_BY_MESSAGE_ID = _with(select(t.message.c.id, t.message.c.message_id), t.message.c.message_id)
_FACTS = _with(
    select(t.fact.c.id, t.fact.c.kind, t.fact.c.doc, t.fact_key.c.level, t.fact_key.c.value)
    .join(t.fact_key)
    .where(t.fact.c.kind.in_(bindparam("kinds", expanding=True))),
    t.fact_key.c.value,
)
_ORDERS = _with(select(t.imaging_order), t.imaging_order.c.id)
_STUDIES = _with(select(t.study), t.study.c.uid)
_PURGED_STUDIES = _with(select(t.purged_study), t.purged_study.c.uid)
_STATEMENTS = _with(select(t.statement), t.statement.c.study)
_SERIES = _with(select(t.series), t.series.c.study)
_REJECTIONS = _with(select(t.rejection), t.rejection.c.study)
_REJECTIONS_OF = _with(select(t.rejection), t.rejection.c.instance)
_DEPARTURES = _with(select(t.departure), t.departure.c.study)
_INSTANCES = _with(select(t.instance), t.instance.c.uid)
_INSTANCES_OF = _with(select(t.instance.c.uid, t.instance.c.study, t.instance.c.doc), t.instance.c.study)
_OWNERS = _with(
    select(t.matching_key.c.rule, t.matching_key.c.value, t.matching_key.c.owner).where(
        t.matching_key.c.side == bindparam("side")
    ),
    t.matching_key.c.value,
)
_INSERT = {table: table.insert() for table in (t.fact, t.outbox)}
_NUMBERED = {table: plain.returning(table.c.id, sort_by_parameter_order=True) for table, plain in _INSERT.items()}
_LAST_ROW = text("SELECT last_insert_rowid()")


@cache
def _insert_new(table: Table, dialect: str) -> UpdateBase:
    return insert_into(table, dialect).on_conflict_do_nothing()


@cache
def _insert_or_update(table: Table, dialect: str) -> UpdateBase:
    statement = insert_into(table, dialect)
    changed = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


@cache
def _delete_by_key(table: Table) -> UpdateBase:
    return delete(table).where(*(column == bindparam(column.name) for column in table.primary_key))


# The SQL of a statement and, where the driver wants values by position, their names. By statement, dialect, and the
# columns or the sizes of lists.
_ready: dict[tuple[UpdateBase | Select[Any], str, tuple[str, ...] | tuple[int, ...]], tuple[str, Sequence[str] | None]]
_ready = {}


class Transaction(Lookups):
    """Reads and writes over one connection, inside a transaction that the store began and ends.

    What is looked up by its value is claimed by that first (`bridge.store.claims`); what is written was looked up.
    """

    def __init__(self, connection: Connection, claims: Claims | NoClaims) -> None:
        super().__init__(connection)
        self._claims = claims

    # The ledger

    def messages(self, ids: Collection[str]) -> dict[str, StoredMessage]:
        self._claims.add(ids)
        return {row.id: _message(row) for row in self._among(_MESSAGES, ids)}

    def ids_by_message_id(self, message_ids: Collection[str]) -> dict[str, set[str]]:
        """Our ids of the messages that came with each of these `message_id`s."""
        found: dict[str, set[str]] = defaultdict(set)
        for row in self._among(_IDS_BY_MESSAGE_ID, message_ids):
            found[row.message_id].add(row.id)
        return found

    def forget_messages(self, ids: Collection[str]) -> None:
        """Removes rows of messages that turned out to be the envelope of others."""
        self._delete(t.message, [(row_id,) for row_id in ids])

    def save_messages(self, messages: Collection[StoredMessage]) -> None:
        rows = [{**msgspec.structs.asdict(m), "warnings": encode(m.warnings) if m.warnings else None} for m in messages]
        self._upsert(t.message, rows)

    # Facts, and the orders made of them

    def facts(self, keys: Collection[Pair], *kinds: type[HL7Fact] | type[PersonFact]) -> dict[int, Any]:
        """The facts of these kinds under any of these keys (level, value), by row, in the sequence of their rows."""
        names = [NAMES[kind] for kind in kinds]
        stored = {(level, stored_key(value)) for level, value in keys}
        self._claims.add(value for _, value in stored)
        rows = self._among(_FACTS, {value for _, value in stored}, kinds=names)
        found = {row.id: decode_fact[row.kind](row.doc) for row in rows if (row.level, row.value) in stored}
        return dict(sorted(found.items()))

    def add_facts(self, facts: Sequence[tuple[str | None, HL7Fact | PersonFact]]) -> None:
        """Keeps what messages say, each fact with the id of its message, and what people decide, with none."""
        if not facts:
            return
        rows = [
            {"message": message, "kind": NAMES[type(fact)], "doc": encode(fact), "doc_version": t.DOC_VERSION}
            for message, fact in facts
        ]
        ids = self._insert_numbered(t.fact, rows)
        keys = [
            {"level": level, "value": stored_key(value), "fact": row_id}
            for row_id, (_, fact) in zip(ids, facts, strict=True)
            for level, value in fact_keys(fact)
        ]
        self._insert(t.fact_key, keys)

    def orders(self, ids: Collection[str]) -> dict[str, Order]:
        self._claims.add(ids)
        return {row.id: _decode_order(row.doc) for row in self._among(_ORDERS, ids)}

    def save_orders(self, orders: Collection[Order], gone: Collection[str]) -> None:
        self._delete(t.imaging_order, [(order_id,) for order_id in gone])
        self._upsert(t.imaging_order, [{"id": o.id, "doc": encode(o), "doc_version": t.DOC_VERSION} for o in orders])

    # Studies and their objects

    def studies(self, uids: Collection[str]) -> dict[str, StoredStudy]:
        """One for each UID. A study that is not stored has no decision; what is said of it may be known already.

        One that was purged goes on with the revisions that it had.
        """
        self._claims.add(uids)
        found = {uid: StoredStudy(uid) for uid in uids}
        for row in self._among(_STUDIES, uids):
            found[row.uid] = StoredStudy(
                uid=row.uid,
                channel=row.channel,
                revision=row.revision,
                decision=_decode_decision(row.doc),
                orders=row.orders,
                reports=row.reports,
                since=row.since,
                settled=row.settled,
                overdue_at=row.overdue_at,
            )
        for row in self._among(_PURGED_STUDIES, [uid for uid, study in found.items() if not study.decision]):
            found[row.uid].revision = row.revision
        for row in self._among(_STATEMENTS, found):
            found[row.study].statements[row.digest] = (_decode_statement(row.doc), row.instances)
        for row in self._among(_SERIES, found):
            found[row.study].series[row.uid, row.modality] = row.instances
        for row in self._among(_REJECTIONS, found):
            found[row.study].rejections[row.instance, row.note] = row.code
        for row in self._among(_DEPARTURES, found):
            found[row.study].departures.add((row.instance, row.other))
        for decision in self.facts({("study", uid) for uid in found}, LinkDecision).values():
            found[decision.study_instance_uid].decisions += (decision,)
        return found

    def save_studies(self, studies: Collection[StoredStudy]) -> None:
        self._upsert(
            t.study,
            [
                {
                    "uid": s.uid,
                    "channel": s.channel,
                    "verdict": s.decision.verdict,
                    "revision": s.revision,
                    "doc": encode(s.decision),
                    "orders": s.orders,
                    "reports": s.reports,
                    "since": s.since,
                    "settled": s.settled,
                    "overdue_at": s.overdue_at,
                }
                for s in studies
                if s.decision
            ],
        )
        statements = [(s.uid, d, doc, count) for s in studies for d, (doc, count) in s.statements.items()]
        self._delete(t.statement, [(uid, digest) for uid, digest, _, count in statements if not count])
        self._upsert(
            t.statement,
            [
                {"study": uid, "digest": digest, "doc": encode(doc), "instances": count}
                for uid, digest, doc, count in statements
                if count
            ],
        )
        series = [(s.uid, uid, modality, count) for s in studies for (uid, modality), count in s.series.items()]
        self._delete(t.series, [row[:3] for row in series if not row[3]])
        self._upsert(
            t.series,
            [dict(zip(("study", "uid", "modality", "instances"), row, strict=True)) for row in series if row[3]],
        )

    def instances(self, uids: Collection[str]) -> dict[str, StoredInstance]:
        self._claims.add(uids)
        return {row.uid: decode_instance(row.doc) for row in self._among(_INSTANCES, uids)}

    def instances_of(self, studies: Collection[str]) -> dict[str, list[StoredInstance]]:
        """The current objects of each of these studies."""
        found: dict[str, list[StoredInstance]] = {uid: [] for uid in studies}
        for row in self._among(_INSTANCES_OF, studies):
            found[row.study].append(decode_instance(row.doc))
        return found

    def save_instances(self, instances: Collection[StoredInstance]) -> None:
        self._upsert(
            t.instance,
            [
                {
                    "uid": stored.instance.sop_instance_uid,
                    "study": stored.instance.statement.study_instance_uid,
                    "channel": stored.channel,
                    "message": stored.message,
                    "doc": encode(stored),
                    "doc_version": t.DOC_VERSION,
                }
                for stored in instances
            ],
        )

    def instance_numbers(self, study: str) -> dict[tuple[str, str], dict[str, InstanceNumber]]:
        """The Instance Number of each stored object of a study, by series (UID, modality) and SOP Instance UID."""
        found: dict[tuple[str, str], dict[str, InstanceNumber]] = defaultdict(dict)
        for row in self._among(_INSTANCES_OF, [study]):
            one = _decode_numbered(row.doc).instance
            found[one.series_instance_uid or "", one.statement.modality or ""][row.uid] = one.instance_number
        return found

    # Rejection notes, and objects that came again with another study or patient

    def rejections_of(self, instances: Collection[str]) -> dict[str, dict[str, tuple[str, str]]]:
        """By object: the notes that reject it, each with the study that it names and its code."""
        found: dict[str, dict[str, tuple[str, str]]] = {uid: {} for uid in instances}
        for row in self._among(_REJECTIONS_OF, instances):
            found[row.instance][row.note] = (row.study, row.code)
        return found

    def save_rejections(
        self, added: Collection[tuple[str, str, str, str]], removed: Collection[tuple[str, str]]
    ) -> None:
        """`added`: (instance, note, study, code); `removed`: (instance, note)."""
        names = ("instance", "note", "study", "code")
        self._delete(t.rejection, list(removed))
        self._upsert(t.rejection, [dict(zip(names, row, strict=True)) for row in added])

    def add_departures(self, departures: Collection[tuple[str, str, str]]) -> None:
        """(study, instance, other study)."""
        names = ("study", "instance", "other")
        self._insert(t.departure, [dict(zip(names, row, strict=True)) for row in departures])

    # Time

    def clock(self) -> float:
        """Seconds that the source was connected and its queues were drained, as last saved."""
        query = select(t.setting.c.value).where(t.setting.c.name == "clock")
        return float(self._connection.scalar(query) or 0.0)

    def save_clock(self, seconds: float) -> None:
        self._upsert(t.setting, [{"name": "clock", "value": repr(seconds)}])

    def due(self, clock: float, limit: int) -> list[Due]:
        """The deadlines that have come, the earliest first."""
        c = t.deadline.c
        query = (
            select(c.study, c.kind, c.message)
            .where(c.at <= clock)
            .order_by(c.at, self._bytewise(c.study), c.kind)
            .limit(limit)
        )
        return [Due(row.study, row.kind, row.message) for row in self._connection.execute(query)]

    def save_deadlines(
        self, moved: Mapping[tuple[str, str], tuple[float, str]], over: Collection[tuple[str, str]]
    ) -> None:
        """`moved`: (study, kind) to (clock, message); `over`: those that are no more."""
        self._delete(t.deadline, list(over))
        self._upsert(
            t.deadline,
            [{"study": study, "kind": kind, "at": at, "message": m} for (study, kind), (at, m) in moved.items()],
        )

    # Keys

    def owners(self, side: str, keys: Collection[Pair]) -> dict[Pair, set[str]]:
        """The orders or studies (`side`) under each of these keys (rule, value)."""
        found: dict[Pair, set[str]] = {key: set() for key in keys}
        stored = {(rule, stored_key(value)): owners for (rule, value), owners in found.items()}
        self._claims.add(value for _, value in stored)
        for row in self._among(_OWNERS, {value for _, value in stored}, side=side):
            if (row.rule, row.value) in stored:
                stored[row.rule, row.value].add(row.owner)
        return found

    def save_owners(
        self, side: str, added: Collection[tuple[Pair, str]], removed: Collection[tuple[Pair, str]]
    ) -> None:
        self._delete(t.matching_key, [(side, stored_key(value), rule, owner) for (rule, value), owner in removed])
        rows = [{"side": side, "rule": r, "value": stored_key(v), "owner": owner} for (r, v), owner in added]
        self._insert(t.matching_key, rows)

    # History and outbox

    def add_history(self, entries: Sequence[tuple[str, HistoryEntry]]) -> None:
        self._insert(
            t.history,
            [{"study": uid, "revision": e.revision, "at": e.at, "doc": encode(e)} for uid, e in entries],
        )

    def owe(self, events: Sequence[Outbound]) -> list[Outbound]:
        """Queues events in their sequence; returns them with the ids of their rows."""
        owed: list[Outbound] = []
        for start in range(0, len(events), _OWED_TOGETHER):
            some = events[start : start + _OWED_TOGETHER]
            ids = self._insert_numbered(t.outbox, [{"doc": encode(event), "study": event.lane} for event in some])
            owed += [msgspec.structs.replace(event, id=row) for event, row in zip(some, ids, strict=True)]
        return owed

    # Statements over sets

    def _among(self, query: Select[Any], wanted: Iterable[Any], **stated: str | list[str]) -> Iterator[Row[Any]]:
        values = list(wanted)
        for start in range(0, len(values), _IN_LIMIT):
            some = values[start : start + _IN_LIMIT]
            if self._connection.dialect.name == "sqlite":  # few sizes are few statements, which the driver keeps
                some += some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
            yield from self._find(query, {"wanted": some, **stated})

    def _find(self, query: Select[Any], values: Mapping[str, str | list[str]]) -> Iterable[Row[Any]]:
        """Executes a query whose SQL depends on the sizes of its lists alone."""
        dialect = self._connection.dialect
        sizes = tuple(len(value) if isinstance(value, list) else 0 for value in values.values())
        ready = _ready.get((query, dialect.name, sizes))
        if ready is None:
            compiled = dialect.statement_compiler(
                dialect, query.params(**values), compile_kwargs={"render_postcompile": True}
            )
            ready = _ready[query, dialect.name, sizes] = str(compiled), compiled.positiontup
        sql, names = ready
        flat: dict[str, str] = {}
        for name, value in values.items():
            if isinstance(value, list):
                flat |= {f"{name}_{number}": one for number, one in enumerate(value, start=1)}
            else:
                flat[name] = value
        return self._connection.exec_driver_sql(sql, tuple(flat[name] for name in names) if names else flat)

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._for_each(_insert_new(table, self._connection.dialect.name), rows)

    def _insert_numbered(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        """Inserts rows in their sequence; returns the ids that they were given."""
        if self._connection.dialect.name != "sqlite":
            return self._connection.execute(_NUMBERED[table], rows).scalars().all()
        self._for_each(_INSERT[table], rows)
        last = self._connection.execute(_LAST_ROW).scalar_one()
        return range(last - len(rows) + 1, last + 1)  # nobody else writes meanwhile

    def _upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._for_each(_insert_or_update(table, self._connection.dialect.name), rows)

    def _delete(self, table: Table, keys: Sequence[tuple[Any, ...]]) -> None:
        """By primary key, its columns in the table's sequence."""
        if keys:
            names = [column.name for column in table.primary_key]
            self._for_each(_delete_by_key(table), [dict(zip(names, key, strict=True)) for key in keys])

    def _for_each(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
        """Executes a statement for each row. The driver takes the values as they are: what SQLAlchemy does with those
        of a row takes longer than SQLite needs to write it.
        """
        dialect, columns = self._connection.dialect, tuple(rows[0])
        ready = _ready.get((statement, dialect.name, columns))
        if ready is None:
            compiled = dialect.statement_compiler(dialect, statement, column_keys=list(columns))
            ready = _ready[statement, dialect.name, columns] = str(compiled), compiled.positiontup
        sql, names = ready
        values: Any = [tuple(row[name] for name in names) for row in rows] if names else rows
        self._connection.exec_driver_sql(sql, values)


def _message(row: Row[Any]) -> StoredMessage:
    columns = dict(row._mapping)
    warnings = columns.pop("warnings")
    return StoredMessage(**columns, warnings=_decode_warnings(warnings) if warnings else ())
