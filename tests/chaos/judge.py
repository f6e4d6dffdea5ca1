"""Judges what a chaos run ended in: the ledger, the dead letters, the events, and a run of the same without faults."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bridge.core.decision import Verdict
from bridge.core.ports import Outbound
from bridge.core.publishing import Origin
from bridge.correlation import Site
from bridge.intake import Intake
from bridge.store.store import Store
from tests.chaos.engine import Event
from tests.chaos.traffic import CHANNELS, Sending

LOST = "every message that was confirmed to a producer has a row"

_SHOWN = 3  # examples of a violation
_BATCH = 50  # messages of one transaction of the run without faults
_NOW = "2050-01-01T09:00:00.000000Z"
_CHUNK = 500  # studies loaded at once

# Of a study from which its objects were corrected away. It has a row or not, whichever version came first.
_LEFT = (Verdict.PENDING, "no-instances", frozenset[str]())


class Violation(NamedTuple):
    """A promise that was not kept: how often, and where to begin to look."""

    promise: str
    times: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.promise}: broken {self.times} times, such as {'; '.join(self.examples)}"


def violation(promise: str, broken: Iterable[object]) -> Violation:
    """`broken` holds what broke it, if anything."""
    all_of_them = sorted(map(str, broken))
    return Violation(promise, len(all_of_them), tuple(all_of_them[:_SHOWN]))


@dataclass(frozen=True)
class Observed:
    """What was seen of a run from outside.

    `attempts` counts the messages of all publications, those that were never confirmed included; `ledger` is the answer
    of `bridge status --json`; `letters` are the dead letters: properties and body.
    """

    obligations: Sequence[Sending]
    attempts: int
    ledger: Mapping[str, Any]
    letters: Collection[tuple[Any, bytes]]
    events: Mapping[str, Event]

    @property
    def rows(self) -> set[str]:
        """The ids of the ledger's rows that there have to be."""
        return {row for one in self.obligations for row in one.rows}


@dataclass(frozen=True)
class End:
    """What a database holds, as far as every run of the same messages must end in it."""

    messages: Mapping[str, tuple[str, str | None]]  # status and code of each row
    studies: Mapping[str, tuple[str, str | None, frozenset[str]]]  # verdict, reason and linked orders
    objects: Mapping[str, str]  # the study of each current object


def without_faults(folder: Path, obligations: Sequence[Sending]) -> End:
    """What the same messages end in when nothing happens to them."""
    store = Store(f"sqlite:///{folder / 'undisturbed.db'}", durable=False)
    store.migrate()
    studies: set[str] = set()

    def owed(events: Sequence[Outbound]) -> None:
        studies.update(event.headers["partitionkey"] for event in events)

    intake = Intake(store, Site(Origin("chaos", "undisturbed"), CHANNELS), lambda: _NOW, owed)
    messages = [one.inbound for one in {one.rows: one for one in obligations}.values()]
    for start in range(0, len(messages), _BATCH):
        intake.receive(messages[start : start + _BATCH])
    end = _end_of(store, {row for one in obligations for row in one.rows}, studies)
    store.close()
    return end


def _end_of(store: Store, rows: Collection[str], studies: Collection[str]) -> End:
    """What the database says of these rows of the ledger and of these studies."""
    left = iter(sorted(studies))
    with store.read() as db:
        messages = {row.id: (row.status, row.code) for row in db.messages(rows).values()}
        end = End(messages, {}, {})
        while chunk := list(islice(left, _CHUNK)):
            decisions = {study.uid: study.decision for study in db.studies(chunk).values()}
            said = {uid: (d.verdict, d.reason, frozenset(d.orders)) for uid, d in decisions.items() if d}
            held = db.instances_of(chunk).items()
            objects = {one.instance.sop_instance_uid: uid for uid, stored in held for one in stored}
            end = End(messages, {**end.studies, **said}, {**end.objects, **objects})
    return end


def violations(store: Store, seen: Observed, undisturbed: End) -> list[Violation]:
    """Every promise that was not kept."""
    end = _end_of(store, seen.rows, undisturbed.studies)
    kept_or_not = [
        *_of_the_ledger(seen, end),
        *_of_the_verdicts(seen, end, undisturbed),
        *_of_dead_letters(store, seen, end),
        *_of_studies(store, seen, end),
        *_of_objects(store, seen, end),
    ]
    return [one for one in kept_or_not if one.times]


def _of_the_ledger(seen: Observed, end: End) -> Iterator[Violation]:
    messages, outbox = seen.ledger["messages"], seen.ledger["outbox"]
    yield violation(LOST, seen.rows - set(end.messages))
    under_way = (row for row, (status, _) in end.messages.items() if status == "RECEIVED")
    yield violation("no message is under way at the end", under_way)
    counted = messages["TRANSFORMED"] + messages["FILTERED"] + messages["ERROR"]
    wrong = [f"{counted} rows of {len(seen.rows)} messages"] if counted != len(seen.rows) else []
    yield violation("each message has exactly one row", wrong)
    # A duplicate that is itself redelivered is not counted (docs/decisions/0007); what was published and not confirmed
    # may have arrived or not.
    duplicates, most = messages["DUPLICATE"], seen.attempts - len(seen.rows)
    wrong = [f"{duplicates} of at most {most}"] if duplicates > most else []
    yield violation("no more duplicates are counted than were published", wrong)
    expected = {"QUEUED": 0, "SENT": len(seen.events), "UNROUTED": 0}
    wrong = [f"{outbox}, not {expected}"] if outbox != expected else []
    yield violation("each event is counted once, and was received", wrong)


def _of_the_verdicts(seen: Observed, end: End, undisturbed: End) -> Iterator[Violation]:
    for promise, ours, theirs, absent in (
        ("each message became what it becomes without faults", end.messages, undisturbed.messages, None),
        ("each study has the verdict and links that it has without faults", end.studies, undisturbed.studies, _LEFT),
        ("each object is in the study in which it is without faults", end.objects, undisturbed.objects, None),
    ):
        pairs = {key: (ours.get(key, absent), theirs.get(key, absent)) for key in {*ours, *theirs}}
        yield violation(promise, (f"{key}: {one}, not {other}" for key, (one, other) in pairs.items() if one != other))
    counted, expected = seen.ledger["instances"], len(undisturbed.objects)
    yield violation("no object came from nowhere", [f"{counted}, not {expected}"] if counted != expected else [])


def _of_dead_letters(store: Store, seen: Observed, end: End) -> Iterator[Violation]:
    rejected = {row for row, (status, _) in end.messages.items() if status == "ERROR"}
    buried = {(properties.headers or {}).get("bridge-message"): body for properties, body in seen.letters}
    yield violation("each rejected message is in bridge.dead", rejected - set(buried))
    yield violation("nothing else is in bridge.dead", set(buried) - rejected)
    published = {one.rows[0]: one.inbound.body for one in seen.obligations if len(one.rows) == 1}
    changed = (row for row, body in buried.items() if row in published and published[row] != body)
    yield violation("a dead letter has the body that was published", changed)
    told = {(event.subject, event.revision) for event in seen.events.values() if event.name == "message.rejected"}
    with store.read() as db:
        rows = db.messages(rejected).values()
    owed = {(row.id, revision) for row in rows for revision in range(1, row.rejections + 1)}
    yield violation("each rejection was published", owed - told)


def _of_studies(store: Store, seen: Observed, end: End) -> Iterator[Violation]:
    received = {(event.name, event.partition, event.revision) for event in seen.events.values()}
    newest: dict[str, Event] = {}
    for event in sorted(seen.events.values(), key=lambda event: event.revision):
        newest[event.partition] = event
    missing, behind = [], []
    with store.read() as db:
        for uid, (verdict, reason, orders) in end.studies.items():
            owed = {(name, uid, entry.revision) for entry in db.history(uid) for name in entry.events}
            missing += [f"{name} of {uid}, revision {revision}" for name, _, revision in owed - received]
            last = newest.get(uid)
            untold = last is None and (verdict, reason, orders) != _LEFT
            if untold or (last and (last.verdict, last.orders) != (verdict, orders)):
                behind.append(f"{uid}: {last}, not {verdict} {sorted(orders)}")
    yield violation("every event of a study that is owed was published", missing)
    yield violation("the newest event of a study says what the database says", behind)


def _of_objects(store: Store, seen: Observed, end: End) -> Iterator[Violation]:
    events: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in seen.events.values():
        events[event.partition, event.subject].append(event)
    untold = (uid for uid, study in end.objects.items() if (study, uid) not in events)
    yield violation("every object was published", untold)
    with store.read() as db:
        matched = [uid for uid, (verdict, _, _) in end.studies.items() if verdict == Verdict.MATCHED]
        taken_out = {instance for study in matched for instance, _ in db.studies([study])[study].rejections}
    wrong = []
    for uid, study in end.objects.items():
        verdict, _reason, orders = end.studies[study]
        enriched = [event for event in events[study, uid] if event.name == "instance.enriched"]
        last = max(enriched, key=lambda event: event.revision, default=None)
        if verdict == Verdict.MATCHED and uid not in taken_out and (last is None or last.orders != orders):
            wrong.append(f"{uid} of {study}: {last}")
    yield violation("every enriched object was published with its orders", wrong)
