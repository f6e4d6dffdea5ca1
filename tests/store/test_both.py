"""The same messages end in the same events, figures and links on both databases, however odd what they hold is."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.core.ports import Inbound, Verb
from bridge.store import outbox
from tests.desk import Desk, dicom, hl7
from tests.localpostgres import LocalPostgres
from tests.samples import ROOT, ct, orm
from tests.store.happenings import HAPPENINGS, STUDY, begin


@pytest.fixture
def desks(postgres: LocalPostgres, tmp_path: Path) -> Iterator[list[Desk]]:
    """One on SQLite and one on PostgreSQL, whose locale sorts as people in America do where it can."""
    url = postgres.new_database(postgres.sorting_as_people_do())
    with closing(Desk(tmp_path)) as one, closing(Desk(tmp_path, database_url=url)) as other:
        yield [one, other]
    postgres.drop_database(url)


def told(desk: Desk) -> dict[str, Any]:
    with desk.store.read() as db:
        owed = [(one.event_id, one.body) for one in outbox.owed(db, 1000)]
    return {"events": desk.events, "owed": owed, "figures": desk.figures(), "links": desk.links()}


@pytest.mark.parametrize("happens", HAPPENINGS)
def test_what_happens_is_told_the_same(desks: list[Desk], happens: Callable[[Desk], None]) -> None:
    for desk in desks:
        begin(desk)
        happens(desk)
    first, second = map(told, desks)
    assert first == second


def long(length: int) -> str:
    """An identifier of digits that no database can compress to a few bytes."""
    return "".join(random.Random(length).choices("123456789", k=length))


def by_accession_number(value: str) -> list[Inbound]:
    return [hl7(orm(1, accession=value)), dicom_json(accession=value)]


def by_study_uid(value: str) -> list[Inbound]:
    return [hl7(orm(1, study=value)), dicom_json(study=value)]


def by_filler_number(value: str) -> list[Inbound]:
    return [hl7(orm(value, accession="A1")), hl7(orm(value, control="CA", time="20261123093000")), dicom_json()]


def by_patient(value: str) -> list[Inbound]:
    return [hl7(orm(1, patient=value, accession="A1")), dicom_json(patient=value)]


def by_series_and_object(value: str) -> list[Inbound]:
    return [hl7(orm(1, accession="A1")), dicom_json(series=value, instance=value, modality=value)]


def dicom_json(
    *,
    study: str = STUDY,
    accession: str = "A1",
    patient: str = "",
    series: str = f"{STUDY}.1",
    instance: str = f"{STUDY}.1.1",
    modality: str = "CT",
) -> Inbound:
    """An object in the DICOM JSON Model, which sets no limit to a value."""
    said = {
        "00080016": ("UI", "1.2.840.10008.5.1.4.1.1.2"),
        "00080018": ("UI", instance),
        "00080050": ("SH", accession),
        "00080060": ("CS", modality),
        "00100020": ("LO", patient),
        "00100030": ("DA", "19700101"),
        "0020000D": ("UI", study),
        "0020000E": ("UI", series),
    }
    model = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in said.items() if value}
    model["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    return dicom(json.dumps(model).encode(), content_type="application/dicom+json")


@pytest.mark.parametrize("messages", [by_accession_number, by_filler_number, by_patient])
@pytest.mark.parametrize("length", [4_000, 100_000])
def test_identifiers_of_any_length_are_told_the_same(
    desks: list[Desk], messages: Callable[[str], list[Inbound]], length: int
) -> None:
    value, other = long(length), long(length)[:-1] + "0"  # which differ in the last place alone
    for desk in desks:
        for inbound in (*messages(value), *messages(other)):
            desk.receive(inbound)
    first, second = map(told, desks)
    assert first == second
    assert "internal-error" not in first["figures"]["rejected"]
    assert first["links"]


@pytest.mark.parametrize("messages", [by_study_uid, by_series_and_object])
def test_a_uid_that_no_database_indexes_is_refused_with_its_name(
    desks: list[Desk], messages: Callable[[str], list[Inbound]]
) -> None:
    for desk in desks:
        for inbound in messages(long(4_000)):
            desk.receive(inbound)
    first, second = map(told, desks)
    assert first == second
    assert len(first["figures"]["rejected"]) == 1
    assert {code for code in first["figures"]["rejected"]} <= {
        "dicom-no-study-instance-uid",
        "dicom-no-sop-instance-uid",
    }


# PostgreSQL has no NUL in a text. What a sender writes in the properties of a message is as much his as the body.
NUL = "\x00"


WITH_NUL = {
    "number": hl7(orm(1, accession=f"A{NUL}1")),
    "escaped number": hl7(orm(1, accession="A\\X00\\1")),
    "all of HL7": hl7(orm(f"1{NUL}", patient=f"P{NUL}1", study=f"{STUDY}{NUL}")),
    "Part 10": dicom(ct(1, study=STUDY, accession=f"A{NUL}1", patient=f"P{NUL}")),
    "JSON": dicom_json(
        study=f"1{NUL}3", accession=f"A{NUL}", patient=NUL, series=NUL, instance=f"1{NUL}", modality=NUL
    ),
    "message_id": hl7(orm(1), message_id=f"m{NUL}1"),
    "correlation_id": hl7(orm(1), correlation_id=f"c{NUL}1"),
    "content_type": hl7(orm(1), content_type=f"text/plain{NUL}"),
    "content_encoding": hl7(orm(1), content_encoding=f"gzip{NUL}"),
    "headers": hl7(orm(1), headers={"traceparent": NUL, "calling-aet": f"AE{NUL}"}),
    "of an object": dicom(ct(1, study=STUDY), message_id=NUL, headers={"calling-aet": f"AE{NUL}"}),
    "redelivered": hl7(b"no message" + NUL.encode(), message_id=NUL, redelivered=True),
}


@pytest.mark.parametrize("inbound", WITH_NUL.values(), ids=WITH_NUL.keys())
def test_a_nul_anywhere_costs_no_more_than_its_message_and_ends_the_same(desks: list[Desk], inbound: Inbound) -> None:
    verbs = []
    for desk in desks:
        verbs.append(desk.receive(inbound))
        assert desk.receive(hl7(orm(2, accession="A2"))) == [Verb.ACCEPTED]
    assert verbs[0] == verbs[1]
    first, second = map(told, desks)
    assert first == second
    assert "internal-error" not in first["figures"]["rejected"]


# Case, composition, width, ligatures, a dotless i, what has no width, and what lies beyond 16 bits.
ODD = ("Straße", "STRASSE", "é", "e\u0301", "\ufb01", "fi", "\U0001f9b4", "\u0130", "\u0131", "A1", "a1", "A 1", "A1 ")
ODD += ("A1\u00a0", "\u200bA1", "\uff211")


def test_only_identical_identifiers_are_equal_whatever_the_locale(desks: list[Desk]) -> None:
    for desk in desks:
        with desk.store.write() as db:
            db.save_owners("order", [(("accession-number", one), f"o{n}") for n, one in enumerate(ODD)], [])
        with desk.store.read() as db:
            keys = [("accession-number", one) for one in ODD]
            assert db.owners("order", keys) == {key: {f"o{n}"} for n, key in enumerate(keys)}


def test_lists_have_one_sequence_whatever_the_locale(desks: list[Desk]) -> None:
    ids = [f"{ROOT}.{end}" for end in ("10", "9", "A", "a", "B", "b", "-1", "_", "1-", "11", "é", "z")]
    lists = []
    for desk in desks:
        for number, uid in enumerate(ids):
            desk.receive(dicom_json(study=uid, accession="", instance=f"{ROOT}.3.{number}"))
        with desk.store.write() as db:
            db.save_deadlines({(uid, kind): (1.0, "m") for uid in ids for kind in ("settle", "hold")}, [])
            db.save_owners("study", [(("accession-number", "A1"), uid) for uid in ids], [])
        with desk.store.read() as db:
            lists.append(
                [
                    db.due(1.0, 100),
                    db.due(1.0, 7),
                    db.owners_of_value("study", "A1"),
                    db.waiting(["pending"], overdue=False, since=None, limit=100),
                    db.waiting(["pending"], overdue=False, since=None, limit=5),
                ]
            )
    assert lists[0] == lists[1]
    assert lists[0][2] == sorted(ids)
