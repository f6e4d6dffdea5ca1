"""Whatever a hospital sends, and whenever it is purged: what stays is decided as before, and nothing is said twice."""

from datetime import timedelta
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.model import LinkDecision, Unmerge
from bridge.correlation import Cause, Correlation
from bridge.purge import Retention
from bridge.store.transaction import Transaction
from tests.archive import Archive
from tests.days import rendering
from tests.days.hospital import days
from tests.days.messages import Day, PersonLink, PersonUnmerge


class Years(Archive):
    """A made-up day that takes years, with a purge now and then."""

    def play(self, day: Day, r: Random) -> None:
        """Receives its messages, some of them again."""
        sent = list(day)
        for message in sent[:]:
            if r.random() < 0.3:
                sent.insert(r.randrange(len(sent)), message)
        for message in sent:
            if isinstance(message, PersonLink | PersonUnmerge):
                self._decide(rendering.decision(message, "1"))
            else:
                self.receive(rendering.inbound(message, "1"))
            if r.random() < 0.5:
                self.days_pass(r.choice((0.1, 2, 5, 20)))
            if r.random() < 0.3:
                self._purge_and_compare(Retention(*(r.choice((None, timedelta(r.choice((1, 7, 30))))) for _ in "mbs")))

    def _decide(self, decision: LinkDecision | Unmerge) -> None:
        """As a person does it now."""
        now = self.now()

        def work(db: Transaction) -> None:
            correlation = Correlation(db, self.site)
            cause = Cause("", "images", now, self.deadlines.clock(), user="ada")
            correlation.apply_decisions(cause, [msgspec.structs.replace(decision, at=now)])
            self._owed(correlation.save())

        self.store.transact(work)

    def _purge_and_compare(self, retention: Retention) -> None:
        before, orders, figures = self.afresh(), self.stored_orders(), self.figures()
        said = self.supposed(retention)
        gone = self.purge(retention)
        assert {**said, "bodies": 0} == {**dict.fromkeys(said, 0), **gone, "bodies": 0}
        after = self.afresh()
        assert after == {uid: decided for uid, decided in before.items() if uid in after}
        assert len(before) - len(after) == gone["studies"]
        assert len(orders) - len(self.stored_orders()) == gone["orders"]
        counted = self.figures()
        for name in ("messages", "duplicates", "rejected", "outbox"):
            assert counted[name] == figures[name]
        assert self.broken_keys() == []
        assert not self.supposed(retention)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without anything in it: to copy it is faster than to make it."""
    folder = tmp_path_factory.mktemp("empty")
    Archive(folder).close()
    return folder / "bridge.db"


@settings(max_examples=30, derandomize=True)
@given(day=st.booleans().flatmap(days), r=st.randoms(use_true_random=False))
def test_purging_changes_nothing_about_what_stays(empty: Path, day: Day, r: Random) -> None:
    with TemporaryDirectory() as folder:
        copy(empty, Path(folder))
        years = Years(Path(folder))
        years.play(day, r)
        years.close()
    ids = [event["id"] for event in years.events]
    assert len(ids) == len(set(ids))
