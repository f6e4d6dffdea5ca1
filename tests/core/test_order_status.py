"""What order control, order status and appointments make of an order's status and start (DOMAIN 1.4)."""

from typing import Any

import pytest

from bridge.core.order_status import is_known_control
from bridge.core.orders import assemble
from tests.core.builders import JOHN, order, step, update
from tests.core.made_orders import EARLY, LATE, NOON, appointment, made_of, only, statuses


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
        ("PA", "", None),  # its children do not change the parent
        ("PA", "IP", "in-progress"),
        # the control itself takes it away, whatever ORC-5 still says, or brings it back
        ("CA", "IP", "cancelled"),
        ("OC", "SC", "cancelled"),
        ("HD", "SC", "on-hold"),
        ("UC", "CA", "scheduled"),
        ("RL", "HD", "scheduled"),
        ("UC", "CM", "completed"),
        ("UD", "IP", "in-progress"),
        # a change of an order that ORC-5 calls cancelled
        ("XO", "CA", "cancelled"),
        ("XX", "DC", "discontinued"),
        # no control at all
        ("", "IP", "in-progress"),
        ("", "", None),
        (None, "CM", "completed"),
    ],
)
def test_order_control_and_order_status_give_the_status(control: str, status: str, expected: str | None) -> None:
    assert order("F1", control=control, status=status).status == expected


@pytest.mark.parametrize("control", ["SC", "SN", "NA", "SR", "RE", "UX", "UA", "LI", "PA"])
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


@pytest.mark.parametrize("control", ["XO", "XX", "XR", "OK"])
def test_a_change_leaves_what_is_under_way_and_brings_back_what_was_taken_away(control: str) -> None:
    changed = update("F1", control=control, time=LATE, priority="STAT")

    assert only(update("F1", status="CM"), changed).status == "completed"
    assert only(update("F1", status="IP"), changed).status == "in-progress"
    assert only(update("F1", status="IP"), update("F1", control="CA", time=NOON), changed).status == "in-progress"
    assert only(update("F1", control="HD"), changed).status == "scheduled"


@pytest.mark.parametrize("control", ["NW", "RO"])
def test_what_was_cancelled_can_be_ordered_again(control: str) -> None:
    again = update("F1", control=control, time=LATE)

    assert only(update("F1", status="CM"), update("F1", control="CA", time=NOON), again).status == "scheduled"


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


# A message about several orders


def test_a_status_of_the_whole_filler_order_brings_no_procedure_back_that_was_cancelled_alone() -> None:
    procedures = [update("F1", rp="R1"), update("F1", rp="R2"), update("F1", rp="R2", control="CA", time=NOON)]
    started = update("F1", control="SC", status="IP", time=LATE)

    assert statuses(*procedures, started) == {"F1R1": "in-progress", "F1R2": "cancelled"}
    assert statuses(*procedures, started, update("F1", rp="R2", control="SC", status="IP", time=LATE)) == {
        "F1R1": "in-progress",
        "F1R2": "in-progress",
    }


def test_a_change_of_the_placer_order_does_not_bring_back_what_the_filler_replaced() -> None:
    assert statuses(
        update("F1", placer="P1", time=EARLY),
        update("F1", placer="P1", control="RU", time=NOON, message="2"),
        update("F2", placer="P1", control="RO", time=NOON, message="2"),
        update(placer="P1", control="XO", status="SC", time=LATE, message="3"),
    ) == {"F1": "cancelled", "F2": "scheduled"}


def test_what_a_message_about_several_orders_took_away_another_brings_back() -> None:
    orders = [update("F1", placer="P1"), update("F2", placer="P1"), update(placer="P1", control="CA", time=NOON)]

    assert set(statuses(*orders, update(placer="P1", control="UC", time=LATE)).values()) == {"scheduled"}


def test_a_message_that_names_the_only_order_by_less_brings_it_back() -> None:
    assert (
        only(
            update("F1", placer="P1", rp="R1"),
            update("F1", placer="P1", rp="R1", control="CA", time=NOON),
            update(placer="P1", control="XO", status="SC", time=LATE),
        ).status
        == "scheduled"
    )


# Appointments


def starts(*facts: Any) -> list[str | None]:
    return [one.scheduled_procedure_step_start_date_time for one in only(*facts).scheduled_steps]


BOOKED, MOVED = "2026-02-01T09:00:00Z", "2026-02-02T10:00:00Z"


@pytest.mark.parametrize("event", ["S12", "S13", "S14"])
def test_an_appointment_says_when_the_steps_of_an_order_start(event: str) -> None:
    assert starts(update("F1", steps=("S1", "S2")), appointment(event, fillers="F1", start=BOOKED)) == [BOOKED, BOOKED]


def test_an_order_without_steps_is_scheduled_by_its_appointment() -> None:
    assert starts(update("F1"), appointment("S12", fillers="F1", start=BOOKED)) == [BOOKED]


def test_the_newest_of_appointments_and_orders_says_when() -> None:
    ordered = update("F1", scheduled_steps=(step("2026-01-15"),))
    again = update("F1", scheduled_steps=(step("2026-01-16"),), control="XO", time=LATE)

    assert starts(ordered, appointment("S12", fillers="F1", start=BOOKED)) == [BOOKED]
    assert starts(ordered, appointment("S12", fillers="F1", start=BOOKED), again) == ["2026-01-16"]
    assert starts(
        ordered,
        appointment("S12", fillers="F1", start=BOOKED, time=EARLY),
        appointment("S13", fillers="F1", start=MOVED, time=NOON),
    ) == [MOVED]


def test_an_appointment_that_does_not_say_when_leaves_what_another_said() -> None:
    assert starts(
        update("F1"),
        appointment("S12", fillers="F1", start=BOOKED, time=EARLY),
        appointment("S14", fillers="F1", time=NOON),
    ) == [BOOKED]


def test_a_later_message_that_does_not_say_when_leaves_the_appointment() -> None:
    later = update("F1", steps=("S1",), control="XO", time=LATE)

    assert starts(update("F1", steps=("S1",)), appointment("S12", fillers="F1", start=BOOKED), later) == [BOOKED]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("", "cancelled"),
        ("SC", "cancelled"),
        ("HD", "cancelled"),
        ("IP", "in-progress"),
        ("CM", "completed"),
        ("DC", "discontinued"),
    ],
)
def test_a_cancelled_appointment_cancels_what_has_not_begun(status: str, expected: str) -> None:
    assert only(update("F1", control="SC", status=status), appointment("S15", fillers="F1")).status == expected


def test_what_had_begun_when_its_appointment_was_cancelled_is_not_cancelled_later() -> None:
    begun = [update("F1", status="IP"), appointment("S15", fillers="F1")]

    assert only(*begun, update("F1", control="HD", time=LATE)).status == "on-hold"


def test_a_new_appointment_or_a_message_that_schedules_it_brings_an_order_back() -> None:
    called_off = [update("F1"), appointment("S15", fillers="F1")]

    assert only(*called_off, appointment("S12", fillers="F1", time=LATE)).status == "scheduled"
    assert only(*called_off, update("F1", control="XO", status="SC", time=LATE)).status == "scheduled"
    assert only(*called_off, update("F1", control="SC", status="IP", time=LATE)).status == "in-progress"
    assert only(*called_off, update("F1", control="SN", time=LATE)).status == "cancelled"
    assert only(*called_off, update("F1", control="HD", time=LATE)).status == "cancelled"


def test_at_one_time_a_cancelled_appointment_comes_last() -> None:
    scheduled = update("F1", control="XO", status="SC", time=NOON)

    assert only(scheduled, appointment("S15", fillers="F1")).status == "cancelled"
    assert only(scheduled, appointment("S12", fillers="F1"), appointment("S15", fillers="F1")).status == "cancelled"


def test_an_appointment_does_not_bring_back_what_a_message_cancelled() -> None:
    assert only(update("F1", control="CA"), appointment("S13", fillers="F1", start=MOVED)).status == "cancelled"


def test_an_order_of_two_appointments_is_cancelled_with_the_last_of_them() -> None:
    booked = [
        update("F1"),
        appointment("S12", fillers="F1", own="X1", start=BOOKED, time="2026-01-01T09:00:00Z"),
        appointment("S12", fillers="F1", own="X2", start=MOVED, time="2026-01-01T10:00:00Z"),
    ]
    called_off = appointment("S15", fillers="F1", own="X2", time=NOON)

    assert only(*booked, called_off).status == "scheduled"
    assert starts(*booked, called_off) == [BOOKED]
    assert only(*booked, called_off, appointment("S15", fillers="F1", own="X1", time=LATE)).status == "cancelled"
    assert only(*booked, appointment("S15", fillers="F1", time=NOON)).status == "cancelled"


def test_an_appointment_that_is_moved_is_still_one() -> None:
    assert statuses(
        update("F1"),
        appointment("S12", fillers="F1", own="X1", start=BOOKED, time=EARLY),
        appointment("S13", fillers="F1", own="X1", start=MOVED, time=NOON),
        appointment("S15", fillers="F1", own="X1", time=LATE),
    ) == {"F1": "cancelled"}


def test_a_patient_who_does_not_come_changes_nothing() -> None:
    assert made_of(update("F1"), appointment("S26", fillers="F1", start=BOOKED)) == made_of(update("F1"))


def test_a_message_about_several_orders_brings_none_back_whose_own_appointment_was_cancelled() -> None:
    assert statuses(
        update("F1", placer="P1"),
        update("F2", placer="P1"),
        appointment("S15", fillers="F2"),
        update(placer="P1", control="XO", time=LATE),
    ) == {"F1": "scheduled", "F2": "cancelled"}
    assert statuses(
        update("F1", placer="P1"),
        update("F2", placer="P1"),
        appointment("S15", fillers="F2", time=EARLY),
        update(placer="P1", control="SC", status="IP", time=NOON),
    ) == {"F1": "in-progress", "F2": "cancelled"}
    assert statuses(
        update("F1", placer="P1"),
        update("F2", placer="P1"),
        appointment("S15", fillers="F2", time=EARLY),
        update(placer="P1", control="SC", status="IP", time=NOON),
        appointment("S12", fillers="F2", time=LATE),
    ) == {"F1": "in-progress", "F2": "in-progress"}


@pytest.mark.parametrize(
    ("named", "cancelled"),
    [
        ({"fillers": "F1"}, {"F1"}),
        ({"fillers": "F1", "placers": "P1"}, {"F1"}),
        ({"placers": "P1"}, {"F1", "F2"}),
        ({"fillers": "F1 F2"}, {"F1", "F2"}),
        ({"fillers": "F1^RIS"}, {"F1"}),
        ({"fillers": "F9", "placers": "P2"}, {""}),  # the order has no filler order number yet
        ({"fillers": "F9", "placers": "P1"}, set()),
        ({"fillers": "0", "placers": "0"}, set()),
        ({"fillers": "0", "placers": "P1"}, {"F1", "F2"}),
        ({}, set()),
    ],
)
def test_an_appointment_is_about_the_orders_that_it_names(named: dict[str, str], cancelled: set[str]) -> None:
    found = statuses(
        update("F1", placer="P1"), update("F2", placer="P1"), update(placer="P2"), appointment("S15", **named)
    )

    assert {name for name, status in found.items() if status == "cancelled"} == cancelled


def test_an_appointment_for_a_number_of_another_issuer_is_not_about_the_order() -> None:
    assert only(update("F1^RIS"), appointment("S15", fillers="F1^LAB")).status == "scheduled"


def test_an_appointment_makes_no_order_and_joins_none() -> None:
    named = appointment("S12", fillers="F1 F2", placers="P1 P2", start=BOOKED)

    assert assemble([], [named]) == {}
    assert len(made_of(update("F1"), update(placer="P2"), named)) == 2
