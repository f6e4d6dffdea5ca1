"""Result messages (ORU^R01) to reports: which order and which study, and never the text."""

from typing import cast

import pytest

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import (
    Code,
    Identifier,
    Issuer,
    MessageSource,
    Patient,
    PersonName,
    Report,
    Stated,
)
from tests.formats.er7 import header, read, segment

ORU = header("ORU^R01", version="2.5.1")
UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
PID = segment("PID", f3="1CT1^^^HOSP^MR", f5="Doe^Jane", f7="19500101", f8="F")
OBR = segment("OBR", f2="P1^RIS", f3="F1^PACS", f18="A1", f25="F")


def reports(*lines: str) -> tuple[Report, ...]:
    facts = read(ORU, *lines).facts
    assert all(isinstance(fact, Report) for fact in facts)
    return cast(tuple[Report, ...], facts)


def one(*lines: str) -> Report:
    (report,) = reports(*lines)
    return report


def test_everything_that_an_oru_r01_says_is_read_field_by_field_but_not_its_text() -> None:
    obr = segment(
        "OBR",
        f2="P1^RIS^1.2.4^ISO",
        f3="F1^PACS",
        f4="CTABD^CT abdomen^L",
        f18="A1^RIS&1.2.5&ISO~A2",
        f19="RP1^RIS",
        f22="20260102081500",
        f25="f",
    )
    study = f"OBX|1|ST|113014^DICOM Study^DCM||{UID}||||||F"
    found = read(ORU, PID, "ORC|RE|P1|F1", obr, study, "OBX|2|TX|18782-3^Findings^LN||No finding in the liver||||||F")
    assert found.facts == (
        Report(
            message_time="2026-01-02T08:30:00Z",
            source=MessageSource("RIS", "MAIN", "ORU^R01", "C1", "hl7"),
            patient=Patient(
                (Identifier("1CT1", "PID-3.1", Issuer("HOSP"), "MR"),), (PersonName("Doe^Jane"),), "1950-01-01", "F"
            ),
            placer_order_number=Identifier("P1", "ORC-2.1"),
            filler_order_number=Identifier("F1", "ORC-3.1"),
            accession_numbers=(
                Identifier("A1", "OBR-18", Issuer("RIS", "1.2.5", "ISO")),
                Identifier("A2", "OBR-18[2]"),
            ),
            requested_procedure_id=Stated("RP1", "OBR-19"),
            study_instance_uids=(Stated(UID, "OBX-5"),),
            result_status="F",
            reported_at="2026-01-02T08:15:00Z",
            procedure=Code("CTABD", "CT abdomen", "L"),
        ),
    )
    assert "liver" not in str(found)
    assert found.warnings == ()


def test_a_laboratorys_result_is_a_report_with_the_numbers_it_has() -> None:
    report = one(
        PID, segment("OBR", f3="LAB7", f4="718-7^Hemoglobin^LN", f25="P"), "OBX|1|NM|718-7^Hemoglobin^LN||13.2|g/dL"
    )
    assert report.filler_order_number == Identifier("LAB7", "OBR-3.1")
    assert (report.result_status, report.accession_numbers, report.study_instance_uids) == ("P", (), ())


@pytest.mark.parametrize(
    "obx3",
    [
        "110180^Study Instance UID^DCM",
        "110180^^DCM",
        "110180",
        "113014^Untersuchung^dcm",
        "113014^^1.2.840.10008.2.16.4",
        "^Study Instance UID",
        "^study instance uid^L",
        "^DICOM Study",
        "StudyInstanceUID",
        "STUDY_INSTANCE_UID^^99RIS",
        "X1^Bild^L^110180^Study Instance UID^DCM",
        "X1^Bild^L^113014",
        "X1^Bild^L^^Study Instance UID",
    ],
)
def test_an_observation_called_the_study_instance_uid_gives_it(obx3: str) -> None:
    assert one(PID, OBR, f"OBX|1|ST|{obx3}||{UID}").study_instance_uids == (Stated(UID, "OBX-5"),)


@pytest.mark.parametrize(
    "obx3",
    [
        "110180^Protein^L",
        "113014^Something^LN",
        "112002^Series Instance UID^DCM",
        "^SR Instance UID",
        "18783-1^Study recommendation^LN",
        "^DICOM Study Description",
        "",
    ],
)
def test_another_observation_never_gives_a_study_instance_uid(obx3: str) -> None:
    found = read(ORU, PID, OBR, f"OBX|1|ST|{obx3}||{UID}")
    assert cast(Report, found.facts[0]).study_instance_uids == ()
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("obx2", "obx5", "uids"),
    [
        ("ST", UID, [(UID, "OBX-5")]),
        ("UI", f" {UID} ", [(UID, "OBX-5")]),
        ("RP", f"{UID}^PACS^Application^DICOM", [(UID, "OBX-5")]),
        ("CX", f"{UID}^^^HOSP", [(UID, "OBX-5")]),
        ("HD", f"{UID}^^ISO", [(UID, "OBX-5")]),
        ("HD", f"PACS^{UID}^ISO", [(UID, "OBX-5.2")]),
        ("HD", f"^{UID}^ISO", [(UID, "OBX-5.2")]),
        ("ST", "1.2.1~1.2.2~1.2.1", [("1.2.1", "OBX-5"), ("1.2.2", "OBX-5[2]")]),
        ("RP", f"https://pacs/wado?requestType=WADO\\T\\studyUID={UID}\\T\\seriesUID=1.2", [(UID, "OBX-5")]),
        ("RP", f"https://pacs/wado?requestType=WADO&studyUID={UID}&seriesUID=1.2", [(UID, "OBX-5")]),
        ("ST", f"https://viewer/?StudyInstanceUID={UID}", [(UID, "OBX-5")]),
        ("ST", f"https://viewer/?study_uid={UID}#top", [(UID, "OBX-5")]),
        ("ST", "", []),
        ("ST", '""', []),
    ],
)
def test_the_uid_is_found_in_each_data_type_and_repetition(obx2: str, obx5: str, uids: list[tuple[str, str]]) -> None:
    found = read(ORU, PID, OBR, f"OBX|1|{obx2}|110180^^DCM||{obx5}")
    assert cast(Report, found.facts[0]).study_instance_uids == tuple(Stated(*uid) for uid in uids)
    assert found.warnings == ()


@pytest.mark.parametrize(
    "obx5",
    [
        "see PACS",
        "12345",
        "1.2." + "3" * 61,
        "1..2",
        "1.2.3.",
        f"PACS^{UID}",
        f"https://pacs/studies/{UID}",
        f"https://pacs/?seriesUID={UID}",
        "https://pacs/?studyUID=latest",
    ],
)
def test_a_value_that_is_no_uid_is_ignored_with_a_warning_that_names_the_place(obx5: str) -> None:
    found = read(ORU, PID, OBR, "OBX|1|TX|1^x||y", f"OBX|2|ST|110180^^DCM||1.2.3~{obx5}")
    assert cast(Report, found.facts[0]).study_instance_uids == (Stated("1.2.3", "OBX[2]-5"),)
    assert found.warnings == ("OBX[2]-5[2]: not a Study Instance UID",)


def test_a_uid_of_64_characters_is_one() -> None:
    longest = "1.2." + "3" * 60
    assert one(PID, OBR, f"OBX|1|ST|110180||{longest}").study_instance_uids == (Stated(longest, "OBX-5"),)


def test_zds_and_ipc_of_a_report_are_read_and_each_value_is_listed_once() -> None:
    report = one(PID, OBR, "OBX|1|ST|110180||1.2.1", "ZDS|1.2.1^PACS~1.2.2", "IPC|A1|RP1|1.2.3", "IPC|A9|RP2|1.2.2")
    assert report.study_instance_uids == (
        Stated("1.2.1", "OBX-5"),
        Stated("1.2.2", "ZDS-1[2].1"),
        Stated("1.2.3", "IPC-3.1"),
    )
    assert report.accession_numbers == (Identifier("A1", "OBR-18"), Identifier("A9", "IPC[2]-1.1"))
    assert report.requested_procedure_id == Stated("RP1", "IPC-2.1")


def test_each_obr_is_a_report_and_those_behind_one_orc_have_their_own_numbers_first() -> None:
    first, second, third = reports(
        PID,
        "ORC|RE|P0|F0",
        segment("OBR", f3="F1", f25="P"),
        "OBX|1|ST|110180||1.2.1",
        segment("OBR", f25="F"),
        "OBX|1|ST|110180||1.2.2",
        "ORC|RE|P3|F3",
        "OBR|1",
    )
    assert first.filler_order_number == Identifier("F1", "OBR-3.1")
    assert second.filler_order_number == Identifier("F0", "ORC-3.1")
    assert third.placer_order_number == Identifier("P3", "ORC[2]-2.1")
    assert [report.result_status for report in (first, second, third)] == ["P", "F", None]
    assert second.study_instance_uids == (Stated("1.2.2", "OBX[2]-5"),)
    assert third.study_instance_uids == ()


def test_orc_and_obr_that_disagree_are_a_warning_and_the_orc_is_taken() -> None:
    found = read(ORU, PID, "ORC|RE|P1|F1", "OBR|1|P1|F9")
    assert cast(Report, found.facts[0]).filler_order_number == Identifier("F1", "ORC-3.1")
    assert found.warnings == ("ORC-3.1 and OBR-3.1 differ: ORC-3.1 is taken",)


def test_a_later_pid_begins_another_patient() -> None:
    lines = (PID, OBR, "OBX|1|ST|110180||1.2.1", "PID|||2MR1", "PV1|1", "OBX|1|ST|110180||1.2.2", "OBR|1||F2")
    first, second = reports(*lines)
    assert first.study_instance_uids == (Stated("1.2.1", "OBX-5"),)
    assert second.patient == Patient((Identifier("2MR1", "PID[2]-3.1"),))
    assert second.study_instance_uids == (Stated("1.2.2", "OBX[2]-5"),)
    assert second.filler_order_number == Identifier("F2", "OBR[2]-3.1")


@pytest.mark.parametrize(
    "lines",
    [
        (PID, "OBX|1|ST|110180||1.2.1", "PV1|1", "ORC|RE|P1|F1", "OBR|1"),
        (PID, "ORC|RE|P1|F1", "OBX|1|ST|110180||1.2.1", "OBR|1"),
        ("OBX|1|ST|110180||1.2.1", PID, "OBR|1|P1|F1"),
    ],
)
def test_an_observation_ahead_of_the_first_obr_belongs_to_its_report(lines: tuple[str, ...]) -> None:
    assert one(*lines).study_instance_uids == (Stated("1.2.1", "OBX-5"),)


def test_an_observation_of_a_patient_without_obr_is_nobodys_and_a_warning() -> None:
    found = read(ORU, PID, OBR, "PID|||2MR1", "OBX|1|ST|110180||1.2.1")
    assert cast(Report, found.facts[0]).study_instance_uids == ()
    assert found.warnings == ("OBX: no ORC or OBR follows, not read",)


def test_an_orc_without_obr_is_a_report_with_its_numbers() -> None:
    assert one(PID, "ORC|RE|P1|F1", "OBX|1|TX|1^x||y").filler_order_number == Identifier("F1", "ORC-3.1")


def test_what_is_deleted_or_blank_is_absent() -> None:
    blank = segment("OBR", f2='""', f3=" ", f4='""', f18='""', f19='""', f22='""', f25='""')
    assert one('PID|||""||""||""|""', blank) == Report(
        message_time="2026-01-02T08:30:00Z",
        source=MessageSource("RIS", "MAIN", "ORU^R01", "C1", "hl7"),
        patient=Patient(),
    )


@pytest.mark.parametrize(
    ("sent", "obr22", "message_time", "reported_at"),
    [
        ("20260102083000", "20260102081500", "2026-01-02T08:30:00Z", "2026-01-02T08:15:00Z"),
        ("20260102", "20260102081500", "2026-01-02T08:15:00Z", "2026-01-02T08:15:00Z"),
        ("", "202601020815+0100", "2026-01-02T07:15:00Z", "2026-01-02T08:15:00+01:00"),
        ("20260102083000", "20260101", "2026-01-02T08:30:00Z", "2026-01-01"),
        ("20260102083000", "", "2026-01-02T08:30:00Z", None),
        ("", "", "", None),
    ],
)
def test_a_report_is_as_new_as_its_message_and_obr_22_says_when_it_was_made(
    sent: str, obr22: str, message_time: str, reported_at: str | None
) -> None:
    (report,) = read(header("ORU^R01", sent=sent), PID, segment("OBR", f22=obr22)).facts
    assert isinstance(report, Report)
    assert (report.message_time, report.reported_at) == (message_time, reported_at)


def test_a_result_message_without_any_order_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        read(ORU, PID, "OBX|1|ST|110180||1.2.1")
    assert (refused.value.code, refused.value.reason) == (
        "hl7-no-order",
        "the result message has neither an ORC nor an OBR segment",
    )


def test_more_reports_than_the_bound_are_refused_with_its_name() -> None:
    assert len(read(ORU, PID, *["OBR|1"] * 3, limits=Limits(max_orders=3)).facts) == 3
    with pytest.raises(Invalid) as refused:
        read(ORU, PID, *["OBR|1"] * 4, limits=Limits(max_orders=3))
    assert refused.value.code == "max-orders"
