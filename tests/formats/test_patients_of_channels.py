"""From what a channel file says of a sender's patients, dates and codes, and a message's bytes, to what is compared."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import UNSET

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.errors import ConfigError, Invalid
from bridge.core.model import (
    Appointment,
    Fact,
    Identifier,
    IdentityChange,
    Issuer,
    OrderUpdate,
    PatientUpdate,
    PersonName,
    Reading,
    Report,
    Stated,
)
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, mistakes, read

HL7 = '[source]\ndata_type = "HL7V2"\nqueue = "q"\nbindings = ["#"]\n'
DICOM = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["#"]\n'
PATIENT = "PID|1|L-7^^^LOCAL|N-1^^^NATION~N-2^^^NATION|A-9|Miller^Anna||19610704|F|Smith^Anna"
MESSAGE = "MSH|^~\\&|RADIMS|NORTH|BRIDGE|MAIN|20260102090000||{type}|C2|P|2.3\n" + PATIENT + "\n{rest}"
REST = {
    "ORM^O01": "ORC|NW|P-1|F-1\nOBR|1|P-1|F-1|XRCHEST^Chest PA^L\n",
    "ORU^R01": "OBR|1|P-1|F-1|XRCHEST^Chest PA^L\n",
    "SIU^S12": "SCH|1|2\n",
    "ADT^A08": "",
}


def reading(channel: Channel, body: str) -> Reading:
    [content] = contents(Inbound(channel.name, body.encode()), channel.source.data_type)
    said = read(content, channel)
    assert isinstance(said, Reading)
    return said


def facts(channel: Channel, kind: str = "ADT^A08", patient: str = PATIENT, rest: str = "") -> tuple[Fact, ...]:
    body = MESSAGE.format(type=kind, rest=rest or REST.get(kind, "")).replace(PATIENT, patient)
    return reading(channel, body).facts


def update(channel: Channel, patient: str = PATIENT) -> PatientUpdate:
    [fact] = facts(channel, patient=patient)
    assert isinstance(fact, PatientUpdate)
    return fact


@pytest.mark.parametrize("kind", REST)
def test_a_patient_is_read_from_the_places_in_every_kind_of_message(
    channel: Callable[[str], Channel], kind: str
) -> None:
    places = 'ids = ["PID-2"]\nname = ["PID-9"]\nbirth_date = ["PID-30.2"]\nsex = ["PID-31"]\n'
    moved = PATIENT + "|" * 21 + "x^19610705|M"
    [fact] = facts(channel(f"{HL7}[transformer.patient]\n{places}"), kind, moved)
    local, smith = (Identifier("L-7", "PID-2.1", Issuer("LOCAL")),), (PersonName("Smith^Anna"),)
    if isinstance(fact, Report | Appointment):
        who = fact.patient
        assert (who.identifiers, who.names, who.birth_date, who.sex) == (local, smith, "1961-07-05", "M")
    else:
        assert isinstance(fact, OrderUpdate | PatientUpdate)
        assert (fact.patient_identifiers, fact.patient_names) == (local, smith)
        assert (fact.birth_date, fact.sex) == ("1961-07-05", "M")


def test_the_first_place_that_holds_something_of_the_patient_is_taken(channel: Callable[[str], Channel]) -> None:
    places = 'ids = ["PID-4", "PID-3"]\nname = ["PID-9", "PID-5"]\nbirth_date = ["PID-30", "PID-7"]\n'
    stated = channel(f"{HL7}[transformer.patient]\n{places}")
    assert update(stated).patient_identifiers == (Identifier("A-9", "PID-4.1"),)
    assert update(stated).birth_date == "1961-07-04"

    without = update(stated, PATIENT.replace("A-9", "").replace("Smith^Anna", ""))
    assert without.patient_identifiers == (
        Identifier("N-1", "PID-3.1", Issuer("NATION")),
        Identifier("N-2", "PID-3[2].1", Issuer("NATION")),
    )
    assert without.patient_names == (PersonName("Miller^Anna"),)


def test_a_number_alone_is_without_the_issuer_that_stands_beside_it(channel: Callable[[str], Channel]) -> None:
    stated = channel(f'{HL7}[transformer]\npatient.ids = ["PID-3[1].1"]\nissuers.patient_id = "HOSP"\n')
    assert update(stated).patient_identifiers == (Identifier("N-1", "PID-3.1", Issuer("HOSP")),)


def test_what_is_to_be_deleted_at_a_place_is_deleted(channel: Callable[[str], Channel]) -> None:
    stated = channel(f'{HL7}[transformer.patient]\nname = ["PID-9"]\nbirth_date = ["PID-7.1"]\nsex = ["PID-8"]\n')
    deleted = update(stated, 'PID|1||N-1||Miller^Anna||""|""|""')
    assert (deleted.patient_names, deleted.birth_date, deleted.sex) == ((), None, None)
    absent = update(stated, "PID|1||N-1||Miller^Anna")
    assert (absent.patient_names, absent.birth_date, absent.sex) == (UNSET, UNSET, UNSET)


@pytest.mark.parametrize(
    ("places", "prior"),
    [
        ('["PID-3"]', Identifier("N-8", "MRG-1.1")),
        ('["PID-2"]', Identifier("L-8", "MRG-4.1")),
        ('["PID-4"]', Identifier("A-8", "MRG-2.1")),
        ('["PID-2.1", "PID-3"]', Identifier("L-8", "MRG-4.1")),
    ],
)
def test_a_merge_names_the_prior_patient_by_numbers_of_the_same_kind(
    channel: Callable[[str], Channel], places: str, prior: Identifier
) -> None:
    stated = channel(f"{HL7}[transformer.patient]\nids = {places}\n")
    _, change = facts(stated, "ADT^A40", rest="MRG|N-8|A-8||L-8\n")
    assert isinstance(change, IdentityChange)
    assert change.prior_identifiers == (prior,)


def test_a_merge_without_a_prior_number_of_the_kind_is_refused(channel: Callable[[str], Channel]) -> None:
    stated = channel(f'{HL7}[transformer.patient]\nids = ["PID-2"]\n')
    with pytest.raises(Invalid, match="MRG-4 holds no identifier"):
        facts(stated, "ADT^A40", rest="MRG|N-8\n")
    with pytest.raises(Invalid, match="hl7-no-patient: PID-2 holds no identifier"):
        facts(stated, "ADT^A40", "PID|1||N-1", "MRG|N-8|||L-8\n")
    with pytest.raises(Invalid, match="hl7-lost-characters: MRG-4 has characters"):
        facts(stated, "ADT^A40", rest="MRG|N-8|||L-\N{REPLACEMENT CHARACTER}8\n")


ORDER = """\
MSH|^~\\&|RADIMS|NORTH|BRIDGE|MAIN|{at}||ORM^O01|C2|P|2.3
PID|1||77120||Miller^Anna||{born}|{sex}
ORC|NW|P-1|F-1||||^^^{start}
OBR|1|P-1|F-1|XRCHEST^Chest PA^L||||||||||||||||||||{modality}
"""
GERMAN = """
[transformer]
timezone     = "Europe/Berlin"
date_formats = ["%d.%m.%Y", "%d.%m.%Y %H:%M"]
codes.sex      = { W = "F", D = "O" }
codes.modality = { RX = "CR", CTSCAN = "CT" }
"""


def order(channel: Channel, **stated: str) -> tuple[OrderUpdate, tuple[str, ...]]:
    usual = {"at": "20260102090000", "born": "19610704", "sex": "F", "start": "", "modality": "CT"}
    said = reading(channel, ORDER.format_map(usual | stated))
    [fact] = said.facts
    assert isinstance(fact, OrderUpdate)
    return fact, said.warnings


def test_the_dates_of_a_sender_are_read_in_its_own_format_and_in_hl7s(channel: Callable[[str], Channel]) -> None:
    german = channel(HL7 + GERMAN)
    own, warnings = order(german, at="02.01.2026 09:30", born="04.07.1961", start="03.01.2026 08:15")
    assert (own.message_time, own.birth_date) == ("2026-01-02T08:30:00Z", "1961-07-04")
    assert own.scheduled_steps
    assert own.scheduled_steps[0].scheduled_procedure_step_start_date_time == "2026-01-03T08:15:00+01:00"
    assert warnings == ()

    standard, _ = order(german)
    assert (standard.message_time, standard.birth_date) == ("2026-01-02T08:00:00Z", "1961-07-04")


def test_a_date_of_no_format_is_left_out_with_a_warning(channel: Callable[[str], Channel]) -> None:
    neither, warnings = order(channel(HL7 + GERMAN), born="07/04/1961")
    assert neither.birth_date is UNSET
    assert warnings == ("PID-7: not a date",)
    plain, _ = order(channel(HL7), born="04.07.1961")
    assert plain.birth_date is UNSET


def test_eight_digits_are_the_day_first_only_where_they_are_no_date_of_hl7(channel: Callable[[str], Channel]) -> None:
    digits = channel(f'{HL7}[transformer]\ndate_formats = ["%d%m%Y"]\n')
    assert order(digits, born="04071961")[0].birth_date == "1961-07-04"
    assert order(digits, born="20031210")[0].birth_date == "2003-12-10"


def test_a_code_of_a_sender_is_the_standards_and_any_other_stays(channel: Callable[[str], Channel]) -> None:
    german = channel(HL7 + GERMAN)
    own, _ = order(german, sex="W", modality="CTSCAN")
    assert (own.sex, own.modality) == ("F", Stated("CT", "OBR-24"))
    assert own.scheduled_steps
    assert own.scheduled_steps[0].modality == "CT"
    other, _ = order(german, sex="M", modality="ctscan")
    assert (other.sex, other.modality) == ("M", Stated("ctscan", "OBR-24"))
    assert order(channel(HL7), sex="W")[0].sex is None


def test_a_sender_has_formats_and_codes_in_place_of_the_channels(channel: Callable[[str], Channel]) -> None:
    quirk = f"""{HL7}{GERMAN}
[[transformer.sender]]
when         = {{ sending_application = "RADIMS" }}
date_formats = []
codes        = {{ modality = {{ DX = "CR" }} }}
"""
    own, _ = order(channel(quirk), born="04.07.1961", sex="W", modality="RX")
    assert (own.birth_date, own.sex, own.modality) == (UNSET, "F", Stated("RX", "OBR-24"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('ids = ["PID-18"]', "PID-18: write PID-3, PID-2 or PID-4, of which MRG has the prior ones"),
        ('ids = ["ZPI-3"]', "ZPI-3: write PID-3, PID-2 or PID-4"),
        ('ids = ["PID-3.4.2"]', "PID-3.4.2: no subcomponent"),
        ('birth_date = ["ZPI-3"]', "ZPI-3: write a field of PID, as any other segment may be another patient's"),
        ('birth_date = ["PID[2]-7"]', "PID[2]-7: no number behind the segment, which is that of the patient"),
        ('name = ["PID-5.1"]', "PID-5.1: no component, the whole field is read"),
        ('name = ["PID-5[2]"]', "PID-5[2]: no number behind the field, every name in it is read"),
        ('sex = ["PID-7"]', "PID-7 would be read as birth_date and as sex: say where each is kept"),
    ],
)
def test_a_place_that_no_patient_is_kept_at_is_a_mistake(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "north.toml").write_text(f"{HL7}[transformer.patient]\n{lines}\n")
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key[:2] == ("transformer", "patient")
    assert said in mistake


def test_a_number_is_a_patients_or_an_orders(tmp_path: Path) -> None:
    (tmp_path / "north.toml").write_text(f'{HL7}[transformer.order]\nplacer_order_number = ["PID-3"]\n')
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key == ("transformer", "order", "placer_order_number")
    assert "PID-3 would be read as placer_order_number and as ids" in mistake


@pytest.mark.parametrize(
    ("source", "lines", "said"),
    [
        (HL7, "patient.ids = []", "transformer.patient.ids: write at least one"),
        (HL7, 'codes.sex = { W = "W" }', "transformer.codes.sex.W: write 'F', 'M', 'O' or 'U'"),
        (HL7, 'codes.modality = { RX = "" }', "transformer.codes.modality.RX: write a modality as DICOM has it"),
        (HL7, 'codes.priority = { X = "S" }', "transformer.codes.priority: unknown key"),
        (DICOM, 'patient.ids = ["PID-3"]', "transformer.patient: this is about HL7V2"),
        (DICOM, 'codes.modality = { RX = "CR" }', "transformer.codes: this is about HL7V2"),
        (DICOM, 'date_formats = ["%d.%m.%Y"]', "transformer.date_formats: this is about HL7V2"),
    ],
)
def test_what_cannot_be_said_of_patients_and_codes_is_a_mistake(
    tmp_path: Path, source: str, lines: str, said: str
) -> None:
    (tmp_path / "north.toml").write_text(f"{source}[transformer]\n{lines}\n")
    with pytest.raises(ConfigError) as failure:
        load_channels(tmp_path)
    [mistake] = failure.value.mistakes
    assert said in mistake


def test_a_format_of_a_sender_that_makes_two_dates_of_a_text_is_a_mistake(tmp_path: Path) -> None:
    quirk = '[[transformer.sender]]\nwhen = { sending_facility = "A" }\ndate_formats = ["%d.%m.%Y", "%Y%d%m"]\n'
    (tmp_path / "north.toml").write_text(HL7 + quirk)
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key == ("transformer", "sender", 0, "date_formats", 1)
    assert "no text may be two dates" in mistake
