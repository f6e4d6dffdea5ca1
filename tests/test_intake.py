"""The path in, with a real SQLite file: ledger, verdicts and owed events of each batch."""

import gzip
import itertools
import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydicom import dcmread

from bridge.core.channel import Channel, Destination
from bridge.core.limits import Limits
from bridge.core.model import Appointment, Filtered, IdentityChange, PatientUpdate, Reading, Report
from bridge.core.ports import Inbound, Verb
from bridge.formats import reading
from bridge.formats.reading import Content
from bridge.intake import message_id
from bridge.store import outbox
from tests.conftest import name_of
from tests.desk import CHANNELS, Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_object_of_a_known_order_is_enriched_in_the_transaction_that_stores_it(desk: Desk) -> None:
    assert desk.receive(hl7(orm(1, study=STUDY))) == [Verb.ACCEPTED]
    assert desk.receive(dicom(ct(1, study=STUDY, patient="PAT1"))) == [Verb.ACCEPTED]
    assert desk.names() == ["study.matched", "instance.enriched"]
    with desk.store.read() as db:
        assert [json.loads(event.body) for event in outbox.owed(db, 10)] == desk.events


def test_a_batch_of_objects_of_one_study_decides_once_and_enriches_each(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)))
    desk.receive(*(dicom(ct(n, study=STUDY, patient="PAT1")) for n in range(20)))
    assert desk.names().count("instance.enriched") == 20
    assert desk.names().count("study.matched") == 1
    assert {event["data"]["revision"] for event in desk.events} == {1}


def test_one_bad_message_in_a_batch_costs_only_itself(desk: Desk) -> None:
    batch = [dicom(ct(n, study=STUDY)) for n in range(5)]
    batch.insert(2, dicom(b"no object"))
    assert desk.receive(*batch) == [Verb.ACCEPTED] * 2 + [Verb.REJECTED] + [Verb.ACCEPTED] * 3
    assert desk.figures()["messages"] == {"TRANSFORMED": 5, "ERROR": 1}


def test_a_duplicate_inside_a_batch_is_counted_and_changes_nothing(desk: Desk) -> None:
    message = dicom(ct(1, study=STUDY))
    assert desk.receive(message, message, message) == [Verb.ACCEPTED] * 3
    assert desk.figures()["duplicates"] == {"all": 2}
    assert desk.names() == ["instance.pending"]


def test_the_same_bytes_on_another_channel_are_another_message(desk: Desk) -> None:
    body = b"neither HL7 nor DICOM"
    assert desk.receive(hl7(body), dicom(body)) == [Verb.REJECTED] * 2
    assert desk.figures()["messages"] == {"ERROR": 2}


def test_a_rejected_message_is_read_again_when_it_comes_again(desk: Desk) -> None:
    desk.receive(hl7(b"garbage"))
    desk.receive(hl7(b"garbage"))
    assert desk.names() == ["message.rejected", "message.rejected"]
    assert [event["data"]["revision"] for event in desk.events] == [1, 2]
    assert desk.figures()["duplicates"] == {"all": 1}


def test_the_same_message_id_with_another_body_is_a_new_message_with_a_warning(desk: Desk) -> None:
    desk.receive(hl7(orm(1), message_id="c/1/1"))
    desk.receive(hl7(orm(2), message_id="c/1/1"))
    assert desk.figures()["messages"] == {"TRANSFORMED": 2}
    with desk.store.read() as db:
        [latest] = [row for row in db.messages(db.ids_by_message_id(["c/1/1"])["c/1/1"]).values() if row.warnings]
    assert latest.warnings == ("message-id-reused",)


def test_a_redelivered_message_that_is_stored_already_is_no_duplicate(desk: Desk) -> None:
    desk.receive(hl7(orm(1)))
    assert desk.receive(hl7(orm(1), redelivered=True)) == [Verb.ACCEPTED]
    assert desk.figures()["duplicates"] == {"all": 0}


def test_the_fourth_attempt_at_a_message_is_rejected_unread(desk: Desk) -> None:
    message = hl7(orm(1), redelivered=True)
    for _ in range(2):  # as two processes that died over it left the row, after one that left none
        with dying_over(orm(1)):
            desk.receive(message)
    assert desk.receive(message) == [Verb.REJECTED]
    assert desk.events[-1]["data"]["code"] == "poison"
    assert desk.figures()["messages"] == {"ERROR": 1}
    assert desk.receive(hl7(orm(1))) == [Verb.ACCEPTED]


def test_a_message_that_is_queued_again_and_still_ends_the_process_is_rejected_again(desk: Desk) -> None:
    message = hl7(orm(1), redelivered=True)
    for _ in range(2):
        for _ in range(2):
            with dying_over(orm(1)):
                desk.receive(message)
        assert desk.receive(message) == [Verb.REJECTED]
    assert desk.figures()["messages"] == {"ERROR": 1}


def test_a_message_of_a_batch_that_ends_the_process_costs_only_itself(desk: Desk) -> None:
    batch = hl7(gzip.compress(b"".join(orm(n) for n in range(5))), content_encoding="gzip", redelivered=True)
    for _ in range(2):
        with dying_over(orm(2)):
            desk.receive(batch)
    [outcome] = desk.intake.receive([batch])
    assert [(one.code, one.message.body) for one in outcome.rejections] == [("poison", orm(2))]
    assert desk.figures()["messages"] == {"TRANSFORMED": 4, "ERROR": 1}
    assert desk.figures()["duplicates"] == {"all": 0}


@contextmanager
def dying_over(body: bytes) -> Iterator[None]:
    """The process ends while it reads this body."""

    class Death(BaseException):
        pass

    def read(content: Content, channel: Channel, limits: Limits) -> Reading | Filtered:
        if content.body == body:
            raise Death
        return reading.read(content, channel, limits)

    with pytest.MonkeyPatch.context() as patch, suppress(Death):
        patch.setattr("bridge.intake.read", read)
        yield
        raise AssertionError("nothing read it")


def test_each_message_of_a_batch_has_a_row_and_an_outcome_of_its_own(desk: Desk) -> None:
    broken = b"MSH|^~\\&|RIS|MAIN|||20261123||ORM^O01|C9|P|2.3.1\rNTE|1||no order\r"
    batch = b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + orm(1) + broken + orm(1) + orm(2) + b"BTS|4\rFTS|1\r"
    [outcome] = desk.intake.receive([hl7(batch, message_id="m/1", content_type="text/plain; charset=utf-8")])
    assert outcome.verb is Verb.REJECTED
    [rejection] = outcome.rejections
    assert (rejection.code, rejection.message.body, rejection.message.message_id) == ("hl7-no-order", broken, "m/1#2")
    assert rejection.message.content_type == "application/hl7-v2+er7; charset=utf-8"
    assert desk.figures()["messages"] == {"TRANSFORMED": 2, "ERROR": 1}
    assert desk.figures()["duplicates"] == {"all": 1}
    assert desk.figures()["stored"]["orders"] == 2
    with desk.store.read() as db:
        assert all(not row.warnings for row in db.messages([rejection.id]).values())


def test_a_batch_without_messages_is_filtered(desk: Desk) -> None:
    assert desk.receive(hl7(b"FHS|^~\\&|RIS\rBHS|^~\\&\rBTS|0\rFTS|1\r"), dicom(b"[]")) == [Verb.ACCEPTED] * 2
    assert desk.figures()["messages"] == {"FILTERED": 2}


def test_the_same_message_is_a_duplicate_however_it_was_wrapped(desk: Desk) -> None:
    body = ct(1, study=STUDY)
    desk.receive(dicom(body))
    desk.receive(dicom(gzip.compress(body), content_encoding="gzip"), dicom(b64encode(body), content_encoding="base64"))
    assert desk.figures()["messages"] == {"TRANSFORMED": 1}
    assert desk.figures()["duplicates"] == {"all": 2}


def test_a_file_that_changed_under_the_same_reference_is_another_message(tmp_path: Path) -> None:
    desk = Desk(tmp_path, limits=Limits(reference_folders=(str(tmp_path),)))
    reference = dicom(
        b'{"uri": "file://%b/object.dcm"}' % str(tmp_path).encode(),
        content_type="application/vnd.bridge.reference+json",
    )
    for number in (1, 2):
        (tmp_path / "object.dcm").write_bytes(ct(number, study=STUDY))
        assert desk.receive(reference, reference) == [Verb.ACCEPTED] * 2
    assert desk.figures()["messages"] == {"TRANSFORMED": 2}
    assert desk.figures()["stored"]["instances"] == 2


def test_each_object_of_an_array_is_enriched(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)))
    objects = [dcmread(BytesIO(ct(n, study=STUDY, patient="PAT1"))).to_json_dict() for n in (1, 2)]
    desk.receive(dicom(json.dumps(objects).encode(), content_type="application/dicom+json"))
    assert desk.names() == ["study.matched", "instance.enriched", "instance.enriched"]


def test_what_is_read_with_a_warning_has_it_in_its_row(desk: Desk) -> None:
    body = orm(1, name="Müller^Zoë").replace(b"|2.3.1", b"|2.3.1||||||8859/1")
    desk.receive(hl7(body), hl7(b64encode(orm(2))))
    with desk.store.read() as db:
        rows = [db.messages([message_id("orders", one)]) for one in (body, orm(2))]
    assert [warning for row in rows for stored in row.values() for warning in stored.warnings] == [
        "MSH-18: the bytes are UTF-8, not what is declared; read as UTF-8",
        "base64 without content_encoding: decoded",
    ]


def test_patients_merges_reports_and_appointments_are_kept_and_found_by_their_numbers(desk: Desk) -> None:
    header = "MSH|^~\\&|HIS|MAIN|||20261123090000||{}|{}|P|2.5.1\r"
    pid = "PID|1||P1^^^HOSP^MR||Doe^Jane||19700101|F\r"
    messages = [
        header.format("ADT^A08", "1") + pid,
        header.format("ADT^A40", "2") + pid + "MRG|T1^^^HOSP^MR\r",
        header.format("ORU^R01", "3") + pid + "OBR|1|P-1|F-1|CT||||||||||||||A1|||||||F\r",
        header.format("SIU^S13", "4") + "SCH|AP1|AF1|||||||||^^^20261124100000||||||||||||||BOOKED|P-1|F-1\r" + pid,
    ]
    assert desk.receive(*(hl7(message.encode()) for message in messages)) == [Verb.ACCEPTED] * 4
    with desk.store.read() as db:
        updates = db.facts({("patient", "P1")}, PatientUpdate).values()
        [change] = db.facts({("patient", "T1")}, IdentityChange).values()
        [report] = db.facts({("accession", "A1")}, Report).values()
        [appointment] = db.facts({("filler", "F-1")}, Appointment).values()
    assert {update.event for update in updates} == {"A08", "A40"}
    assert (change.kind, change.patient_identifiers[0].value) == ("merge", "P1")
    assert report.result_status == "F"
    assert (appointment.event, appointment.status) == ("S13", "BOOKED")
    assert desk.figures()["messages"] == {"TRANSFORMED": 4}
    assert desk.names() == []


def test_a_message_that_comes_again_after_a_lost_connection_is_read(desk: Desk) -> None:
    assert desk.receive(hl7(orm(1, study=STUDY), redelivered=True)) == [Verb.ACCEPTED]
    assert desk.figures()["messages"] == {"TRANSFORMED": 1}


def test_a_corrected_object_replaces_the_one_under_its_uid(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)))
    desk.receive(dicom(ct(1, study=STUDY, patient="SOMEBODY-ELSE", name="Roe^Richard")))
    assert desk.links()[STUDY][0] == "conflict"
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    assert desk.links()[STUDY][0] == "matched"
    assert desk.names()[-2:] == ["study.matched", "instance.enriched"]
    assert desk.figures()["stored"]["instances"] == 1


def test_an_object_that_moves_to_another_study_leaves_the_first_one(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)), hl7(orm(2, study=f"{STUDY}.2", patient="PAT1")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.receive(dicom(ct(1, study=f"{STUDY}.2", patient="PAT1")))
    assert desk.links()[STUDY] == ("pending", ())
    assert desk.links()[f"{STUDY}.2"][0] == "matched"
    assert "study.unlinked" in desk.names()


def test_an_update_of_an_order_publishes_the_objects_again_under_a_new_revision(desk: Desk) -> None:
    desk.receive(hl7(orm(1, study=STUDY)))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.receive(hl7(orm(1, control="XO", study=STUDY, time="20261123093000", name="Doe^Janet")))
    last = desk.events[-1]
    assert name_of(last) == "instance.enriched"
    assert last["data"]["revision"] == 2
    assert last["data"]["orders"][0]["patient"]["name"]["alphabetic"] == "Doe^Janet"
    assert [w["code"] for w in last["data"]["correlation"]["warnings"]] == []
    assert {
        "tag": "00100010",
        "keyword": "PatientName",
        "vr": "PN",
        "received": "Doe^Jane",
        "ordered": "Doe^Janet",
    } in (last["data"]["reconciliation"])


def test_an_older_message_that_arrives_late_changes_nothing(desk: Desk) -> None:
    desk.receive(hl7(orm(1, control="CA", status="CA", study=STUDY, time="20261123093000")))
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")))
    desk.receive(hl7(orm(1, study=STUDY, time="20261123083000")))
    assert desk.links()[STUDY][0] == "conflict"


def test_a_channel_publishes_only_the_events_that_it_names(tmp_path: Path) -> None:
    quiet = Destination(events=("study.*", "instance.enriched"))
    desk = Desk(tmp_path, [replace(channel, destinations=(quiet,)) for channel in CHANNELS])
    desk.receive(dicom(ct(1, study=STUDY, patient="PAT1")), dicom(b"garbage"))
    assert desk.names() == []
    desk.receive(hl7(orm(1, study=STUDY)))
    assert desk.names() == ["study.matched", "instance.enriched"]


def scene() -> list[Inbound]:
    """Two orders under one accession number for two patients, an update, a cancellation, and the objects of three."""
    return [
        hl7(orm(1, accession="A1", patient="P1")),
        hl7(orm(2, accession="A1", patient="P2", name="Roe^Rita", birth_date="19800202")),
        hl7(orm(3, study=f"{STUDY}.3", patient="P3")),
        hl7(orm(3, control="CA", status="CA", patient="P3", time="20261123093000")),
        hl7(orm(4, study=f"{STUDY}.4", patient="P4")),
        hl7(orm(4, control="XO", accession="A4", patient="P4", time="20261123093000")),
        dicom(ct(1, study=f"{STUDY}.1", patient="P1", accession="A1")),
        dicom(ct(2, study=f"{STUDY}.2", patient="P2", accession="A1", name="Roe^Rita", birth_date="19800202")),
        dicom(ct(3, study=f"{STUDY}.3", patient="P3")),
        dicom(ct(4, study=f"{STUDY}.5", patient="P4", accession="A4")),
        dicom(ct(5, study=f"{STUDY}.4", patient="P4")),
        dicom(ct(6, study=f"{STUDY}.6", patient="P9", accession="A1", name="Poe^Paul", birth_date="19900303")),
    ]


def played(messages: Sequence[Inbound], sizes: Sequence[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Links in the end, and what a consumer that keeps the highest revision of each study knows."""
    with TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        left = list(messages)
        for size in itertools.chain(sizes, itertools.repeat(1)):
            if not left:
                break
            desk.receive(*left[:size])
            del left[:size]
        links = desk.links()
        told: dict[str, Any] = {}
        for event in desk.events:
            if name_of(event).startswith("study."):
                decided = event["data"]["correlation"]
                told[event["subject"]] = (decided["verdict"], tuple(order["id"] for order in event["data"]["orders"]))
        desk.store.close()
        return links, told


EXPECTED = played(scene(), [])


def test_the_scene_ends_as_a_careful_person_would_end_it() -> None:
    verdicts = {uid.removeprefix(STUDY): (verdict, len(orders)) for uid, (verdict, orders) in EXPECTED[0].items()}
    assert verdicts == {
        ".1": ("matched", 1),
        ".2": ("matched", 1),
        ".3": ("conflict", 0),
        ".4": ("matched", 1),
        ".5": ("matched", 1),
        ".6": ("conflict", 0),
    }


@settings(max_examples=40)
@given(
    st.permutations(range(len(scene()))),
    st.lists(st.integers(0, len(scene()) - 1), max_size=5),
    st.lists(st.integers(1, 6), max_size=8),
)
def test_any_arrival_order_with_any_duplicates_ends_in_the_same_links(
    order: list[int], repeated: list[int], sizes: list[int]
) -> None:
    messages = scene()
    links, told = played([messages[i] for i in order + repeated], sizes)
    assert links == EXPECTED[0]
    assert {uid: told.get(uid, ("pending", ())) for uid in links} == links


def test_a_study_that_nobody_ordered_stays_pending_and_its_history_says_why(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=STUDY, accession="A1"), message_id="m/1"))
    with desk.store.read() as db:
        [entry] = db.history(STUDY)
    assert (entry.verdict, entry.reason, entry.previous, entry.message_id) == ("pending", "no-order", None, "m/1")
