"""Which messages are about which order (DESIGN 4.1): the identifier hierarchy, and messages that state less."""

from typing import Any

import pytest

from bridge.core.orders import family_keys
from tests.core.builders import JANE, JOHN, order, update
from tests.core.made_orders import EARLY, LATE, NOON, accessions, filler, made_of, only, procedure, statuses

# What is one order


def test_hl7_s_own_example_is_three_orders_of_one_accession_number_each_with_its_own_study() -> None:
    group: dict[str, Any] = {"placer": "P1", "accession": "A345"}
    orders = made_of(
        update("F1", **group, rp="P1234", uid="1.1", steps=("SPS1",)),
        update("F1", **group, rp="P1235", uid="1.2", steps=("SPS1",)),
        update("F1", **group, rp="P1236", uid="1.3", steps=("SPS1",)),
    )

    assert [(procedure(o), o.study_instance_uids[0].value) for o in orders] == [
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


def test_a_placer_order_that_was_moved_as_it_became_a_filler_order_is_no_second_one() -> None:
    made = only(
        update(placer="P1", accession="A1", patient=JANE, time=EARLY),
        update("F1", placer="P1", accession="A1", control="XO", patient=JOHN, time=LATE),
    )

    assert made.patient.identifiers == JOHN.identifiers


def test_a_placer_order_whose_number_is_used_again_for_another_patient_stays_the_first_one_s() -> None:
    orders = made_of(
        update(placer="P1", accession="A1", patient=JANE, time=EARLY),
        update("F1", placer="P1", accession="A2", control="NW", patient=JOHN, time=LATE),
    )

    assert [(filler(o), o.patient.identifiers) for o in orders] == [("", JANE.identifiers), ("F1", JOHN.identifiers)]


def test_a_placer_order_is_moved_by_a_message_that_writes_its_issuer_in_full() -> None:
    made = only(
        update(placer="P1^HIS", accession="A1", patient=JANE, time=EARLY),
        update(placer="P1^HIS&1.2.3&ISO", accession="A1", control="XO", patient=JOHN, time=LATE),
    )

    assert made.patient.identifiers == JOHN.identifiers


@pytest.mark.parametrize("cancelled", ["P1^HIS", "P1^HIS&1.2.3&ISO"])
def test_a_message_under_a_number_that_two_patients_orders_have_is_about_its_own_patient_s(cancelled: str) -> None:
    orders = made_of(
        update(placer="P1^HIS", accession="A1", patient=JANE, time=EARLY),
        update("F1", placer="P1^HIS", accession="A2", patient=JOHN, time=NOON),
        update(placer=cancelled, control="CA", patient=JANE, time=LATE),
    )

    assert [(filler(o), o.status) for o in orders] == [("", "cancelled"), ("F1", "scheduled")]


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

    assert [(filler(o), accessions([o])) for o in orders] == [("", ["A3"]), ("F1", ["A1"]), ("F2", ["A2"])]


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


def test_what_was_moved_to_another_accession_number_is_no_longer_meant_by_the_first() -> None:
    orders = made_of(
        update("F1", accession="A1", patient=JANE, time=EARLY),
        update("F1", accession="A2", time=NOON),
        update(accession="A1", patient=JOHN, time=LATE),
    )

    assert [(filler(o), accessions([o]), o.patient.identifiers) for o in orders] == [
        ("", ["A1"], JOHN.identifiers),
        ("F1", ["A2"], JANE.identifiers),
    ]


def test_what_was_moved_to_another_placer_number_is_no_longer_cancelled_under_the_first() -> None:
    assert statuses(
        update("F1", placer="P1", time=EARLY),
        update("F1", placer="P2", time=NOON),
        update(placer="P1", control="CA", time=LATE),
    ) == {"": "cancelled", "F1": "scheduled"}


def test_a_number_means_the_order_that_had_it_when_the_message_was_sent() -> None:
    assert (
        only(
            update("F1", accession="A1", time=EARLY),
            update(accession="A1", control="CA", time=NOON),
            update("F1", accession="A2", control="SC", time=LATE),
        ).status
        == "cancelled"
    )


def test_what_was_said_of_an_order_is_not_said_of_a_later_one_that_has_its_number_now() -> None:
    orders = made_of(
        update("F1", accession="A1", time=EARLY),
        update(accession="A1", control="XO", modality="CT", uid="1.1", patient=JANE, time="2026-01-01T09:00:00Z"),
        update("F1", accession="A2", time=NOON),
        update(accession="A1", patient=JOHN, time=LATE),
    )

    assert [(accessions([o]), o.patient, len(o.study_instance_uids)) for o in orders] == [
        (["A1"], JOHN, 0),
        (["A2"], JANE, 1),
    ]


def test_a_number_that_two_orders_have_had_is_the_later_one_s_where_neither_has_the_accession_number() -> None:
    orders = made_of(
        update("F1", placer="P2", accession="A1", time=EARLY),
        update(placer="P1", accession="A2", time="2026-01-01T09:00:00Z"),
        update("F1", placer="P1", time=NOON),
        update(placer="P1", accession="A3", time=LATE),
    )

    assert [(filler(o), accessions([o])) for o in orders] == [("", ["A3"]), ("F1", ["A1"])]


def test_a_number_that_came_before_any_other_means_the_order_that_had_it_later() -> None:
    made = only(
        update(placer="P1", patient=JANE, time=EARLY),
        update("F1", placer="P1", time=NOON),
        update("F1", placer="P2", time=LATE),
    )

    assert made.patient == JANE


def test_one_procedure_of_several_that_is_stated_again_leaves_the_others_their_numbers() -> None:
    orders = made_of(
        update(placer="P1", accession="A1", uid="1.1"),
        update(placer="P1", accession="A2", uid="1.2"),
        update(placer="P1", accession="A2", control="SC", time=NOON, message="2"),
        update(accession="A1", control="CA", time=LATE, message="3"),
    )

    assert sorted((accessions([o])[0], o.status) for o in orders) == [("A1", "cancelled"), ("A2", "scheduled")]


def test_the_accession_number_that_a_filler_order_has_left_does_not_choose_it() -> None:
    orders = made_of(
        update("F1", placer="P1", accession="A1", time=EARLY),
        update("F1", placer="P1", accession="A3", time=NOON),
        update("F2", placer="P1", accession="A1", time=NOON),
        update(placer="P1", accession="A1", control="CA", time=LATE),
    )

    assert [(accessions([o]), o.status) for o in orders] == [(["A3"], "scheduled"), (["A1"], "cancelled")]


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


def test_a_number_without_issuer_that_may_be_two_issuers_is_about_neither() -> None:
    orders = made_of(update("F1^RIS"), update("F1^LAB"), update("F1", control="CA", time=LATE))

    assert sorted(str(o.status) for o in orders) == ["cancelled", "scheduled", "scheduled"]


def test_of_two_issuers_orders_the_patient_or_the_placer_s_number_says_which_one_is_meant() -> None:
    for told in ({"patient": JANE}, {"placer": "P1^HIS"}):
        orders = made_of(
            update("F1^RIS", placer="P1^HIS", patient=JANE),
            update("F1^LAB", placer="P1^LAB", patient=JOHN),
            update("F1", control="CA", time=LATE, **told),
        )
        assert sorted(str(o.status) for o in orders) == ["cancelled", "scheduled"]


def test_a_new_order_under_a_placer_number_that_is_used_again_is_one_of_its_own() -> None:
    orders = made_of(update("F1", placer="P1", patient=JANE), update(placer="P1", patient=JOHN, time=LATE))

    assert sorted(o.patient.identifiers[0].value for o in orders) == ["100", "200"]


def test_a_message_without_issuer_never_gives_an_order_to_another_patient() -> None:
    orders = made_of(update("F1^RIS", patient=JANE), update("F1", patient=JOHN, time=LATE))

    assert sorted(o.patient.identifiers[0].value for o in orders) == ["100", "200"]


def test_a_number_without_issuer_is_also_about_the_order_that_never_had_one() -> None:
    orders = made_of(
        update(placer="P1^HIS", accession="A1"),
        update(placer="P1", accession="A3"),
        update(placer="P1", control="CA", time=LATE),
    )

    assert sorted(accessions(orders)) == ["A1", "A3"]
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
