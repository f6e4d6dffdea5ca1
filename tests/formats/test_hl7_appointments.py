"""Scheduling messages (SIU) to appointments: which order, when, and what became of it."""

from typing import cast

import pytest

from bridge.core.channel import SCHEDULING_MESSAGES
from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import (
    Appointment,
    Code,
    Identifier,
    Issuer,
    MessageSource,
    Patient,
    PersonName,
)
from tests.formats.er7 import header, read, segment

SIU = header("SIU^S12", version="2.5.1")
PID = segment("PID", f3="1CT1^^^HOSP^MR", f5="Doe^Jane")
SCH = segment("SCH", f1="AP1^RIS", f2="AF1^PACS", f26="P1^RIS", f27="F1^PACS")


def one(*lines: str, message_type: str = "SIU^S12") -> Appointment:
    (appointment,) = read(header(message_type, version="2.5.1"), *lines).facts
    assert isinstance(appointment, Appointment)
    return appointment


def test_everything_that_a_siu_s12_says_is_read_field_by_field() -> None:
    schedule = segment(
        "SCH",
        f1="AP1^RIS^1.2.4^ISO",
        f2="AF1^PACS",
        f11="1^^^202601051100+0100",
        f25="Booked^^HL70278",
        f26="P1^RIS^1.2.4^ISO~P2",
        f27="F1^PACS~F2",
    )
    found = read(SIU, schedule, PID, "PV1|1|O", "RGS|1", "AIS|1|A|CTABD^CT abdomen^L")
    assert found.facts == (
        Appointment(
            message_time="2026-01-02T08:30:00Z",
            event="S12",
            source=MessageSource("RIS", "MAIN", "SIU^S12", "C1", "hl7"),
            patient=Patient((Identifier("1CT1", "PID-3.1", Issuer("HOSP"), "MR"),), (PersonName("Doe^Jane"),)),
            placer_appointment_id=Identifier("AP1", "SCH-1.1", Issuer("RIS", "1.2.4", "ISO")),
            filler_appointment_id=Identifier("AF1", "SCH-2.1", Issuer("PACS")),
            placer_order_numbers=(
                Identifier("P1", "SCH-26.1", Issuer("RIS", "1.2.4", "ISO")),
                Identifier("P2", "SCH-26[2].1"),
            ),
            filler_order_numbers=(Identifier("F1", "SCH-27.1", Issuer("PACS")), Identifier("F2", "SCH-27[2].1")),
            start="2026-01-05T11:00:00+01:00",
            status="Booked",
            procedure=Code("CTABD", "CT abdomen", "L"),
        ),
    )
    assert found.warnings == ()


@pytest.mark.parametrize("message_type", SCHEDULING_MESSAGES)
def test_each_scheduling_message_names_its_event(message_type: str) -> None:
    assert f"SIU^{one(SCH, PID, message_type=message_type).event}" == message_type


@pytest.mark.parametrize(
    ("lines", "placers", "fillers"),
    [
        (("SCH|1", PID), [], []),
        (("SCH|1", PID, "ORC|NW|P1|F1"), ["ORC-2.1"], ["ORC-3.1"]),
        (("SCH|1", PID, "ORC|NW|P1|F1", "OBR|1|P1|F1", "OBR|2|P2"), ["ORC-2.1", "OBR[2]-2.1"], ["ORC-3.1"]),
        (("SCH|1", PID, "OBR|1||F1"), [], ["OBR-3.1"]),
        ((SCH, PID, "ORC|NW|P9|F9"), ["SCH-26.1"], ["SCH-27.1"]),
        ((segment("SCH", f27="F1"), "ORC|NW|P9|F9"), [], ["SCH-27.1"]),
        ((segment("SCH", f26='""', f27='""'), PID), [], []),
    ],
)
def test_the_order_is_that_of_sch_26_and_27_or_else_of_an_orc_or_obr(
    lines: tuple[str, ...], placers: list[str], fillers: list[str]
) -> None:
    appointment = one(*lines)
    assert [number.where for number in appointment.placer_order_numbers] == placers
    assert [number.where for number in appointment.filler_order_numbers] == fillers


TQ1 = "TQ1|||||||202601050800"
SCH_11 = segment("SCH", f11="^^^202601050900")
AIS = segment("AIS", f4="202601051000")
AIG = segment("AIG", f8="202601051100")
AIL = segment("AIL", f6="202601051200")
AIP = segment("AIP", f6="202601051300")


@pytest.mark.parametrize(
    ("lines", "hour", "warning"),
    [
        (
            (SCH_11, TQ1, AIS, AIG, AIL, AIP),
            "08",
            "SCH-11.4, AIS-4, AIG-8, AIL-6, AIP-6: another start than TQ1-7, which is taken",
        ),
        ((SCH_11, AIS, AIP), "09", "AIS-4, AIP-6: another start than SCH-11.4, which is taken"),
        (("SCH|1", AIP, AIL, AIG, AIS), "10", "AIG-8, AIL-6, AIP-6: another start than AIS-4, which is taken"),
        (("SCH|1", AIG, AIL), "11", "AIL-6: another start than AIG-8, which is taken"),
        (("SCH|1", AIP, AIL), "12", "AIP-6: another start than AIL-6, which is taken"),
        (("SCH|1", "AIP|1", AIP), "13", None),
        (("SCH|1", AIS, segment("AIS", f4="202601051030")), "10", None),
        ((SCH_11, segment("AIS", f4="20260105090000"), "AIL|1"), "09", None),
        ((SCH_11, segment("AIS", f4="20260105")), "09", None),
        ((segment("SCH", f11="^^^202601050900~^^^202601060900"), PID), "09", None),
    ],
)
def test_the_start_is_found_in_each_of_its_places_and_those_that_differ_are_named(
    lines: tuple[str, ...], hour: str, warning: str
) -> None:
    found = read(SIU, *lines)
    assert cast(Appointment, found.facts[0]).start == f"2026-01-05T{hour}:00:00Z"
    assert found.warnings == ((warning,) if warning else ())


def test_a_start_may_be_a_day_or_missing_and_one_that_is_no_time_is_a_warning() -> None:
    assert one(segment("SCH", f11="^^^20260105"), PID).start == "2026-01-05"
    assert one("SCH|1", PID).start is None
    found = read(SIU, segment("SCH", f11="^^^soon"), AIS)
    assert cast(Appointment, found.facts[0]).start == "2026-01-05T10:00:00Z"
    assert found.warnings == ("SCH-11.4: not a date and time",)


@pytest.mark.parametrize(
    ("sch25", "status"), [("Cancelled", "Cancelled"), ("^No show", "No show"), ("", None), ('""', None)]
)
def test_the_status_is_the_fillers(sch25: str, status: str | None) -> None:
    assert one(segment("SCH", f25=sch25), PID).status == status


def test_the_procedure_is_that_of_the_first_service_and_another_is_a_warning() -> None:
    lines = ("AIS|1|A|", "AIS|2|A|^^^CT1^CT^L2", "AIS|3|A|CT1^CT^L2", "AIS|4|A|MR1^MR^L", "AIS|5|A|CR1")
    found = read(SIU, SCH, PID, *lines)
    assert cast(Appointment, found.facts[0]).procedure == Code("CT1", "CT", "L2")
    assert found.warnings == ("AIS[4]-3: another procedure than AIS[2]-3, which is taken",)
    assert one(SCH, PID).procedure is None


def test_a_further_patient_of_an_appointment_is_a_warning() -> None:
    found = read(SIU, SCH, PID, "PID|||2MR1")
    assert [one.where for one in cast(Appointment, found.facts[0]).patient.identifiers] == ["PID-3.1"]
    assert found.warnings == ("PID[2]: a further patient of the appointment, not read",)


def test_a_patient_ahead_of_the_sch_is_the_appointments_and_a_second_sch_is_another() -> None:
    found = read(SIU, PID, SCH, AIS, SCH.replace("F1", "F2"), "PID|||2MR1", AIP)
    first, second = cast(tuple[Appointment, ...], found.facts)
    assert (first.patient.identifiers[0].value, first.start) == ("1CT1", "2026-01-05T10:00:00Z")
    assert (second.patient.identifiers[0].value, second.start) == ("2MR1", "2026-01-05T13:00:00Z")
    assert second.filler_order_numbers[0].where == "SCH[2]-27.1"
    assert found.warnings == ()


def test_an_appointment_without_patient_is_read_and_one_without_sch_refused() -> None:
    assert one(SCH).patient == Patient()
    with pytest.raises(Invalid) as refused:
        read(SIU, PID, AIS)
    assert (refused.value.code, refused.value.reason) == (
        "hl7-no-appointment",
        "the scheduling message has no SCH segment",
    )


def test_more_appointments_than_the_bound_are_refused_with_its_name() -> None:
    with pytest.raises(Invalid) as refused:
        read(SIU, *[SCH] * 3, limits=Limits(max_orders=2))
    assert refused.value.code == "max-orders"
