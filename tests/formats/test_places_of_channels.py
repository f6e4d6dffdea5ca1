"""From where a channel file says that a sender keeps its numbers, and a message's bytes, to what is compared."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from pydicom import Dataset, dcmread

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.errors import ConfigError
from bridge.core.model import (
    Code,
    Fact,
    Identifier,
    Instance,
    Issuer,
    OrderUpdate,
    Person,
    PersonName,
    Reading,
    Report,
    Request,
    Stated,
)
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, mistakes, read
from tests.samples import ROOT, ct

HL7 = '[source]\ndata_type = "HL7V2"\nqueue = "q"\nbindings = ["#"]\n'
DICOM = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["#"]\n'
MESSAGE = """\
MSH|^~\\&|RADIMS|NORTH|BRIDGE|MAIN|20260102090000||ORM^O01|C2|P|2.3
ZAH|ahead
PID|1||77120||Miller^Anna||19610704|F
ORC|NW|P-1|F-1
OBR|1|P-1|F-1|XRCHEST^Chest PA^L||||||||||||||A-18|||N-0048213^NORTH&1.2&ISO~N-7||||CR
ZOR|1.2.3.4^more|US
ORC|NW|P-2|F-2
OBR|2|P-2|F-2|XRCHEST^Chest PA^L||||||||||||||A-19
"""


def facts(channel: Channel, body: bytes | str, **stated: Any) -> list[Fact]:
    encoded = body.encode() if isinstance(body, str) else body
    [content] = contents(Inbound(channel.name, encoded, **stated), channel.source.data_type)
    said = read(content, channel)
    assert isinstance(said, Reading)
    return list(said.facts)


def orders(channel: Channel, body: str = MESSAGE) -> list[OrderUpdate]:
    return [fact for fact in facts(channel, body) if isinstance(fact, OrderUpdate)]


def test_the_first_place_that_has_a_value_holds_for_each_order(channel: Callable[[str], Channel]) -> None:
    one, other = orders(
        channel(f'{HL7}[transformer.order]\naccession_number = ["OBR-21[1]", "OBR-18"]\n'),
    )
    assert one.accession_numbers == (Identifier("N-0048213", "OBR-21", Issuer("NORTH", "1.2", "ISO")),)
    assert other.accession_numbers == (Identifier("A-19", "OBR[2]-18"),)


def test_a_field_is_read_whole_and_a_component_alone_in_every_repetition(channel: Callable[[str], Channel]) -> None:
    whole, _ = orders(channel(f'{HL7}[transformer.order]\naccession_number = ["OBR-21"]\n'))
    alone, _ = orders(channel(f'{HL7}[transformer.order]\naccession_number = ["OBR-21.1"]\n'))
    issuer = Issuer("NORTH", "1.2", "ISO")
    assert whole.accession_numbers == (Identifier("N-0048213", "OBR-21", issuer), Identifier("N-7", "OBR-21[2]"))
    assert alone.accession_numbers == (Identifier("N-0048213", "OBR-21.1"), Identifier("N-7", "OBR-21[2].1"))


def test_other_segments_are_those_of_the_order_or_ahead_of_all(channel: Callable[[str], Channel]) -> None:
    places = 'study_instance_uid = ["ZOR-1"]\nmodality = ["ZOR-2"]\nrequested_procedure_id = ["ZAH-1"]\n'
    one, other = orders(channel(f"{HL7}[transformer.order]\n{places}"))
    assert one.study_instance_uids == (Stated("1.2.3.4", "ZOR-1"),)
    assert one.modality == Stated("US", "ZOR-2")
    assert other.study_instance_uids is UNSET
    assert other.modality is UNSET
    assert one.requested_procedure_id == other.requested_procedure_id == Stated("ahead", "ZAH-1")


def test_what_is_kept_nowhere_is_not_read(channel: Callable[[str], Channel]) -> None:
    nowhere = "\n".join(
        f"{name} = []"
        for name in ("accession_number", "placer_order_number", "modality", "scheduled_procedure_step_id")
    )
    one, _ = orders(channel(f"{HL7}[transformer.order]\n{nowhere}\n"))
    assert (one.accession_numbers, one.placer_order_number, one.modality) == (UNSET, UNSET, UNSET)
    assert one.filler_order_number == Identifier("F-1", "ORC-3.1")


def test_a_deleted_value_at_a_place_is_deleted_unless_another_place_has_one(channel: Callable[[str], Channel]) -> None:
    places = f'{HL7}[transformer.order]\naccession_number = ["OBR-18", "OBR-21"]\n'
    first, second = orders(channel(places), MESSAGE.replace("|A-18|", '|""|').replace("|A-19", '|""'))
    assert first.accession_numbers == (
        Identifier("N-0048213", "OBR-21", Issuer("NORTH", "1.2", "ISO")),
        Identifier("N-7", "OBR-21[2]"),
    )
    assert second.accession_numbers == ()


def test_only_the_sender_that_is_named_keeps_it_there_and_what_it_writes_is_cleaned(
    channel: Callable[[str], Channel],
) -> None:
    quirk = f"""{HL7}
[[transformer.sender]]
when      = {{ sending_application = "RADIMS" }}
order     = {{ accession_number = ["OBR-21[1].1"] }}
issuers   = {{ accession_number = "NORTH" }}
normalise = {{ accession_number = ["strip_prefix:N-", "strip_leading_zeros"] }}
"""
    north, _ = orders(channel(quirk))
    main, _ = orders(channel(quirk), MESSAGE.replace("|RADIMS|", "|RIS|"))
    assert north.accession_numbers == (Identifier("48213", "OBR-21.1", Issuer("NORTH")),)
    assert main.accession_numbers == (Identifier("A-18", "OBR-18"),)


DESCRIBED = """\
MSH|^~\\&|RADIMS|NORTH|BRIDGE|MAIN|20260102090000||ORM^O01|C2|P|2.3
PID|1||77120||Miller^Anna||19610704|F
ORC|NW|P-1|F-1||||1^^^20260103^^R
OBR|1|P-1|F-1|XRCHEST^Chest PA^L|S||||||||cough^since May~fever|||7^Usual^Ann
ZOR|20260104081500|A^B^C^D^THX^Thorax^LOCAL|STAT~A|8^Elder^Eve~9^Young^Eli
"""


def test_what_is_to_be_done_when_why_and_for_whom_is_read_where_it_is_kept(channel: Callable[[str], Channel]) -> None:
    places = """
scheduled_start   = ["ZOR-9", "ZOR-1"]
procedure         = ["ZOR-2.5"]
reason            = ["OBR-31", "OBR-13"]
priority          = ["ZOR-3[2]", "OBR-5"]
ordering_provider = ["ZOR-4[2]"]
"""
    [moved] = orders(channel(f"{HL7}[transformer.order]\n{places}"), DESCRIBED)
    assert moved.scheduled_steps
    assert moved.scheduled_steps[0].scheduled_procedure_step_start_date_time == "2026-01-04T08:15:00Z"
    assert moved.procedure == Code("THX", "Thorax", "LOCAL")
    assert moved.reason == "since May; fever"
    assert moved.priority == "HIGH"
    assert moved.ordering_provider == Person("9", None, PersonName("Young^Eli"))

    [usual] = orders(channel(HL7), DESCRIBED)
    assert usual.scheduled_steps
    assert usual.scheduled_steps[0].scheduled_procedure_step_start_date_time == "2026-01-03"
    assert (usual.procedure, usual.priority) == (Code("XRCHEST", "Chest PA", "L"), "ROUTINE")
    assert (usual.reason, usual.ordering_provider) == (UNSET, Person("7", None, PersonName("Usual^Ann")))


def test_one_component_is_a_reason_and_nowhere_is_none(channel: Callable[[str], Channel]) -> None:
    places = 'reason = ["OBR-13.1"]\npriority = []\nordering_provider = []\nprocedure = []\nscheduled_start = []\n'
    [moved] = orders(channel(f"{HL7}[transformer.order]\n{places}"), DESCRIBED)
    assert moved.reason == "cough; fever"
    assert (moved.priority, moved.ordering_provider, moved.procedure) == (UNSET, UNSET, UNSET)
    assert moved.scheduled_steps is UNSET


def test_a_report_has_the_procedure_of_the_place(channel: Callable[[str], Channel]) -> None:
    report = DESCRIBED.replace("ORM^O01", "ORU^R01")
    [one] = facts(channel(f'{HL7}[transformer.order]\nprocedure = ["ZOR-2.5"]\n'), report)
    assert isinstance(one, Report)
    assert one.procedure == Code("THX", "Thorax", "LOCAL")


def test_reports_are_about_the_number_in_the_same_place(channel: Callable[[str], Channel]) -> None:
    report = MESSAGE.replace("ORM^O01", "ORU^R01")
    [one, _] = facts(channel(f'{HL7}[transformer.order]\naccession_number = ["OBR-21[2]"]\n'), report)
    assert isinstance(one, Report)
    assert one.accession_numbers == (Identifier("N-7", "OBR-21[2]"),)


@pytest.mark.parametrize("serialisation", ["part 10", "json"])
def test_an_object_has_its_numbers_in_the_attributes_that_are_named(
    channel: Callable[[str], Channel], serialisation: str
) -> None:
    quirk = f"""{DICOM}
[[transformer.sender]]
when      = {{ calling_ae_title = "US_ER_2" }}
object    = {{ accession_number = ["StudyID", "AccessionNumber"], patient_id = ["(0010,1000)", "PatientID"] }}
normalise = {{ accession_number = ["upper", "strip_prefix:N-"] }}

[[destinations]]
attributes = ["Modality"]
"""

    def instance(aet: str, **attributes: str) -> Instance:
        body = ct(1, study=f"{ROOT}.1", patient="77", accession="counter", **attributes)
        stated: dict[str, Any] = {"headers": {"calling-aet": aet}}
        if serialisation == "json":
            body = json.dumps(dcmread(BytesIO(body)).to_json_dict()).encode()
            stated["content_type"] = "application/dicom+json"
        [found] = facts(channel(quirk), body, **stated)
        assert isinstance(found, Instance)
        assert list(found.dicom) == ["00080060"]
        return found

    typed = instance("US_ER_2", StudyID=" n-48213 ").statement
    assert typed.accession_number == Identifier("48213", "00200010")
    assert typed.patient.identifiers == (Identifier("77", "00100020"),)
    issued = instance("US_ER_2", IssuerOfPatientID="HOSP").statement.patient.identifiers
    assert issued == (Identifier("77", "00100020", Issuer("HOSP")),)
    assert instance("US_ER_2").statement.accession_number == Identifier("COUNTER", "00080050")
    assert instance("CT_1", StudyID="n-48213").statement.accession_number == Identifier("counter", "00080050")


def test_order_numbers_of_an_object_stand_where_its_sender_writes_them(channel: Callable[[str], Channel]) -> None:
    item = Dataset()
    item.PlacerOrderNumberImagingServiceRequest = "P-in-item"
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "RIS"
    usual: dict[str, Any] = {
        "PlacerOrderNumberImagingServiceRequest": "P-own",
        "FillerOrderNumberImagingServiceRequest": "F-own",
        "OrderFillerIdentifierSequence": [issuer],
        "RequestAttributesSequence": [item],
    }

    def requests(lines: str, **attributes: Any) -> tuple[Request, ...]:
        body = ct(1, study=f"{ROOT}.1", patient="77", **attributes)
        [found] = facts(channel(f"{DICOM}[transformer.object]\n{lines}\n"), body)
        assert isinstance(found, Instance)
        return found.statement.requests

    in_item = Request(placer_order_number=Identifier("P-in-item", "00400275[1].00402016"))
    placer = Identifier("P-own", "00402016")
    filler = Identifier("F-own", "00402017", Issuer("RIS"))
    everything = """
placer_order_number    = ["StudyID"]
filler_order_number    = ["AdmissionID", "FillerOrderNumberImagingServiceRequest"]
requested_procedure_id = ["RequestedProcedureID"]
"""
    moved = requests(everything, StudyID=" P-typed ", RequestedProcedureID="RP-1", **usual)
    typed = Request(
        placer_order_number=Identifier("P-typed", "00200010"),
        filler_order_number=filler,
        requested_procedure_id=Stated("RP-1", "00401001"),
    )
    assert moved == (in_item, typed)

    nowhere = "placer_order_number = []\nfiller_order_number = []"
    assert requests(nowhere, **usual) == (in_item,)
    assert requests("placer_order_number = []", **usual) == (in_item, Request(filler_order_number=filler))
    untouched = Request(placer_order_number=placer, filler_order_number=filler)
    assert requests('accession_number = ["StudyID"]', **usual) == (in_item, untouched)
    alone = Request(placer_order_number=Identifier("P-typed", "00200010"))
    assert requests('placer_order_number = ["StudyID"]', StudyID="P-typed") == (alone,)


def test_an_attribute_that_would_be_two_numbers_is_a_mistake(tmp_path: Path) -> None:
    lines = 'accession_number = ["StudyID"]\nplacer_order_number = ["(0020,0010)"]\n'
    (tmp_path / "north.toml").write_text(f"{DICOM}[transformer.object]\n{lines}")
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key == ("transformer", "object", "accession_number")
    assert "StudyID would be read as accession_number and as placer_order_number" in mistake


def test_the_study_of_an_object_cannot_be_moved(tmp_path: Path) -> None:
    (tmp_path / "north.toml").write_text(f'{DICOM}[transformer.object]\nstudy_instance_uid = ["StudyID"]\n')
    with pytest.raises(ConfigError, match=r"transformer\.object\.study_instance_uid: unknown key"):
        load_channels(tmp_path)


@pytest.mark.parametrize(
    ("source", "lines", "said"),
    [
        (HL7, 'ordering_provider = ["ORC-12.1"]', "ORC-12.1: no component, the whole field is read"),
        (HL7, 'accession_number = ["OBR-21.1.2"]', "OBR-21.1.2: no subcomponent, the component is read whole"),
        (HL7, 'reason = ["OBR-4.2"]', "OBR-4 would be read as procedure and as reason"),
        (HL7, 'accession_number = ["OBR.20"]', "not an HL7 path such as PID-3[2].4.1: 'OBR.20'"),
        (HL7, 'accession_number = ["OBR[2]-18"]', "OBR[2]-18: no number behind the segment"),
        (
            HL7,
            'accession_number = ["OBR-20"]',
            "OBR-20 would be read as accession_number and as scheduled_procedure_step_id: say where each is kept",
        ),
        (
            HL7,
            'accession_number = ["ZOR-1.1"]\nrequested_procedure_id = ["ZOR-1"]',
            "would be read as accession_number and as requested_procedure_id",
        ),
    ],
)
def test_a_place_that_cannot_be_is_a_mistake(tmp_path: Path, source: str, lines: str, said: str) -> None:
    (tmp_path / "north.toml").write_text(f"{source}[transformer.order]\n{lines}\n")
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key[:2] == ("transformer", "order")
    assert said in mistake


def test_two_components_of_one_field_may_be_two_things(channel: Callable[[str], Channel]) -> None:
    places = 'accession_number = ["ZOR-1.1"]\nrequested_procedure_id = ["ZOR-1.2"]\n'
    one, _ = orders(channel(f"{HL7}[transformer.order]\n{places}"))
    assert one.accession_numbers == (Identifier("1.2.3.4", "ZOR-1.1"),)
    assert one.requested_procedure_id == Stated("more", "ZOR-1.2")


def test_an_attribute_that_there_is_not_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "north.toml").write_text(f'{DICOM}[transformer.object]\naccession_number = ["StudyIDD"]\n')
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key == ("transformer", "object", "accession_number")
    assert "'StudyIDD' is neither the keyword nor the tag" in mistake


@pytest.mark.parametrize(("source", "table"), [(HL7, "object"), (DICOM, "order")])
def test_a_table_about_the_other_data_type_is_a_mistake(tmp_path: Path, source: str, table: str) -> None:
    (tmp_path / "north.toml").write_text(f'{source}[transformer.{table}]\naccession_number = ["StudyID"]\n')
    with pytest.raises(ConfigError, match=rf"transformer\.{table}: this is about"):
        load_channels(tmp_path)
