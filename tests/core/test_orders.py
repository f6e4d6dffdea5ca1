"""What messages about orders add up to (DESIGN 4.1), in whatever sequence and however often they arrive."""

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.core.model import OrderUpdate, PersonName
from bridge.core.orders import Order, assemble, family_keys, is_known_control
from tests.core.builders import JANE, JOHN, order, person, update

EARLY, NOON, LATE = "2026-01-01T08:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T20:00:00Z"


def made_of(*updates: OrderUpdate) -> list[Order]:
    """The orders of these messages, which no sequence of arrival may change, sorted by their numbers."""
    expected = assemble(updates)
    for arrived in list(permutations(updates))[:24]:
        assert assemble(arrived) == expected
        assert assemble([*arrived, *arrived]) == expected
    return sorted(expected.values(), key=lambda made: (_filler(made), _procedure(made)))


def only(*updates: OrderUpdate) -> Order:
    (made,) = made_of(*updates)
    return made


def _filler(made: Order) -> str:
    return made.filler_order_number.value if made.filler_order_number else ""


def _procedure(made: Order) -> str:
    return made.requested_procedure_id.value if made.requested_procedure_id else ""


def accessions(orders: Iterable[Order]) -> list[str]:
    return [" ".join(number.value for number in made.accession_numbers) for made in orders]


def statuses(*updates: OrderUpdate) -> dict[str, str | None]:
    return {f"{_filler(made)}{_procedure(made)}": made.status for made in made_of(*updates)}


# What is one order


def test_hl7_s_own_example_is_three_orders_of_one_accession_number_each_with_its_own_study() -> None:
    group: dict[str, Any] = {"placer": "P1", "accession": "A345"}
    orders = made_of(
        update("F1", **group, rp="P1234", uid="1.1", steps=("SPS1",)),
        update("F1", **group, rp="P1235", uid="1.2", steps=("SPS1",)),
        update("F1", **group, rp="P1236", uid="1.3", steps=("SPS1",)),
    )

    assert [(_procedure(o), o.study_instance_uids[0].value) for o in orders] == [
        ("P1234", "1.1"),
        ("P1235", "1.2"),
        ("P1236", "1.3"),
    ]
    assert accessions(orders) == ["A345"] * 3


def test_one_placer_order_gives_several_filler_orders() -> None:
    assert len(made_of(update("F1", placer="P1"), update("F2", placer="P1"))) == 2


def test_several_filler_orders_under_one_accession_number_stay_several() -> None:
    assert len(made_of(update("F1", accession="A1"), update("F2", accession="A1"))) == 2


def test_the_same_filler_number_is_the_same_order_whatever_else_changes() -> None:
    made = only(
        update("F1", placer="P1", accession="A1", uid="1.1", time=EARLY),
        update("F1", placer="P2", accession="A2", uid="1.2", time=LATE),
    )

    assert accessions([made]) == ["A2"]
    assert made.study_instance_uids[0].value == "1.2"


def test_without_filler_number_the_same_placer_number_is_the_same_order() -> None:
    made = only(update(placer="P1", accession="A1", time=EARLY), update(placer="P1", accession="A2", time=LATE))

    assert accessions([made]) == ["A2"]


def test_with_neither_the_same_accession_number_is_the_same_order() -> None:
    assert only(update(accession="A1", modality="CT"), update(accession="A1", patient=JANE, time=LATE)).modality


def test_a_message_without_any_number_is_an_order_of_its_own() -> None:
    assert len(made_of(update(uid="1.1"), update(uid="1.2"))) == 2
    assert len(made_of(update(uid="1.1"), update(uid="1.1"))) == 1


@pytest.mark.parametrize("placeholder", ["0", "NONE", "unknown", "000"])
def test_placeholders_are_no_numbers(placeholder: str) -> None:
    assert len(made_of(update(placeholder, placer="P1"), update(placeholder, placer="P2"))) == 2
    assert family_keys(update(placeholder, placer="P1", accession=placeholder)) == {("placer", "P1")}


def test_a_message_with_only_a_placer_number_updates_every_filler_order_of_it_and_joins_none() -> None:
    orders = made_of(
        update("F1", placer="P1", accession="A1"),
        update("F2", placer="P1", accession="A2"),
        update("F3", placer="P2", accession="A3"),
        update(placer="P1", patient=JANE, time=LATE),
    )

    assert accessions(orders) == ["A1", "A2", "A3"]
    assert [bool(o.patient.identifiers) for o in orders] == [True, True, False]


def test_a_cancellation_by_placer_number_cancels_every_filler_order_of_it() -> None:
    assert statuses(
        update("F1", placer="P1"),
        update("F2", placer="P1"),
        update(placer="P1", control="CA", time=LATE),
    ) == {"F1": "cancelled", "F2": "cancelled"}


def test_a_placer_order_becomes_the_filler_order_that_is_assigned_to_it() -> None:
    made = only(update(placer="P1", patient=JANE), update("F1", placer="P1", accession="A1", control="SN", time=LATE))

    assert (made.patient.identifiers, accessions([made])) == (JANE.identifiers, ["A1"])


def test_a_message_without_filler_number_is_about_the_one_of_several_that_has_its_accession_number() -> None:
    assert statuses(
        update("F1", placer="P1", accession="A1"),
        update("F2", placer="P1", accession="A2"),
        update(placer="P1", accession="A2", control="CA", time=LATE),
    ) == {"F1": "scheduled", "F2": "cancelled"}


def test_a_message_without_filler_number_gives_its_accession_number_to_the_one_of_several_that_has_none() -> None:
    orders = made_of(
        update("F1", placer="P1", accession="A1"),
        update("F2", placer="P1"),
        update(placer="P1", accession="A2", time=LATE),
    )

    assert accessions(orders) == ["A1", "A2"]


def test_a_new_accession_number_under_a_placer_number_takes_none_of_several_orders_away_from_its_own() -> None:
    orders = made_of(
        update("F1", placer="P1", accession="A1"),
        update("F2", placer="P1", accession="A2"),
        update(placer="P1", accession="A3", time=LATE),
    )

    assert [(_filler(o), accessions([o])) for o in orders] == [("", ["A3"]), ("F1", ["A1"]), ("F2", ["A2"])]


def test_a_message_without_filler_number_corrects_the_accession_number_of_the_only_order() -> None:
    made = only(update("F1", placer="P1", accession="A1"), update(placer="P1", accession="A3", time=LATE))

    assert accessions([made]) == ["A3"]


def test_a_message_without_rp_id_is_about_every_requested_procedure_of_its_filler_order() -> None:
    assert statuses(
        update("F1", rp="R1"),
        update("F1", rp="R2"),
        update("F1", control="CA", time=LATE),
        update("F2"),
    ) == {"F1R1": "cancelled", "F1R2": "cancelled", "F2": "scheduled"}


def test_a_message_with_rp_id_is_about_that_requested_procedure_alone() -> None:
    assert statuses(
        update("F1", rp="R1"),
        update("F1", rp="R2"),
        update("F1", rp="R2", control="CA", time=LATE),
    ) == {"F1R1": "scheduled", "F1R2": "cancelled"}


def test_the_rp_id_chooses_among_the_filler_orders_of_a_placer_number() -> None:
    assert statuses(
        update("F1", placer="P1", rp="R1"),
        update("F2", placer="P1", rp="R2"),
        update(placer="P1", rp="R2", control="CA", time=LATE),
    ) == {"F1R1": "scheduled", "F2R2": "cancelled"}


def test_an_accession_number_alone_is_about_every_filler_order_under_it() -> None:
    assert statuses(
        update("F1", accession="A1"),
        update("F2", placer="P2", accession="A1"),
        update("F3", accession="A3"),
        update(accession="A1", control="CA", time=LATE),
    ) == {"F1": "cancelled", "F2": "cancelled", "F3": "scheduled"}


def test_an_accession_number_that_only_a_placer_message_tells_reaches_the_filler_order() -> None:
    assert statuses(
        update("F1", placer="P1"),
        update(placer="P1", accession="A1", time=NOON),
        update(accession="A1", control="CA", time=LATE),
    ) == {"F1": "cancelled"}


def test_groups_that_one_message_tells_apart_by_accession_number_alone_are_several_orders() -> None:
    orders = made_of(
        update(placer="P1", accession="A1", uid="1.1"),
        update(placer="P1", accession="A2", uid="1.2"),
        update(placer="P1", accession="A3", uid="1.3"),
        update(placer="P1", accession="A2", control="CA", time=LATE, message="2"),
        update(placer="P1", patient=JANE, control="XO", status="IP", time=NOON, message="3"),
    )

    assert {accessions([o])[0]: o.status for o in orders} == {
        "A1": "in-progress",
        "A2": "cancelled",
        "A3": "in-progress",
    }
    assert all(o.patient.identifiers for o in orders)


def test_procedures_that_one_message_tells_apart_by_study_alone_are_several_orders() -> None:
    orders = made_of(
        update("F1", accession="A1", rp="R1", uid="1.1"),
        update("F1", accession="A1", rp="R1", uid="1.2"),
        update("F1", accession="A1", time=LATE, message="2", patient=JANE),
    )

    assert sorted(o.study_instance_uids[0].value for o in orders) == ["1.1", "1.2"]
    assert all(o.patient.identifiers for o in orders)


def test_two_messages_with_another_study_are_a_correction_not_two_orders() -> None:
    made = only(
        update("F1", rp="R1", uid="1.1", message="1"),
        update("F1", rp="R1", uid="1.2", message="2", time=LATE),
    )

    assert [uid.value for uid in made.study_instance_uids] == ["1.2"]


def test_numbers_that_disagree_inside_one_message_are_all_kept() -> None:
    made = only(update("F1", accession="A1 A2", uid="1.1 1.2"))

    assert accessions([made]) == ["A1 A2"]
    assert [uid.value for uid in made.study_instance_uids] == ["1.1", "1.2"]


# Issuers of order numbers


def test_one_number_of_two_issuers_is_two_orders() -> None:
    assert len(made_of(update("F1^RIS"), update("F1^LAB"))) == 2
    assert len(made_of(update(placer="P1^RIS"), update(placer="P1^LAB"))) == 2


def test_a_placer_number_of_another_issuer_is_another_order() -> None:
    assert statuses(
        update("F1", placer="P1^HIS"),
        update("F2", placer="P1"),
        update(placer="P1^LAB", control="CA", time=LATE),
    ) == {"F1": "scheduled", "F2": "cancelled"}


def test_a_number_without_issuer_is_about_the_order_of_the_only_issuer() -> None:
    assert only(update("F1^RIS"), update("F1", control="CA", time=LATE)).status == "cancelled"


def test_a_number_without_issuer_is_about_each_issuer_s_order_and_joins_none() -> None:
    assert [o.status for o in made_of(update("F1^RIS"), update("F1^LAB"), update("F1", control="CA", time=LATE))] == [
        "cancelled",
        "cancelled",
    ]


def test_a_number_without_issuer_is_also_about_the_order_that_never_had_one() -> None:
    orders = made_of(
        update(placer="P1^HIS", accession="A1"),
        update(placer="P1^LAB", accession="A2"),
        update(placer="P1", accession="A3"),
        update(placer="P1", control="CA", time=LATE),
    )

    assert sorted(accessions(orders)) == ["A1", "A2", "A3"]
    assert {o.status for o in orders} == {"cancelled"}


def test_a_namespace_is_about_each_order_whose_issuer_has_it_and_joins_none_of_different_oids() -> None:
    orders = made_of(
        update("F1^RIS", patient=JANE),
        update("F1^RIS&1.2&ISO", accession="A1", time=NOON),
        update("F1^RIS&1.3&ISO", accession="A2", time=LATE),
    )

    assert sorted(accessions(orders)) == ["A1", "A2"]
    assert all(o.patient.identifiers for o in orders)


@pytest.mark.parametrize("written", ["F1^RIS&1.2&ISO", "F1^ris&1.2&ISO", "F1^&1.2&ISO", "F1^OTHER&1.2&ISO"])
def test_an_issuer_may_be_written_in_any_form(written: str) -> None:
    assert only(update("F1^RIS&1.2&ISO"), update(written, time=LATE)).id == order("F1^RIS&1.2&ISO").id


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
    temporary = person("T1^HOSP", "Trauma^Seven", "1900-01-01")
    made = only(update("F1", patient=temporary), update("F1", patient=JANE, time=LATE))

    assert made.patient == JANE
    assert made.identity.identifiers == JANE.identifiers
    assert made.identity.names == (PersonName("Doe^Jane"), PersonName("Trauma^Seven"))
    assert made.identity.birth_dates == ("1970-01-31", "1900-01-01")


def test_a_name_that_is_deleted_is_still_kept_to_compare_with() -> None:
    made = only(update("F1", patient=JANE), update("F1", patient_names=(), time=LATE))

    assert made.patient.names == ()
    assert made.identity.names == JANE.names


# Status: ORC-1 and ORC-5 (DOMAIN 1.4)


@pytest.mark.parametrize(
    ("control", "status", "expected"),
    [
        # dcm4chee's table; what it rejects as incomplete is read
        ("NW", "SC", "scheduled"),
        ("NW", "IP", "in-progress"),
        ("NW", "", "scheduled"),
        ("XO", "SC", "scheduled"),
        ("CA", "CA", "cancelled"),
        ("DC", "CA", "discontinued"),
        ("XO", "CM", "completed"),
        ("SC", "CM", "completed"),
        ("SC", "A", "in-progress"),
        # dcm4chee 2.x and hl7v2-fhir-bridge
        ("XO", "", "scheduled"),
        ("CA", "", "cancelled"),
        ("OC", "", "cancelled"),
        ("CR", "", "cancelled"),
        ("DC", "", "discontinued"),
        ("DR", "", "discontinued"),
        ("OD", "", "discontinued"),
        ("HD", "", "on-hold"),
        ("OH", "", "on-hold"),
        ("OK", "", "scheduled"),
        ("XX", "", "scheduled"),
        ("RL", "", "scheduled"),
        ("OR", "", "scheduled"),
        ("SC", "IP", "in-progress"),
        ("SC", "SC", "scheduled"),
        ("SC", "DC", "discontinued"),
        ("SC", "CA", "cancelled"),
        ("SC", "RP", "cancelled"),
        ("SC", "HD", "on-hold"),
        ("SC", "ER", None),
        ("SC", "", None),
        ("SN", "", None),
        ("NA", "IP", "in-progress"),
        # replaced: as if cancelled; its successor is a new order
        ("RP", "", "cancelled"),
        ("RU", "", "cancelled"),
        ("RQ", "", "cancelled"),
        ("RO", "", "scheduled"),
        # children have a status of their own
        ("CH", "CA", "cancelled"),
        ("PA", "", "scheduled"),
        # the control itself takes it away, whatever ORC-5 still says
        ("CA", "IP", "cancelled"),
        ("OC", "SC", "cancelled"),
        # no control at all
        ("", "IP", "in-progress"),
        ("", "", None),
        (None, "CM", "completed"),
    ],
)
def test_order_control_and_order_status_give_the_status(control: str, status: str, expected: str | None) -> None:
    assert order("F1", control=control, status=status).status == expected


@pytest.mark.parametrize("control", ["SC", "SN", "NA", "SR", "RE", "UX", "UA", "LI"])
def test_a_control_that_says_nothing_of_the_status_leaves_it(control: str) -> None:
    later = update("F1", control=control, time=LATE, priority="STAT")

    assert only(update("F1", control="CA"), later).status == "cancelled"
    assert only(update("F1", status="IP"), later).status == "in-progress"
    assert only(update("F1"), later).priority == "STAT"


@pytest.mark.parametrize(("taken", "restored"), [("CA", "UC"), ("DC", "UD"), ("RP", "UM"), ("HD", "UH"), ("HD", "RL")])
def test_a_request_that_could_not_be_met_leaves_the_order_as_it_was(taken: str, restored: str) -> None:
    for status, before in (("IP", "in-progress"), ("CM", "completed"), ("", "scheduled")):
        requested = update("F1", control=taken, time=NOON)
        refused = update("F1", control=restored, time=LATE)
        assert only(update("F1", status=status), requested).status != before
        assert only(update("F1", status=status), requested, refused).status == before


def test_an_order_that_is_only_known_from_a_refused_cancellation_is_scheduled() -> None:
    assert only(update("F1", control="CA"), update("F1", control="UC", time=LATE)).status == "scheduled"


def test_a_replacement_cancels_the_old_order_and_schedules_the_new_one() -> None:
    assert statuses(
        update("F1", placer="P1", accession="A1"),
        update("F1", placer="P1", control="RU", time=LATE, message="2"),
        update("F2", placer="P1", control="RO", accession="A1", time=LATE, message="2"),
    ) == {"F1": "cancelled", "F2": "scheduled"}


def test_an_unknown_order_control_changes_nothing() -> None:
    unknown = update("F1", control="ZZ", accession="A9", priority="STAT", patient=JOHN, time=LATE)

    assert not is_known_control(unknown)
    assert made_of(update("F1", accession="A1"), unknown) == made_of(update("F1", accession="A1"))
    assert made_of(unknown) == []


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
    control=st.sampled_from(["NW", "XO", "CA", "UC", "SC", "RU", "ZZ", None]),
    status=st.sampled_from(["", "IP", "CM"]),
    time=st.sampled_from(["", EARLY, NOON, LATE]),
    message=st.sampled_from(["1", "2", "3"]),
    patient=st.sampled_from([None, JANE, JOHN]),
    priority=st.sampled_from([msgspec.UNSET, None, "STAT"]),
)
_families = st.lists(_updates, min_size=1, max_size=7)


@given(_families, st.data())
def test_any_sequence_and_any_duplicates_of_messages_make_the_same_orders(
    updates: list[OrderUpdate], data: st.DataObject
) -> None:
    arrived = data.draw(st.permutations(updates + data.draw(st.lists(st.sampled_from(updates), max_size=4))))

    assert assemble(arrived) == assemble(updates)


@given(_families)
def test_every_message_with_a_known_control_is_about_some_order(updates: list[OrderUpdate]) -> None:
    orders = assemble(updates).values()

    for one in updates:
        for number in one.accession_numbers or ():
            alone = replace(one, message_time="9999-01-01T00:00:00Z")
            again = assemble([*(other for other in updates if other is not one), alone]).values()
            if is_known_control(one):
                assert any(number in made.accession_numbers for made in again)
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
