"""What people ask of the store: figures, what has a number, what waits, and how it came to that. Nothing is written."""

from collections.abc import Collection, Mapping
from hashlib import sha256

from sqlalchemy import Connection, Table, and_, func, or_, select, union
from sqlalchemy.sql.elements import ColumnElement

from bridge.core.decision import Verdict
from bridge.store import schema as t
from bridge.store.rows import HistoryEntry, StoredInstance, decode_history, decode_instance


class Lookups:
    """Questions over one connection; those that intake and relay ask are `Transaction`'s."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """For the statements of this package's other modules."""
        return self._connection

    def figures(self) -> dict[str, dict[str, int]]:
        """Counts of messages, duplicates, rejected (by code), studies, overdue, outbox, refused, stored, by status.

        Messages that were purged count on; the others are what is stored now.
        """
        patients = union(
            select(t.matching_key.c.value).where(t.matching_key.c.rule == "patient-id"),
            select(t.fact_key.c.value).where(t.fact_key.c.level == "patient"),
        ).subquery()
        rejected = select(t.message.c.code, func.count()).where(t.message.c.status == "ERROR")
        duplicates = int(self._connection.scalar(select(func.sum(t.message.c.duplicates))) or 0)
        counted = {row.name: row.value for row in self._connection.execute(select(t.counter))}
        purged = {name.removeprefix(PURGED): count for name, count in counted.items() if name.startswith(PURGED)}
        purged_codes = {name.removeprefix("ERROR-"): n for name, n in purged.items() if name.startswith("ERROR-")}
        return {
            "messages": _added(self._grouped(t.message.c.status), {s: n for s, n in purged.items() if s in _STATUSES}),
            "duplicates": {"all": duplicates + purged.get("DUPLICATE", 0)},
            "rejected": _added(dict(self._connection.execute(rejected.group_by(t.message.c.code)).all()), purged_codes),
            "studies": self._grouped(t.study.c.verdict),
            "overdue": {"all": self._number(t.study, _OVERDUE)},
            "outbox": {
                "QUEUED": self._number(t.outbox),
                **{name: count for name, count in counted.items() if not name.startswith(PURGED)},
            },
            "refused": {"all": self._number(t.outbox, t.outbox.c.refused)},
            "stored": {
                "orders": self._number(t.imaging_order),
                "instances": self._number(t.instance),
                "patients": int(self._connection.scalar(select(func.count()).select_from(patients)) or 0),
            },
        }

    def glance(self) -> dict[str, dict[str, int]]:
        """What is cheap enough to be counted every few seconds: studies by verdict, events that are owed or refused."""
        return {
            "studies": self._grouped(t.study.c.verdict),
            "outbox": {
                "QUEUED": self._number(t.outbox),
                "REFUSED": self._number(t.outbox, t.outbox.c.refused),
            },
        }

    def number_of_owed_events(self) -> int:
        return self._number(t.outbox)

    def number_of_studies(self) -> int:
        return self._number(t.study)

    def studies_holding(self, uid: str) -> list[str]:
        """The studies of which `uid` is a study, series or SOP Instance UID."""
        found = [
            select(t.study.c.uid).where(t.study.c.uid == uid),
            select(t.series.c.study).where(t.series.c.uid == uid),
            select(t.instance.c.study).where(t.instance.c.uid == uid),
        ]
        return sorted({study for query in found for study in self._connection.execute(query).scalars()})

    def owners_of_value(self, side: str, value: str) -> list[str]:
        """The orders or studies (`side`) that have `value` under any key."""
        c = t.matching_key.c
        query = (
            select(c.owner)
            .where(c.side == side, c.value == stored_key(value))
            .group_by(c.owner)
            .order_by(self._bytewise(c.owner))
        )
        return list(self._connection.execute(query).scalars())

    def waiting(
        self, verdicts: Collection[Verdict], *, overdue: bool, since: str | None, limit: int
    ) -> tuple[list[str], int]:
        """The UIDs of the studies with one of these verdicts, and where wanted of the overdue ones, the oldest first.

        At most `limit` of them, and how many there are; `since` (RFC 3339) leaves out what has become so before.
        """
        c = t.study.c
        became = [and_(c.verdict.in_(sorted(verdicts)), c.since >= (since or ""))] if verdicts else []
        became += [and_(_OVERDUE, c.overdue_at >= (since or ""))] if overdue else []
        wanted = or_(*became)
        query = select(c.uid).where(wanted).order_by(c.since, self._bytewise(c.uid)).limit(limit)
        return list(self._connection.execute(query).scalars()), self._number(t.study, wanted)

    def changed_since(self, since: str, after: str, limit: int) -> list[str]:
        """The UIDs, in sequence and behind `after`, of at most so many studies with another revision since then."""
        c = t.history.c
        query = select(c.study).where(c.study > after, c.at >= since).distinct().order_by(c.study).limit(limit)
        return list(self._connection.execute(query).scalars())

    def an_object_of(self, study: str) -> StoredInstance | None:
        """Any one of its objects."""
        query = select(t.instance.c.doc).where(t.instance.c.study == study).limit(1)
        doc = self._connection.scalar(query)
        return decode_instance(doc) if doc else None

    def history(self, study: str) -> list[HistoryEntry]:
        rows = self._connection.execute(
            select(t.history.c.doc).where(t.history.c.study == study).order_by(t.history.c.revision)
        )
        return [decode_history(row.doc) for row in rows]

    def _bytewise(self, column: ColumnElement[str]) -> ColumnElement[str]:
        """In a sequence that is the same in every database, whatever its locale."""
        return column if self._connection.dialect.name == "sqlite" else column.collate("C")

    def _grouped(self, column: ColumnElement[str]) -> dict[str, int]:
        query = select(column, func.count()).group_by(column)
        return {name: int(n) for name, n in self._connection.execute(query)}

    def _number(self, table: Table, *wanted: ColumnElement[bool]) -> int:
        return int(self._connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0)


def stored_key(value: str) -> str:
    """How a key's value is stored: PostgreSQL indexes 2,700 bytes at most, so a longer one is stored as its digest."""
    if len(value) <= _LONGEST_KEY:
        return value
    return f"{value[:_LONGEST_KEY]}#{sha256(value.encode()).hexdigest()}"


_LONGEST_KEY = 250  # characters, of which each may take four bytes


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted(one.keys() | other.keys())}


PURGED = "purged-"  # what the counters of removed messages begin with: a status follows, of errors also the code
_STATUSES = frozenset({"TRANSFORMED", "FILTERED", "ERROR"})

_OVERDUE = and_(t.study.c.verdict == Verdict.PENDING, t.study.c.overdue_at.is_not(None))
