"""Imaging order messages to order updates, field by field."""

from typing import cast

import pytest
from msgspec import UNSET

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import (
    Code,
    Filtered,
    Identifier,
    Issuer,
    MessageSource,
    OrderUpdate,
    Person,
    PersonName,
    ScheduledStep,
    Stated,
)
from tests.formats.er7 import answer, header, read, segment

UID = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
HOSP = Issuer(namespace_id="HOSP", universal_id="1.2.3", universal_id_type="ISO")
CT_ABDOMEN = Code(code="CTABD", display="CT abdomen", system="L")


PID = segment("PID", f3="1CT1^^^HOSP&1.2.3&ISO^MR", f5="Doe^Jane", f7="19500101", f8="F")
ORC = segment("ORC", f1="NW", f2="P1^RIS", f3="F1^PACS", f5="SC")
OBR = segment("OBR", f4="CTABD^CT abdomen^L", f18="A1", f19="RP1", f20="SPS1", f24="CT")


def orders(*lines: str, timezone: str = "UTC") -> tuple[OrderUpdate, ...]:
    facts = read(*lines, timezone=timezone).facts
    assert all(isinstance(fact, OrderUpdate) for fact in facts)
    return cast(tuple[OrderUpdate, ...], facts)


def one(*lines: str, timezone: str = "UTC") -> OrderUpdate:
    (update,) = orders(*lines, timezone=timezone)
    return update


FULL_PID = segment(
    "PID",
    f3="1CT1^^^HOSP&1.2.3&ISO^MR~99887766^^^SSA^SS",
    f5="Müller&von^Jörg^A^JR^Dr.^MD^L~Miller^George^^^^^M",
    f7="19500101083000",
    f8="A",
    f18="ACCT1^^^HOSP",
)
FULL_ORC = segment(
    "ORC",
    f1="NW",
    f2="P1^RIS^1.2.4^ISO",
    f3="F1^PACS",
    f5="SC",
    f7="1^^^20260105110000^^S",
    f9="20260102083001.250-0500",
    f12="77^Weiß^Anna^B^III^Dr.^MD^^HOSP&1.2.3&ISO",
)


def test_everything_that_an_orm_o01_says_is_read_field_by_field() -> None:
    obr = segment(
        "OBR",
        f2="P1^RIS^1.2.4^ISO",
        f3="F1^PACS",
        f4="CTABD^CT abdomen^L^CTABDP^Abdomen, portal venous^P",
        f13="cough \\T\\ fever",
        f16="88^Other",
        f18="A1^RIS&1.2.5&ISO",
        f19="RP1",
        f20="SPS1",
        f24="CT",
        f27="1^^^20260106110000^^R",
        f31="R10^Abdominal pain^I10",
        f34="12&Roe&Richard&&&Prof.^20260105",
        f44="RPCT^Requested CT^L",
    )
    found = read(header(), FULL_PID, segment("PV1", f2="O", f19="V1^^^HOSP"), FULL_ORC, obr, f"ZDS|{UID}^MAIN^A^DICOM")
    assert found.warnings == ()
    assert found.facts == (
        OrderUpdate(
            message_time="2026-01-02T13:30:01.250Z",
            order_control="NW",
            source=MessageSource(
                sending_application="RIS",
                sending_facility="MAIN",
                message_type="ORM^O01",
                message_control_id="C1",
                channel="hl7",
            ),
            order_status="SC",
            placer_order_number=Identifier("P1", "ORC-2.1", Issuer("RIS", "1.2.4", "ISO")),
            filler_order_number=Identifier("F1", "ORC-3.1", Issuer("PACS")),
            accession_numbers=(Identifier("A1", "OBR-18", Issuer("RIS", "1.2.5", "ISO")),),
            study_instance_uids=(Stated(UID, "ZDS-1.1"),),
            requested_procedure_id=Stated("RP1", "OBR-19"),
            modality=Stated("CT", "OBR-24"),
            procedure=Code("RPCT", "Requested CT", "L"),
            priority="STAT",
            reason="Abdominal pain",
            clinical_information="cough & fever",
            ordered_at="2026-01-02T08:30:01.250-05:00",
            patient_identifiers=(
                Identifier("1CT1", "PID-3.1", HOSP, "MR"),
                Identifier("99887766", "PID-3[2].1", Issuer("SSA"), "SS"),
            ),
            patient_names=(PersonName("Müller^Jörg^A^Dr.^JR MD"), PersonName("Miller^George")),
            birth_date="1950-01-01",
            sex="O",
            visit_number="V1",
            account_number="ACCT1",
            ordering_provider=Person("77", HOSP, PersonName("Weiß^Anna^B^Dr.^III MD")),
            scheduled_steps=(
                ScheduledStep(
                    scheduled_procedure_step_id="SPS1",
                    modality="CT",
                    scheduled_procedure_step_start_date_time="2026-01-05T11:00:00Z",
                    scheduled_procedure_step_description="Abdomen, portal venous",
                    scheduled_protocol_code=Code("CTABDP", "Abdomen, portal venous", "P"),
                    scheduled_performing_physician_name="Roe^Richard^^Prof.",
                ),
            ),
        ),
    )


def test_everything_that_an_omi_o23_says_is_read_field_by_field() -> None:
    ipc = "IPC|A1^RIS^1.2.5^ISO|RP1^RIS|{uid}|{step}^RIS|CT^Computed tomography|CTP^Protocol^L|ST1~ST2|ROOM1|AE1~AE2"
    update = one(
        header("OMI^O23^OMI_O23", version="2.5.1"),
        PID,
        ORC,
        segment("TQ1", f7="20260105110000", f9="R"),
        segment("OBR", f4="CTABD^CT abdomen^L", f16="88^Weiß^Anna"),
        ipc.format(uid=UID, step="SPS1"),
        ipc.format(uid=UID, step="SPS2"),
    )
    step = ScheduledStep(
        scheduled_procedure_step_id="SPS1",
        modality="CT",
        scheduled_procedure_step_start_date_time="2026-01-05T11:00:00Z",
        scheduled_procedure_step_description="Protocol",
        scheduled_protocol_code=Code("CTP", "Protocol", "L"),
        scheduled_station_ae_title=("AE1", "AE2"),
        scheduled_station_name=("ST1", "ST2"),
        scheduled_procedure_step_location="ROOM1",
    )
    assert update.source.message_type == "OMI^O23"
    assert update.accession_numbers == (Identifier("A1", "IPC-1.1", Issuer("RIS", "1.2.5", "ISO")),)
    assert update.study_instance_uids == (Stated(UID, "IPC-3.1"),)
    assert update.requested_procedure_id == Stated("RP1", "IPC-2.1")
    assert update.modality == Stated("CT", "IPC-5.1")
    assert update.procedure == CT_ABDOMEN
    assert update.priority == "ROUTINE"
    assert update.ordering_provider == Person("88", None, PersonName("Weiß^Anna"))
    assert isinstance(update.scheduled_steps, tuple)
    assert [found.scheduled_procedure_step_id for found in update.scheduled_steps] == ["SPS1", "SPS2"]
    assert update.scheduled_steps[0] == step


def test_an_omg_o19_says_what_an_orm_does_and_its_start_in_tq1() -> None:
    lines = (PID, ORC, segment("TQ1", f7="202601051100+0100", f9="T"), OBR, f"ZDS|{UID}")
    update = one(header("OMG^O19^OMG_O19", version="2.5.1"), *lines)
    assert update.source.message_type == "OMG^O19"
    assert update.study_instance_uids == (Stated(UID, "ZDS-1.1"),)
    assert update.accession_numbers == (Identifier("A1", "OBR-18"),)
    assert update.priority == "MEDIUM"
    assert update.scheduled_steps == (
        ScheduledStep(
            scheduled_procedure_step_id="SPS1",
            modality="CT",
            scheduled_procedure_step_start_date_time="2026-01-05T11:00:00+01:00",
            scheduled_procedure_step_description="CT abdomen",
            scheduled_protocol_code=CT_ABDOMEN,
        ),
    )


def test_hl7s_own_example_of_three_procedures_is_three_orders_of_one_accession_number() -> None:
    """HL7 2.5.1, 4.5.6.1: one accession number, three requested procedures and studies, SPS1 in each."""
    lines = [header("OMI^O23^OMI_O23", version="2.5.1"), PID]
    for number, modality in ((4, "CT"), (5, "MR"), (6, "CR")):
        lines += [
            segment("ORC", f1="NW", f2=f"X123{number}^ISIS", f3="F765^RIS"),
            segment("OBR", f1=f"{number - 3}", f2=f"X123{number}^ISIS", f3="F765^RIS", f4=f"C{number}^Procedure^L"),
            f"IPC|A345^RIS|P123{number}^RIS|1.2.840.1234567890.3456786.{number}^RIS|SPS1^RIS|{modality}",
        ]
    updates = orders(*lines)
    assert [update.requested_procedure_id for update in updates] == [
        Stated("P1234", "IPC-2.1"),
        Stated("P1235", "IPC[2]-2.1"),
        Stated("P1236", "IPC[3]-2.1"),
    ]
    assert [update.study_instance_uids for update in updates] == [
        (Stated(f"1.2.840.1234567890.3456786.{number}", where),)
        for number, where in ((4, "IPC-3.1"), (5, "IPC[2]-3.1"), (6, "IPC[3]-3.1"))
    ]
    assert {tuple(found.value for found in update.accession_numbers or ()) for update in updates} == {("A345",)}
    assert [[step.scheduled_procedure_step_id for step in update.scheduled_steps or ()] for update in updates] == [
        ["SPS1"]
    ] * 3
    assert [update.modality.value for update in updates if isinstance(update.modality, Stated)] == ["CT", "MR", "CR"]


def test_the_requested_procedures_of_one_group_are_one_update_each() -> None:
    ipc = ("IPC|A1|RP1|1.2.1|S1|CT", "IPC|A1|RP1|1.2.1|S2|CT", "IPC|A1|RP2|1.2.2|S1|MR")
    first, second = orders(header("OMI^O23"), PID, ORC, "OBR|1", *ipc)
    assert [step.scheduled_procedure_step_id for step in first.scheduled_steps or ()] == ["S1", "S2"]
    assert second.requested_procedure_id == Stated("RP2", "IPC[3]-2.1")
    assert second.study_instance_uids == (Stated("1.2.2", "IPC[3]-3.1"),)


def test_rad_4_sends_one_pair_for_each_step_and_one_zds_behind_the_last() -> None:
    obr = segment("OBR", f3="F1^PACS", f4="CTABD^CT abdomen^L", f18="A1", f19="RP1", f20="SPS2", f24="CT")
    found = read(PID, ORC, OBR, ORC, obr, f"ZDS|{UID}")
    (update,) = found.facts
    assert update.study_instance_uids == (Stated(UID, "ZDS-1.1"),)
    assert [step.scheduled_procedure_step_id for step in update.scheduled_steps or ()] == ["SPS1", "SPS2"]
    assert update.accession_numbers == (Identifier("A1", "OBR-18"),)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (segment("OBR", f4="CTABD", f18="A1", f19="RP2", f20="SPS2"), "another requested procedure"),
        (segment("OBR", f4="CTABD", f18="A2", f19="RP1", f20="SPS2"), "another accession number"),
        (segment("OBR", f4="CTABD", f18="A1", f20="SPS2"), "no requested procedure stated"),
    ],
)
def test_groups_that_are_not_surely_the_same_requested_procedure_stay_apart(changed: str, reason: str) -> None:
    assert len(orders(PID, ORC, OBR, ORC, changed)) == 2, reason


def test_other_fillers_other_studies_and_other_order_controls_stay_apart() -> None:
    assert len(orders(PID, ORC, OBR, ORC.replace("F1", "F2"), OBR)) == 2
    assert len(orders(PID, ORC, OBR, "ZDS|1.2.1", ORC, OBR, "ZDS|1.2.2")) == 2
    assert len(orders(PID, ORC.replace("NW", "CA"), OBR, ORC, OBR)) == 2


def test_what_differs_within_a_requested_procedure_is_named_and_the_first_is_kept() -> None:
    found = read(PID, ORC, OBR, ORC.replace("|SC", "|IP"), OBR.replace("SPS1", "SPS2"))
    assert [update.order_status for update in found.facts] == ["SC"]
    assert found.warnings == ("ORC[2] repeats ORC with another order status: the first is kept",)


def test_an_order_segment_that_several_obr_share_gives_way_to_their_own_numbers() -> None:
    found = read(
        PID,
        segment("ORC", f1="NW", f2="GROUP", f7="^^^20260105"),
        segment("OBR", f2="P1", f3="F1", f4="CT", f18="A1"),
        "ZDS|1.2.1",
        segment("OBR", f2="P2", f3="F2", f4="MR", f18="A2"),
        "ZDS|1.2.2",
    )
    first, second = found.facts
    assert (first.placer_order_number, first.filler_order_number) == (
        Identifier("P1", "OBR-2.1"),
        Identifier("F1", "OBR-3.1"),
    )
    assert second.placer_order_number == Identifier("P2", "OBR[2]-2.1")
    assert second.accession_numbers == (Identifier("A2", "OBR[2]-18"),)
    assert second.study_instance_uids == (Stated("1.2.2", "ZDS[2]-1.1"),)
    assert [update.order_control for update in found.facts] == ["NW", "NW"]
    assert found.warnings == ()


def test_the_timing_of_a_shared_order_segment_holds_for_every_obr_without_its_own() -> None:
    lines = ("TQ1|||||||20260105", "OBR|1||F1", "OBR|2||F2", "TQ1|||||||20260106", "OBR|3||F3")
    updates = orders(header("OMG^O19"), PID, "ORC|NW", *lines)
    starts = [(update.scheduled_steps or ())[0].scheduled_procedure_step_start_date_time for update in updates]
    assert starts == ["2026-01-05", "2026-01-06", "2026-01-05"]


def test_an_obr_without_any_orc_is_an_order_without_order_control() -> None:
    update = one(PID, segment("OBR", f2="P1", f3="F1", f18="A1"))
    assert update.order_control is None
    assert update.order_status is UNSET
    assert update.placer_order_number == Identifier("P1", "OBR-2.1")


def test_a_cancellation_of_an_orc_alone_is_an_update_that_mentions_nothing_else() -> None:
    assert one("ORC|CA|P1|F1") == OrderUpdate(
        message_time="2026-01-02T08:30:00Z",
        order_control="CA",
        source=MessageSource("RIS", "MAIN", "ORM^O01", "C1", "hl7"),
        placer_order_number=Identifier("P1", "ORC-2.1"),
        filler_order_number=Identifier("F1", "ORC-3.1"),
    )


def test_a_later_pid_begins_another_patient() -> None:
    second = segment("PID", f3="2MR1", f5="Roe^Richard")
    first, other = orders(PID, segment("PV1", f19="V1"), ORC, OBR, second, ORC.replace("1", "2"), OBR)
    assert first.visit_number == "V1"
    assert other.visit_number is UNSET
    assert other.patient_identifiers == (Identifier("2MR1", "PID[2]-3.1"),)
    assert other.birth_date is UNSET


def test_an_obr_behind_a_later_pid_does_not_share_the_order_segment_of_another_patient() -> None:
    other = orders(PID, ORC, OBR, segment("PID", f3="2MR1"), OBR)[1]
    assert other.filler_order_number is UNSET
    assert other.order_control is None


def test_one_number_for_two_patients_is_two_updates() -> None:
    assert len(orders(PID, ORC, OBR, segment("PID", f3="2MR1"), ORC, OBR)) == 2


def test_a_group_that_states_a_value_completes_one_that_deletes_it() -> None:
    update = one(PID, ORC, segment("OBR", f18='""', f19="RP1"), ORC, OBR)
    assert update.accession_numbers == (Identifier("A1", "OBR[2]-18"),)


def test_every_repetition_of_an_accession_number_is_listed_with_its_own_issuer() -> None:
    update = one(PID, ORC, segment("OBR", f18="A1^EAST~A2^WEST"))
    assert update.accession_numbers == (
        Identifier("A1", "OBR-18", Issuer("EAST")),
        Identifier("A2", "OBR-18[2]", Issuer("WEST")),
    )


def test_a_zds_ahead_of_the_group_belongs_to_the_first() -> None:
    first, second = orders(PID, f"ZDS|{UID}", ORC, OBR, ORC.replace("F1", "F2"), OBR)
    assert first.study_instance_uids == (Stated(UID, "ZDS-1.1"),)
    assert second.study_instance_uids is UNSET


def test_a_zds_ahead_of_the_next_patients_group_belongs_to_that_patient() -> None:
    first, second = orders(PID, ORC, OBR, segment("PID", f3="2MR1"), f"ZDS|{UID}", ORC.replace("F1", "F2"), OBR)
    assert first.study_instance_uids is UNSET
    assert second.study_instance_uids == (Stated(UID, "ZDS-1.1"),)


def test_a_zds_behind_a_patient_without_orders_is_nobodys_and_a_warning() -> None:
    found = read(PID, ORC, OBR, segment("PID", f3="2MR1"), f"ZDS|{UID}")
    assert [order.study_instance_uids for order in found.facts] == [UNSET]
    assert found.warnings == ("ZDS: no ORC or OBR follows, not read",)


def test_an_ipc_ahead_of_its_group_is_read() -> None:
    assert one(header("OMI^O23"), PID, f"IPC|A1|RP1|{UID}|S1", ORC).study_instance_uids == (Stated(UID, "IPC-3.1"),)


def test_places_that_disagree_about_the_study_or_the_accession_number_are_all_listed() -> None:
    lines = (PID, ORC, segment("OBR", f18="A2"), "IPC|A1|RP1|1.2.1|S1", "ZDS|1.2.2")
    update = one(header("OMI^O23"), *lines)
    assert update.study_instance_uids == (Stated("1.2.1", "IPC-3.1"), Stated("1.2.2", "ZDS-1.1"))
    assert update.accession_numbers == (Identifier("A1", "IPC-1.1"), Identifier("A2", "OBR-18"))


def test_one_number_of_two_issuers_is_two_accession_numbers() -> None:
    update = one(header("OMI^O23"), PID, ORC, segment("OBR", f18="A1^WEST"), "IPC|A1^EAST|RP1|1.2.1|S1")
    assert update.accession_numbers == (
        Identifier("A1", "IPC-1.1", Issuer("EAST")),
        Identifier("A1", "OBR-18", Issuer("WEST")),
    )


def test_a_zds_that_repeats_one_requested_procedure_does_not_contradict_the_other() -> None:
    lines = (PID, ORC, segment("OBR", f18="A1"), "IPC|A1|RP1|1.2.1|S1", "IPC|A1|RP2|1.2.2|S1", "ZDS|1.2.2")
    first, second = orders(header("OMI^O23"), *lines)
    assert first.study_instance_uids == (Stated("1.2.1", "IPC-3.1"),)
    assert second.study_instance_uids == (Stated("1.2.2", "IPC[2]-3.1"),)
    assert first.accession_numbers == (Identifier("A1", "IPC-1.1"),)


def test_orc_and_obr_that_disagree_are_a_warning_and_the_orc_is_taken() -> None:
    found = read(PID, ORC, segment("OBR", f2="P9", f3="F9", f18="A1"))
    assert found.facts[0].placer_order_number == Identifier("P1", "ORC-2.1", Issuer("RIS"))
    assert found.facts[0].filler_order_number == Identifier("F1", "ORC-3.1", Issuer("PACS"))
    assert found.warnings == (
        "ORC-2.1 and OBR-2.1 differ: ORC-2.1 is taken",
        "ORC-3.1 and OBR-3.1 differ: ORC-3.1 is taken",
    )


def test_what_is_absent_is_unset_and_what_is_deleted_is_none() -> None:
    null = '""'
    update = one(
        segment("PID", f3=null, f5=null, f7=null, f8=null, f18=null),
        segment("PV1", f19=null),
        segment("ORC", f1="XO", f2=null, f3=null, f5=null, f7=null, f9=null, f12=null),
        segment("OBR", f4=null, f13=null, f18=null, f19=null, f24=null, f31=null),
        f"ZDS|{null}",
    )
    assert (update.patient_identifiers, update.patient_names) == ((), ())
    assert (update.accession_numbers, update.study_instance_uids) == ((), ())
    deleted = "order_status placer_order_number filler_order_number requested_procedure_id modality procedure priority \
        reason clinical_information ordered_at birth_date sex visit_number account_number ordering_provider"
    assert {name: getattr(update, name) for name in deleted.split()} == dict.fromkeys(deleted.split())
    assert update.scheduled_steps is UNSET

    blank = one("PID|  | | ||  ", "PV1| ", "ORC|XO| | | ", "OBR|1| | | ")
    mentioned = {"message_time", "order_control", "source"}
    assert {name for name in blank.__struct_fields__ if getattr(blank, name) is not UNSET} == mentioned


def test_a_value_beats_a_deletion_in_a_place_that_comes_second() -> None:
    update = one(PID, 'ORC|XO|""|""', segment("OBR", f2="P1", f3="F1"))
    assert update.placer_order_number == Identifier("P1", "OBR-2.1")
    assert update.filler_order_number == Identifier("F1", "OBR-3.1")


def test_white_space_around_values_is_no_part_of_them() -> None:
    update = one(PID, ORC, segment("OBR", f18=" A1 ^ RIS ", f24="CT "), f"ZDS| {UID} ^X")
    assert update.accession_numbers == (Identifier("A1", "OBR-18", Issuer("RIS")),)
    assert update.study_instance_uids == (Stated(UID, "ZDS-1.1"),)
    assert update.modality == Stated("CT", "OBR-24")


def test_an_unescaped_ampersand_does_not_cut_an_identifier_or_a_text() -> None:
    update = one(PID, ORC, segment("OBR", f13="head & neck", f18="A&1", f31="^R & D"))
    assert update.accession_numbers == (Identifier("A&1", "OBR-18"),)
    assert (update.clinical_information, update.reason) == ("head & neck", "R & D")


def test_a_sender_of_the_2_2_style_states_its_patient_number_in_pid_2() -> None:
    assert one(segment("PID", f2="604^^^VET", f3="  "), ORC).patient_identifiers == (
        Identifier("604", "PID-2.1", Issuer("VET")),
    )
    assert one(segment("PID", f2="604", f3="A1"), ORC).patient_identifiers == (Identifier("A1", "PID-3.1"),)
    assert one('PID||604|""', ORC).patient_identifiers == (Identifier("604", "PID-2.1"),)
    assert one('PID||""', ORC).patient_identifiers == ()


@pytest.mark.parametrize(
    ("pid5", "names"),
    [
        ("DOE^JANE^Q^JR^DR^MD", (PersonName("DOE^JANE^Q^DR^JR MD"),)),
        ("Doe", (PersonName("Doe"),)),
        ("^Jane", (PersonName("^Jane"),)),
        ("Doe^Jane^^^^", (PersonName("Doe^Jane"),)),
        ('Doe^""^Q', (PersonName("Doe^^Q"),)),
        ("O\\S\\Neil=x^Ann", (PersonName("O Neil x^Ann"),)),
        (
            "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P",
            (PersonName("Yamada^Tarou", "山田^太郎", "やまだ^たろう"),),
        ),
        ("山田^太郎^^^^^L^I~Yamada^Tarou^^^^^L^A", (PersonName("Yamada^Tarou", "山田^太郎"),)),
        ("Yamada^Tarou~山田^太郎^^^^^^I", (PersonName("Yamada^Tarou", "山田^太郎"),)),
        ("Doe^Jane^^^^^L^A~Roe^Jane^^^^^M^A", (PersonName("Doe^Jane"), PersonName("Roe^Jane"))),
        ("Doe^Jane^^^^^L~ドウ^^^^^^M^P", (PersonName("Doe^Jane"), PersonName(None, None, "ドウ"))),
    ],
)
def test_patient_names_are_in_dicoms_form_and_their_representations_together(
    pid5: str, names: tuple[PersonName, ...]
) -> None:
    assert one(segment("PID", f5=pid5), ORC).patient_names == names


@pytest.mark.parametrize(
    ("pid7", "birth_date"),
    [
        ("1950", "1950"),
        ("195002", "1950-02"),
        ("19500228", "1950-02-28"),
        ("19500228093000.1234-0500", "1950-02-28"),
        ("19500230", UNSET),
        ("1950-02-28", UNSET),
        ("about 1950", UNSET),
        ("00000000", UNSET),
    ],
)
def test_a_birth_date_is_as_precise_as_stated_and_an_impossible_one_is_a_warning(pid7: str, birth_date: object) -> None:
    found = read(segment("PID", f7=pid7), ORC)
    assert found.facts[0].birth_date == birth_date
    assert found.warnings == (("PID-7: not a date",) if birth_date is UNSET else ())


@pytest.mark.parametrize(
    ("pid8", "sex"), [("F", "F"), ("M", "M"), ("O", "O"), ("A", "O"), ("N", "O"), ("U", None), ("x", None), ("", UNSET)]
)
def test_sex_is_one_that_dicom_knows_or_none(pid8: str, sex: object) -> None:
    assert one(segment("PID", f3="1", f8=pid8), ORC).sex == sex


@pytest.mark.parametrize(
    ("lines", "priority"),
    [
        (("ORC|NW||||||^^^^^S", "OBR|1||||R"), "STAT"),
        (("ORC|NW", segment("TQ1", f9="A"), "OBR|1"), "HIGH"),
        (("ORC|NW", segment("OBR", f27="^^^^^P")), "HIGH"),
        (("ORC|NW", segment("OBR", f5="C")), "HIGH"),
        (("ORC|NW", segment("OBR", f5="R")), "ROUTINE"),
        (("ORC|NW", segment("OBR", f5="T")), "MEDIUM"),
        (("ORC|NW||||||^^^^^soon", "OBR|1"), None),
        (("ORC|NW", "OBR|1"), UNSET),
    ],
)
def test_priority_is_found_in_each_of_its_places(lines: tuple[str, ...], priority: object) -> None:
    assert one(PID, *lines).priority == priority


@pytest.mark.parametrize(
    ("sent", "orc9", "timezone", "message_time", "ordered_at"),
    [
        ("20260102083000", "20260102080000", "UTC", "2026-01-02T08:00:00Z", "2026-01-02T08:00:00Z"),
        ("20260102083000", "", "UTC", "2026-01-02T08:30:00Z", UNSET),
        ("", "202601020800", "UTC", "2026-01-02T08:00:00Z", "2026-01-02T08:00:00Z"),
        ("", "", "UTC", "", UNSET),
        ("202601020830+0100", "2026010208", "UTC", "2026-01-02T07:00:00Z", "2026-01-02T08:00:00+01:00"),
        ("202607020830", "202607020800", "Europe/Berlin", "2026-07-02T06:00:00Z", "2026-07-02T08:00:00+02:00"),
        ("202601020830", "202601020800-0500", "Europe/Berlin", "2026-01-02T13:00:00Z", "2026-01-02T08:00:00-05:00"),
        ("20260102083000", "20260102", "UTC", "2026-01-02T08:30:00Z", "2026-01-02"),
        ("20260102", "20260101", "Europe/Berlin", "2025-12-31T23:00:00Z", "2026-01-01"),
        ("20260102083000.120", "", "UTC", "2026-01-02T08:30:00.120Z", UNSET),
        ("20260102083000120", "", "UTC", "2026-01-02T08:30:00.120Z", UNSET),
        ("20260102083000120+0100", "", "UTC", "2026-01-02T07:30:00.120Z", UNSET),
    ],
)
def test_times_carry_the_offset_that_is_stated_or_else_that_of_the_sender(
    sent: str, orc9: str, timezone: str, message_time: str, ordered_at: object
) -> None:
    update = one(header(sent=sent), segment("ORC", f1="NW", f9=orc9), timezone=timezone)
    assert update.message_time == message_time
    assert update.ordered_at == ordered_at


@pytest.mark.parametrize(
    "bad",
    [
        "soon",
        "20261301",
        "20260102250000",
        "2026",
        "202601",
        "20260102080000+9900",
        "2026010208000012",
        "00010101",
        "2026-01-02",
    ],
)
def test_an_impossible_time_is_a_warning_and_absent(bad: str) -> None:
    orc = segment("ORC", f1="NW", f7=f"^^^{bad}", f9=bad)
    found = read(header(sent="20260102083000"), orc, segment("OBR", f24="CT", f27="^^^20260105"))
    assert found.warnings == ("ORC-9: not a date and time", "ORC-7.4: not a date and time")
    assert found.facts[0].ordered_at is UNSET
    assert found.facts[0].message_time == "2026-01-02T08:30:00Z"
    steps = found.facts[0].scheduled_steps or ()
    assert [step.scheduled_procedure_step_start_date_time for step in steps] == ["2026-01-05"]


@pytest.mark.parametrize(
    ("obr4", "obr44", "procedure"),
    [
        ("CTABD^CT abdomen^L", "", CT_ABDOMEN),
        ("CTABD^CT abdomen^L", "RP^Requested^L", Code("RP", "Requested", "L")),
        ("CTABD^CT abdomen^L^^^QUADRAT", "", CT_ABDOMEN),
        ("Knie rechts", "", Code("Knie rechts")),
        ("^^^ALT^Alternate^L2", "", Code("ALT", "Alternate", "L2")),
        ('""', "", None),
        ("", "", UNSET),
    ],
)
def test_the_procedure_is_the_requested_one_where_stated(obr4: str, obr44: str, procedure: object) -> None:
    assert one(PID, ORC, segment("OBR", f1="1", f4=obr4, f44=obr44)).procedure == procedure


def test_several_reasons_and_the_parts_of_a_clinical_information_are_all_kept() -> None:
    update = one(PID, ORC, segment("OBR", f13="^^^NEURO~pain", f31="R10^Pain^I10~R11"))
    assert (update.reason, update.clinical_information) == ("Pain; R11", "NEURO; pain")


def test_an_order_for_medicine_is_no_imaging_order() -> None:
    medicine = answer(PID, "ORC|NW|1000", "RXO|1")
    assert medicine == Filtered("no imaging order: RXO stands in the place of OBR")
    assert one(PID, "ORC|NW|1000", "RXO|1", "ORC|NW|P1", OBR).placer_order_number == Identifier("P1", "ORC[2]-2.1")


def test_an_order_message_without_any_order_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        read(PID)
    assert refused.value.code == "hl7-no-order"


@pytest.mark.parametrize("lines", [("ORC|NW",) * 3, ("ORC|NW", "OBR|1", "IPC|A1|RP1", "IPC|A1|RP2", "IPC|A1|RP3")])
def test_more_orders_than_the_bound_are_refused_with_its_name(lines: tuple[str, ...]) -> None:
    assert read(PID, *lines, limits=Limits(max_orders=3)).facts
    with pytest.raises(Invalid) as refused:
        read(PID, *lines, limits=Limits(max_orders=2))
    assert refused.value.code == "max-orders"


def test_no_field_of_an_hl7_message_gives_an_instance_number() -> None:
    lines = (PID, ORC, OBR, "OBX|1|NM|00200013^Instance Number^DCM||4711", "NTE|1||Instance Number 4711")
    assert "4711" not in str(one(*lines))


def test_an_identifier_with_a_lost_character_is_not_used_as_two_of_them_are_not_known_to_be_the_same() -> None:
    found = read(
        header(),
        segment("PID", f3="P\ufffd1^^^HOSP~P2^^^H\ufffdSP~P3^^^HOSP", f5="M\ufffdller^Anna"),
        segment("ORC", f1="NW", f2="PL1^R\ufffdS", f3="F1"),
        segment("OBR", f3="F1", f18="A\ufffd1", f19="RP\ufffd"),
        "ZDS|1.2.\ufffd",
    )
    (update,) = found.facts
    assert isinstance(update, OrderUpdate)
    assert [one.value for one in update.patient_identifiers or ()] == ["P3"]
    assert update.filler_order_number == Identifier("F1", "ORC-3.1")
    for said in (
        update.patient_names,
        update.placer_order_number,
        update.accession_numbers,
        update.requested_procedure_id,
        update.study_instance_uids,
    ):
        assert said is UNSET
    assert found.warnings == (
        "U+FFFD in the text: an earlier system lost characters; no identifier or name with it is used",
    )


def test_a_name_of_question_marks_is_not_used_and_the_warning_names_its_place() -> None:
    name = "Hong^Gildong^^^^^L^A~???^???^^^^^L^I"
    found = read(header(), segment("PID", f3="P1", f5=name), segment("ORC", f1="NW", f3="F1"))
    (update,) = found.facts
    assert update.patient_names == (PersonName("Hong^Gildong"),)
    assert found.warnings == ("PID-5[2]: ? in place of letters: an engine wrote it in another character set",)


def test_nothing_ahead_of_the_orders_goes_over_to_another_patient() -> None:
    found = read(segment("PID", f3="A"), "ORC|NW|P1|F1", segment("PID", f3="B"), "ZDS|1.2.3", "ORC|NW|P2|F2")
    assert [update.study_instance_uids for update in found.facts] == [UNSET, (Stated("1.2.3", "ZDS-1.1"),)]
    left = read(
        segment("PID", f3="A"), "ORC|NW|P1|F1", segment("PID", f3="B"), "ORC|NW|P2|F2", segment("PID", f3="C"), "IPC|A1"
    )
    assert left.warnings == ("IPC: no ORC or OBR follows, not read",)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("PID|1||A", "PID|1||B", "ORC|NW|P1|F1"), "hl7-several-patients"),
        (("PID|1||A", "ZDS|1.2.3", "PID|1||B", "ORC|NW|P1|F1"), "hl7-several-patients"),
        (("ORC|NW|P1|F1", "PID|1||A"), "hl7-no-patient"),
    ],
)
def test_an_order_of_nobody_knows_whom_is_refused(lines: tuple[str, ...], code: str) -> None:
    with pytest.raises(Invalid, match=code):
        read(header(), *lines)


def test_of_several_order_numbers_the_first_is_taken_with_a_warning() -> None:
    found = read(header(), "PID|1||A", "ORC|NW|P1~P2|~F2")
    (update,) = found.facts
    assert isinstance(update, OrderUpdate)
    assert update.placer_order_number == Identifier("P1", "ORC-2.1")
    assert update.filler_order_number == Identifier("F2", "ORC-3[2].1")
    assert found.warnings == ("ORC-2: several numbers, the first is taken",)


def test_prior_results_in_an_omg_order_nothing() -> None:
    lines = ("PID|1||A", "ORC|NW|P1|F1", "OBR|1|P1|F1|MR")
    prior = ("PID|1||A", "ORC|NW|OLD|OLDF", "OBR|1|OLD|OLDF|CT")
    by_patient = read(header("OMG^O19"), *lines, *prior)
    by_control = read(header("OMG^O19"), *lines, "ORC|PR|OLD|OLDF", "OBR|1|OLD|OLDF|CT")
    for found in (by_patient, by_control):
        assert len(found.facts) == 1
        assert found.warnings == ("groups of prior results: 1, not read as orders",)
    assert isinstance(answer(header("OMG^O19"), "PID|1||A", "ORC|PR|OLD|OLDF", "OBR|1|OLD|OLDF|CT"), Filtered)


@pytest.mark.parametrize("behind", ["-----", "ZXYZ|foo", "### eof"])
def test_an_identifier_with_a_line_behind_it_is_not_used(behind: str) -> None:
    found = read(header(), "PID|1||A", "ORC|NW|P1|F1", "ZDS|1.2.3", behind)
    assert found.facts[0].study_instance_uids is UNSET
    assert found.warnings == ("ZDS: lines behind it that are no segments: 1, read as line breaks in it",)


def test_the_end_of_a_dos_file_is_no_part_of_the_last_identifier() -> None:
    found = read(header(), "PID|1||A", "ORC|NW|P1|F1", "ZDS|1.2.3", "\x1a")
    assert found.facts[0].study_instance_uids == (Stated("1.2.3", "ZDS-1.1"),)
