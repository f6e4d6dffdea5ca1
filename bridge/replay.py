"""Tells the current state of studies again, as events under a new revision, beside the running service."""

from collections.abc import Iterator
from hashlib import blake2b

from bridge.correlation import Cause, Correlation, Site
from bridge.store.store import Store
from bridge.store.transaction import Transaction

_PAGE = 500  # studies that are looked for at once


def replay(store: Store, site: Site, study: str, user: str, at: str) -> int | None:
    """Owes the events of one study again; how many they are, or None where there is no such study.

    `at` is RFC 3339. `bridge run` publishes them, before or after what else is owed of the study: as `revision` says.
    """

    def work(db: Transaction) -> int | None:
        own_id = blake2b("\x1f".join(("replay", study, user, at)).encode(), digest_size=16).hexdigest()
        cause = Cause(message=own_id, channel="", at=at, clock=db.clock(), user=user, replayed=True)
        correlation = Correlation(db, site)
        return len(correlation.save()) if correlation.apply_replay(study, cause) else None

    return store.transact(work)


def changed_since(store: Store, since: str) -> Iterator[str]:
    """The studies of which something changed since then (RFC 3339 in UTC), by UID, a page at a time."""
    after = ""
    while True:
        with store.read() as db:
            studies = db.changed_since(since, after, _PAGE)
        yield from studies
        if len(studies) < _PAGE:
            return
        after = studies[-1]
