"""What purging removes, what it never removes, and that nothing else changes by it."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from bridge.core.ports import Delivery, Verb
from bridge.purge import Purge, Retention, steps
from bridge.store import outbox
from bridge.store.rows import StoredMessage
from tests.archive import SHORT, Archive
from tests.commands import beside
from tests.conftest import Engine, Service, at_least
from tests.desk import dicom, hl7
from tests.localpostgres import LocalPostgres
from tests.samples import ROOT, adt, ct, orm, oru, rejection_note, siu
from tests.store.test_plans import SMALL, scans_on_postgresql, scans_on_sqlite, statements

STUDY, OTHER_STUDY = f"{ROOT}.1", f"{ROOT}.2"


@pytest.fixture
def archive(tmp_path: Path, database_url: str) -> Iterator[Archive]:
    made = Archive(tmp_path, database_url)
    yield made
    assert made.broken_keys() == []
    made.close()


def matched(archive: Archive, number: int = 1, study: str = STUDY) -> None:
    """A study of two objects with its order."""
    archive.receive(hl7(orm(number, accession=f"A{number}")))
    objects = (f"{number}1", f"{number}2")
    archive.receive(*(dicom(ct(one, study=study, patient=f"PAT{number}", accession=f"A{number}")) for one in objects))
    assert archive.verdict(study)[0] == "matched"


def test_an_old_study_goes_with_its_objects_its_order_and_their_messages(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(41)
    archive.receive(hl7(orm(2)))
    assert archive.purge() == Counter(studies=1, objects=2, orders=1, facts=1, messages=3)
    # What is left is about the young order, the study's revision, and what is counted.
    assert {name: count for name, count in archive.rows().items() if name != "outbox"} == {
        "purged_study": 1,
        "message": 1,
        "fact": 1,
        "fact_key": 2,
        "imaging_order": 1,
        "matching_key": 3,
        "counter": 1,
        "setting": 2,
    }
    assert archive.purge() == Counter()


def test_a_study_that_changed_lately_stays_with_everything_that_it_was_decided_from(archive: Archive) -> None:
    archive.receive(hl7(adt("A40", "PAT1^^^HOSP^MR", prior="OLD1^^^HOSP^MR")))
    archive.receive(hl7(adt("A08", "PAT1^^^HOSP^MR", name="Doe^Jane")), hl7(siu("S12", 1)), hl7(oru(1, "F")))
    archive.receive(hl7(orm(1, accession="A1")))
    archive.days_pass(50)
    archive.receive(dicom(ct(1, study=STUDY, patient="OLD1", accession="A1")))
    archive.days_pass(1)
    before, rows = archive.afresh(), archive.rows()
    assert archive.verdict(STUDY)[0] == "matched"
    assert archive.purge() == Counter(bodies=5)
    assert archive.afresh() == before
    assert archive.rows() == rows


def test_a_study_that_comes_again_goes_on_with_the_next_revision(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(41)
    last = archive.study(STUDY).revision
    archive.purge()
    assert archive.study(STUDY).decision is None
    known = {event["id"] for event in archive.events}
    matched(archive)
    archive.days_pass(1)
    assert archive.study(STUDY).revision > last
    ids = [event["id"] for event in archive.events]
    assert len(ids) == len(set(ids)) > len(known)


def test_a_study_may_be_purged_again_and_again(archive: Archive) -> None:
    revisions = []
    for _ in range(3):
        matched(archive)
        archive.days_pass(41)
        revisions.append(archive.study(STUDY).revision)
        assert archive.purge()["studies"] == 1
    assert revisions == sorted(set(revisions))


def test_what_is_due_about_a_study_keeps_it(archive: Archive) -> None:
    archive.receive(dicom(ct(1, study=STUDY)))
    archive.caught_up = False  # the clock of deadlines stands still: nothing settles, nothing is overdue
    archive.days_pass(100)
    assert archive.purge() == Counter()
    archive.caught_up = True
    archive.days_pass(0)
    archive.days_pass(2)
    assert {"study.settled", "study.overdue"} <= set(archive.names())
    archive.days_pass(41)
    assert archive.purge()["studies"] == 1


def test_an_order_of_a_study_that_stays_keeps_the_whole_family_of_its_messages(archive: Archive) -> None:
    archive.receive(hl7(orm(1, accession="A1")), hl7(orm(1, control="XO", accession="A1", time="20261123093000")))
    archive.receive(hl7(orm(2, accession="A2")), hl7(orm(2, control="XO", accession="A2", time="20261123093000")))
    archive.days_pass(50)
    archive.receive(hl7(orm(2, control="CA", accession="A2", time="20261123100000")))
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert archive.purge(SHORT._replace(bodies=None, messages=None)) == Counter()


def test_an_order_without_a_study_goes_when_every_message_about_it_is_old(archive: Archive) -> None:
    archive.receive(hl7(orm(1)), hl7(siu("S12", 1)), hl7(oru(1, "P")))
    archive.days_pass(30)
    archive.receive(hl7(orm(1, control="XO", time="20261123093000")))
    archive.days_pass(30)
    assert archive.purge() == Counter(bodies=4)
    archive.days_pass(11)
    assert archive.purge() == Counter(orders=1, facts=4, messages=4)
    assert "fact" not in archive.rows()


def test_an_order_for_a_day_to_come_stays_however_long_ago_it_was_placed(archive: Archive) -> None:
    archive.receive(hl7(orm(1)), hl7(siu("S12", 1, start="20280601100000")))
    archive.days_pass(300)
    assert archive.purge()["orders"] == 0
    archive.days_pass(300)
    assert archive.purge()["orders"] == 1


def test_merges_of_patients_stay_for_ever(archive: Archive) -> None:
    archive.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="PAT1^^^HOSP^MR")), hl7(adt("A08", "NEW^^^HOSP^MR")))
    archive.days_pass(1000)
    assert archive.purge() == Counter(facts=2, messages=1, bodies=1)
    archive.receive(hl7(orm(1, patient="NEW", accession="A1")))
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert archive.verdict(STUDY)[0] == "matched"


def test_a_person_s_word_outlasts_the_study_while_the_order_stays(archive: Archive) -> None:
    matched(archive)
    archive.unlink(STUDY)
    archive.days_pass(41)
    # A study of the same accession number keeps the order.
    archive.receive(dicom(ct(9, study=OTHER_STUDY, patient="PAT1", accession="A1")))
    assert archive.purge()["studies"] == 1
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))
    assert archive.linked(OTHER_STUDY) == ["F-1"]
    assert archive.linked(STUDY) == []
    # Once the order is gone, nothing is left of it.
    archive.days_pass(41)
    archive.purge()
    assert "fact" not in archive.rows()
    assert "matching_key" not in archive.rows()


def test_a_person_s_link_still_brings_the_order_s_news_to_a_study_that_came_again(archive: Archive) -> None:
    archive.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1")))
    archive.link(STUDY, "F-1")
    archive.days_pass(41)
    archive.receive(dicom(ct(9, study=OTHER_STUDY, patient="PAT1", accession="A1")))
    archive.purge()
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    assert archive.linked(STUDY) == ["F-1"]
    archive.receive(hl7(orm(1, control="CA", accession="A1", time="20261123100000")))
    assert archive.verdict(STUDY)[0] == "conflict"


def test_a_rejection_holds_as_long_as_either_side_is_known(archive: Archive) -> None:
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1"), message_id="m"))
    archive.receive(dicom(rejection_note(9, study=STUDY, rejects=(1,), patient="PAT1")))
    archive.days_pass(30)
    archive.receive(dicom(ct(2, study=STUDY, patient="PAT1")))
    archive.days_pass(30)
    assert archive.purge()["rejections"] == 0
    archive.days_pass(41)
    assert archive.purge() == Counter(studies=1, objects=3, rejections=1, messages=3)


def test_an_older_version_of_an_object_is_a_duplicate_as_long_as_the_object_is_known(archive: Archive) -> None:
    older = ct(1, study=STUDY, patient="PAT1", accession="A1")
    archive.receive(dicom(older))
    archive.receive(dicom(ct(1, study=STUDY, patient="PAT1", accession="A2")))
    archive.days_pass(35)
    archive.receive(dicom(ct(2, study=STUDY, patient="PAT1", accession="A2")))
    archive.days_pass(35)
    before = archive.afresh()
    archive.purge()
    archive.receive(dicom(older))
    assert archive.afresh() == before
    assert archive.figures()["duplicates"] == {"all": 1}


def test_the_ledger_counts_on_what_was_purged(archive: Archive) -> None:
    matched(archive)
    archive.receive(hl7(orm(1, accession="A1")))
    archive.receive(hl7(b"nonsense"), hl7(b"MSH|^~\\&|A|B|C|D|20261123||ACK|1|P|2.3\r"), dicom(b"nonsense"))
    archive.receive(hl7(b"nonsense"))
    before = archive.figures()
    archive.days_pass(41)
    assert archive.purge()["messages"] == 6
    after = archive.figures()
    assert [after[name] for name in ("messages", "duplicates", "rejected")] == [
        before[name] for name in ("messages", "duplicates", "rejected")
    ]
    assert after["messages"] == {"TRANSFORMED": 3, "FILTERED": 1, "ERROR": 2}
    assert set(after["outbox"]) == {"QUEUED"}
    # Sent again it is received again, and counted once more.
    archive.receive(hl7(b"nonsense"))
    assert archive.figures()["messages"]["ERROR"] == 3


def test_what_cannot_be_read_goes_with_the_ledger_s_time_and_what_was_read_with_its_study(archive: Archive) -> None:
    matched(archive)
    archive.receive(hl7(b"nonsense"), hl7(b"MSH|^~\\&|A|B|C|D|20261123||ACK|1|P|2.3\r"))
    archive.days_pass(10)
    assert archive.purge() == Counter(messages=2, bodies=1)
    assert archive.rows()["message"] == 3


def test_a_message_that_is_rejected_again_after_its_row_is_gone_makes_an_event_of_its_own(archive: Archive) -> None:
    for _ in range(3):
        archive.receive(hl7(b"nonsense"))
        archive.receive(hl7(b"nonsense", redelivered=True))
        archive.days_pass(10)
        archive.purge()
    ids = [event["id"] for event in archive.events]
    assert len(set(ids)) == len(ids) == 6


def test_bodies_go_first_and_rows_stay(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(2)
    assert archive.purge() == Counter()
    archive.days_pass(2)
    assert archive.purge() == Counter(bodies=1)
    assert archive.receive(hl7(orm(1, accession="A1"))) == [Verb.ACCEPTED]
    assert archive.figures()["duplicates"] == {"all": 1}


def test_no_body_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keeps_bodies=False)
    matched(archive)
    assert archive.purge(Retention(None, timedelta(0), None)) == Counter()
    assert archive.afresh()


def test_nothing_goes_where_everything_is_kept(archive: Archive) -> None:
    matched(archive)
    archive.receive(hl7(b"nonsense"))
    archive.days_pass(10_000)
    rows = archive.rows()
    assert archive.purge(Retention(None, None, None)) == Counter()
    assert archive.rows() == rows


def test_the_messages_of_studies_that_are_kept_stay_whatever_is_said_of_messages(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(10_000)
    assert archive.purge(Retention(timedelta(days=1), None, None)) == Counter(bodies=1)
    assert archive.rows()["message"] == 3


def test_saying_what_would_go_changes_nothing_and_says_what_goes(archive: Archive) -> None:
    matched(archive, 1, STUDY)
    archive.receive(hl7(adt("A08", "PAT1^^^HOSP^MR")), hl7(oru(1, "F", accession="A1")), hl7(siu("S12", 1)))
    archive.receive(dicom(rejection_note(9, study=STUDY, rejects=("11",), patient="PAT1")))
    archive.unlink(STUDY)
    archive.receive(hl7(b"nonsense"))
    archive.days_pass(30)
    matched(archive, 2, OTHER_STUDY)
    archive.days_pass(11)
    rows, before = archive.rows(), archive.afresh()
    said = archive.supposed()
    assert (archive.rows(), archive.afresh()) == (rows, before)
    gone = archive.purge()
    assert said["studies"] == 1
    assert said == gone
    assert said["bodies"] == 5  # of what stays: those of the messages that leave are not among them


def test_an_event_that_is_owed_is_not_touched(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(41)
    with archive.store.read() as db:
        owed = outbox.owed(db, 1000)
    archive.purge()
    with archive.store.read() as db:
        assert outbox.owed(db, 1000) == owed
    assert owed


def test_a_message_that_is_being_handled_stays(archive: Archive) -> None:
    with archive.store.write() as db:
        db.save_messages([StoredMessage("m", "orders", "RECEIVED", received_at="2020-01-01T00:00:00Z")])
    assert archive.purge() == Counter()
    assert archive.rows()["message"] == 1


def test_a_study_that_comes_again_while_it_is_purged_is_whole(archive: Archive) -> None:
    """Whichever of the two is first: no object is left without its study, none is counted that is not there."""
    objects = [dicom(ct(n, study=STUDY, patient="PAT1", accession="A1")) for n in range(4)]
    new = itertools.count(100)
    sent = 0
    for _ in range(8):
        archive.receive(hl7(orm(1, accession="A1")), *objects)
        archive.days_pass(41)
        both = Barrier(2)

        def purge(both: Barrier = both) -> None:
            both.wait()
            archive.purge()

        purging = Thread(target=purge)
        purging.start()
        both.wait()
        again = [*objects, dicom(ct(next(new), study=STUDY, patient="PAT1", accession="A1"))]
        for message in again:
            archive.receive(message)
        purging.join()
        sent += 5 + len(again)
        study = archive.study(STUDY)
        with archive.store.read() as db:
            stored = len(db.instances_of([STUDY])[STUDY])
        assert sum(study.series.values()) == stored > 0
        assert archive.broken_keys() == []
    figures = archive.figures()
    assert sum(figures["messages"].values()) + figures["duplicates"]["all"] == sent
    ids = [event["id"] for event in archive.events]
    assert len(ids) == len(set(ids))


def test_the_file_reaches_a_size_and_stays_there(tmp_path: Path) -> None:
    """Fifteen weeks of the same traffic: what is purged makes room for what comes."""
    archive = Archive(tmp_path)
    sizes = []
    for week in range(15):
        for n in range(6):
            study, patient = f"{ROOT}.{week}.{n}", f"PAT{week}-{n}"
            archive.receive(hl7(orm(f"{week}-{n}", accession=f"A{week}-{n}", patient=patient)))
            archive.receive(
                *(
                    dicom(ct(f"{week}.{n}.{i}", study=study, patient=patient, accession=f"A{week}-{n}"))
                    for i in range(5)
                )
            )
        with archive.store.write() as db:  # as the relay does when all is confirmed
            outbox.settle(db, {event.id: Delivery.SENT for event in outbox.owed(db, 10_000)})
        archive.days_pass(7)
        archive.purge()
        with archive.store.read() as db:
            sizes.append(db.connection.scalar(text("PRAGMA page_count")))
    assert archive.figures()["messages"]["TRANSFORMED"] == 15 * 36
    assert archive.rows()["study"] == 30
    assert max(sizes[7:]) <= 1.1 * sizes[7]


def test_each_step_is_small(archive: Archive) -> None:
    for n in range(120):
        archive.receive(hl7(orm(n)), dicom(ct(n, study=f"{ROOT}.{n}")), hl7(f"nonsense {n}".encode()))
    archive.days_pass(41)
    taken = [step.removed for step in steps(archive.store, archive.site, SHORT, archive.now())]
    assert sum(taken, Counter()) == Counter(studies=120, objects=120, orders=120, facts=120, messages=360)
    assert max(sum(step.values()) for step in taken) <= 200


def test_no_statement_of_purging_scans_a_table(archive: Archive) -> None:
    matched(archive)
    archive.receive(hl7(adt("A08", "PAT1^^^HOSP^MR")), hl7(oru(1, "F", accession="A1")), hl7(siu("S12", 1)))
    archive.receive(dicom(rejection_note(9, study=STUDY, rejects=("11",), patient="PAT1")), hl7(b"nonsense"))
    archive.unlink(STUDY)
    archive.days_pass(50)
    said = statements(archive, lambda _: archive.purge())
    scans = scans_on_sqlite if archive.store.file else scans_on_postgresql
    with archive.store._engine.connect() as connection:
        scanned = {statement: set(scans(connection, statement, one)) - set(SMALL) for statement, one in said.items()}
    assert len(scanned) > 20
    assert not any(scanned.values()), [statement for statement, tables in scanned.items() if tables]
    assert {"study", "message", "fact", "rejection"}.isdisjoint(archive.rows())


# The thread of the service


def service(archive: Archive, monotonic: Callable[[], float] = lambda: 0.0) -> Purge:
    return Purge(archive.store, archive.site, SHORT, archive.now, monotonic)


def test_the_service_purges_what_is_old(archive: Archive) -> None:
    matched(archive)
    archive.days_pass(5)
    purge = service(archive, lambda: archive.seconds)
    assert purge.purge() == Counter(bodies=1)
    archive.days_pass(36)
    assert purge.purge()["studies"] == 1


def test_a_clock_that_jumps_ahead_purges_nothing(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    matched(archive)
    archive.days_pass(5)
    purge = service(archive, lambda: archive.seconds)
    rows = archive.rows()
    archive.at += timedelta(days=365)
    assert purge.purge() == Counter()
    assert archive.rows() == rows
    assert "the clock is more than a week ahead" in caplog.text
    archive.at -= timedelta(days=365)
    assert purge.purge() == Counter(bodies=1)
    archive.at += timedelta(days=365)  # also after it was right
    assert purge.purge() == Counter()


def test_of_two_processes_one_purges(tmp_path: Path, postgres: LocalPostgres) -> None:
    url = postgres.new_database()
    one, other = Archive(tmp_path, url), Archive(tmp_path, url)
    matched(one)
    one.days_pass(5)
    other.at = one.at
    assert service(one).purge() == Counter(bodies=1)
    matched(one, 2, OTHER_STUDY)
    one.days_pass(5)
    other.at = one.at
    assert service(other).purge() == Counter()
    one.close()
    other.close()
    postgres.drop_database(url)


# The command


def test_purge_says_what_goes_and_dry_run_what_would_go(tmp_path: Path) -> None:
    """Its clock is the machine's: everything here was received long before, or long after, that."""
    archive = Archive(tmp_path)
    archive.at -= timedelta(days=5000)
    matched(archive)
    archive.days_pass(41)
    command = beside(tmp_path)
    line = "studies 1, objects 2, orders 1, facts 1, rejections 0, messages 3, bodies 0\n"  # its body leaves with it
    rows = archive.rows()
    answer = command("purge", "--dry-run")
    assert (answer.returncode, answer.stdout) == (0, f"would go: {line}")
    assert archive.rows() == rows
    assert json.loads(command("purge", "--dry-run", "--json").stdout)["objects"] == 2
    assert command("purge").stdout == f"gone: {line}"
    assert json.loads(command("purge", "--json").stdout) == dict.fromkeys(
        ("studies", "objects", "orders", "facts", "rejections", "messages", "bodies"), 0
    )


def test_a_purged_study_is_not_known_to_people_any_more(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    matched(archive)
    archive.unlink(STUDY)
    archive.days_pass(41)
    archive.receive(hl7(orm(1, control="XO", accession="A1", time="20261123093000")))  # keeps the order, and the word
    assert archive.purge()["studies"] == 1
    command = beside(tmp_path)
    assert command("explain", STUDY).returncode == 1
    answer = command("explain", "A1", "--json")
    assert (json.loads(answer.stdout)["study"], len(json.loads(answer.stdout)["orders"])) == (None, 1)
    assert "no such study" in command("link", STUDY, "F-1", "--reason", "x").stderr


def test_the_running_service_purges_by_itself_and_its_ledger_counts_on(tmp_path: Path, amqp_url: str) -> None:
    service = Service(tmp_path, amqp_url, BRIDGE_RETAIN_MESSAGES="1s", BRIDGE_RETAIN_BODIES="0")
    service.start()
    engine = Engine(amqp_url)
    engine.hl7("nonsense")
    engine.collect(at_least("message.rejected", 1))
    service.wait_for("purged")
    assert service.status()["messages"]["ERROR"] == 1
    assert json.loads(service.command("purge", "--json").stdout)["messages"] == 0
    assert service.stop() == 0
    engine.close()
