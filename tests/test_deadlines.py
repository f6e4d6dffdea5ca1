"""Quiet studies and studies that wait too long, under a clock that the test moves."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.core.channel import Channel
from bridge.correlation import Correlation
from bridge.deadlines import Deadlines
from bridge.store.rows import Due
from tests.conftest import name_of
from tests.desk import CHANNELS, Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1"
DAY = 86400.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def event(desk: Desk, name: str) -> dict[str, Any]:
    """The data of the last event of this name."""
    data: dict[str, Any] = [one for one in desk.events if name_of(one) == name][-1]["data"]
    return data


def test_a_study_settles_when_nothing_came_for_the_quiet_time_and_not_a_second_earlier(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, instance=1)))
    desk.wait(30)
    desk.receive(dicom(ct(2, study=STUDY, instance=2)))
    desk.wait(59.9)
    assert "study.settled" not in desk.names()
    desk.wait(0.1)
    assert desk.names().count("study.settled") == 1
    desk.wait(DAY / 2)
    assert desk.names().count("study.settled") == 1


def test_a_settled_study_says_what_it_is_made_of(desk: Desk) -> None:
    for number in (1, 2, 2, 5):
        desk.receive(dicom(ct(f"1{len(desk.events)}", study=STUDY, instance=number)))
    desk.receive(dicom(ct(9, study=STUDY, InstanceNumber=None)))
    desk.wait(60)
    said = event(desk, "study.settled")
    assert (said["reason"], said["quietTime"], said["reopened"]) == ("quiet", 60.0, False)
    assert said["study"]["numberOfInstances"] == 5
    assert [series["instanceNumbers"] for series in said["study"]["series"]] == [
        {"count": 5, "lowest": 1, "highest": 5, "distinct": 3, "duplicates": 1, "gaps": 2, "absent": 1, "invalid": 0}
    ]


def test_an_object_that_comes_after_that_reopens_the_study(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.wait(60)
    desk.receive(dicom(ct(2, study=STUDY)))
    desk.wait(60)
    assert desk.names().count("study.settled") == 2
    assert event(desk, "study.settled")["reopened"]


def test_the_same_object_again_reopens_nothing(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.wait(60)
    desk.receive(dicom(ct(1, study=STUDY), redelivered=True))
    desk.wait(DAY / 2)
    assert desk.names().count("study.settled") == 1


def test_a_study_is_ready_when_it_is_settled_and_matched_whichever_comes_last(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1")))
    assert desk.take() == ["study.matched", "instance.enriched"]
    desk.wait(60)
    assert desk.take() == ["study.settled", "study.ready"]
    desk.receive(dicom(ct(2, study=f"{STUDY}.2", patient="PAT2")))
    desk.wait(60)
    assert desk.take() == ["instance.pending", "study.settled"]
    desk.receive(hl7(orm(2, study=f"{STUDY}.2")))
    assert desk.take() == ["study.matched", "instance.enriched", "study.ready"]


def test_a_ready_study_is_ready_again_under_a_higher_revision_when_something_changes(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.wait(60)
    first = event(desk, "study.ready")["revision"]
    desk.receive(hl7(orm(1, control="XO", study=STUDY, time="20261123093000", name="Doe^Janet")))
    assert event(desk, "study.ready")["revision"] > first
    assert event(desk, "study.ready")["study"]["series"][0]["instanceNumbers"]["count"] == 1


def test_a_study_without_order_is_overdue_once_after_the_hold(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.wait(DAY - 1)
    assert "study.overdue" not in desk.names()
    desk.wait(1)
    desk.wait(DAY * 3)
    assert desk.names().count("study.overdue") == 1
    assert event(desk, "study.overdue")["holdFor"] == DAY
    assert desk.study(STUDY).overdue_at


def test_a_study_that_is_matched_in_time_is_never_overdue_and_one_that_loses_its_order_waits_anew(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.wait(DAY / 2)
    desk.receive(hl7(orm(1, study=STUDY)))
    desk.wait(DAY)
    assert "study.overdue" not in desk.names()
    desk.receive(hl7(orm(1, control="XO", study=f"{STUDY}.9", time="20261123093000")))
    assert desk.verdict(STUDY) == ("pending", "no-order")
    desk.wait(DAY - 1)
    assert "study.overdue" not in desk.names()
    desk.wait(1)
    assert desk.names().count("study.overdue") == 1


def test_a_study_whose_identity_was_removed_is_never_overdue(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, PatientIdentityRemoved="YES")))
    desk.wait(DAY * 2)
    assert "study.overdue" not in desk.names()


def test_time_stands_still_while_messages_wait_at_the_broker(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.caught_up = False
    desk.wait(DAY)
    desk.caught_up = True
    desk.wait(0)
    assert "study.settled" not in desk.names()
    desk.wait(60)
    assert "study.settled" in desk.names()


def test_a_restart_neither_begins_a_wait_anew_nor_ends_it_early(tmp_path: Path) -> None:
    before = Desk(tmp_path)
    before.receive(dicom(ct(1, study=STUDY)))
    before.wait(50)  # saved: it is more than a crash may cost
    after = Desk(tmp_path)
    after.wait(9.9)
    assert after.names() == []
    after.wait(0.1)
    assert after.names() == ["study.settled"]


def test_what_was_due_while_the_service_was_down_is_due_when_it_is_up_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.seconds += 60
    desk.deadlines._move_on(caught_up=True)
    assert "study.settled" not in desk.names()
    desk.wait(0)
    assert "study.settled" in desk.names()


def test_a_channel_has_times_of_its_own_and_can_switch_off_events(tmp_path: Path) -> None:
    def quick(channel: Channel) -> Channel:
        events = ("instance.*", "study.settled")
        destination = replace(channel.destinations[0], events=events)
        return replace(channel, settle_after=5.0, hold_for=10.0, destinations=(destination,))

    desk = Desk(tmp_path, [quick(channel) for channel in CHANNELS])
    desk.receive(dicom(ct(1, study=STUDY)))
    desk.wait(5)
    assert desk.take() == ["instance.pending", "study.settled"]
    desk.wait(100)
    assert desk.take() == []
    assert desk.study(STUDY).overdue_at


def test_thousands_of_due_studies_are_handled_in_small_transactions(desk: Desk) -> None:
    for start in range(0, 500, 100):
        desk.receive(*(dicom(ct(n, study=f"{STUDY}.{n}")) for n in range(start, start + 100)))
    desk.seconds += 60
    assert 0 < desk.deadlines.tick() <= 50  # then the source has its turn
    desk.receive(dicom(ct(501, study=f"{STUDY}.501")))
    desk.wait(0)
    assert desk.names().count("study.settled") == 500


def test_time_in_which_the_service_stood_still_does_not_count(desk: Desk) -> None:
    """Nobody knows what has come in between: a frozen machine, SIGSTOP."""
    seconds = 0.0
    deadlines = Deadlines(desk.store, desk.site, desk.now, lambda: seconds, lambda: True, lambda _events: None)
    clock = []
    for moment in (0.0, 3.0, 63.0, 64.0, 66.0):
        seconds = moment
        deadlines.tick()
        clock.append(deadlines.clock())
    assert clock == [0.0, 3.0, 3.0, 3.0, 5.0]


def test_a_study_that_a_bug_makes_fail_keeps_no_other_one_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handle = Correlation.apply_due

    def fail(correlation: Correlation, due: Due, at: str, clock: float) -> None:
        if due.study == STUDY:
            raise ZeroDivisionError
        handle(correlation, due, at, clock)

    with monkeypatch.context() as broken:
        broken.setattr(Correlation, "apply_due", fail)
        for number in range(3):
            desk.receive(dicom(ct(number, study=f"{ROOT}.{number}")))
        desk.wait(60)
        settled = [one["subject"] for one in desk.events if name_of(one) == "study.settled"]
        assert settled == [f"{ROOT}.0", f"{ROOT}.2"]
        desk.wait(60)
    assert len([record for record in caplog.records if "is put off" in record.message]) == 1
    desk.wait(3600)
    assert [one["subject"] for one in desk.events if name_of(one) == "study.settled"][2:] == [STUDY]
