"""`bridge inspect`: what a person and a program are shown of HL7 and DICOM files."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from rich.cells import cell_len
from rich.console import Console

from bridge.config import load_channels
from bridge.core.channel import DataType
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.examples import example_file
from bridge.inspection import Inspected, as_json, as_text, hidden, inspect
from tests.conftest import REPOSITORY
from tests.samples import ROOT, ct, orm

CHANNELS = REPOSITORY / "channels"
EXAMPLES = CHANNELS / "examples"
CORPORA = REPOSITORY.parent / "shared" / "data"

OMI = EXAMPLES / "omi-three-groups.hl7"
CT_SMALL = example_file("", "pydicom:CT_small.dcm")


def read(file: Path, data_type: DataType | None = None) -> list[Inspected]:
    return inspect(file, load_channels(CHANNELS), data_type, DEFAULT_LIMITS)


def shown(messages: Sequence[Inspected], width: int = 140) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(as_text(messages, width))
    return out.getvalue()


def said(text: str, label: str) -> list[str]:
    """What stands behind a label, with white space made one blank."""
    return [
        " ".join(line.split()[len(label.split()) :]) for line in text.splitlines() if line.strip().startswith(label)
    ]


def one_fact(file: Path) -> dict[str, Any]:
    [message] = read(file)
    [fact] = message.facts
    return fact


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """An order with everything that identifies it, that deletes one field, and has a segment of the sender's own."""
    text = orm("1001", patient="PAT1", accession="ACC1", study=f"{ROOT}.1").decode()
    text = text.replace("ACC1||||||CT", 'ACC1|""|||||CT').replace(
        "PAT1^^^HOSP^MR", "PAT1^^^HOSP^MR~OTHER2^^^&1.2.3&ISO^PI"
    )
    file = tmp_path / "order.hl7"
    file.write_bytes(f"{text}ZAA|1|locally\r".encode())
    return file


# Orders


def test_an_order_is_shown_with_the_place_of_each_identifier_and_its_name_in_the_standard(order: Path) -> None:
    text = shown(read(order))
    assert "TRANSFORMED" in text
    assert "ORM^O01, version 2.3.1, control ID C1001-NW" in text
    assert said(text, "sender") == ["RIS, MAIN"]
    assert said(text, "placer order number") == ["P-1001 ORC-2.1 Placer Order Number"]
    assert said(text, "filler order number") == ["F-1001 ORC-3.1 Filler Order Number"]
    assert said(text, "accession numbers") == ["ACC1 OBR-18 Placer Field 1"]
    assert said(text, "study instance UIDs") == [f"{ROOT}.1 ZDS-1.1 Study Instance UID"]
    assert said(text, "patient identifiers") == ["PAT1, issuer HOSP, type MR PID-3.1 Patient Identifier List"]
    assert "OTHER2, issuer 1.2.3 ISO, type PI" in text
    assert "PID-3[2].1 Patient Identifier List" in text
    assert said(text, "patient names") == ["Doe^Jane"]
    assert said(text, "requested procedure ID") == ['deleted ("")']


def test_what_would_link_an_order_is_named_when_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(orm(1))
    text = shown(read(tmp_path / "a.hl7"))
    assert said(text, "accession numbers") == ["none"]
    assert said(text, "study instance UIDs") == ["none"]


def test_what_an_order_deletes_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(orm(1, accession='""', name='""', study='""'))
    text = shown(read(tmp_path / "a.hl7"))
    assert said(text, "accession numbers") == ['deleted ("")']
    assert said(text, "study instance UIDs") == ['deleted ("")']
    assert said(text, "patient names") == ['deleted ("")']


def test_every_segment_of_a_message_is_listed_also_those_that_nothing_is_read_from(order: Path) -> None:
    [message] = read(order)
    assert [segment.segment for segment in message.segments] == ["MSH", "PID", "ORC", "OBR", "ZDS", "ZAA"]
    text = shown([message])
    assert said(text, "OBR x 1") == ["Observation Request up to OBR-24"]
    assert said(text, "ZAA x 1") == ["locally defined up to ZAA-2"]


def test_each_requested_procedure_is_shown_with_its_own_identifiers() -> None:
    [message] = read(OMI)
    assert [fact["studyInstanceUIDs"] for fact in message.facts] == [
        [one["value"]] for fact in message.facts for one in fact["identifiers"] if one["field"] == "studyInstanceUIDs"
    ]
    text = shown([message])
    assert "Order update 3 of 3" in text
    for number in ("", "[2]", "[3]"):
        assert f"IPC{number}-1.1 Accession Identifier" in text
        assert f"IPC{number}-3.1 Study Instance UID" in text


def test_a_program_is_told_the_same(order: Path) -> None:
    [entry] = as_json(read(order))
    assert entry["outcome"] == "TRANSFORMED"
    assert (entry["file"], entry["number"], entry["dataType"]) == (str(order), 1, "HL7V2")
    assert (entry["messageType"], entry["version"], entry["messageControlID"]) == ("ORM^O01", "2.3.1", "C1001-NW")
    [fact] = entry["facts"]
    assert fact["fact"] == "order-update"
    assert fact["placerOrderNumber"] == {"value": "P-1001", "issuer": None, "typeCode": None}
    assert fact["accessionNumbers"] == [{"value": "ACC1", "issuer": None, "typeCode": None}]
    assert fact["studyInstanceUIDs"] == [f"{ROOT}.1"]
    assert fact["clinicalInformation"] is None
    assert fact["deleted"] == ["requestedProcedureID"]
    assert fact["patient"]["names"] == [{"alphabetic": "Doe^Jane", "ideographic": None, "phonetic": None}]
    assert fact["patient"]["birthDate"] == "1970-01-01"
    assert {
        "field": "patient.identifiers",
        "path": "PID-3[2].1",
        "name": "Patient Identifier List",
        "value": "OTHER2",
        "issuer": {"namespaceID": None, "universalID": "1.2.3", "universalIDType": "ISO"},
        "typeCode": "PI",
    } in fact["identifiers"]


# The other messages


def segments(*lines: str) -> bytes:
    return "".join(f"{line}\r" for line in lines).encode()


def test_a_merge_shows_both_sides_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "a40.hl7").write_bytes(
        segments(
            "MSH|^~\\&|ADT|MAIN|||20261123083000||ADT^A40^ADT_A39|C1|P|2.5.1",
            "EVN|A40|20261123083000",
            "PID|1||NEW1^^^HOSP^MR||Doe^Jane",
            "MRG|OLD1^^^HOSP^MR",
        )
    )
    text = shown(read(tmp_path / "a40.hl7"))
    assert said(text, "kind") == ["merge"]
    assert said(text, "prior identifiers") == ["OLD1, issuer HOSP, type MR MRG-1.1 Prior Patient Identifier List"]
    assert "NEW1, issuer HOSP, type MR" in text


def test_a_report_shows_its_order_and_status_and_never_its_text(tmp_path: Path) -> None:
    (tmp_path / "oru.hl7").write_bytes(
        segments(
            "MSH|^~\\&|RIS|MAIN|||20261123083000||ORU^R01|C1|P|2.5.1",
            "PID|1||PAT1^^^HOSP^MR||Doe^Jane",
            "OBR|1|P-1|F-1|CTABD^CT abdomen^L||||||||||||||ACC1||||20261123090000|||F",
            "OBX|1|TX|GDT^Findings||SECRET FINDING||||||F",
        )
    )
    text = shown(read(tmp_path / "oru.hl7"))
    assert "Report 1 of 1" in text
    assert said(text, "result status") == ["F"]
    assert said(text, "accession numbers") == ["ACC1 OBR-18 Placer Field 1"]
    assert "SECRET" not in text


def test_an_appointment_shows_its_orders_and_start(tmp_path: Path) -> None:
    (tmp_path / "siu.hl7").write_bytes(
        segments(
            "MSH|^~\\&|RIS|MAIN|||20261123083000||SIU^S12|C1|P|2.5.1",
            "SCH|AP1|AF1|||||||||^^^202611240900||||||||||||||Booked|P-1|F-1",
            "PID|1||PAT1^^^HOSP^MR||Doe^Jane",
            "RGS|1",
            "AIS|1||CTABD^CT abdomen^L|202611240900",
        )
    )
    text = shown(read(tmp_path / "siu.hl7"))
    assert said(text, "filler order numbers") == ["F-1 SCH-27.1 Filler Order Number"]
    assert said(text, "start") == ["2026-11-24T09:00:00Z"]


# Objects


def test_an_object_is_shown_with_its_instance_number_as_it_stands_and_what_its_class_asks_for() -> None:
    text = shown(read(CT_SMALL))
    assert said(text, "message") == ["CT Image Storage"]
    assert "ISO_IR 100" in text
    assert said(text, "instance number") == ["1, valid (0020,0013) Instance Number"]
    assert '"1 " in the header, VR IS' in text
    assert "type 2 in this SOP class: met" in text
    assert said(text, "accession number") == ["none"]
    assert said(text, "Slice Thickness") == ["5.0 (0018,0050)"]
    fact = one_fact(CT_SMALL)
    assert fact["instanceNumber"] == {
        "tag": "00200013",
        "vr": "IS",
        "raw": "1 ",
        "value": 1,
        "status": "valid",
        "flags": [],
        "requirement": {"type": "2", "met": True},
    }
    assert fact["dicom"]["00180050"] == {"vr": "DS", "Value": [5.0]}
    assert {"field": "sopInstanceUID", "tag": "00080018", "name": "SOP Instance UID"}.items() <= fact["identifiers"][
        0
    ].items()


def test_an_instance_number_that_is_none_is_shown_as_it_stands_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(ct(1, study=f"{ROOT}.1", InstanceNumber=None))
    assert said(shown(read(tmp_path / "a.dcm")), "instance number") == ["empty (0020,0013) Instance Number"]
    (tmp_path / "b.dcm").write_bytes(
        ct(1, study=f"{ROOT}.1", instance=125).replace(b"IS\x04\x00125 ", b"IS\x04\x001.5 ")
    )
    text = shown(read(tmp_path / "b.dcm"))
    assert said(text, "instance number") == ["invalid (0020,0013) Instance Number"]
    assert '"1.5 " in the header, VR IS' in text
    assert "flags: not-an-integer" in text
    assert "NOT MET" in text


def test_what_stands_in_a_request_is_shown_with_the_path_to_it(tmp_path: Path) -> None:
    designator = Dataset()
    designator.LocalNamespaceEntityID = "RIS"
    request = Dataset()
    request.AccessionNumber = "ACC2"
    request.IssuerOfAccessionNumberSequence = [designator]
    (tmp_path / "a.dcm").write_bytes(
        ct(1, study=f"{ROOT}.1", accession="ACC1", RequestAttributesSequence=[Dataset(), request])
    )
    text = shown(read(tmp_path / "a.dcm"))
    assert said(text, "accession number") == ["ACC1 (0008,0050) Accession Number"]
    [nested] = said(text, "request accession number")
    assert nested == "ACC2, issuer RIS (0040,0275)[2] > (0008,0050) Accession Number"


# Whole files


def test_each_message_of_a_batch_is_shown_and_a_bad_one_fails_alone(tmp_path: Path) -> None:
    bad = segments("MSH|^~\\&|RIS|MAIN|||20261123083000||ORM^O01|C2|P|2.3.1", "PID|1||PAT1")
    (tmp_path / "batch.hl7").write_bytes(b"FHS|^~\\&\rBHS|^~\\&\r" + orm(1) + bad + orm(3) + b"BTS|3\rFTS|1\r")
    messages = read(tmp_path / "batch.hl7")
    assert [(one.number, one.outcome, one.code) for one in messages] == [
        (1, "TRANSFORMED", None),
        (2, "ERROR", "hl7-no-order"),
        (3, "TRANSFORMED", None),
    ]
    text = shown(messages)
    assert "batch.hl7, message 2 of 3" in text
    assert said(text, "code") == ["hl7-no-order"]
    assert [one.message_control_id for one in messages] == ["C1-NW", "C2", "C3-NW"]


def test_a_file_over_the_bound_is_refused_with_the_bounds_name(order: Path) -> None:
    [message] = inspect(order, load_channels(CHANNELS), None, Limits(max_message_size=100))
    assert (message.outcome, message.code) == ("ERROR", "max-message-size")


def test_a_warning_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(orm(1, birth_date="someday"))
    [message] = read(tmp_path / "a.hl7")
    assert "PID-7: not a date" in message.warnings
    assert "PID-7: not a date" in said(shown([message]), "warning")


def test_a_compressed_file_and_an_engines_xml_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.hl7.gz").write_bytes(gzip.compress(orm(1)))
    assert one_fact(tmp_path / "a.hl7.gz")["fillerOrderNumber"]["value"] == "F-1"
    (tmp_path / "a.xml").write_bytes(
        b"<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.9><MSH.9.1>ORM</MSH.9.1><MSH.9.2>O01</MSH.9.2>"
        b"</MSH.9><MSH.10><MSH.10.1>C7</MSH.10.1></MSH.10></MSH><ORC><ORC.1><ORC.1.1>NW</ORC.1.1></ORC.1><ORC.3>"
        b"<ORC.3.1>F-7</ORC.3.1></ORC.3></ORC></HL7Message>"
    )
    [message] = read(tmp_path / "a.xml")
    assert message.content_type == "application/hl7-v2+xml"
    assert message.message_control_id == "C7"
    assert message.facts[0]["fillerOrderNumber"]["value"] == "F-7"


# What a terminal shows


@pytest.mark.parametrize("file", [OMI, CT_SMALL], ids=lambda file: file.stem)
def test_eighty_columns_are_enough_and_an_identifier_is_never_cut(file: Path) -> None:
    text = shown(read(file), width=80)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    [message] = read(file)
    for fact in message.facts:
        for one in fact["identifiers"]:
            assert one["value"] in text
            assert one["name"] in text


def test_in_a_very_narrow_terminal_an_identifier_is_folded_and_not_cut(tmp_path: Path) -> None:
    uid = f"{ROOT}.{'7' * (63 - len(ROOT))}"
    (tmp_path / "a.hl7").write_bytes(orm(1, study=uid))
    text = shown(read(tmp_path / "a.hl7"), width=60)
    assert max(len(line) for line in text.splitlines() if str(tmp_path) not in line) <= 60
    assert uid not in text
    assert uid in "".join(text.split())


def test_nothing_in_a_message_steers_the_terminal_or_is_taken_for_markup(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(orm(1, name="Doe\x1b]0;owned\x07^Ja[/bold]ne\u202e".encode().decode("latin-1")))
    text = shown(read(tmp_path / "a.hl7"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b]0;owned\\x07^Ja[/bold]ne" in text


def test_redacted_nothing_of_the_patient_is_left_but_the_places_and_the_instance_number(
    order: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(
        ct(1, study=f"{ROOT}.1", patient="PAT1", accession="ACC1", StudyDescription="Doe, J.")
    )
    messages = hidden([*read(order), *read(tmp_path / "a.dcm")])
    for text in (shown(messages), json.dumps(as_json(messages))):
        for secret in ("PAT1", "OTHER2", "Doe", "1970", "ACC1", "P-1001", "F-1001"):
            assert secret not in text.replace(str(tmp_path), "")
        assert "PID-3[2].1" in text
        assert f"{ROOT}.1" in text
    assert said(shown(messages), "instance number") == ["1, valid (0020,0013) Instance Number"]


# The command


def command(
    *arguments: str, body: bytes | None = None, channels: Path = CHANNELS
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "bridge", "inspect", *arguments],
        env={**environment, "BRIDGE_CHANNELS": str(channels), "BRIDGE_AMQP_URL": "amqp://127.0.0.1:1"},
        input=body,
        capture_output=True,
        check=False,
    )


def test_it_reads_files_and_the_standard_input_without_a_broker(order: Path) -> None:
    answer = command("--json", "-", str(CT_SMALL), body=order.read_bytes())
    assert answer.returncode == 0, answer.stderr
    assert [entry["file"] for entry in json.loads(answer.stdout)] == ["-", str(CT_SMALL)]
    assert answer.stderr == b""


def test_what_cannot_be_read_is_shown_with_its_code_and_ends_with_1(order: Path) -> None:
    answer = command(str(EXAMPLES / "garbage.hl7"), str(order))
    assert answer.returncode == 1
    assert b"hl7-no-msh" in answer.stdout
    assert b"F-1001" in answer.stdout


def test_a_file_or_a_channel_that_is_not_there_is_a_usage_error(order: Path, tmp_path: Path) -> None:
    assert command(str(tmp_path / "missing.hl7")).returncode == 2
    assert command("--channel", "missing", str(order)).returncode == 2
    assert command().returncode == 2


def test_a_channel_reads_with_its_own_settings_and_redact_hides(tmp_path: Path) -> None:
    (tmp_path / "north.toml").write_text(
        "[source]\ndata_type = 'HL7V2'\nqueue = 'q'\nbindings = ['#']\ncharset = 'UTF-8'\n"
        "[filter]\nmessage_types = ['ORM^O01']\n[transformer]\ntimezone = 'Europe/Berlin'\n"
    )
    (tmp_path / "a.hl7").write_bytes(orm(1, name="Grün^Jürgen"))
    (tmp_path / "b.hl7").write_bytes(orm(2).replace(b"ORM^O01", b"OMG^O19"))
    files = str(tmp_path / "a.hl7"), str(tmp_path / "b.hl7")
    answer = command("--json", "--channel", "north", *files, channels=tmp_path)
    accepted, filtered = json.loads(answer.stdout)
    assert accepted["channel"] == "north"
    assert accepted["facts"][0]["messageTime"] == "2026-11-23T07:30:00Z"
    assert accepted["facts"][0]["patient"]["names"][0]["alphabetic"] == "Grün^Jürgen"
    assert filtered["outcome"] == "FILTERED"
    assert "not accepted" in filtered["reason"]
    assert "Grün" not in command("--redact", files[0], channels=tmp_path).stdout.decode()


def test_as_says_what_a_file_is() -> None:
    answer = command("--json", "--as", "DICOM", str(EXAMPLES / "garbage.hl7"))
    [entry] = json.loads(answer.stdout)
    assert (entry["dataType"], entry["code"]) == ("DICOM", "dicom-not-dicom")


@pytest.mark.skipif(not CORPORA.is_dir(), reason="the corpora of real files are not beside the repository")
def test_every_real_file_can_be_shown() -> None:
    files = [file for kind in ("hl7", "dicom") for file in sorted((CORPORA / kind).rglob("*")) if file.is_file()][::7]
    assert len(files) > 100
    for file in files:
        messages = read(file)
        json.dumps(as_json(messages))
        assert max(cell_len(line) for line in shown(messages, width=80).splitlines()) <= 80, file
