"""Whatever is stored is read back as it was, on every database; numbers, sequences and counts are what they were."""

import random
from collections.abc import Collection
from typing import Any, get_args

import msgspec
import pytest
from sqlalchemy import String, select

from bridge.core.decision import Decision, Verdict
from bridge.core.facts import KINDS, NAMES, fact_keys
from bridge.core.instance_number import parse_instance_number
from bridge.core.model import (
    Appointment,
    HL7Fact,
    IdentityChange,
    Instance,
    LinkDecision,
    OrderReference,
    PatientUpdate,
    PersonFact,
    Report,
    Statement,
    Unmerge,
)
from bridge.core.ports import Delivery, Outbound
from bridge.store import outbox, schema
from bridge.store.rows import Due, HistoryEntry, Settled, StoredInstance, StoredMessage, StoredStudy
from bridge.store.store import Store
from tests.core.builders import header, number, order, update

AT = "2026-11-23T09:00:00.000000Z"
SOURCE = update().source
HUNDRED, TWO_HUNDRED = number("100^HOSP", "PID-3[1].1"), number("200^HOSP", "MRG-1.1")

MESSAGE = StoredMessage(
    id="m1",
    channel="orders",
    status="ERROR",
    attempts=3,
    duplicates=2,
    rejections=1,
    code="hl7-no-msh",
    reason="no MSH",
    warnings=("a", "b"),
    message_id="ü/1",
    correlation_id="c",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    content_type="text/plain; charset=utf-8",
    size=2**31 - 1,
    received_at=AT,
    body=bytes(range(256)),
)

FACTS: list[HL7Fact | PersonFact] = [
    update("F1", placer="P1", accession="A1", uid="1.2"),
    PatientUpdate(AT, "A08", SOURCE, patient_identifiers=(HUNDRED,)),
    IdentityChange(AT, "A40", SOURCE, "merge", (HUNDRED,), (TWO_HUNDRED,)),
    Report(AT, SOURCE, order().patient, filler_order_number=number("F1", "OBR-3.1"), result_status="F"),
    Appointment(AT, "S12", SOURCE, order().patient, filler_order_numbers=(number("F1", "SCH-27.1"),)),
    LinkDecision(AT, "ada", "looked", "link", "1.2", OrderReference("order")),
    Unmerge(AT, "ada", "looked", "unmerge", HUNDRED, TWO_HUNDRED),
]


def instance(uid: str, *, study: str = "1.2", series: str | None = "1.2.1", modality: str = "CT") -> StoredInstance:
    shown = parse_instance_number(b"7", None)
    stated = header(uid=study, modality=modality)
    return StoredInstance("m1", "images", Instance(uid, None, None, series, None, 1, None, shown, stated, {"x": [0]}))


def event(name: str, study: str = "1.2") -> Outbound:
    return Outbound(0, "images", "study.matched.CT", name, "type", AT, b"{}", {"partitionkey": study}, ["copy"])


def keep_message(store: Store, *ids: str) -> None:
    with store.write() as db:
        db.save_messages([StoredMessage(one, "orders", "TRANSFORMED") for one in ids or ("m1",)])


def test_a_message_is_read_as_it_was_written_and_as_it_was_changed(store: Store) -> None:
    changed = msgspec.structs.replace(MESSAGE, status="TRANSFORMED", code=None, warnings=(), body=None, duplicates=9)
    for row in (MESSAGE, changed):
        with store.write() as db:
            db.save_messages([row])
        with store.read() as db:
            assert db.messages(["m1", "other"]) == {"m1": row}
    with store.write() as db:
        db.forget_messages(["m1", "other"])
    with store.read() as db:
        assert db.messages(["m1"]) == {}


def test_messages_are_found_by_the_senders_id(store: Store) -> None:
    rows = [msgspec.structs.replace(MESSAGE, id=f"m{n}", message_id=stated) for n, stated in enumerate("aabA")]
    with store.write() as db:
        db.save_messages([*rows, StoredMessage("m9", "orders", "TRANSFORMED")])
    with store.read() as db:
        assert db.ids_by_message_id(["a", "b", "c"]) == {"a": {"m0", "m1"}, "b": {"m2"}}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: NAMES[type(fact)])
def test_a_fact_of_each_kind_is_found_by_its_keys(store: Store, fact: HL7Fact | PersonFact) -> None:
    keep_message(store)
    kind = type(fact)
    with store.write() as db:
        db.add_facts([("m1", fact), (None, fact)])
    keys = {
        "order-update": {("filler", "F1"), ("placer", "P1"), ("accession", "A1"), ("study", "1.2")},
        "report": {("filler", "F1")},
        "appointment": {("filler", "F1")},
        "link-decision": {("study", "1.2")},
    }.get(NAMES[kind], {("patient", "100"), ("patient", "200")})
    with store.read() as db:
        assert list(db.facts(keys, kind).values()) == [fact, fact]
        assert db.facts({("filler", "100"), ("accession", "F1")}, kind) == {}
        assert db.facts(keys, *(other for other in KINDS.values() if other is not kind)) == {}


def test_facts_come_in_the_sequence_in_which_they_were_added(store: Store) -> None:
    keep_message(store)
    facts = [update("F1", message=f"{n}") for n in range(1100)]
    with store.write() as db:
        db.add_facts([("m1", fact) for fact in facts])
        db.add_facts([])
    with store.read() as db:
        found = db.facts({("filler", "F1")}, type(facts[0]))
    assert list(found.values()) == facts
    assert list(found) == sorted(found)


def test_orders_are_kept_changed_and_removed(store: Store) -> None:
    first, second = order("F1", accession="A1"), order("F2")
    changed = msgspec.structs.replace(first, status="IP")
    with store.write() as db:
        db.save_orders([first, second], [])
    with store.write() as db:
        db.save_orders([changed], [second.id, "never stored"])
    with store.read() as db:
        assert db.orders([first.id, second.id]) == {first.id: changed}


def full_study(uid: str = "1.2") -> StoredStudy:
    stated = header(uid=uid)
    return StoredStudy(
        uid,
        channel="images",
        revision=7,
        decision=Decision(Verdict.PENDING, "no-order"),
        orders=b'["o"]',
        reports=b'["r"]',
        since=AT,
        settled="reopened",
        overdue_at=AT,
        statements={"digest": (stated, 2), "gone": (Statement(uid), 0)},
        series={("1.2.1", "CT"): 2, ("", ""): 1, ("1.2.9", "KO"): 0},
    )


def test_a_study_is_read_as_it_was_written_without_what_has_no_objects_left(store: Store) -> None:
    study = full_study()
    with store.write() as db:
        db.save_studies([study, StoredStudy("undecided")])
    kept = full_study()
    del kept.statements["gone"], kept.series["1.2.9", "KO"]
    with store.read() as db:
        assert db.studies(["1.2", "1.3"]) == {"1.2": kept, "1.3": StoredStudy("1.3")}
    emptied = full_study()
    emptied.statements = {"digest": (header(uid="1.2"), 0)}
    emptied.series = {("1.2.1", "CT"): 0, ("", ""): 0}
    with store.write() as db:
        db.save_studies([emptied])
    with store.read() as db:
        found = db.studies(["1.2"])["1.2"]
    assert (found.statements, found.series, found.revision) == ({}, {}, 7)


def test_what_is_said_of_a_study_that_has_not_arrived_is_known_when_it_does(store: Store) -> None:
    decision = LinkDecision(AT, "ada", "looked", "link", "1.2", OrderReference("order"))
    with store.write() as db:
        db.save_rejections([("1.2.1.1", "note", "1.2", "113001"), ("1.2.1.1", "other", "1.3", "113039")], [])
        db.add_departures([("1.2", "1.2.1.1", "1.3"), ("1.2", "1.2.1.1", "")])
        db.add_departures([("1.2", "1.2.1.1", "1.3")])
        db.add_facts([(None, decision)])
    with store.read() as db:
        found = db.studies(["1.2"])["1.2"]
        assert db.rejections_of(["1.2.1.1", "1.2.1.2"]) == {
            "1.2.1.1": {"note": ("1.2", "113001"), "other": ("1.3", "113039")},
            "1.2.1.2": {},
        }
    assert found.rejections == {("1.2.1.1", "note"): "113001"}
    assert found.departures == {("1.2.1.1", "1.3"), ("1.2.1.1", "")}
    assert found.decisions == (decision,)
    with store.write() as db:
        db.save_rejections([("1.2.1.1", "other", "1.2", "113037")], [("1.2.1.1", "note")])
    with store.read() as db:
        assert db.studies(["1.2"])["1.2"].rejections == {("1.2.1.1", "other"): "113037"}


def test_objects_are_kept_replaced_and_moved(store: Store) -> None:
    keep_message(store)
    first, second = instance("1.2.1.1"), instance("1.2.1.2", series=None)
    with store.write() as db:
        db.save_instances([first, second])
    moved = instance("1.2.1.2", study="1.3")
    with store.read() as db:
        assert db.instances(["1.2.1.1", "1.2.1.2", "other"]) == {"1.2.1.1": first, "1.2.1.2": second}
        assert set(db.instance_numbers("1.2")) == {("1.2.1", "CT"), ("", "CT")}
        assert db.instance_numbers("1.2")["1.2.1", "CT"] == {"1.2.1.1": first.instance.instance_number}
    with store.write() as db:
        db.save_instances([moved])
    with store.read() as db:
        assert db.instances_of(["1.2", "1.3", "1.4"]) == {"1.2": [first], "1.3": [moved], "1.4": []}
        assert db.an_object_of("1.3") == moved
        assert db.an_object_of("1.4") is None


def test_the_clock_is_kept_to_the_last_digit(store: Store) -> None:
    with store.read() as db:
        assert db.clock() == 0.0
    for seconds in (0.1 + 0.2, 1e9 + 1 / 3):
        with store.write() as db:
            db.save_clock(seconds)
        with store.read() as db:
            assert db.clock() == seconds


def test_deadlines_come_the_earliest_first_and_not_before_their_time(store: Store) -> None:
    with store.write() as db:
        db.save_deadlines({("1.2", "settle"): (60.0, "m1"), ("1.2", "hold"): (1e9 + 1 / 3, "m1")}, [])
        db.save_deadlines({("1.10", "settle"): (60.0, "m2"), ("1.3", "settle"): (59.9, "m3")}, [])
    with store.read() as db:
        due = [Due("1.3", "settle", "m3"), Due("1.10", "settle", "m2"), Due("1.2", "settle", "m1")]
        assert db.due(60.0, 10) == due
        assert db.due(60.0, 2) == due[:2]
        assert db.due(1e9 + 1 / 3, 10) == [*due, Due("1.2", "hold", "m1")]
    with store.write() as db:
        db.save_deadlines({("1.2", "settle"): (70.0, "m9")}, [("1.3", "settle"), ("9", "hold")])
    with store.read() as db:
        assert db.due(70.0, 10) == [Due("1.10", "settle", "m2"), Due("1.2", "settle", "m9")]


def test_keys_lead_to_their_owners_of_the_same_side_and_rule(store: Store) -> None:
    key, same_value = ("accession-number", "A1"), ("placer-order-number", "A1")
    with store.write() as db:
        db.save_owners("order", [(key, "o1"), (key, "o2"), (same_value, "o3")], [])
        db.save_owners("order", [(key, "o1")], [])
        db.save_owners("study", [(key, "1.2")], [])
    with store.read() as db:
        assert db.owners("order", [key, ("accession-number", "a1")]) == {
            key: {"o1", "o2"},
            ("accession-number", "a1"): set(),
        }
        assert db.owners("study", [key]) == {key: {"1.2"}}
        assert db.owners_of_value("order", "A1") == ["o1", "o2", "o3"]
    with store.write() as db:
        db.save_owners("order", [], [(key, "o1"), (key, "never")])
    with store.read() as db:
        assert db.owners("order", [key]) == {key: {"o2"}}


def test_a_long_key_is_no_other_key_not_even_the_one_that_it_is_stored_as(store: Store) -> None:
    digits = "".join(random.Random(1).choices("123456789", k=4000))
    values = [digits[:length] for length in (249, 250, 251, 3999, 4000)] + [digits[:-1] + "0"]
    keys = [("accession-number", value) for value in values]
    with store.write() as db:
        db.save_owners("order", [(key, f"o{n}") for n, key in enumerate(keys)], [])
    with store._engine.connect() as connection:
        stored = connection.scalars(select(schema.matching_key.c.value)).all()
    also = [("accession-number", value) for value in stored if value not in values]
    with store.write() as db:
        assert db.owners("order", also) == {key: set() for key in also}
        db.save_owners("order", [(key, "other") for key in also], [])
    with store.read() as db:
        assert db.owners("order", keys) == {key: {f"o{n}"} for n, key in enumerate(keys)}
        assert db.owners_of_value("order", digits) == ["o4"]


def test_sets_larger_than_one_statement_takes_are_read_and_written_whole(store: Store) -> None:
    ids = [str(number) for number in range(1200)]
    keys = [(("accession-number", f"A{one}"), f"order-{one}") for one in ids]
    keep_message(store, *ids)
    with store.write() as db:
        db.save_owners("order", keys, [])
        db.save_owners("order", [], keys[:600])
    with store.read() as db:
        assert len(db.messages(ids)) == 1200
        owners = db.owners("order", [key for key, _ in keys])
    assert [len(owners[key]) for key, _ in keys] == [0] * 600 + [1] * 600


def test_history_is_told_in_the_sequence_of_revisions(store: Store) -> None:
    entries = [
        HistoryEntry(revision, AT, Verdict.PENDING, "no-order", (), None, "m1", None, ("e",), user="ada")
        for revision in (10, 9, 1)
    ]
    with store.write() as db:
        db.add_history([("1.2", entry) for entry in entries])
        db.add_history([("1.3", entries[0])])
    with store.read() as db:
        assert db.history("1.2") == entries[::-1]


def names(events: Collection[Outbound]) -> list[str]:
    return [one.event_id for one in events]


def test_owed_events_leave_in_their_sequence_until_they_are_confirmed(store: Store) -> None:
    with store.write() as db:
        first = db.owe([event(f"e{n}") for n in range(600)])
        second = db.owe([event("later")])
        assert db.owe([]) == []
    ids = [one.id for one in (*first, *second)]
    assert ids == sorted(set(ids))
    assert names(first) == [f"e{n}" for n in range(600)]
    with store.read() as db:
        assert outbox.owed(db, 1000) == [*first, *second]
        assert outbox.owed(db, 2) == first[:2]
    with store.write() as db:
        sent = {one.id: Delivery.SENT for one in first}
        assert outbox.settle(db, sent | {first[0].id: Delivery.UNROUTED}) == {Delivery.SENT: 599, Delivery.UNROUTED: 1}
        assert outbox.settle(db, sent) == {}  # by another process, which has published them, too
        outbox.count(db, {"SENT": 1})
    with store.read() as db:
        assert outbox.owed(db, 1000) == second
        assert db.figures()["outbox"] | {"QUEUED": 0} == {"QUEUED": 0, "SENT": 600, "UNROUTED": 1}
    with store.write() as db:
        outbox.settle(db, dict.fromkeys((one.id for one in second), Delivery.SENT))
        (newer,) = db.owe([event("newer")])
    assert newer.id > second[0].id  # an id names one event for ever


def test_a_refused_event_holds_back_its_study_alone_until_it_is_tried_again(store: Store) -> None:
    with store.write() as db:
        refused, _, other, _ = db.owe([event("a1", "1.2"), event("a2", "1.2"), event("b1", "1.3"), event("c", "")])
        outbox.refuse(db, [refused.id])
        outbox.refuse(db, [])
    with store.read() as db:
        assert names(outbox.owed(db, 10)) == ["b1", "c"]
        assert db.figures()["outbox"]["QUEUED"] == 4
    with store.write() as db:
        outbox.settle(db, {other.id: Delivery.SENT})
        outbox.try_refused(db)
    with store.read() as db:
        assert names(outbox.owed(db, 10)) == ["a1", "a2", "c"]


def test_studies_that_wait_are_listed_by_verdict_and_time(store: Store) -> None:
    def study(uid: str, verdict: Verdict, since: str, overdue_at: str | None = None) -> StoredStudy:
        return StoredStudy(uid, "images", 1, Decision(verdict, None), since=since, overdue_at=overdue_at)

    conflict, pending = Verdict.CONFLICT, Verdict.PENDING
    with store.write() as db:
        db.save_studies(
            [
                study("1.9", conflict, "2026-11-23T09:00:00.000000Z"),
                study("1.10", conflict, "2026-11-23T09:00:00.000000Z"),
                study("1.3", conflict, "2026-11-22T09:00:00.000000Z"),
                study("1.4", pending, "2026-11-21T09:00:00.000000Z", "2026-11-22T09:00:00.000000Z"),
                study("1.5", pending, "2026-11-21T09:00:00.000000Z"),
                study("1.6", Verdict.MATCHED, "2026-11-21T09:00:00.000000Z"),
            ]
        )

    def waiting(*verdicts: Verdict, overdue: bool = False, since: str | None = None, limit: int = 10) -> Any:
        with store.read() as db:
            return db.waiting(verdicts, overdue=overdue, since=since, limit=limit)

    assert waiting(conflict) == (["1.3", "1.10", "1.9"], 3)
    assert waiting(conflict, limit=1) == (["1.3"], 3)
    assert waiting(conflict, since="2026-11-23T00:00:00Z") == (["1.10", "1.9"], 2)
    assert waiting(overdue=True) == (["1.4"], 1)
    assert waiting(conflict, overdue=True, since="2026-11-22T09:00:00.000000Z") == (["1.4", "1.3", "1.10", "1.9"], 4)
    with store.read() as db:
        assert db.number_of_studies() == 6


def test_a_study_is_found_by_the_uid_of_its_series_and_objects(store: Store) -> None:
    keep_message(store)
    with store.write() as db:
        db.save_studies([full_study("1.2"), full_study("1.3")])
        db.save_instances([instance("1.2.1.1")])
    with store.read() as db:
        assert db.studies_holding("1.2") == ["1.2"]
        assert db.studies_holding("1.2.1") == ["1.2", "1.3"]
        assert db.studies_holding("1.2.1.1") == ["1.2"]
        assert db.studies_holding("nothing") == []


def test_the_figures_count_what_is_stored(store: Store) -> None:
    with store.read() as db:
        empty = db.figures()
    assert empty["messages"] == {}
    assert empty["duplicates"] == {"all": 0}
    with store.write() as db:
        db.save_messages([MESSAGE, StoredMessage("m2", "orders", "TRANSFORMED", duplicates=1)])
        db.add_facts([(None, fact) for fact in FACTS])
        db.save_orders([order("F1")], [])
        db.save_studies([full_study()])
        db.save_instances([instance("1.2.1.1")])
        db.save_owners("study", [(("patient-id", "300"), "1.2"), (("patient-id", "100"), "1.2")], [])
        db.owe([event("e")])
    with store.read() as db:
        figures = db.figures()
    assert figures["messages"] == {"ERROR": 1, "TRANSFORMED": 1}
    assert figures["duplicates"] == {"all": 3}
    assert figures["rejected"] == {"hl7-no-msh": 1}
    assert figures["studies"] == {"pending": 1}
    assert figures["overdue"] == {"all": 1}
    assert figures["outbox"]["QUEUED"] == 1
    assert figures["stored"] == {"orders": 1, "instances": 1, "patients": 3}


def test_every_word_that_the_code_stores_fits_its_column() -> None:
    """SQLite does not look at the length of a text, PostgreSQL refuses one that is too long."""
    for column, words in (
        (schema.fact.c.kind, KINDS),
        (schema.fact_key.c.level, {level for fact in FACTS for level, _ in fact_keys(fact)}),
        (schema.study.c.verdict, Verdict),
        (schema.study.c.settled, get_args(Settled)),
        (schema.message.c.status, ("RECEIVED", "TRANSFORMED", "FILTERED", "ERROR")),
    ):
        assert isinstance(column.type, String)
        assert max(map(len, words)) <= (column.type.length or 0), column
