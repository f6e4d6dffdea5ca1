"""From a channel file's filter and a message's bytes to whether it is accepted, and what is said where it is not."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.model import Filtered, Instance, Reading
from bridge.core.ports import Inbound
from bridge.examples import failures
from bridge.formats.reading import contents, mistakes, read
from tests.samples import ROOT, ct, orm

HL7 = '[source]\ndata_type = "HL7V2"\nqueue = "q"\nbindings = ["#"]\n'
DICOM = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["#"]\n'


def why_filtered(channel: Channel, body: bytes, **stated: Any) -> str | None:
    [content] = contents(Inbound(channel.name, body, **stated), channel.source.data_type)
    said = read(content, channel)
    return said.reason if isinstance(said, Filtered) else None


ORDER = orm(1, patient="QA7", accession='""').replace(b"PID|1||", b"PID|1||7^^^LAB~")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('path = "MSH-11.1"\nin = ["P"]', True),
        ('path = "MSH-11"\nnot_in = ["P"]', False),
        ('path = "MSH-11"\nin = ["T", "D"]', False),
        ('path = "PID-3"\nmatches = "^QA"', True),  # any repetition
        ('path = "PID-3[1]"\nmatches = "^QA"', False),
        ('path = "PID-3[2].1"\nmatches = "^QA"', True),
        ('path = "PID-3.1"\nnot_in = ["7"]', False),
        ('path = "PID-3.4"\nin = ["LAB"]', True),
        ('path = "ZDS-1"\npresent = true', False),
        ('path = "ZDS-1"\npresent = false', True),
        ('path = "PID[2]-3"\nin = [""]', True),  # what is not there is the empty text
        ('path = "PID-30"\nmatches = "^$"', True),
        ('path = "OBR-18"\npresent = true', False),  # it is to be deleted
        ('header = "calling-aet"\nin = ["RIS_1"]', True),
        ('header = "calling-aet"\npresent = false', False),
    ],
)
def test_a_condition_is_about_the_values_at_a_path(
    channel: Callable[[str], Channel], condition: str, holds: bool
) -> None:
    headers = {"calling-aet": " RIS_1 "}
    accepting = channel(f"{HL7}[[filter.accept]]\n{condition}\n")
    rejecting = channel(f"{HL7}[[filter.reject]]\n{condition}\n")
    assert (why_filtered(accepting, ORDER, headers=headers) is None) is holds
    assert (why_filtered(rejecting, ORDER, headers=headers) is None) is not holds


def test_all_of_accept_must_hold_and_none_of_reject(channel: Callable[[str], Channel]) -> None:
    both = channel(
        f"{HL7}"
        '[[filter.accept]]\npath = "MSH-11"\nin = ["P", ""]\n'
        '[[filter.accept]]\npath = "MSH-3"\nin = ["RIS"]\nreason = "another system"\n'
        '[[filter.reject]]\npath = "PID-3"\nmatches = "^TEST"\n'
    )
    assert why_filtered(both, orm(1)) is None
    assert why_filtered(both, orm(1).replace(b"|P|", b"|T|")) == "MSH-11 is not what this channel accepts"
    assert why_filtered(both, orm(1).replace(b"|P|", b"||")) is None
    assert why_filtered(both, orm(1).replace(b"|RIS|", b"|HIS|")) == "another system"
    assert why_filtered(both, orm(1, patient="TEST1")) == "PID-3 is what this channel rejects"


def test_a_message_that_is_filtered_need_not_be_readable(channel: Callable[[str], Channel]) -> None:
    training = channel(f'{HL7}[[filter.reject]]\npath = "MSH-11"\nin = ["T"]\n')
    unreadable = b"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|20260102||ORM^O01|1|T|2.3\rPID|1||7\r"
    assert why_filtered(training, unreadable) == "MSH-11 is what this channel rejects"


def an_object(serialisation: str = "part 10") -> bytes:
    request = Dataset()
    request.AccessionNumber = "A-2"
    body = ct(
        1,
        study=f"{ROOT}.1",
        patient="QA7",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Doe^Jane=山田",
        RequestAttributesSequence=[Dataset(), request],
        ImageType=["DERIVED", "SECONDARY"],
        Rows=16,
    )
    return body if serialisation == "part 10" else json.dumps(dcmread(BytesIO(body)).to_json_dict()).encode()


@pytest.mark.parametrize("serialisation", ["part 10", "json"])
@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('attribute = "PatientID"\nmatches = "^(QA|PHANTOM)"', True),
        ('attribute = "(0010,0020)"\nin = ["QA7"]', True),
        ('attribute = "RequestAttributesSequence.AccessionNumber"\nin = ["A-2"]', True),
        ('attribute = "RequestAttributesSequence.AccessionNumber"\nin = ["A-3"]', False),
        ('attribute = "RequestAttributesSequence"\npresent = true', True),
        ('attribute = "ReferencedRequestSequence.AccessionNumber"\npresent = false', True),
        ('attribute = "ImageType"\nin = ["SECONDARY"]', True),
        ('attribute = "ImageType"\nnot_in = ["SECONDARY"]', False),
        ('attribute = "PatientName"\nmatches = "山"', True),
        ('attribute = "Rows"\nin = ["16"]', True),
        ('attribute = "Columns"\npresent = true', False),
        ('attribute = "StudyDescription"\nin = [""]', True),
        ('header = "calling-aet"\nin = ["CT_1"]', True),
    ],
)
def test_a_condition_is_about_the_values_of_an_attribute(
    channel: Callable[[str], Channel], condition: str, holds: bool, serialisation: str
) -> None:
    stated = {"headers": {"calling-aet": "CT_1"}}
    if serialisation == "json":
        stated["content_type"] = "application/dicom+json"
    body = an_object(serialisation)
    assert (why_filtered(channel(f"{DICOM}[[filter.accept]]\n{condition}\n"), body, **stated) is None) is holds
    assert (why_filtered(channel(f"{DICOM}[[filter.reject]]\n{condition}\n"), body, **stated) is None) is not holds


def test_what_is_read_for_the_filter_alone_is_in_no_event(channel: Callable[[str], Channel]) -> None:
    filtering = channel(
        f'{DICOM}[[filter.accept]]\nattribute = "PatientID"\npresent = true\n'
        '[[destinations]]\nattributes = ["ImageType"]\n'
    )
    [content] = contents(Inbound("north", an_object()), filtering.source.data_type)
    said = read(content, filtering)
    assert isinstance(said, Reading)
    [instance] = said.facts
    assert isinstance(instance, Instance)
    assert list(instance.dicom) == ["00080008"]


def test_the_example_of_a_channel_states_why_a_message_is_filtered(channel: Callable[[str], Channel]) -> None:
    text = f"""{HL7}
[[filter.reject]]
header = "calling-aet"
in     = ["TRAINING"]
reason = "training"

[[examples]]
name    = "in training"
headers = {{ calling-aet = "TRAINING" }}
outcome = "FILTERED"
reason  = "%s"
message = '''
MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01|C1|P|2.3.1
PID|1||7^^^HOSP
ORC|NW|P-1|F-1
OBR|1|P-1|F-1|CT
'''
"""
    assert failures(channel(text % "training")) == []
    [failure] = failures(channel(text % "another"))
    assert failure == "north: example 'in training': reason is training, should be another"


@pytest.mark.parametrize(
    ("source", "written", "said"),
    [
        (HL7, 'attribute = "PatientID"\nin = ["1"]', "reads HL7V2: write path"),
        (DICOM, 'path = "PID-3"\nin = ["1"]', "reads DICOM: write attribute"),
        (HL7, 'path = "PID.3"\nin = ["1"]', "not an HL7 path such as PID-3[2].4.1: 'PID.3'"),
        (DICOM, 'attribute = "PatientIdd"\nin = ["1"]', "'PatientIdd' is neither the keyword nor the tag"),
        (DICOM, 'attribute = "PatientID."\nin = ["1"]', "'' is neither the keyword nor the tag"),
    ],
)
def test_a_place_that_the_format_does_not_know_is_named(tmp_path: Path, source: str, written: str, said: str) -> None:
    (tmp_path / "north.toml").write_text(f"{source}[[filter.reject]]\n{written}\n")
    [(key, mistake)] = mistakes(load_channels(tmp_path)[0])
    assert key == ("filter", "reject", 0, written.partition(" ")[0])
    assert said in mistake
