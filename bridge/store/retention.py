"""What is old, what rests on it, and how it leaves the tables. What may go is decided in `bridge.purge`.

Every function looks at, or removes, a bounded number of rows, found by an index. Whoever removes has looked up what he
removes in the same transaction, which keeps other processes from it (`bridge.store.claims`).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Integer, Row, cast, delete, func, select, tuple_

from bridge.core.model import HL7Fact, PersonFact
from bridge.store import outbox
from bridge.store import schema as t
from bridge.store.dialects import insert_into
from bridge.store.lookups import PURGED
from bridge.store.rows import StoredMessage, StoredStudy, decode_fact
from bridge.store.transaction import Transaction

Place = tuple[str, ...]  # where a look ended, and the next one goes on

_REJECTIONS = "purged-rejections"  # a setting


# Studies


def changed_before(db: Transaction, before: str, after: Place, limit: int) -> tuple[list[str], Place | None]:
    """Studies that changed before then, whether they changed again or not, and where to go on."""
    c = t.history.c
    query = (
        select(c.at, c.study)
        .where(c.at < before, tuple_(c.at, c.study) > tuple_(*after))
        .order_by(c.at, c.study)
        .limit(limit)
    )
    rows = db.connection.execute(query).all()
    return list(dict.fromkeys(row.study for row in rows)), tuple(rows[-1]) if rows else None


def quiet(db: Transaction, studies: Collection[str], before: str) -> list[str]:
    """Those of these stored studies of which nothing has changed since `before`, and nothing is due."""
    newer = select(t.history.c.study).where(t.history.c.study == t.study.c.uid, t.history.c.at >= before)
    due = select(t.deadline.c.study).where(t.deadline.c.study == t.study.c.uid)
    query = select(t.study.c.uid).where(t.study.c.uid.in_(studies), ~newer.exists(), ~due.exists())
    return sorted(db.connection.execute(query).scalars())


def number_of_objects(db: Transaction, studies: Collection[str]) -> Counter[str]:
    query = select(t.instance.c.study, func.count()).where(t.instance.c.study.in_(studies))
    return Counter({uid: int(n) for uid, n in db.connection.execute(query.group_by(t.instance.c.study))})


def remove_studies(db: Transaction, studies: Collection[StoredStudy]) -> None:
    """All of them but their revisions, what people decided about them, and the rejections of objects."""
    uids = [study.uid for study in studies]
    left = insert_into(t.purged_study, db.connection.dialect.name)
    rows = [{"uid": study.uid, "revision": study.revision} for study in studies]
    db.connection.execute(
        left.on_conflict_do_update(index_elements=["uid"], set_={"revision": left.excluded.revision}), rows
    )
    for table in (t.instance, t.statement, t.series, t.departure, t.history):
        db.connection.execute(delete(table).where(table.c.study.in_(uids)))
    db.connection.execute(delete(t.study).where(t.study.c.uid.in_(uids)))


# Facts


class OldFact(NamedTuple):
    id: int
    fact: HL7Fact | PersonFact
    at: str  # when its message was received, or a person decided


def facts_by_age(
    db: Transaction, kinds: Collection[str], after: Place, limit: int
) -> tuple[list[OldFact], Place | None]:
    """The facts of these kinds, the oldest first, and where to go on."""
    query = (
        select(t.fact.c.id, t.fact.c.kind, t.fact.c.doc, t.message.c.received_at)
        .outerjoin(t.message)
        .where(t.fact.c.id > int(after[0]), t.fact.c.kind.in_(kinds))
        .order_by(t.fact.c.id)
        .limit(limit)
    )
    found = [(row.id, decode_fact[row.kind](row.doc), row.received_at) for row in db.connection.execute(query)]
    rows = [OldFact(row_id, fact, received_at or fact.at) for row_id, fact, received_at in found]
    return rows, (str(rows[-1].id),) if rows else None


def received_since(db: Transaction, facts: Collection[int], before: str) -> set[int]:
    """Those of these facts whose message was received at `before` or later."""
    query = select(t.fact.c.id).join(t.message).where(t.fact.c.id.in_(facts), t.message.c.received_at >= before)
    return set(db.connection.execute(query).scalars())


def still_there(db: Transaction, facts: Collection[int]) -> Collection[int]:
    """Those of these facts that are stored."""
    return db.connection.execute(select(t.fact.c.id).where(t.fact.c.id.in_(facts))).scalars().all()


def remove_facts(db: Transaction, facts: Collection[int]) -> None:
    db.connection.execute(delete(t.fact_key).where(t.fact_key.c.fact.in_(facts)))
    db.connection.execute(delete(t.fact).where(t.fact.c.id.in_(facts)))


# Messages


class OldMessage(NamedTuple):
    """A row of the ledger with what rests on it: facts, and the studies of its object, whoever brought that last."""

    id: str
    facts: frozenset[int]
    studies: frozenset[str]


def messages_by_age(
    db: Transaction, status: str, before: str, after: Place, limit: int
) -> tuple[list[str], Place | None]:
    """The messages with this status that were received before then, the oldest first, and where to go on."""
    c = t.message.c
    query = (
        select(c.received_at, c.id)
        .where(c.status == status, c.received_at < before, tuple_(c.received_at, c.id) > tuple_(*after))
        .order_by(c.received_at, c.id)
        .limit(limit)
    )
    rows = db.connection.execute(query).all()
    return [row.id for row in rows], tuple(rows[-1]) if rows else None


def with_what_rests(db: Transaction, messages: Collection[str]) -> list[OldMessage]:
    """These messages, as far as they are stored."""
    brought, current = t.instance.alias(), t.instance.alias()
    query = (
        select(t.message.c.id, t.fact.c.id, brought.c.study, current.c.study)
        .select_from(
            t.message.outerjoin(t.fact, t.fact.c.message == t.message.c.id)
            .outerjoin(brought, brought.c.message == t.message.c.id)
            .outerjoin(current, current.c.uid == t.message.c.instance)
        )
        .where(t.message.c.id.in_(messages))
    )
    facts: dict[str, set[int]] = defaultdict(set)
    studies: dict[str, set[str]] = defaultdict(set)
    for message, fact, *of_object in db.connection.execute(query):
        facts[message] |= {fact} - {None}
        studies[message] |= {*of_object} - {None}
    return [OldMessage(message, frozenset(facts[message]), frozenset(studies[message])) for message in facts]


def messages_with_body(db: Transaction, before: str, after: Place, limit: int) -> tuple[list[str], Place | None]:
    """The messages received before then whose body is kept, the oldest first, and where to go on."""
    c = t.message.c
    query = (
        select(c.received_at, c.id)
        .where(c.body.is_not(None), c.received_at < before, tuple_(c.received_at, c.id) > tuple_(*after))
        .order_by(c.received_at, c.id)
        .limit(limit)
    )
    rows = db.connection.execute(query).all()
    return [row.id for row in rows], tuple(rows[-1]) if rows else None


def remove_messages(db: Transaction, messages: Collection[StoredMessage]) -> None:
    """Removes rows of the ledger; they stay counted."""
    db.forget_messages([row.id for row in messages])
    counted = Counter(f"{PURGED}{row.status}" for row in messages)
    counted.update(f"{PURGED}ERROR-{row.code}" for row in messages if row.status == "ERROR")
    counted[f"{PURGED}DUPLICATE"] = sum(row.duplicates for row in messages)
    outbox.count(db, +counted)
    most = max((row.rejections for row in messages), default=0)
    if most:
        statement = insert_into(t.setting, db.connection.dialect.name).values(name=_REJECTIONS, value=str(most))
        lower = cast(t.setting.c.value, Integer) < most  # asked of the row itself: another purge may raise it now
        changed = {"value": statement.excluded.value}
        db.connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed, where=lower))


def purged_rejections(db: Transaction) -> int:
    """The most that any purged message was rejected: the next rejection of such a message is an event of its own."""
    query = select(t.setting.c.value).where(t.setting.c.name == _REJECTIONS)
    return int(db.connection.execute(query).scalar() or 0)


# Rejection notes


class OldRejection(NamedTuple):
    """A row of `rejection`; `studies` are the stored ones that it rests on: the one it names, and that of the note."""

    instance: str
    note: str
    study: str
    studies: frozenset[str]


def rejections(db: Transaction, after: Place, limit: int) -> tuple[list[OldRejection], Place | None]:
    """The rejections by their key, and where to go on."""
    c = t.rejection.c
    query = select(t.rejection).where(tuple_(c.instance, c.note) > tuple_(*after)).order_by(c.instance, c.note)
    rows = db.connection.execute(query.limit(limit)).all()
    return _resting(db, rows), (rows[-1].instance, rows[-1].note) if rows else None


def rejections_again(db: Transaction, known: Collection[OldRejection]) -> list[OldRejection]:
    """The same rejections as they are now."""
    notes = {(one.instance, one.note) for one in known}
    query = select(t.rejection).where(t.rejection.c.instance.in_({instance for instance, _ in notes}))
    return _resting(db, [row for row in db.connection.execute(query) if (row.instance, row.note) in notes])


def _resting(db: Transaction, rows: Sequence[Row[Any]]) -> list[OldRejection]:
    if not rows:
        return []
    named = select(t.study.c.uid).where(t.study.c.uid.in_({row.study for row in rows}))
    notes = select(t.instance.c.uid, t.instance.c.study).where(t.instance.c.uid.in_({row.note for row in rows}))
    stored = set(db.connection.execute(named).scalars())
    of_note = {uid: study for uid, study in db.connection.execute(notes)}
    resting = [({row.study} & stored) | ({of_note[row.note]} if row.note in of_note else set()) for row in rows]
    return [OldRejection(r.instance, r.note, r.study, frozenset(on)) for r, on in zip(rows, resting, strict=True)]


# The clock


def latest(db: Transaction) -> str | None:
    """The latest time of anything that was stored."""
    messages = [
        select(func.max(t.message.c.received_at)).where(t.message.c.status == status)
        for status in ("TRANSFORMED", "FILTERED", "ERROR")
    ]
    found = [db.connection.scalar(query) for query in (*messages, select(func.max(t.history.c.at)))]
    return max((moment for moment in found if moment), default=None)
