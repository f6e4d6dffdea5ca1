"""What time and people lead to, seen from outside: over the broker, with the commands, across a restart."""

from typing import Any

from tests.conftest import Engine, Service, at_least, name_of
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1"


def data_of(engine: Engine, name: str) -> dict[str, Any]:
    data: dict[str, Any] = [event for event in engine.events if name_of(event) == name][-1]["data"]
    return data


def test_a_study_settles_and_is_ready_and_one_without_order_becomes_overdue(service: Service, engine: Engine) -> None:
    service.environment |= {"BRIDGE_SETTLE_AFTER": "1s", "BRIDGE_HOLD_FOR": "2s"}
    service.start()
    engine.hl7(orm(1, study=STUDY))
    engine.dicom(ct(1, study=STUDY, patient="PAT1"))
    engine.dicom(ct(2, study=f"{STUDY}.2"))
    engine.collect(at_least("study.ready", 1))
    engine.collect(at_least("study.overdue", 1))
    assert data_of(engine, "study.ready")["study"]["studyInstanceUID"] == STUDY
    assert data_of(engine, "study.overdue")["study"]["studyInstanceUID"] == f"{STUDY}.2"
    assert service.stop() == 0


def test_a_study_that_was_not_settled_when_the_service_ended_settles_after_it_is_started_again(
    service: Service, engine: Engine
) -> None:
    service.environment["BRIDGE_SETTLE_AFTER"] = "2s"
    service.start()
    engine.dicom(ct(1, study=STUDY))
    engine.collect(at_least("instance.pending", 1))
    service.kill()
    service.start()
    engine.collect(at_least("study.settled", 1))
    assert not data_of(engine, "study.settled")["reopened"]
    assert service.stop() == 0


def test_what_a_person_decides_beside_the_running_service_is_published_and_can_be_taken_back(
    service: Service, engine: Engine
) -> None:
    service.start()
    engine.hl7(orm(1))
    engine.dicom(ct(1, study=STUDY, patient="PAT1"))
    engine.collect(at_least("instance.pending", 1))
    said = service.command("link", STUDY, "F-1", "--user", "ada", "--reason", "the request form names this study")
    assert said.returncode == 0, said.stderr
    engine.collect(at_least("instance.enriched", 1))
    assert data_of(engine, "study.matched")["correlation"]["rule"] == "person"
    said = service.command("link", STUDY, "F-1", "--undo", "--user", "ada", "--reason", "the wrong form")
    assert said.returncode == 0, said.stderr
    engine.collect(at_least("study.unlinked", 1))
    assert service.stop() == 0
