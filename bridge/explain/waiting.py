"""`bridge studies`: what waits for a person, the oldest first, at most so many of however many there are."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.core.decision import SUGGESTIONS, Candidate, Verdict
from bridge.core.events import PublishedNumber, PublishedPatient
from bridge.core.publishing import published_study
from bridge.core.redaction import redacted
from bridge.core.struct import Value
from bridge.correlation import series_of
from bridge.explain.values import age, counted, shown
from bridge.store.rows import StoredStudy
from bridge.store.transaction import Transaction

OVERDUE = "overdue"  # pending for longer than the hold
FOR_A_PERSON = (Verdict.CONFLICT, Verdict.AMBIGUOUS, OVERDUE)
WAITING = (*FOR_A_PERSON, Verdict.PENDING)


class WaitingStudy(Value):
    """A study that is not linked; `verdict` is pending where it is overdue, too. Times are RFC 3339."""

    study_instance_uid: str
    verdict: Verdict
    reason: str | None
    since: str
    overdue_at: str | None
    modalities: tuple[str, ...]
    accession_numbers: tuple[PublishedNumber, ...]
    patient: PublishedPatient
    station: str | None
    candidates: tuple[Candidate, ...]
    revision: int


class Waiting(Value):
    """The oldest of those that wait; `total` is how many there are, of `known` studies in all."""

    studies: tuple[WaitingStudy, ...]
    total: int
    known: int


def waiting(
    db: Transaction, verdicts: Collection[str], *, now: str, within: timedelta | None = None, limit: int = 100
) -> Waiting:
    """The studies of these verdicts (`WAITING`), `within` so much time before `now` (RFC 3339) where that is given."""
    since = (
        (datetime.fromisoformat(now) - within).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if within is not None
        else None
    )
    stated = [Verdict(verdict) for verdict in verdicts if verdict != OVERDUE]
    uids, total = db.waiting(stated, overdue=OVERDUE in verdicts, since=since, limit=limit)
    studies = db.studies(uids)
    return Waiting(tuple(_waiting(db, studies[uid]) for uid in uids), total, db.number_of_studies())


def _waiting(db: Transaction, study: StoredStudy) -> WaitingStudy:
    if study.decision is None:
        raise AssertionError("a study that is stored has a decision")
    published = published_study(study.uid, study.current_statements(), series_of(study))
    stored = db.an_object_of(study.uid)
    return WaitingStudy(
        study_instance_uid=study.uid,
        verdict=study.decision.verdict,
        reason=study.decision.reason,
        since=study.since,
        overdue_at=study.overdue_at,
        modalities=published.modalities,
        accession_numbers=published.accession_numbers,
        patient=published.patient,
        station=stored.instance.station_name if stored else None,
        candidates=study.decision.candidates,
        revision=study.revision,
    )


def as_json(found: Waiting, *, redact: bool) -> Any:
    """`{"studies": […], "total": N}`; N counts those, too, that the limit left out."""
    answer = msgspec.to_builtins({"studies": found.studies, "total": found.total})
    return redacted(answer) if redact else answer


def as_text(found: Waiting, verdicts: Collection[str], *, redact: bool, now: str) -> RenderableType:
    """A line each, and how many of how many."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("since", "verdict", "modality", "accession number", "patient", "station", "reason", "study"):
        table.add_column(heading, overflow="fold")
    for one in found.studies:
        table.add_row(*(Text(cell) for cell in _cells(one, redact, now)))
    more = found.total - len(found.studies)
    left_out = [f"{more} more are not shown: --limit {found.total} shows them."] if more else []
    waits = "for a person" if set(verdicts) <= set(FOR_A_PERSON) else "for an order or a person"
    conclusion = f"{found.total} of {found.known} studies {'waits' if found.total == 1 else 'wait'} {waits}."
    return Group(*([table] if found.studies else []), *left_out, conclusion)


def _cells(one: WaitingStudy, redact: bool, now: str) -> Iterator[str]:
    numbers = [number.value for number in one.accession_numbers]
    patients = [identifier.value for identifier in one.patient.identifiers[:1]]
    yield age(one.since, now)
    yield OVERDUE if one.overdue_at else str(one.verdict)
    yield "/".join(one.modalities) or "-"
    yield _first(numbers, redact)
    yield _first(patients, redact)
    yield shown(one.station or "-", False)
    yield _reason(one)
    yield one.study_instance_uid


def _first(values: Sequence[str], redact: bool) -> str:
    more = f" +{len(values) - 1}" if len(values) > 1 else ""
    return f"{shown(values[0], redact)}{more}" if values else "-"


def _reason(one: WaitingStudy) -> str:
    """Why, and how many orders may be meant."""
    suggested = sum(set(candidate.keys) <= set(SUGGESTIONS) for candidate in one.candidates)
    sharing = len(one.candidates) - suggested
    told = (counted(sharing, "candidate") if sharing > 1 else "", counted(suggested, "suggestion") if suggested else "")
    return "; ".join((one.reason or "", *filter(None, told)))
