"""Several destinations of a channel: which events each is told of, and how much they say."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.app import checked_channels
from tests.desk import CHANNELS, Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1.1"
IMAGES = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["dicom.#"]\n'
EVERYTHING = "[[destinations]]\nname = 'events'\n"
CHEST = """
[[destinations]]
name        = "chest"
exchange    = "ai.chest"
declare     = false
routing_key = "chest.{fact}"
events      = ["study.ready", "instance.enriched"]
attributes  = ["Rows"]
orders      = "compact"
accept      = [{ attribute = "BodyPartExamined", in = ["CHEST", "THORAX"] }]
"""

Made = Callable[[str], Desk]


@pytest.fixture
def desk(tmp_path: Path) -> Made:
    """A site whose channel of images is this text."""

    def made(text: str) -> Desk:
        (tmp_path / "images.toml").write_text(IMAGES + text)
        [images] = checked_channels(tmp_path)
        orders = next(channel for channel in CHANNELS if channel.name == "orders")
        return Desk(tmp_path, [images, orders])

    return made


def told(desk: Desk, destination: str) -> list[tuple[str, dict[str, Any]]]:
    """Routing key and body of each event that is owed to a destination."""
    return [(one.routing_key, json.loads(one.body)) for one in desk.outbound if one.destination == destination]


def keys(desk: Desk, destination: str) -> list[str]:
    return [key for key, _ in told(desk, destination)]


def test_each_destination_is_told_what_it_wants_under_its_own_routing_key(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST")))
    site.wait(60)
    assert keys(site, "events") == ["study.matched.CT", "instance.enriched.CT", "study.settled.CT", "study.ready.CT"]
    assert keys(site, "chest") == ["chest.enriched", "chest.ready"]


def test_the_same_fact_has_the_same_id_in_every_destination(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST")))
    everything, chest = ({event["subject"]: event["id"] for _, event in told(site, n)} for n in ("events", "chest"))
    assert chest.items() <= everything.items()


def test_a_destination_is_not_told_of_objects_and_studies_that_it_does_not_accept(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(
        hl7(orm(1, study=STUDY)),
        dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="ABDOMEN")),
        dicom(ct(2, study=STUDY, patient="PAT1")),
    )
    site.wait(60)
    assert keys(site, "events").count("study.ready.CT") == 1
    assert keys(site, "chest") == []


def test_one_accepted_object_is_enough_for_an_event_of_the_study(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(
        hl7(orm(1, study=STUDY)),
        dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="ABDOMEN")),
        dicom(ct(2, study=STUDY, patient="PAT1", BodyPartExamined="THORAX")),
    )
    site.wait(60)
    assert keys(site, "chest") == ["chest.enriched", "chest.ready"]


def test_what_a_study_was_told_for_is_looked_up_in_objects_of_earlier_messages(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST")))
    site.wait(60)
    site.receive(hl7(orm(1, study=STUDY)))
    assert keys(site, "chest") == ["chest.enriched", "chest.ready"]


def test_an_event_carries_the_attributes_of_its_destination(desk: Made) -> None:
    site = desk(EVERYTHING + "attributes = ['BodyPartExamined', 'Columns']\n" + CHEST)
    body = ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST", Rows=512, Columns=256)
    site.receive(hl7(orm(1, study=STUDY)), dicom(body))
    [everything] = [event for key, event in told(site, "events") if key.startswith("instance")]
    [chest] = [event for _, event in told(site, "chest")]
    assert everything["data"]["instance"]["dicom"].keys() == {"00180015", "00280011"}
    assert chest["data"]["instance"]["dicom"].keys() == {"00280010"}


def test_compact_orders_are_told_by_their_numbers_and_marked(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST")))
    [full] = [event for key, event in told(site, "events") if key.startswith("instance")]
    [compact] = [event for _, event in told(site, "chest")]
    assert (full["data"]["compactOrders"], compact["data"]["compactOrders"]) == (False, True)
    [whole], [order] = full["data"]["orders"], compact["data"]["orders"]
    numbers = ("id", "placerOrderNumber", "fillerOrderNumber", "accessionNumber", "studyInstanceUID", "status")
    assert {name: order[name] for name in numbers} == {name: whole[name] for name in numbers}
    assert whole["patient"]["identifiers"]
    assert order["patient"] == {"identifiers": [], "name": None, "birthDate": None, "sex": None}
    assert order["procedure"] is None is not whole["procedure"]


def test_groups_and_private_attributes_are_carried_where_the_channel_says_so(desk: Made) -> None:
    header = {"Rows": 512, "Columns": 256, "KVP": "120", "PatientComments": "none"}
    body = ct(1, study=STUDY, patient="PAT1", **header)
    private = _with_private(body)

    def carried(text: str) -> set[str]:
        site = desk(EVERYTHING + text)
        site.receive(dicom(private))
        [event] = [event for key, event in told(site, "events") if key.startswith("instance")]
        site.close()
        (site.folder / "bridge.db").unlink()
        return set(event["data"]["instance"]["dicom"])

    assert carried("attributes = ['0028xxxx', '(0018,xxxx)']\n") == {"00280010", "00280011", "00180060"}
    assert carried("attributes = []\nprivate = true\n") == {"00090010", "00091001"}
    assert carried("attributes = ['00091001']\n") == {"00090010", "00091001"}
    assert carried("attributes = ['KVP']\n") == {"00180060"}


def test_an_instance_says_where_to_get_it(desk: Made) -> None:
    site = desk('[retrieve]\nurl = "https://pacs/{StudyInstanceUID}/{SOPInstanceUID}"\nae_title = "PACS"\n')
    site.receive(dicom(ct(1, study=STUDY)))
    [(_, event)] = told(site, "events")
    assert event["data"]["instance"]["retrieve"] == {"url": f"https://pacs/{STUDY}/{ROOT}.3.1", "aeTitle": "PACS"}


def test_there_is_no_url_for_an_object_that_lacks_what_the_template_names(desk: Made) -> None:
    site = desk('[retrieve]\nurl = "https://pacs/{SeriesInstanceUID}"\n')
    site.receive(dicom(ct(1, study=STUDY, SeriesInstanceUID="")))
    [(_, event)] = told(site, "events")
    assert event["data"]["instance"]["retrieve"] == {"url": None, "aeTitle": None}


def test_a_rejected_message_is_told_to_every_destination_that_wants_it(desk: Made) -> None:
    also = "[[destinations]]\nname = 'alerts'\nexchange = 'alerts'\nevents = ['message.rejected']\n"
    site = desk(EVERYTHING + CHEST + also)
    site.receive(dicom(b"garbage"))
    assert [keys(site, name) for name in ("events", "chest", "alerts")] == [
        ["message.rejected.none"],
        [],
        ["message.rejected.none"],
    ]


def test_what_waits_for_one_destination_does_not_wait_for_another(desk: Made) -> None:
    site = desk(EVERYTHING + CHEST)
    site.receive(hl7(orm(1, study=STUDY)), dicom(ct(1, study=STUDY, patient="PAT1", BodyPartExamined="CHEST")))
    lanes: dict[str, set[str]] = {}
    for event in site.outbound:
        lanes.setdefault(event.destination, set()).add(event.lane)
    assert lanes["events"].isdisjoint(lanes["chest"])
    assert [len(lane) for lane in lanes.values()] == [1, 1]


def _with_private(body: bytes) -> bytes:
    header: Dataset = dcmread(BytesIO(body))
    block = header.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "LO", "secret")
    inner = Dataset()
    inner.private_block(0x0009, "ACME", create=True).add_new(0x02, "LO", "deep")
    header.RequestAttributesSequence = Sequence([inner])
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()
