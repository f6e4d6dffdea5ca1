"""What people ask of the store: figures, what has a number, what waits, and how it came to that. Nothing is written."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, Table, and_, func, or_, select, union
from sqlalchemy.sql.elements import ColumnElement

from bridge.core.decision import Verdict
from bridge.store import schema as t
from bridge.store.rows import HistoryEntry, StoredInstance

_decode_history = msgspec.json.Decoder(HistoryEntry).decode
_decode_instance = msgspec.json.Decoder(StoredInstance).decode


class Lookups:
    """Questions over one connection; those that intake and relay ask are `Transaction`'s."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def figures(self) -> dict[str, dict[str, int]]:
        """Counts by table and status: messages, duplicates, rejected (by code), studies, overdue, outbox, stored."""
        patients = union(
            select(t.matching_key.c.value).where(t.matching_key.c.rule == "patient-id"),
            select(t.fact_key.c.value).where(t.fact_key.c.level == "patient"),
        ).subquery()
        rejected = select(t.message.c.code, func.count()).where(t.message.c.status == "ERROR")
        return {
            "messages": self._grouped(t.message.c.status),
            "duplicates": {"all": int(self._connection.scalar(select(func.sum(t.message.c.duplicates))) or 0)},
            "rejected": {code: n for code, n in self._connection.execute(rejected.group_by(t.message.c.code))},
            "studies": self._grouped(t.study.c.verdict),
            "overdue": {"all": self._number(t.study, _OVERDUE)},
            "outbox": {
                "QUEUED": self._number(t.outbox),
                **{row.name: row.value for row in self._connection.execute(select(t.counter))},
            },
            "stored": {
                "orders": self._number(t.imaging_order),
                "instances": self._number(t.instance),
                "patients": int(self._connection.scalar(select(func.count()).select_from(patients)) or 0),
            },
        }

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
        query = select(c.owner).where(c.side == side, c.value == value).distinct().order_by(c.owner)
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
        query = select(c.uid).where(wanted).order_by(c.since, c.uid).limit(limit)
        return list(self._connection.execute(query).scalars()), self._number(t.study, wanted)

    def an_object_of(self, study: str) -> StoredInstance | None:
        """Any one of its objects."""
        query = select(t.instance.c.doc).where(t.instance.c.study == study).limit(1)
        doc = self._connection.scalar(query)
        return _decode_instance(doc) if doc else None

    def history(self, study: str) -> list[HistoryEntry]:
        rows = self._connection.execute(
            select(t.history.c.doc).where(t.history.c.study == study).order_by(t.history.c.revision)
        )
        return [_decode_history(row.doc) for row in rows]

    def _grouped(self, column: ColumnElement[str]) -> dict[str, int]:
        query = select(column, func.count()).group_by(column)
        return {name: int(n) for name, n in self._connection.execute(query)}

    def _number(self, table: Table, *wanted: ColumnElement[bool]) -> int:
        return int(self._connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0)


_OVERDUE = and_(t.study.c.verdict == Verdict.PENDING, t.study.c.overdue_at.is_not(None))
