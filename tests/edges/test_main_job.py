"""The service as its users run it: a real RabbitMQ, a real SQLite file, a real process."""

import json
import random
from typing import Any

import pytest

from tests.conftest import Engine, Service, at_least, name_of
from tests.samples import ROOT, ct, orm

ORDERS, OBJECTS = 300, 1000


def everything(seed: int) -> list[tuple[str, bytes]]:
    """300 orders and 1,000 objects of their studies, in random order; half link by UID, half by accession number."""
    messages = []
    for number in range(ORDERS):
        study = f"{ROOT}.1.{number}"
        by_uid = {"study": study} if number % 2 else {"accession": f"ACC{number}"}
        messages.append(("hl7", orm(number, **by_uid)))
    for number in range(OBJECTS):
        order = number % ORDERS
        accession = "" if order % 2 else f"ACC{order}"
        body = ct(number, study=f"{ROOT}.1.{order}", patient=f"PAT{order}", accession=accession, instance=number)
        messages.append(("dicom", body))
    random.Random(seed).shuffle(messages)
    return messages


def publish(engine: Engine, messages: list[tuple[str, bytes]]) -> None:
    for kind, body in messages:
        (engine.hl7 if kind == "hl7" else engine.dicom)(body)


def enriched(events: list[dict[str, Any]]) -> set[str]:
    return {event["subject"] for event in events if name_of(event) == "instance.enriched"}


def assert_everything_is_matched(service: Service) -> None:
    status = service.status()
    assert status["studies"] == {"matched": ORDERS, "pending": 0, "ambiguous": 0, "conflict": 0}
    assert status["messages"] == {"TRANSFORMED": ORDERS + OBJECTS, "FILTERED": 0, "ERROR": 0, "DUPLICATE": 0}
    assert status["orders"] == status["patients"] == ORDERS
    assert status["instances"] == OBJECTS
    assert status["outbox"]["QUEUED"] == 0
    assert status["dead"] == 0


def test_orders_and_objects_in_random_order_all_end_matched_with_one_enriched_event_each(
    service: Service, engine: Engine
) -> None:
    service.start()
    publish(engine, everything(seed=1))
    events = engine.collect(at_least("instance.enriched", OBJECTS))
    assert service.stop() == 0
    assert len(enriched(events)) == OBJECTS
    assert engine.counts()["instance.enriched"] == OBJECTS
    assert engine.counts()["study.matched"] == ORDERS
    assert_everything_is_matched(service)


def test_killed_twice_in_the_middle_it_comes_to_the_same_end(service: Service, engine: Engine) -> None:
    service.start()
    publish(engine, everything(seed=2))
    engine.collect(at_least("instance.enriched", 50))
    service.kill()
    service.start()
    engine.collect(at_least("instance.enriched", 300))
    service.kill()
    service.start()
    events = engine.collect(lambda events: len(enriched(events)) == OBJECTS)
    assert service.stop() == 0
    assert_everything_is_matched(service)
    bodies: dict[str, dict[str, Any]] = {}
    for event in events:
        assert bodies.setdefault(event["id"], event) == event, "one event id with two bodies"


def test_what_cannot_be_read_stands_in_bridge_dead_and_harms_nothing_else(service: Service, engine: Engine) -> None:
    service.start()
    chance = random.Random(3)
    good = everything(seed=3)[:60]
    bad = [chance.randbytes(chance.randint(1, 3000)) for _ in range(200)]
    cut = [body[: chance.randrange(1, len(body))] for _, body in chance.choices(everything(seed=4), k=200)]
    for body in bad + cut:
        engine.hl7(body)
        engine.dicom(body)
    publish(engine, good)
    engine.hl7(b"the last one")
    engine.dicom(b"the last one")
    engine.collect(lambda events: len([e for e in events if e["data"].get("message", {}).get("size") == 12]) == 2)
    assert service.stop() == 0
    messages = service.status()["messages"]
    letters = engine.dead_letters()
    assert sum(messages.values()) == 2 * 400 + 60 + 2
    assert len(letters) >= messages["ERROR"] > 2 * 200
    for properties, _ in letters:
        assert properties.headers["bridge-error"]
        assert properties.headers["bridge-reason"]
        assert properties.headers["bridge-channel"] in ("orders", "images")
    assert service.status()["outbox"]["QUEUED"] == 0


def test_an_order_after_its_objects_enriches_the_held_ones(service: Service, engine: Engine) -> None:
    service.start()
    study = f"{ROOT}.1.7"
    for number in range(3):
        engine.dicom(ct(number, study=study, patient="PAT7", instance=number))
    engine.collect(at_least("instance.pending", 3))
    engine.hl7(orm(7, study=study))
    events = engine.collect(at_least("instance.enriched", 3))
    [matched] = [event for event in events if name_of(event) == "study.matched"]
    assert matched["data"]["correlation"]["previous"] == {"verdict": "pending", "orders": []}
    assert matched["data"]["study"]["numberOfInstances"] == 3
    for event in events:
        if name_of(event) == "instance.enriched":
            assert event["data"]["revision"] == 2
            assert event["data"]["orders"][0]["fillerOrderNumber"]["value"] == "F-7"
            assert event["data"]["lineage"]["causedBy"] == matched["data"]["lineage"]["causedBy"]
            assert event["data"]["lineage"]["message"] != matched["data"]["lineage"]["causedBy"]


def test_a_cancelled_order_is_taken_back_and_a_restored_one_comes_back(service: Service, engine: Engine) -> None:
    service.start()
    study = f"{ROOT}.1.8"
    engine.hl7(orm(8, study=study))
    engine.dicom(ct(8, study=study, patient="PAT8"))
    engine.collect(at_least("instance.enriched", 1))
    engine.hl7(orm(8, control="CA", status="CA", study=study, time="20261123093000"))
    events = engine.collect(at_least("study.conflict", 1))
    [unlinked] = [event for event in events if name_of(event) == "study.unlinked"]
    assert unlinked["data"]["correlation"]["verdict"] == "conflict"
    assert unlinked["data"]["correlation"]["reason"] == "order-cancelled"
    assert unlinked["data"]["correlation"]["previous"]["verdict"] == "matched"
    assert unlinked["data"]["orders"] == []
    engine.hl7(orm(8, control="UC", study=study, time="20261123103000"))
    engine.collect(at_least("instance.enriched", 2))
    explained = json.loads(service.command("explain", "F-8", "--json").stdout)
    assert explained["correlation"]["verdict"] == "matched"
    assert [entry["verdict"] for entry in explained["history"]][-3:] == ["matched", "conflict", "matched"]


def test_one_accession_number_on_two_patients_is_never_linked(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(orm(9, accession="A9"))
    engine.dicom(ct(9, study=f"{ROOT}.1.9", patient="SOMEBODY-ELSE", accession="A9", name="Roe^Richard"))
    events = engine.collect(at_least("study.conflict", 1))
    decided = events[-1]["data"]["correlation"]
    assert (decided["verdict"], decided["reason"]) == ("conflict", "patient-differs")
    [contradiction] = decided["contradictions"]
    assert contradiction["ordered"] == {"path": "PID-3.1", "value": "PAT9"}
    assert contradiction["received"] == {"tag": "00100020", "value": "SOMEBODY-ELSE"}
    assert events[-1]["data"]["orders"] == []


def test_the_same_message_again_is_a_duplicate_without_a_second_event(service: Service, engine: Engine) -> None:
    service.start()
    study = f"{ROOT}.1.10"
    for _ in range(3):
        engine.hl7(orm(10, study=study))
        engine.dicom(ct(10, study=study, patient="PAT10"))
    engine.hl7(b"end")
    engine.dicom(b"end")
    engine.collect(at_least("message.rejected", 2))
    assert service.stop() == 0
    assert engine.counts()["instance.enriched"] == 1
    assert service.status()["messages"] == {"TRANSFORMED": 2, "FILTERED": 0, "ERROR": 2, "DUPLICATE": 4}


def test_a_dead_letter_has_the_body_and_properties_of_the_message(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(
        b"PID|1||secret",
        message_id="c/1/2",
        correlation_id="corr",
        priority=3,
        timestamp=1700000000,
        type="HL7",
        app_id="mirth",
        headers={"mirth-channel-name": "RIS", "calling-aet": "RIS1"},
    )
    [event] = engine.collect(at_least("message.rejected", 1))
    service.stop()
    [(properties, body)] = engine.dead_letters()
    assert body == b"PID|1||secret"
    assert properties.message_id == "c/1/2"
    assert properties.correlation_id == "corr"
    assert (properties.priority, properties.timestamp, properties.type) == (3, 1700000000, "HL7")
    assert (properties.app_id, properties.content_type) == ("mirth", "application/hl7-v2+er7")
    assert properties.headers["mirth-channel-name"] == "RIS"
    assert properties.headers["bridge-error"] == event["data"]["code"] == "hl7-no-msh"
    assert properties.headers["bridge-channel"] == "orders"
    assert "secret" not in properties.headers["bridge-reason"] + str(event)


def test_events_are_routed_by_modality_with_cloudevents_properties(service: Service, engine: Engine) -> None:
    service.start()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    engine.dicom(ct(11, study=f"{ROOT}.1.11", patient="PAT11"), message_id="m/11/1", headers={"traceparent": trace})
    engine.collect(at_least("instance.pending", 1))
    method, properties, _ = engine.received[-1]
    event = engine.events[-1]
    assert method.routing_key == "instance.pending.CT"
    assert properties.content_type == "application/cloudevents+json"
    assert properties.delivery_mode == 2
    assert properties.message_id == properties.headers["ce-id"] == event["id"]
    assert properties.type == properties.headers["ce-type"] == event["type"]
    assert properties.app_id == "hl7-dicom-bridge"
    assert properties.correlation_id == "m/11/1"
    assert properties.headers["traceparent"] == trace
    assert properties.headers["ce-sequence"] == str(event["data"]["revision"])
    assert properties.headers["ce-partitionkey"] == f"{ROOT}.1.11"
    assert event["source"] == "urn:hl7-dicom-bridge:test"


def test_a_study_of_two_modalities_comes_once_to_a_consumer_of_each(service: Service, engine: Engine) -> None:
    service.start()
    study = f"{ROOT}.1.12"
    engine.dicom(ct(12, study=study, patient="PAT12", Modality="SR"))
    engine.dicom(ct(13, study=study, patient="PAT12", Modality="PT"))
    engine.collect(at_least("instance.pending", 2))
    engine.hl7(orm(12, study=study))
    engine.collect(at_least("instance.enriched", 2))
    [(method, properties)] = [(m, p) for m, p, _ in engine.received if m.routing_key.startswith("study.matched")]
    assert method.routing_key == "study.matched.PT"
    assert properties.headers["CC"] == ["study.matched.SR"]


def test_no_log_line_of_a_whole_run_holds_patient_data(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(orm(14, accession="ACC14SECRET", patient="PATIENTSECRET", name="Secretname^Given"))
    engine.dicom(ct(14, study=f"{ROOT}.1.14", patient="OTHERSECRET", accession="ACC14SECRET", name="Hidden^Name"))
    engine.collect(at_least("study.conflict", 1))
    engine.hl7(b"MSH|^~\\&|A|SECRETFACILITY\rPID|1||PATIENTSECRET\r")
    engine.dicom(ct(14, study=f"{ROOT}.1.14", patient="OTHERSECRET")[:300])
    engine.collect(at_least("message.rejected", 2))
    service.stop()
    log = "".join(service.log)
    assert "rejected" in log
    for secret in ("SECRET", "Secretname", "Hidden", "19700101"):
        assert secret not in log


@pytest.mark.parametrize("order_first", [True, False])
def test_instance_number_arrives_as_it_was_sent(service: Service, engine: Engine, order_first: bool) -> None:
    service.start()
    study = f"{ROOT}.1.15"
    send = [lambda: engine.hl7(orm(15, study=study)), lambda: engine.dicom(ct(15, study=study, instance=42))]
    for step in send if order_first else reversed(send):
        step()
    events = engine.collect(at_least("instance.enriched", 1))
    assert events[-1]["data"]["instance"]["instanceNumber"] == {
        "tag": "00200013",
        "vr": "IS",
        "raw": "42",
        "value": 42,
        "status": "valid",
        "flags": [],
        "requirement": {"type": "2", "met": True},
    }
