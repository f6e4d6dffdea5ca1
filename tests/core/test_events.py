"""The events are the contract with consumers: CloudEvents 1.0, the names of DESIGN 3.4, and JSON Schemas of them."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as CloudEventOfThePackage
from jsonschema import Draft202012Validator

from bridge.core.decision import Verdict
from bridge.core.events import (
    CONTENT_TYPE,
    EVENTS,
    AmendedData,
    CloudEvent,
    InstanceData,
    Lineage,
    OverdueData,
    Previous,
    RejectedData,
    RejectedInstanceData,
    RejectedMessage,
    Rejection,
    ReportedData,
    Retrieve,
    SeriesSummary,
    SettledData,
    StudyData,
)
from bridge.core.evidence import StudyFacts
from bridge.core.instance_number import parse_instance_number, summarise
from bridge.core.matching import decide
from bridge.core.model import (
    Code,
    Instance,
    Issuer,
    MessageSource,
    Person,
    PersonName,
    Report,
    ScheduledStep,
    Statement,
)
from bridge.core.orders import Order
from bridge.core.publishing import (
    Origin,
    changes,
    cloud_event,
    correlation,
    instance_data,
    ordered_modalities,
    outbound,
    published_order,
    published_report,
    published_study,
    routing_keys,
)
from bridge.core.reconciliation import reconcile
from bridge.schema import FOLDER, event_schema, file_name, write
from tests.core.builders import JANE, JOHN, header, number, order, person, request

ORIGIN = Origin("test", "epoch-1")
TIME = "2026-01-01T08:00:00Z"
STUDY = "1.1"

FULL_ORDER = order(
    "F1^RIS&1.2&ISO",
    placer="P1^HIS",
    accession="A1^RIS",
    uid=STUDY,
    rp="R1",
    modality="CT",
    patient=person("100^HOSP&1.3&ISO^MR", PersonName("Doe^Jane", "山田^花子", "やまだ^はなこ"), "1970-01-31", "F"),
    procedure=Code("CTABD", "CT abdomen", "L"),
    priority="STAT",
    reason="pain",
    clinical_information="appendicitis?",
    ordered_at="2026-01-01T07:00:00+01:00",
    visit_number="V1",
    account_number="ACC1",
    ordering_provider=Person("D7", Issuer("HOSP"), PersonName("House^Gregory")),
    scheduled_steps=(
        ScheduledStep(
            "S1",
            "CT",
            "2026-01-01T09:00:00Z",
            "abdomen",
            Code("P1", "with contrast", "L"),
            ("CT1",),
            ("CT ONE",),
            "room",
        ),
    ),
)
FULL_REPORT = Report(
    message_time=TIME,
    source=MessageSource("RIS", "MAIN", "ORU^R01", "R1", "orders"),
    patient=JANE,
    filler_order_number=number("F1^RIS", "OBR-3.1"),
    accession_numbers=(number("A1", "OBR-18"),),
    result_status="F",
    reported_at="2026-01-01T12:00:00Z",
    procedure=Code("CTABD", "CT abdomen", "L"),
)
BARE_ORDER = order("", uid=STUDY, control=None)


def instance(said: Statement) -> Instance:
    return Instance(
        sop_instance_uid=f"{STUDY}.1.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_class_name="CT Image Storage",
        series_instance_uid=f"{STUDY}.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_number=1,
        number_of_frames=None,
        instance_number=parse_instance_number(b"1 ", "2"),
        statement=said,
        dicom={"00280010": {"vr": "US", "Value": [512]}},
    )


def an_instance(said: Statement, orders: tuple[Order, ...], revision: int = 1) -> InstanceData:
    decided = correlation(decide(StudyFacts((said,)), orders), Previous(Verdict.PENDING, ()))
    return instance_data(
        instance(said),
        decided,
        tuple(map(published_order, orders)),
        reconcile(said, orders),
        revision=revision,
        channel="images",
        lineage=Lineage("m1", "m2"),
        retrieve=Retrieve("https://pacs.example/wado/1.1.1", "PACS"),
    )


def a_study(said: Statement, orders: tuple[Order, ...], revision: int = 1) -> StudyData:
    return StudyData(
        revision=revision,
        channel="images",
        study=published_study(STUDY, (said,), (SeriesSummary(f"{STUDY}.1", "CT", 1),)),
        correlation=correlation(decide(StudyFacts((said,)), orders), None),
        orders=tuple(published_order(one) for one in orders),
        lineage=Lineage(None, "m2"),
    )


def more(kind: type[Any], data: Any, **further: Any) -> Any:
    """The same data as a kind of it that says more."""
    return kind(**{name: getattr(data, name) for name in data.__struct_fields__}, **further)


def a_rejection(revision: int = 1) -> RejectedData:
    return RejectedData(revision, "orders", "hl7-no-order", "no ORC", RejectedMessage("m1", None, "text/plain", 12))


def a_settled_study() -> StudyData:
    numbers = summarise([parse_instance_number(b"1 ", "2"), parse_instance_number(None, "2")])
    series = (SeriesSummary(f"{STUDY}.1", "CT", 2, numbers),)
    said = a_study(SAID["matched"], (FULL_ORDER,))
    return msgspec.structs.replace(said, study=published_study(STUDY, (SAID["matched"],), series))


def made(name: str, data: Any, *, origin: Origin = ORIGIN, subject: str = "1.1.1.1", partition: str = STUDY) -> Any:
    return cloud_event(origin, name, subject=subject, partition=partition, time=TIME, data=data)


def as_json(event: CloudEvent[Any]) -> Any:
    return json.loads(msgspec.json.encode(event))


# A study of each verdict, with all there is to say and with nothing but the type 1 attributes.
SAID = {
    "matched": header(uid=STUDY, accession="A1", requests=(request("A1", rp="R1", step="S1"),)),
    "pending": header(uid="1.5"),
    "ambiguous": header(uid="1.5", accession="A1^RIS", patient=person()),
    "conflict": header(uid=STUDY, accession="A1", patient=JOHN),
}
EMPTY = header(uid="1.5", patient=person(), modality=None)
BODIES = [
    *(
        (f"instance.{'enriched' if v == 'matched' else v}", an_instance(said, (FULL_ORDER,)))
        for v, said in SAID.items()
    ),
    *((f"study.{v}", a_study(said, (FULL_ORDER,))) for v, said in SAID.items() if v != "pending"),
    ("study.unlinked", a_study(SAID["pending"], ())),
    ("instance.enriched", an_instance(header(uid=STUDY), (BARE_ORDER,))),
    ("instance.pending", an_instance(EMPTY, ())),
    ("study.conflict", a_study(EMPTY, ())),
    (
        "instance.rejected",
        more(RejectedInstanceData, an_instance(EMPTY, ()), rejection=Rejection("113001", "Rejected", "1.9")),
    ),
    (
        "study.amended",
        more(
            AmendedData,
            a_study(SAID["matched"], (FULL_ORDER,)),
            changes=tuple(changes({"a": [1], "b": None}, {"a": [2], "b": {"c": "d"}})),
        ),
    ),
    ("study.overdue", more(OverdueData, a_study(EMPTY, ()), since=TIME, hold_for=86400.0)),
    *(
        (name, more(SettledData, a_settled_study(), reason="quiet", quiet_time=60.0, reopened=False))
        for name in ("study.settled", "study.ready")
    ),
    (
        "study.reported",
        more(ReportedData, a_study(SAID["matched"], (FULL_ORDER,)), reports=(published_report(FULL_REPORT),)),
    ),
    ("message.rejected", a_rejection()),
]


@pytest.mark.parametrize(("name", "data"), BODIES, ids=[name for name, _ in BODIES])
def test_an_event_is_a_cloud_event_that_its_schema_describes(name: str, data: Any) -> None:
    body = msgspec.json.encode(made(name, data))

    read = from_rabbitmq_event(RabbitMQMessage({}, CONTENT_TYPE, body))
    assert isinstance(read, CloudEventOfThePackage)
    assert read.get_specversion() == "1.0"
    assert read.get_type() == f"io.github.hl7dicombridge.{name}.v1"
    assert read.get_source() == "urn:hl7-dicom-bridge:test"
    assert read.get_subject() == "1.1.1.1"
    assert read.get_time() == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert read.get_datacontenttype() == "application/json"
    assert read.get_dataschema() == event_schema(name)["$id"]
    assert (read.get_extension("partitionkey"), read.get_extension("sequence")) == (STUDY, "1")
    assert read.get_data() == as_json(made(name, data))["data"]
    assert JSONFormat().read(None, body).get_id() == read.get_id()

    schema = event_schema(name)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(json.loads(body))


def test_the_examples_cover_every_event() -> None:
    assert {name for name, _ in BODIES} == set(EVENTS)


def test_the_verdicts_of_the_examples_are_what_they_are_called() -> None:
    for verdict, said in SAID.items():
        assert decide(StudyFacts((said,)), [FULL_ORDER]).verdict == verdict


# Names


def test_the_names_of_an_instance_event_are_those_of_the_contract() -> None:
    data = as_json(made("instance.enriched", an_instance(SAID["matched"], (FULL_ORDER,))))["data"]

    about = ["revision", "channel", "instance", "correlation", "orders", "reconciliation", "lineage", "compactOrders"]
    assert list(data) == about
    assert list(data["instance"]) == [
        "sopInstanceUID",
        "sopClassUID",
        "sopClassName",
        "seriesInstanceUID",
        "studyInstanceUID",
        "transferSyntaxUID",
        "modality",
        "seriesNumber",
        "numberOfFrames",
        "instanceNumber",
        "accessionNumber",
        "patient",
        "retrieve",
        "dicom",
        "dicomOmitted",
    ]
    assert data["instance"]["instanceNumber"] == {
        "tag": "00200013",
        "vr": "IS",
        "raw": "1 ",
        "value": 1,
        "status": "valid",
        "flags": [],
        "requirement": {"type": "2", "met": True},
    }
    assert data["instance"]["retrieve"] == {"url": "https://pacs.example/wado/1.1.1", "aeTitle": "PACS"}
    assert data["instance"]["accessionNumber"] == {"value": "A1", "issuer": None}
    assert data["lineage"] == {"message": "m1", "causedBy": "m2"}


def test_the_names_of_a_correlation_are_those_of_the_contract() -> None:
    decided = as_json(made("instance.enriched", an_instance(SAID["matched"], (FULL_ORDER,))))["data"]["correlation"]

    assert list(decided) == [
        "verdict",
        "reason",
        "rule",
        "evidence",
        "warnings",
        "contradictions",
        "candidates",
        "previous",
    ]
    assert (decided["verdict"], decided["reason"], decided["rule"]) == ("matched", None, "study-instance-uid")
    assert decided["evidence"][0] == {
        "key": "study-instance-uid",
        "outcome": "agrees",
        "order": FULL_ORDER.id,
        "ordered": {"path": "ZDS-1.1", "value": STUDY},
        "received": {"tag": "0020000D", "value": STUDY},
        "hint": None,
    }
    assert decided["candidates"] == [
        {
            "order": FULL_ORDER.id,
            "keys": ["study-instance-uid", "accession-number"],
            "contradictions": [],
            "warnings": [],
        }
    ]
    assert decided["previous"] == {"verdict": "pending", "orders": []}


def test_a_contradiction_has_its_code_and_both_values() -> None:
    decided = as_json(made("instance.conflict", an_instance(SAID["conflict"], (FULL_ORDER,))))["data"]["correlation"]

    assert decided["contradictions"] == [
        {
            "code": "patient-differs",
            "order": FULL_ORDER.id,
            "ordered": {"path": "PID-3[1].1", "value": "100"},
            "received": {"tag": "00100020", "value": "200"},
            "hint": None,
        }
    ]


def test_the_names_of_an_order_are_those_of_the_contract() -> None:
    (published,) = as_json(made("study.matched", a_study(SAID["matched"], (FULL_ORDER,))))["data"]["orders"]

    assert published == {
        "id": FULL_ORDER.id,
        "placerOrderNumber": {"value": "P1", "issuer": _issuer("HIS")},
        "fillerOrderNumber": {"value": "F1", "issuer": _issuer("RIS", "1.2")},
        "accessionNumber": {"value": "A1", "issuer": _issuer("RIS")},
        "requestedProcedureID": "R1",
        "studyInstanceUID": STUDY,
        "status": "scheduled",
        "modality": "CT",
        "procedure": {"code": "CTABD", "display": "CT abdomen", "system": "L"},
        "priority": "STAT",
        "reason": "pain",
        "clinicalInformation": "appendicitis?",
        "orderedAt": "2026-01-01T07:00:00+01:00",
        "patient": {
            "identifiers": [{"value": "100", "issuer": _issuer("HOSP", "1.3"), "typeCode": "MR"}],
            "name": {"alphabetic": "Doe^Jane", "ideographic": "山田^花子", "phonetic": "やまだ^はなこ"},
            "birthDate": "1970-01-31",
            "sex": "F",
        },
        "visitNumber": "V1",
        "accountNumber": "ACC1",
        "orderingProvider": {
            "value": "D7",
            "issuer": _issuer("HOSP"),
            "name": {"alphabetic": "House^Gregory", "ideographic": None, "phonetic": None},
        },
        "scheduledSteps": [
            {
                "scheduledProcedureStepID": "S1",
                "modality": "CT",
                "scheduledProcedureStepStartDateTime": "2026-01-01T09:00:00Z",
                "scheduledProcedureStepDescription": "abdomen",
                "scheduledProtocolCode": {"code": "P1", "display": "with contrast", "system": "L"},
                "scheduledStationAETitle": ["CT1"],
                "scheduledStationName": ["CT ONE"],
                "scheduledProcedureStepLocation": "room",
                "scheduledPerformingPhysicianName": None,
            }
        ],
        "source": {
            "sendingApplication": "RIS",
            "sendingFacility": "HOSP",
            "messageType": "ORM^O01",
            "messageControlID": "1",
            "channel": "orders",
        },
        "replaces": None,
        "parent": None,
    }


def _issuer(namespace: str, universal: str | None = None) -> dict[str, str | None]:
    return {"namespaceID": namespace, "universalID": universal, "universalIDType": "ISO" if universal else None}


def test_the_names_of_a_reconciliation_are_those_of_the_contract() -> None:
    data = as_json(made("instance.conflict", an_instance(SAID["conflict"], (FULL_ORDER,))))["data"]

    assert data["reconciliation"][0] == {
        "tag": "00100010",
        "keyword": "PatientName",
        "vr": "PN",
        "received": "Smith^John",
        "ordered": "Doe^Jane",
    }


def test_a_study_event_has_counts_for_each_series() -> None:
    data = as_json(made("study.matched", a_study(SAID["matched"], (FULL_ORDER,))))["data"]

    assert list(data) == ["revision", "channel", "study", "correlation", "orders", "lineage", "compactOrders"]
    assert data["study"] == {
        "studyInstanceUID": STUDY,
        "modalities": ["CT"],
        "accessionNumbers": [{"value": "A1", "issuer": None}],
        "patient": {
            "identifiers": [{"value": "100", "issuer": _issuer("HOSP"), "typeCode": None}],
            "name": {"alphabetic": "Doe^Jane", "ideographic": None, "phonetic": None},
            "birthDate": "1970-01-31",
            "sex": "F",
        },
        "numberOfSeries": 1,
        "numberOfInstances": 1,
        "series": [
            {"seriesInstanceUID": f"{STUDY}.1", "modality": "CT", "numberOfInstances": 1, "instanceNumbers": None}
        ],
    }


def test_the_patient_of_a_study_is_that_of_the_fullest_statement_in_any_sequence() -> None:
    statements = (EMPTY, header(uid=STUDY), header(uid=STUDY, modality="SR"))

    published = published_study(STUDY, statements, ())
    assert published == published_study(STUDY, statements[::-1], ())
    assert published.patient.birth_date == JANE.birth_date
    assert published.modalities == ("CT", "SR")


def test_absent_is_null_and_every_name_is_there() -> None:
    (published,) = as_json(made("study.matched", a_study(header(uid=STUDY), (BARE_ORDER,))))["data"]["orders"]
    full = as_json(made("study.matched", a_study(SAID["matched"], (FULL_ORDER,))))["data"]["orders"][0]

    assert published.keys() == full.keys()
    assert {name for name, value in published.items() if value is not None} == {
        "id",
        "studyInstanceUID",
        "patient",
        "scheduledSteps",
        "source",
    }
    assert published["patient"] == {"identifiers": [], "name": None, "birthDate": None, "sex": None}
    assert '""' not in msgspec.json.encode(made("instance.pending", an_instance(EMPTY, ()))).decode()


def test_a_rejection_has_no_body_of_the_message() -> None:
    assert as_json(made("message.rejected", a_rejection()))["data"] == {
        "revision": 1,
        "channel": "orders",
        "code": "hl7-no-order",
        "reason": "no ORC",
        "message": {"id": "m1", "messageID": None, "contentType": "text/plain", "size": 12},
    }


# Ids


def test_the_same_fact_has_the_same_id_and_body_however_often_it_is_made() -> None:
    first, again = (made("study.matched", a_study(SAID["matched"], (FULL_ORDER,))) for _ in range(2))

    assert msgspec.json.encode(first) == msgspec.json.encode(again)


def test_an_event_that_would_be_too_large_goes_without_the_objects_attributes_and_says_so() -> None:
    data = an_instance(SAID["matched"], (FULL_ORDER,))
    long = {"00324000": {"vr": "LT", "Value": ["x" * 9_000_000]}}
    large = msgspec.structs.replace(data, instance=msgspec.structs.replace(data.instance, dicom=long))
    events = [
        outbound(made("instance.enriched", one), "images", "events", ["k"], correlation_id=None, traceparent=None)
        for one in (data, large)
    ]
    small, shortened = (json.loads(event.body) for event in events)

    assert len(events[1].body) < 100_000
    assert events[0].event_id == events[1].event_id
    assert (small["data"]["instance"]["dicomOmitted"], shortened["data"]["instance"]["dicomOmitted"]) == (False, True)
    small["data"]["instance"] |= {"dicom": {}, "dicomOmitted": True}
    assert shortened == small


def test_another_fact_has_another_id() -> None:
    data = a_study(SAID["matched"], (FULL_ORDER,))
    events = [
        made("study.matched", data),
        made("study.conflict", data),
        made("study.matched", data, origin=Origin("other", ORIGIN.epoch)),
        made("study.matched", data, origin=Origin(ORIGIN.site, "epoch-2")),
        made("study.matched", data, subject="1.1.1.2"),
        made("study.matched", data, partition="1.2"),
        made("study.matched", a_study(SAID["matched"], (FULL_ORDER,), revision=2)),
    ]

    assert len({event.id for event in events}) == len(events)


def test_the_site_is_written_so_that_the_source_is_a_uri() -> None:
    assert Origin("St. Mary's", "1").source == "urn:hl7-dicom-bridge:St.%20Mary%27s"


# Routing keys


def test_acquisitions_lead_and_what_was_made_from_them_stands_last() -> None:
    assert ordered_modalities({"SEG", "SR", "PR", "KO", "MR", "CT"}) == ("CT", "MR", "SR", "KO", "PR", "SEG")


def test_a_routing_key_names_each_modality_once_or_none() -> None:
    assert routing_keys("study.matched", ("CT", "SR")) == ("study.matched.CT", "study.matched.SR")
    assert routing_keys("study.matched", ()) == ("study.matched.none",)


@pytest.mark.parametrize("modality", ["C.T", "#", "*", "X" * 300, "CT\\MR", "CÜ"])
def test_what_is_no_modality_cannot_break_a_routing_key(modality: str) -> None:
    assert routing_keys("instance.enriched", (modality,)) == ("instance.enriched.none",)


# Schemas


@pytest.mark.parametrize("name", EVENTS)
def test_the_shipped_schema_is_the_generated_one(name: str) -> None:
    """After a change: python -m bridge.schema."""
    assert json.loads((FOLDER / file_name(name)).read_text()) == event_schema(name)


def test_there_is_a_file_for_each_event_and_no_other(tmp_path: Any) -> None:
    write(tmp_path)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in FOLDER.iterdir()
    }


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_is_described_required_and_open_to_more(name: str) -> None:
    for shape in event_schema(name)["$defs"].values():
        assert shape["description"]
        assert shape.get("required") == (list(shape["properties"]) if "properties" in shape else None)
        assert "additionalProperties" not in shape


def test_a_schema_refuses_what_lacks_a_field_and_takes_what_has_one_more() -> None:
    event = as_json(made("study.matched", a_study(SAID["matched"], (FULL_ORDER,))))
    validator = Draft202012Validator(event_schema("study.matched"))

    event["data"]["new"] = event["data"]["orders"][0]["new"] = 1
    assert validator.is_valid(event)
    del event["data"]["orders"][0]["accessionNumber"]["issuer"]["universalID"]
    assert not validator.is_valid(event)
