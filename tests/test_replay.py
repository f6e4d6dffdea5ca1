"""`bridge replay`: what is known of a study is told again, as it was told, under a higher revision."""

import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pika
import pytest

from bridge import replaying
from bridge.core.ports import Delivery, Outbound
from bridge.store import outbox
from tests.commands import Answer, beside
from tests.conftest import Engine, Service, at_least, name_of
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, ct, orm, oru, rejection_note

STUDY, OTHER = f"{ROOT}.1", f"{ROOT}.2"
NEW = ("causedBy", "revision")  # what differs in the data of an event that is told again

Command = Callable[..., Answer]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def command(desk: Desk, tmp_path: Path) -> Command:
    return beside(tmp_path)


def owed(desk: Desk) -> list[dict[str, Any]]:
    """The events that are in the outbox, which are taken out."""
    with desk.store.write() as db:
        found: Sequence[Outbound] = outbox.owed(db, 1000)
        outbox.settle(db, {event.id: Delivery.SENT for event in found})
    return [json.loads(event.body) for event in found]


def same(event: dict[str, Any]) -> tuple[str, str, Any]:
    """What an event says, without what tells that it is told again."""
    data = json.loads(json.dumps(event["data"]), object_hook=lambda o: {k: v for k, v in o.items() if k not in NEW})
    return name_of(event), event["subject"], data


def matched_and_ready(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1"), message_id="m1"))
    desk.receive(hl7(orm(1, study=STUDY, accession="A1")))
    desk.wait(60)


def matched_again_reported_and_reopened(desk: Desk) -> None:
    matched_and_ready(desk)
    desk.receive(dicom(ct(2, study=STUDY, patient="PAT1")), dicom(ct(3, study=STUDY, patient="PAT1")))
    desk.receive(hl7(oru(1, "P", accession="A1")))
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(2,), patient="PAT1")))
    desk.wait(60)


def of_two_patients(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.receive(hl7(orm(2, accession="A1", patient="PAT2")))


def unverified(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1", patient="PAT1")))
    desk.receive(dicom(ct(1, study=STUDY, accession="A1", patient="", name="", birth_date="")))


def unlinked_and_overdue(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A9")))
    desk.wait(86400)


def linked_by_a_person_to_another_order(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), hl7(orm(2, patient="PAT1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    desk.unlink(STUDY)
    desk.link(STUDY, "F-2")


SITUATIONS = [
    (matched_and_ready, {"study.matched", "instance.enriched", "study.settled", "study.ready"}),
    (
        matched_again_reported_and_reopened,
        {
            "study.matched",
            "study.reported",
            "instance.enriched",
            "instance.rejected",
            "study.settled",
            "study.ready",
        },
    ),
    (of_two_patients, {"study.conflict", "instance.conflict"}),
    (unverified, {"study.ambiguous", "instance.ambiguous"}),
    (unlinked_and_overdue, {"study.unlinked", "instance.pending", "study.settled", "study.overdue"}),
    (linked_by_a_person_to_another_order, {"study.matched", "instance.enriched"}),
]


@pytest.mark.parametrize(("happened", "told"), SITUATIONS)
def test_the_state_is_told_again_under_one_higher_revision(
    desk: Desk, command: Command, happened: Callable[[Desk], None], told: set[str]
) -> None:
    happened(desk)
    before, known = owed(desk), desk.study(STUDY)
    answer = command("replay", "--study", STUDY, "--user", "ada")
    assert answer.returncode == 0, answer.stderr
    again = owed(desk)
    assert answer.stdout == f"1 study replayed: {len(again)} events to be published by bridge run\n"
    assert {name_of(event) for event in again} == told
    assert {event["data"]["revision"] for event in again} == {known.revision + 1}
    assert not {event["id"] for event in again} & {event["id"] for event in before}
    assert len({event["id"] for event in again}) == len(again)
    said = {(name, subject): data for name, subject, data in map(same, before)}
    for name, subject, data in map(same, again):
        correlation, told_then = data["correlation"], said.get((name, subject), data)["correlation"]
        assert {**correlation, "previous": None} == {**told_then, "previous": None}
        assert data["orders"] == said.get((name, subject), data)["orders"]


def test_a_matched_study_is_told_with_the_very_same_data(desk: Desk, command: Command) -> None:
    matched_and_ready(desk)
    before = owed(desk)
    assert command("replay", "--study", STUDY).returncode == 0
    again = owed(desk)
    last = {(name_of(event), event["subject"]): same(event) for event in before}
    assert [same(event) for event in again] == [last[name_of(event), event["subject"]] for event in again]
    assert [name_of(event) for event in again] == ["study.matched", "instance.enriched", "study.settled", "study.ready"]


@pytest.mark.parametrize("happened", [happened for happened, _ in SITUATIONS])
def test_what_was_told_last_is_what_explain_says(
    desk: Desk, command: Command, happened: Callable[[Desk], None]
) -> None:
    happened(desk)
    owed(desk)
    command("replay", "--study", STUDY)
    explained = json.loads(command("explain", STUDY, "--json").stdout)
    for event in owed(desk):
        told = event["data"]["correlation"]
        assert {**told, "previous": None} == {**explained["correlation"], "previous": None}
        assert event["data"]["orders"] == explained["orders"]
        if name_of(event) in ("study.matched", "study.conflict", "study.ambiguous", "study.unlinked"):
            assert told["previous"] == explained["correlation"]["previous"]


def test_what_was_known_is_known_as_before_and_goes_on(desk: Desk, command: Command) -> None:
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    known = desk.study(STUDY)
    for _ in range(3):
        assert command("replay", "--study", STUDY).returncode == 0
    again = desk.study(STUDY)
    assert (again.decision, again.since, again.settled) == (known.decision, known.since, "never")
    assert again.revision == known.revision + 3
    desk.wait(60)
    desk.receive(hl7(orm(1, study=STUDY)))
    assert desk.take()[-4:] == ["study.settled", "study.matched", "instance.enriched", "study.ready"]
    assert desk.study(STUDY).revision == known.revision + 5


def test_explain_shows_that_it_was_told_again_and_by_whom(desk: Desk, command: Command) -> None:
    matched_and_ready(desk)
    command("replay", "--study", STUDY, "--user", "ada")
    text = command("explain", STUDY).stdout
    assert re.search(r"matched to F-1, published again +ada \(bridge command\) +study.matched, study.settled", text)
    [*_, last] = json.loads(command("explain", STUDY, "--json").stdout)["history"]
    assert (last["replayed"], last["user"]) == (True, "ada")


def test_on_either_database_a_study_is_told_again_beside_others_that_write(tmp_path: Path, database_url: str) -> None:
    desk = Desk(tmp_path, database_url=database_url)
    matched_and_ready(desk)
    owed(desk)
    beside_it = Service(tmp_path, "amqp://127.0.0.1:1", BRIDGE_DATABASE_URL=database_url)
    answer = beside_it.command("replay", "--since", "2020-01-01T00:00:00Z")
    assert answer.stdout == "1 study replayed: 4 events to be published by bridge run\n", answer.stderr
    assert [event["data"]["revision"] for event in owed(desk)] == [4] * 4
    desk.close()


# Which studies


def test_since_takes_what_changed_since_then_and_nothing_else(
    desk: Desk, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.replay._PAGE", 2)
    for number in range(7):
        desk.receive(dicom(ct(number, study=f"{ROOT}.{number}")))
    owed(desk)
    changed = [f"{ROOT}.{number}" for number in range(3, 7)]
    with desk.store.read() as db:
        [entry] = db.history(changed[0])
    answer = command("replay", "--since", entry.at.replace("Z", "+00:00"))
    assert answer.stdout == "4 studies replayed: 4 events to be published by bridge run\n"
    assert [event["partitionkey"] for event in owed(desk)] == changed
    assert command("replay", "--since", "7d").returncode == 0
    assert {event["partitionkey"] for event in owed(desk)} >= set(changed)
    answer = command("replay", "--since", "9999-01-01T00:00:00Z")
    assert (answer.returncode, answer.stdout) == (1, "0 studies replayed: 0 events to be published by bridge run\n")


def test_a_study_that_is_not_known_is_named_and_the_others_are_told(desk: Desk, command: Command) -> None:
    desk.receive(dicom(ct(1, study=STUDY)))
    answer = command("replay", "--study", OTHER, "--study", STUDY, "--study", STUDY)
    assert answer.returncode == 1
    assert f"there is no study {OTHER}" in answer.stderr
    assert "1 study replayed: 1 event " in answer.stdout


@pytest.mark.parametrize(
    "wrong", [[], ["--study", STUDY, "--since", "24h"], ["--since", "yesterday"], ["--since", "2026-11-23T09:00:00"]]
)
def test_what_is_to_be_told_again_has_to_be_said(command: Command, wrong: list[str]) -> None:
    assert command("replay", *wrong).returncode == 2


# Beside the service


def test_a_long_replay_stays_only_a_little_ahead_of_what_is_published(
    desk: Desk, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_MOST_OWED", 5)
    monkeypatch.setattr(replaying, "_LOOK_EVERY", 0.01)
    for number in range(60):
        desk.receive(dicom(ct(number, study=f"{ROOT}.{number}")))
    owed(desk)
    ended, most, told = threading.Event(), 0, 0

    def publish() -> None:
        nonlocal most, told
        while not ended.wait(0.05):
            taken = len(owed(desk))
            most, told = max(most, taken), told + taken

    relay = threading.Thread(target=publish)
    relay.start()
    answer = command("replay", "--since", "2020-01-01T00:00:00Z")
    ended.set()
    relay.join()
    assert answer.returncode == 0, answer.stderr
    assert 0 < most <= 6
    assert told + len(owed(desk)) == 60


def test_events_that_nobody_was_bound_for_are_told_again_by_the_running_service(
    service: Service, amqp_url: str
) -> None:
    service.start()
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        connection.channel().basic_publish("bridge.in", "hl7.ORM", orm(1, study=STUDY))
        connection.channel().basic_publish("bridge.in", "dicom.CT", ct(1, study=STUDY, patient="PAT1"))
    while service.status()["studies"]["matched"] == 0 or service.status()["outbox"]["QUEUED"]:
        pass
    assert service.status()["outbox"]["SENT"] == 0
    engine = Engine(amqp_url)
    assert service.command("replay", "--study", STUDY).returncode == 0
    events = engine.collect(at_least("instance.enriched", 1))
    engine.close()
    assert [name_of(event) for event in events] == ["study.matched", "instance.enriched"]
    assert {order["fillerOrderNumber"]["value"] for order in events[1]["data"]["orders"]} == {"F-1"}
    assert service.stop() == 0
    assert service.status()["outbox"]["QUEUED"] == 0
