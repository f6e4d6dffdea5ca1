"""What messages about orders add up to (DESIGN 4.1), in whatever sequence and however often they arrive."""

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.core.model import Appointment, Identifier, OrderNumbers, OrderUpdate, Patient, PersonName
from bridge.core.order_status import is_known_control
from bridge.core.orders import Order, assemble, family_keys
from bridge.core.struct import encode
from tests.core.builders import JANE, JOHN, number, order, person, update
from tests.core.made_orders import (
    EARLY,
    LATE,
    NOON,
    accessions,
    appointment,
    only,
)

# Newest wins per field


def test_the_newest_statement_of_each_field_wins_and_what_is_absent_is_kept() -> None:
    made = only(
        update("F1", accession="A1", modality="CT", priority="ROUTINE", time=EARLY),
        update("F1", accession="A2", priority="STAT", time=LATE),
        update("F1", accession="A3", reason="pain", time=NOON),
    )

    assert accessions([made]) == ["A2"]
    assert (made.priority, made.reason) == ("STAT", "pain")
    assert made.modality is not None
    assert made.modality.value == "CT"


def test_an_empty_pair_of_quotes_deletes_what_was_known() -> None:
    deletion: dict[str, Any] = dict.fromkeys(("modality", "priority", "birth_date"))
    deletion |= dict.fromkeys(("accession_numbers", "study_instance_uids", "patient_identifiers"), ())
    made = only(
        update("F1", accession="A1", uid="1.1", modality="CT", patient=JANE, priority="STAT"),
        replace(update("F1", time=LATE), **deletion),
    )

    assert (made.accession_numbers, made.study_instance_uids, made.modality, made.priority) == ((), (), None, None)
    assert (made.patient.identifiers, made.patient.birth_date) == ((), None)
    assert made.patient.names == JANE.names


def test_what_was_deleted_can_be_stated_again() -> None:
    made = only(
        update("F1", priority="STAT", time=EARLY),
        update("F1", priority=None, time=NOON),
        update("F1", priority="HIGH", time=LATE),
    )

    assert made.priority == "HIGH"


def test_a_message_without_any_time_is_the_oldest() -> None:
    assert only(update("F1", priority="STAT", time=EARLY), update("F1", priority="HIGH", time="")).priority == "STAT"


def test_times_compare_to_the_fraction_of_a_second() -> None:
    earlier, later = "2026-01-01T08:00:00Z", "2026-01-01T08:00:00.5Z"

    assert (
        only(update("F1", priority="STAT", time=later), update("F1", priority="HIGH", time=earlier)).priority == "STAT"
    )


def test_at_one_time_new_comes_before_other_and_other_before_cancel() -> None:
    new, changed = update("F1", priority="STAT"), update("F1", control="XO", priority="HIGH")
    cancelled = update("F1", control="CA", priority="ROUTINE")

    assert only(new, changed).priority == "HIGH"
    made = only(new, changed, cancelled)
    assert (made.status, made.priority) == ("cancelled", "ROUTINE")


def test_at_one_time_equal_in_rank_the_content_decides_not_the_arrival() -> None:
    assert only(update("F1", priority="STAT", message="1"), update("F1", priority="HIGH", message="2")).priority


def test_the_source_is_the_message_that_stated_the_order_last() -> None:
    assert only(update("F1", message="7", time=LATE), update("F1", message="3")).source.message_control_id == "7"


# The patient


def test_the_patient_is_as_stated_last_and_the_identity_keeps_every_name_and_birth_date() -> None:
    temporary = person("100^HOSP", "Trauma^Seven", "1900-01-01")
    made = only(update("F1", patient=temporary), update("F1", patient=JANE, time=LATE))

    assert made.patient == JANE
    assert made.identity.identifiers == JANE.identifiers
    assert made.identity.names == (PersonName("Doe^Jane"), PersonName("Trauma^Seven"))
    assert made.identity.birth_dates == ("1970-01-31", "1900-01-01")


def test_a_name_that_is_deleted_is_still_kept_to_compare_with() -> None:
    made = only(update("F1", patient=JANE), update("F1", patient_names=(), time=LATE))

    assert made.patient.names == ()
    assert made.identity.names == JANE.names


def test_an_order_that_is_moved_to_another_patient_keeps_nothing_of_the_earlier_one() -> None:
    visit: dict[str, Any] = {"visit_number": "V1", "account_number": "C1"}
    made = only(
        update("F1", patient=JANE, time=EARLY, **visit),
        update("F1", patient=person("200^HOSP"), time=NOON),
        update("F1", priority="STAT", time=LATE, account_number="C2"),
    )

    assert made.patient == person("200^HOSP")
    assert (made.identity.names, made.identity.birth_dates) == ((), ())
    assert (made.visit_number, made.account_number, made.priority) == (None, "C2", "STAT")


@pytest.mark.parametrize(("moved", "left"), [(JANE, JOHN), (JOHN, JANE)])
def test_at_one_time_a_new_order_comes_before_the_patient_that_it_is_moved_to(moved: Patient, left: Patient) -> None:
    assert only(update("F1", patient=left), update("F1", control="XO", patient=moved)).patient == moved


def test_an_order_that_is_moved_back_is_the_first_patient_s_again() -> None:
    made = only(
        update("F1", patient=JANE, time=EARLY, visit_number="V1"),
        update("F1", control="XO", patient=JOHN, time=NOON, visit_number="V2"),
        update("F1", control="XO", patient=person("100^HOSP"), time=LATE),
    )

    assert (made.patient, made.identity.names, made.visit_number) == (JANE, JANE.names, "V1")


def test_a_new_order_for_another_patient_under_a_used_number_has_nothing_of_the_earlier_one() -> None:
    made = only(
        update("F1", uid="1.1", accession="A1", reason="HIV", patient=JANE, time=EARLY, control="NW"),
        update("F1", control="CA", patient=JANE, time=NOON),
        update("F1", patient=JOHN, time=LATE, modality="MR"),
    )

    assert (made.patient.identifiers, made.status, made.reason) == (JOHN.identifiers, "scheduled", None)
    assert (made.study_instance_uids, made.accession_numbers) == ((), ())


def test_a_new_order_that_follows_the_move_to_its_patient_begins_nothing_anew() -> None:
    made = only(
        update("F1", placer="P1", uid="1.1", accession="A1", patient=JANE, control="SC", time=EARLY),
        update("F1", placer="P1", control="XO", patient=JOHN, time=NOON),
        update(placer="P1", control="NW", patient=JOHN, time=LATE),
    )

    assert made.filler_order_number
    assert (accessions([made]), [uid.value for uid in made.study_instance_uids]) == (["A1"], ["1.1"])


def test_a_new_order_under_less_than_the_order_s_own_number_begins_nothing_anew() -> None:
    made = only(
        update(placer="P1", patient=JANE, time=EARLY),
        update(
            "F1", placer="P1", accession="A1", control="XO", patient=person("", "Smith^John", "1955-12-24"), time=NOON
        ),
        update(placer="P1", patient=JOHN, time=LATE),
    )

    assert (made.patient.identifiers, accessions([made])) == (JOHN.identifiers, ["A1"])


def test_an_order_that_is_moved_to_another_patient_says_nothing_of_why_it_was_placed_for_the_first() -> None:
    made = only(
        update("F1", uid="1.1", reason="HIV", patient=JANE, time=EARLY),
        update("F1", control="XO", patient=JOHN, time=LATE),
    )

    assert (made.reason, [uid.value for uid in made.study_instance_uids]) == (None, ["1.1"])


def test_what_is_stated_without_an_identifier_is_about_the_patient_of_the_message_before() -> None:
    named = person(name="Doe^Janet")
    moved = [
        update("F1", patient=JANE, time=EARLY, message="1"),
        update("F1", patient=named, time="2026-01-01T09:00:00Z", message="2"),
        update("F1", patient=JOHN, time=NOON, message="3"),
        update("F1", patient=JANE, time="2026-01-01T13:00:00Z", message="4"),
    ]

    assert only(*moved).identity.names == (*JANE.names, *named.names)
    assert only(*moved, update("F1", patient=JOHN, time=LATE, message="5")).identity.names == JOHN.names


@pytest.mark.parametrize("numbered", ["1", "2", "9"])
def test_what_names_no_patient_gives_no_order_back_that_was_moved_at_the_same_moment(numbered: str) -> None:
    made = only(
        update("F1", patient=JANE, control="XO", time=EARLY),
        update("F1", patient=JOHN, control="XO", time=NOON, message="5"),
        update("F1", patient=person(name="Smith^Jon"), control="XO", time=NOON, message=numbered),
    )

    assert made.patient.identifiers == JOHN.identifiers


def test_every_distinct_statement_about_the_patient_is_kept_once_the_newest_first() -> None:
    made = only(
        update("F1", patient=JANE, time=EARLY),
        update("F1", patient=JOHN, time=NOON),
        update("F1", patient=JANE, time=LATE),
        update("F1", control="SC", time=LATE),
    )

    assert [(said.message_time, said.sending_facility, said.identifiers) for said in made.statements] == [
        (LATE, "HOSP", JANE.identifiers),
        (NOON, "HOSP", JOHN.identifiers),
    ]
    assert order("F1").statements == ()


# Replacements and children


def test_a_replacement_names_what_it_replaces_and_a_child_its_parent() -> None:
    before = OrderNumbers(Identifier("P1", "ORC-2.1"), Identifier("F1", "ORC-3.1"))
    replacing = update("F2", placer="P1", control="RO", replaces=before)
    child = update("F3", placer="P1", control="CH", parent=before)

    assert (only(replacing).replaces, only(replacing).parent) == (before, None)
    assert (only(child, update("F3", time=LATE)).parent, only(child).replaces) == (before, None)


@pytest.mark.parametrize(("numbered", "replacing"), [("F1", "F1"), ("F1^RIS", "F1"), ("", "F2"), ("", "")])
def test_a_replacement_under_the_same_number_is_the_order_as_it_is_from_then_on(numbered: str, replacing: str) -> None:
    before = OrderNumbers(Identifier("P1", "ORC-2.1"), number(numbered, "ORC-3.1") if numbered else None)
    made = only(
        update(numbered, placer="P1", modality="CT", time=EARLY),
        update(numbered, placer="P1", control="RP", time=LATE),
        update(replacing, placer="P1", control="RO", time=LATE, modality="MR", replaces=before),
    )

    assert (made.status, made.replaces) == ("scheduled", None)
    assert made.modality is not None
    assert made.modality.value == "MR"


# Ids


def test_an_order_s_id_comes_from_its_identifiers_alone() -> None:
    known = order("F1^RIS", accession="A1", patient=JANE, time=EARLY, message="1")
    changed = order("F1^RIS", accession="A2", patient=JOHN, time=LATE, message="2", control="CA")

    assert known.id == changed.id
    assert known.id == order("F1^RIS").id


def test_orders_that_differ_in_their_identifiers_differ_in_their_ids() -> None:
    made = [
        order("N1"),
        order("N1^RIS"),
        order("N1^LAB"),
        order("N2"),
        order("", placer="N1"),
        order("", accession="N1"),
        order("N1", rp="R1"),
        order("N1", rp="R2"),
        order("", uid="1.1"),
        order("", uid="1.2"),
    ]

    assert len({one.id for one in made}) == len(made)


def test_an_id_tells_no_number() -> None:
    assert "F1" not in order("F1").id
    assert len(order("F1").id) == 22


# Whatever arrives

_updates = st.builds(
    update,
    filler=st.sampled_from(["", "", "F1", "F1^RIS", "F1^RIS&1.2&ISO", "F1^RIS&1.3&ISO", "F2", "0"]),
    placer=st.sampled_from(["", "P1", "P1^HIS", "P1^LAB", "P2"]),
    accession=st.sampled_from(["", "A1", "A2", "A1^RIS", "A1 A2"]),
    uid=st.sampled_from(["", "1.1", "1.2"]),
    rp=st.sampled_from(["", "R1", "R2"]),
    control=st.sampled_from(["NW", "XO", "CA", "UC", "SC", "RU", "RO", "ZZ", None]),
    status=st.sampled_from(["", "IP", "CM"]),
    time=st.sampled_from(["", EARLY, NOON, LATE]),
    message=st.sampled_from(["1", "2", "3"]),
    patient=st.sampled_from([None, JANE, JOHN]),
    priority=st.sampled_from([msgspec.UNSET, None, "STAT"]),
    steps=st.sampled_from([(), ("S1",)]),
    visit_number=st.sampled_from([msgspec.UNSET, "V1"]),
    replaces=st.sampled_from([msgspec.UNSET, OrderNumbers(Identifier("P1", "ORC-2.1"), Identifier("F2", "ORC-3.1"))]),
)
_families = st.lists(_updates, min_size=1, max_size=7)
_appointments = st.builds(
    appointment,
    st.sampled_from(["S12", "S13", "S14", "S15", "S26"]),
    fillers=st.sampled_from(["", "F1", "F1^RIS", "F2", "F1 F2"]),
    placers=st.sampled_from(["", "P1", "P1^HIS", "P1 P2"]),
    own=st.sampled_from(["", "X1", "X2"]),
    start=st.sampled_from(["", "2026-02-01", "2026-02-02T09:00:00Z"]),
    time=st.sampled_from(["", EARLY, NOON, LATE]),
)


@given(_families, st.data())
def test_any_sequence_and_any_duplicates_of_messages_make_the_same_orders(
    updates: list[OrderUpdate], data: st.DataObject
) -> None:
    arrived = data.draw(st.permutations(updates + data.draw(st.lists(st.sampled_from(updates), max_size=4))))

    assert assemble(arrived) == assemble(updates)


@given(_families, st.lists(_appointments, max_size=4), st.data())
def test_any_sequence_and_any_duplicates_of_appointments_make_the_same_orders_and_no_other(
    updates: list[OrderUpdate], appointments: list[Appointment], data: st.DataObject
) -> None:
    booked = assemble(updates, appointments)
    again = data.draw(st.permutations(appointments * 2))

    assert assemble(data.draw(st.permutations(updates)), again) == booked
    plain = assemble(updates)
    assert booked.keys() == plain.keys()
    for order_id, made in booked.items():
        before = plain[order_id]
        assert replace(made, status=before.status, scheduled_steps=before.scheduled_steps) == before
        assert made.status in {before.status, "cancelled"}
        if all(one.event == "S26" for one in appointments):
            assert made == before


@given(_families)
def test_every_message_with_a_known_control_is_about_some_order(updates: list[OrderUpdate]) -> None:
    orders = assemble(updates).values()

    for one in updates:
        for stated in one.accession_numbers or ():
            alone = replace(one, message_time="9999-01-01T00:00:00Z")
            again = assemble([*(other for other in updates if other is not one), alone]).values()
            if is_known_control(one):
                assert any(stated in made.accession_numbers for made in again)
    assert bool(orders) is any(map(is_known_control, updates))


@given(_families)
def test_no_message_joins_filler_orders_of_two_numbers_or_issuers(updates: list[OrderUpdate]) -> None:
    alike = [replace(one, requested_procedure_id=msgspec.UNSET, study_instance_uids=msgspec.UNSET) for one in updates]
    alike = [replace(one, accession_numbers=msgspec.UNSET) for one in alike if is_known_control(one)]
    stated = {issuer.universal_id for one in alike if (n := one.filler_order_number) and (issuer := n.issuer)} - {None}

    assert {order(f"F1^RIS&{oid}&ISO").id for oid in stated} <= assemble(alike).keys()


@given(_families)
def test_a_cancellation_by_placer_number_cancels_every_order_of_it_and_adds_none(updates: list[OrderUpdate]) -> None:
    numbered = [one for one in updates if {level for level, _ in family_keys(one)} & {"filler", "placer"}]
    filled = [one for one in numbered if one.filler_order_number and one.placer_order_number]
    pairs = {(one.filler_order_number.value, one.placer_order_number.value) for one in filled}
    assume(len({filler for filler, _ in pairs}) == len(pairs))  # what has another number now is not meant by the first
    assume(not any(one.placer_order_number and one.placer_order_number.issuer for one in numbered))  # nor a guessed one
    before = assemble(numbered)
    after = assemble([*numbered, update(placer="P1", control="CA", time="9998-01-01T00:00:00Z")])

    of_placer = {key for key, made in before.items() if (n := made.placer_order_number) and n.value == "P1"}
    assert before.keys() == after.keys() if of_placer else before.keys() <= after.keys()
    assert all(after[key].status == "cancelled" for key in of_placer)


@given(_families, st.data())
def test_what_shares_no_family_key_is_never_about_one_order(updates: list[OrderUpdate], data: st.DataObject) -> None:
    """So that it is enough to load what is connected by these keys."""
    stranger = data.draw(_updates.map(_elsewhere))

    assert assemble([*updates, stranger]) == assemble(updates) | assemble([stranger])


def _elsewhere(one: OrderUpdate) -> OrderUpdate:
    def moved(stated: Any) -> Any:
        return replace(stated, value=f"9{stated.value}") if stated else stated

    return replace(
        one,
        filler_order_number=moved(one.filler_order_number),
        placer_order_number=moved(one.placer_order_number),
        accession_numbers=tuple(map(moved, one.accession_numbers or ())) or msgspec.UNSET,
    )


# What is stored


def test_an_update_that_an_earlier_version_stored_is_still_read() -> None:
    stored = b"""{"messageTime": "2026-01-01T08:00:00Z", "orderControl": "NW", "source": {"messageType": "ORM^O01"},
        "fillerOrderNumber": {"value": "F1", "where": "ORC-3.1"}, "priority": null, "birthDate": "1970-01-31"}"""
    read = msgspec.json.decode(stored, type=OrderUpdate)

    assert (read.replaces, read.parent) == (msgspec.UNSET, msgspec.UNSET)
    assert only(read).patient == person(born="1970-01-31")


def test_an_order_is_stored_and_read_as_it_is() -> None:
    made = only(
        update("F1", patient=JANE, time=EARLY),
        update("F1", patient_names=(), control="RO", replaces=OrderNumbers(Identifier("P9", "ORC[2]-2.1")), time=LATE),
    )

    assert msgspec.json.decode(encode(made), type=Order) == made
