"""What an order message says of other orders (ORC-8, OBR-29, replacements and children), and what it takes away."""

from typing import cast

import pytest
from msgspec import UNSET

from bridge.core.model import Identifier, Issuer, OrderNumbers, OrderUpdate
from tests.formats.er7 import header, read, segment

PID = segment("PID", f3="1CT1^^^HOSP")
RIS, HIS = Issuer("RIS"), Issuer("HIS", "1.2.3", "ISO")


def orders(*lines: str) -> tuple[OrderUpdate, ...]:
    found = read(*lines)
    assert found.warnings == ()
    return cast(tuple[OrderUpdate, ...], found.facts)


def orc(control: str, placer: str = "", filler: str = "", **fields: str) -> str:
    return segment("ORC", f1=control, f2=placer, f3=filler, **fields)


def replaced(*lines: str) -> list[tuple[str | None, str | None]]:
    """Of each order that replaces another: its own filler order number, and that of the other."""
    return [
        (_filler(one.filler_order_number), _filler(one.replaces.filler_order_number))
        for one in orders(*lines)
        if isinstance(one.replaces, OrderNumbers)
    ]


def _filler(number: object) -> str | None:
    return number.value if isinstance(number, Identifier) else None


def test_a_replacement_names_the_order_of_the_rp_or_ru_before_it() -> None:
    for control in ("RP", "RU", "RQ"):
        old, new = orders(PID, orc(control, "P1^RIS", "F1"), orc("RO", "P2^RIS", "F2"), "OBR|1")
        assert (old.order_control, old.replaces) == (control, UNSET)
        assert new.replaces == OrderNumbers(Identifier("P1", "ORC-2.1", RIS), Identifier("F1", "ORC-3.1"))
        assert new.parent is UNSET


def test_replacements_of_several_orders_belong_to_them_in_their_sequence() -> None:
    """HL7 2.5.1, 4.5.1.1 h: two orders that three others replace."""
    two = (orc("RU", "P1", "F1"), "OBR|1", orc("RU", "P2", "F2"), "OBR|1")
    three = [line for filler in ("F3", "F4", "F5") for line in (orc("RO", "P1", filler), "OBR|1")]

    assert replaced(PID, *two, *three) == [("F3", "F1"), ("F4", "F2"), ("F5", "F2")]


def test_each_replacement_of_a_message_is_of_the_orders_right_before_it() -> None:
    two = (orc("RP", "P1", "F1"), orc("RP", "P6", "F6"), orc("RO", "P2", "F2"))
    other = (orc("RP", "P3", "F3"), orc("NW", "P9", "F9"), orc("RO", "P4", "F4"))

    assert replaced(PID, *two, *other) == [("F2", "F1"), ("F4", "F3")]


def test_the_steps_of_a_replacement_are_of_one_and_the_same_order() -> None:
    steps = [(orc("RO", "P3", "F3"), segment("OBR", f19="R1", f20=step)) for step in ("S1", "S2")]
    found = orders(PID, orc("RU", "P1", "F1"), orc("RU", "P2", "F2"), *steps[0], *steps[1])

    assert [_filler(one.replaces.filler_order_number) for one in found if one.replaces] == ["F1"]
    assert [len(one.scheduled_steps or ()) for one in found] == [0, 0, 2]


def test_the_procedures_of_a_replacement_all_replace_the_same_order() -> None:
    ipc = ("IPC|A1|R1|1.2.1|S1", "IPC|A1|R2|1.2.2|S1")

    assert replaced(header("OMI^O23"), PID, orc("RU", "P1", "F1"), orc("RO", "P1", "F2"), "OBR|1", *ipc) == [
        ("F2", "F1"),
        ("F2", "F1"),
    ]


def test_an_order_of_another_patient_is_not_replaced() -> None:
    lines = (PID, orc("RP", "P1", "F1"), segment("PID", f3="2"), orc("RO", "P2", "F2"))

    assert replaced(*lines) == []


def test_a_replacement_of_an_order_without_numbers_names_none() -> None:
    assert replaced(PID, orc("RP"), orc("RO", "P2", "F2")) == []


@pytest.mark.parametrize(
    ("orc_8", "numbers"),
    [
        ("P1&HIS&1.2.3&ISO^F1&RIS", OrderNumbers(Identifier("P1", "ORC-8.1", HIS), Identifier("F1", "ORC-8.2", RIS))),
        ("P1^F1", OrderNumbers(Identifier("P1", "ORC-8.1"), Identifier("F1", "ORC-8.2"))),
        ("P1", OrderNumbers(Identifier("P1", "ORC-8.1"))),
        ("^F1", OrderNumbers(None, Identifier("F1", "ORC-8.2"))),
        (" P1 & RIS ", OrderNumbers(Identifier("P1", "ORC-8.1", RIS))),
        ("P1~P2", OrderNumbers(Identifier("P1", "ORC-8.1"))),
        ("", UNSET),
        ('""', UNSET),
        ("&RIS", UNSET),
        ("P\ufffd1", UNSET),
    ],
)
def test_orc_8_is_the_order_that_a_replacement_replaces_or_the_parent_of_a_child(orc_8: str, numbers: object) -> None:
    (replacement,) = read(PID, orc("RO", "P2", "F2", f8=orc_8)).facts
    (child,) = read(PID, orc("CH", "P2", "F2", f8=orc_8)).facts

    assert (replacement.replaces, replacement.parent) == (numbers, UNSET)
    assert (child.replaces, child.parent) == (UNSET, numbers)


def test_obr_29_is_the_parent_where_orc_8_is_empty() -> None:
    obr = segment("OBR", f29="P1&HIS&1.2.3&ISO^F1")
    numbers = OrderNumbers(Identifier("P1", "OBR-29.1", HIS), Identifier("F1", "OBR-29.2"))

    assert orders(PID, orc("CH", "P2", "F2"), obr)[0].parent == numbers
    assert orders(PID, orc("CH", "P2", "F2", f8="P9"), obr)[0].parent == OrderNumbers(Identifier("P9", "ORC-8.1"))


def test_the_order_before_a_replacement_comes_before_orc_8() -> None:
    assert replaced(PID, orc("RP", "P1", "F1"), orc("RO", "P2", "F2", f8="P9^F9")) == [("F2", "F1")]


def test_a_child_without_orc_8_is_one_of_the_parent_before_it() -> None:
    parent, first, second = orders(PID, orc("PA", "P1", "F1"), orc("CH", "P1", "F2"), orc("CH", "P1", "F3"))

    numbers = OrderNumbers(Identifier("P1", "ORC-2.1"), Identifier("F1", "ORC-3.1"))
    assert (parent.parent, first.parent, second.parent) == (UNSET, numbers, numbers)


@pytest.mark.parametrize("control", ["NW", "XO", "CA", "SC", "PA", ""])
def test_orc_8_of_any_other_order_is_not_read(control: str) -> None:
    (update,) = orders(PID, orc(control, "P2", "F2", f8="P1^F1"), segment("OBR", f29="P1^F1"))

    assert (update.replaces, update.parent) == (UNSET, UNSET)


def test_steps_that_repeat_their_orc_8_are_no_contradiction() -> None:
    steps = [(orc("RO", "P2", "F2", f8="P1^F1"), segment("OBR", f19="R1", f20=step)) for step in ("S1", "S2")]

    assert len(orders(PID, *steps[0], *steps[1])) == 1


@pytest.mark.parametrize(("written", "meant"), [("ca", "CA"), ("Xo", "XO")])
def test_order_control_and_order_status_are_meant_in_any_case(written: str, meant: str) -> None:
    (update,) = orders(PID, orc(written, "P1", f5=written))

    assert (update.order_control, update.order_status) == (meant, meant)


# IPC-10 Segment Action Code (HL7 table 0206)


def ipc(procedure: str, step: str, action: str = "", study: str = "") -> str:
    return segment("IPC", f1="A1", f2=procedure, f3=study or f"1.2.{procedure}", f4=step, f5="CT", f10=action)


def controls(*lines: str) -> list[tuple[str, str | None, list[str | None]]]:
    """The requested procedure, the order control and the steps of each update."""
    return [
        (
            one.requested_procedure_id.value if one.requested_procedure_id else "",
            one.order_control,
            [step.scheduled_procedure_step_id for step in one.scheduled_steps or ()],
        )
        for one in orders(header("OMI^O23"), PID, orc("XO", "P1", "F1"), "OBR|1", *lines)
    ]


def test_a_requested_procedure_that_is_deleted_is_cancelled_alone() -> None:
    assert controls(ipc("1", "S1", "U"), ipc("2", "S1", "D")) == [("1", "XO", ["S1"]), ("2", "CA", [])]


def test_a_deleted_procedure_is_still_named_by_its_numbers() -> None:
    found = orders(header("OMI^O23"), PID, orc("XO", "P1", "F1"), "OBR|1", ipc("1", "S1", "D"))

    assert [[uid.value for uid in one.study_instance_uids or ()] for one in found] == [["1.2.1"]]
    assert [[number.value for number in one.accession_numbers or ()] for one in found] == [["A1"]]


def test_a_step_that_is_deleted_beside_others_of_its_procedure_is_left_out() -> None:
    assert controls(ipc("1", "S1", "D"), ipc("1", "S2", "A")) == [("1", "XO", ["S2"])]
    assert controls(ipc("1", "S1", "D"), ipc("1", "S2", "d")) == [("1", "CA", [])]


@pytest.mark.parametrize("action", ["", "A", "U", "X", '""'])
def test_any_other_action_leaves_the_order_control(action: str) -> None:
    assert controls(ipc("1", "S1", action)) == [("1", "XO", ["S1"])]
