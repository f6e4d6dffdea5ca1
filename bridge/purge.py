"""Removes what is older than the site keeps it, in small steps beside the running service (docs/decisions/0017).

It must never change a verdict about what stays, lose an event that is owed or the revision of a study, nor let a
message that comes again do harm: what rests on something that stays, stays.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from msgspec.structs import replace

from bridge import metrics
from bridge.core.errors import Unavailable
from bridge.core.link_decisions import decision_lookups
from bridge.core.model import LinkDecision
from bridge.core.rules import Pair, order_lookups, study_lookups
from bridge.correlation import Site
from bridge.correlation.resting import Gone, Leaving, Resting
from bridge.periodic import Periodic
from bridge.store import retention as stored
from bridge.store.leases import Lease
from bridge.store.retention import OldFact, OldRejection, Place
from bridge.store.rows import StoredMessage, StoredStudy
from bridge.store.store import Store
from bridge.store.transaction import Transaction

log = logging.getLogger(__name__)

_LOOK = 500  # rows of one look, which hinders nobody
# What one write transaction is about at most; a study of more objects leaves as a whole.
_MESSAGES, _FACTS, _STUDIES, _OBJECTS = 200, 100, 50, 200
_OTHERS = 1.0  # times as long as a step kept others from writing, they have the database for themselves
_LONGEST_PAUSE = 3600.0  # seconds between two passes
_PASSES = 20  # within the shortest time that something is kept
_BELIEVED = timedelta(days=7)  # that a clock may be ahead of what was stored last, and of the time that passed since

T = TypeVar("T")
Removed = Counter[str]  # how many of what


class Retention(NamedTuple):
    """How long the site keeps rows of the ledger, bodies of messages, and studies with their orders; None: for ever."""

    messages: timedelta | None
    bodies: timedelta | None
    studies: timedelta | None


class Kind(Protocol):
    """One kind of what is purged."""

    start: Place

    def look(self, db: Transaction, after: Place) -> tuple[list[Any], Place | None]:
        """What is old, in parts that are small enough for one transaction, and where to go on."""

    def going(self, db: Transaction, part: Any) -> Any:
        """What of a part nothing rests on."""

    def count(self, db: Transaction, going: Any) -> Removed:
        """How much that is."""

    def remove(self, db: Transaction, going: Any) -> None:
        """Removes it."""

    def suppose(self, going: Any) -> None:
        """Takes it for removed from now on."""


class Step(NamedTuple):
    """One small transaction: what it removed, and for how long it kept others from writing."""

    removed: Removed
    seconds: float


def steps(
    store: Store, site: Site, retention: Retention, now: str, clock: Callable[[], float] = lambda: 0.0
) -> Iterator[Step]:
    """One pass over everything, step by step; `clock` gives seconds.

    Raises:
        Unavailable: the database does not answer; what was removed so far is removed.
    """
    for kind in _kinds(site, retention, now, Gone()):
        place: Place | None = kind.start
        while place is not None:
            with store.read() as db:
                parts, place = kind.look(db, place)
                # What has to stay is found out without keeping anybody from writing.
                parts = [part for part in parts if kind.count(db, kind.going(db, part))]
            for part in parts:
                yield _step(store, partial(_remove, kind, part), clock)


def _step(store: Store, remove: Callable[[Transaction], Removed], clock: Callable[[], float]) -> Step:
    """The wait for the turn to write is not counted: only then it is others who wait."""
    began = 0.0

    def timed(db: Transaction) -> Removed:
        nonlocal began
        began = clock()
        return remove(db)

    removed = store.transact(timed)
    return Step(removed, clock() - began)


def supposed(store: Store, site: Site, retention: Retention, now: str) -> Removed:
    """What a pass would remove; nothing is changed."""
    total = Removed()
    for kind in _kinds(site, retention, now, Gone()):
        place: Place | None = kind.start
        while place is not None:
            with store.read() as db:
                parts, place = kind.look(db, place)
                for part in parts:
                    going = kind.going(db, part)
                    total += kind.count(db, going)
                    kind.suppose(going)
    return total


def _remove(kind: Kind, part: Any, db: Transaction) -> Removed:
    going = kind.going(db, part)  # now that nobody else can change what it depends on
    removed = kind.count(db, going)
    if removed:
        kind.remove(db, going)
    return removed


def _kinds(site: Site, retention: Retention, now: str, gone: Gone) -> list[Kind]:
    """In the sequence in which one rests on another."""
    messages, bodies, studies = (_before(now, kept) for kept in retention)
    kinds: list[Kind] = []
    if studies is not None:
        kinds += [_Studies(studies, gone), _Facts(_ORDERS, site, studies, gone), _Facts(_OTHER, site, studies, gone)]
        kinds += [_Rejections(gone)]
    if messages is not None:
        kinds += [_Messages(status, messages, gone) for status in ("FILTERED", "ERROR")]
    if messages is not None and studies is not None:
        kinds += [_Messages("TRANSFORMED", min(messages, studies), gone)]
    if messages is not None or bodies is not None:
        kinds += [_Bodies(max(messages or "", bodies or ""), gone)]
    return kinds


def _before(now: str, kept: timedelta | None) -> str | None:
    """What is stored with an earlier time than this one is older than it has to be kept."""
    return None if kept is None else rfc3339(datetime.fromisoformat(now) - kept)


def rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Studies:
    """Studies of which nothing has changed and nothing is due: all but the revision, and what people decided."""

    start: Place = ("", "")

    def __init__(self, before: str, gone: Gone) -> None:
        self._before = before
        self._gone = gone

    def look(self, db: Transaction, after: Place) -> tuple[list[list[str]], Place | None]:
        studies, place = stored.changed_before(db, self._before, after, _LOOK)
        quiet = stored.quiet(db, studies, self._before) if studies else []
        objects = stored.number_of_objects(db, quiet) if quiet else Removed()
        parts: list[list[str]] = []
        for uid in quiet:
            if not parts or len(parts[-1]) == _STUDIES or sum(objects[one] for one in [*parts[-1], uid]) > _OBJECTS:
                parts.append([])
            parts[-1].append(uid)
        return parts, place

    def going(self, db: Transaction, part: list[str]) -> list[StoredStudy]:
        known = db.studies(set(part) - self._gone.studies)
        return [known[uid] for uid in stored.quiet(db, known, self._before)]

    def count(self, db: Transaction, going: list[StoredStudy]) -> Removed:
        objects = stored.number_of_objects(db, [study.uid for study in going])
        return +Removed(studies=len(going), objects=objects.total())

    def remove(self, db: Transaction, going: list[StoredStudy]) -> None:
        stored.remove_studies(db, going)
        # Decisions of people stay, and so do the keys that they are found by.
        keys = [(s.uid, study_lookups(s.current_statements()) - decision_lookups(s.decisions)) for s in going]
        db.save_owners("study", [], [(key, uid) for uid, found_by in keys for key in found_by])

    def suppose(self, going: list[StoredStudy]) -> None:
        self._gone.studies |= {study.uid for study in going}


_ORDERS = ("order-update",)
_OTHER = ("appointment", "report", "patient-update", "link-decision")


class _Facts:
    """What messages said about orders, reports, appointments and patients, and what people decided about studies."""

    start: Place = ("0",)

    def __init__(self, kinds: Sequence[str], site: Site, before: str, gone: Gone) -> None:
        self._kinds = kinds
        self._site = site
        self._before = before
        self._gone = gone

    def look(self, db: Transaction, after: Place) -> tuple[list[list[OldFact]], Place | None]:
        facts, place = stored.facts_by_age(db, self._kinds, after, _LOOK)
        old = [fact for fact in facts if fact.at < self._before]
        return _in_parts(old, _FACTS), place if old else None  # rows are as old as they are low

    def going(self, db: Transaction, part: list[OldFact]) -> Leaving:
        known = set(stored.still_there(db, [fact.id for fact in part])) - self._gone.facts
        return Resting(db, self._site, self._before, self._gone).leaving(fact for fact in part if fact.id in known)

    def count(self, db: Transaction, going: Leaving) -> Removed:
        return +Removed(facts=len(going.facts), orders=len(db.orders(going.orders)))

    def remove(self, db: Transaction, going: Leaving) -> None:
        stored.remove_facts(db, going.facts)
        db.save_orders([], going.orders)
        keys = [(key, order.id) for order in going.orders.values() for key in order_lookups(order)]
        db.save_owners("order", [], keys)
        decisions = [fact for fact in going.facts.values() if isinstance(fact, LinkDecision)]
        found_by: list[tuple[Pair, str]] = [
            (key, decision.study_instance_uid) for decision in decisions for key in decision_lookups([decision])
        ]
        db.save_owners("study", [], found_by)

    def suppose(self, going: Leaving) -> None:
        self._gone.facts |= going.facts.keys()
        self._gone.orders |= going.orders.keys()


class _Rejections:
    """The objects that notes rejected, when both the study and the note are gone."""

    start: Place = ("", "")

    def __init__(self, gone: Gone) -> None:
        self._gone = gone

    def look(self, db: Transaction, after: Place) -> tuple[list[list[OldRejection]], Place | None]:
        rejections, place = stored.rejections(db, after, _LOOK)
        return _in_parts(rejections, _MESSAGES), place

    def going(self, db: Transaction, part: list[OldRejection]) -> list[OldRejection]:
        db.instances({uid for one in part for uid in (one.instance, one.note)})  # nobody else may change them now
        db.studies({one.study for one in part})
        return [one for one in stored.rejections_again(db, part) if one.studies <= self._gone.studies]

    def count(self, db: Transaction, going: list[OldRejection]) -> Removed:
        return +Removed(rejections=len(going))

    def remove(self, db: Transaction, going: list[OldRejection]) -> None:
        db.save_rejections([], [(one.instance, one.note) for one in going])

    def suppose(self, going: list[OldRejection]) -> None:
        """Nothing rests on them."""


class _Messages:
    """Rows of the ledger with one status: those of which neither a fact nor the object is stored. They stay counted."""

    start: Place = ("", "")

    def __init__(self, status: str, before: str, gone: Gone) -> None:
        self._status = status
        self._before = before
        self._gone = gone

    def look(self, db: Transaction, after: Place) -> tuple[list[list[str]], Place | None]:
        messages, place = stored.messages_by_age(db, self._status, self._before, after, _LOOK)
        return _in_parts(messages, _MESSAGES), place

    def going(self, db: Transaction, part: list[str]) -> list[StoredMessage]:
        known = {row.id: row for row in db.messages(part).values() if row.status == self._status}
        resting = stored.with_what_rests(db, known)
        leaving = [one for one in resting if one.facts <= self._gone.facts and one.studies <= self._gone.studies]
        return [known[one.id] for one in leaving]

    def count(self, db: Transaction, going: list[StoredMessage]) -> Removed:
        return +Removed(messages=len(going))

    def remove(self, db: Transaction, going: list[StoredMessage]) -> None:
        stored.remove_messages(db, going)

    def suppose(self, going: list[StoredMessage]) -> None:
        self._gone.messages |= {row.id for row in going if row.body is not None}


class _Bodies:
    """The bodies that are kept of HL7 messages; those of messages that leave are gone with them."""

    start: Place = ("", "")

    def __init__(self, before: str, gone: Gone) -> None:
        self._before = before
        self._gone = gone

    def look(self, db: Transaction, after: Place) -> tuple[list[list[str]], Place | None]:
        messages, place = stored.messages_with_body(db, self._before, after, _LOOK)
        return _in_parts(messages, _MESSAGES), place

    def going(self, db: Transaction, part: list[str]) -> list[str]:
        known = set(part) - self._gone.messages
        return [row.id for row in db.messages(known).values() if row.body is not None]

    def count(self, db: Transaction, going: list[str]) -> Removed:
        return +Removed(bodies=len(going))

    def remove(self, db: Transaction, going: list[str]) -> None:
        db.save_messages([replace(row, body=None) for row in db.messages(going).values()])

    def suppose(self, going: list[str]) -> None:
        """Nothing rests on them."""


def _in_parts(old: Sequence[T], most: int) -> list[list[T]]:
    return [list(old[start : start + most]) for start in range(0, len(old), most)]


class Purge:
    """One thread that purges now and then; of several processes, one does it for all.

    `now` gives the time in RFC 3339, `monotonic` seconds.
    """

    def __init__(
        self, store: Store, site: Site, retention: Retention, now: Callable[[], str], monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._site = site
        self._retention = retention
        self._now = now
        self._monotonic = monotonic
        self._lease = Lease(store, "purge", monotonic)
        self._known: tuple[datetime, float] | None = None  # a time that was believed, and when by the other clock
        shortest = min((kept for kept in retention if kept), default=timedelta(days=1))
        pause = min(_LONGEST_PAUSE, shortest.total_seconds() / _PASSES)
        self._thread = Periodic("purge", self._purge_or_wait, pause)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        self._thread.stop(seconds)

    def purge(self) -> Removed:
        """One pass, or none where another process purges, or where the clock cannot be believed.

        Raises:
            Unavailable: the database does not answer.
        """
        total = Removed()
        now = self._now()
        if not self._lease.held() or not self._believable(datetime.fromisoformat(now)):
            return total
        for removed, seconds in steps(self._store, self._site, self._retention, now, self._monotonic):
            total += removed
            metrics.purged(removed)
            if self._thread.ending.wait(_OTHERS * seconds) or not self._lease.held():
                break
        else:
            metrics.purge_ended(now)
        if total:
            log.info("purged", extra=dict(total))
        return total

    def _believable(self, now: datetime) -> bool:
        """Whether the clock is near what it was before: one that jumps ahead would have everything removed."""
        passed = self._monotonic()
        if self._known is None:
            with self._store.read() as db:
                latest = stored.latest(db)
            self._known = (datetime.fromisoformat(latest) if latest else now), passed
        known, then = self._known
        if now - known > timedelta(seconds=passed - then) + _BELIEVED:
            log.warning("not purged: the clock is more than a week ahead of what was stored last; see bridge purge")
            return False
        self._known = now, passed
        return True

    def _purge_or_wait(self) -> None:
        try:
            self.purge()
        except Unavailable as error:
            log.warning("purging waits: %s", error)
        except Exception:
            log.exception("bug: purging failed; please report this")
