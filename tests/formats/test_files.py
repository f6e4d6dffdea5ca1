"""What a file is taken for, by its name and its beginning."""

import base64
import gzip

import pytest

from bridge.core.channel import DataType
from bridge.formats.files import file_type
from tests.samples import ROOT, ct, orm

ORM = orm(1)
CT = ct(1, study=f"{ROOT}.1")
BARE = CT[CT.index(b"\x08\0\x16\0") :]  # the data set alone, of which group 0008 is the first


@pytest.mark.parametrize(
    ("name", "body", "data_type", "content_type"),
    [
        ("a.hl7", ORM, "HL7V2", "application/hl7-v2+er7"),
        ("a.hl7", b"\x0b" + ORM + b"\x1c\r", "HL7V2", "application/hl7-v2+er7"),
        ("a", b"FHS|^~\\&\rBHS|^~\\&\r" + ORM, "HL7V2", "application/hl7-v2+er7"),
        ("a", b"garbage", "HL7V2", "application/hl7-v2+er7"),
        ("a", b"", "HL7V2", "application/hl7-v2+er7"),
        ("a.xml", b"<HL7Message><MSH/></HL7Message>", "HL7V2", "application/hl7-v2+xml"),
        ("a", b'\xef\xbb\xbf<?xml version="1.0"?>\n<ORM_O01 xmlns="urn:hl7"/>', "HL7V2", "application/hl7-v2+xml"),
        ("a", CT, "DICOM", "application/dicom"),
        ("a", b"<HL7Message>" + CT[12:], "DICOM", "application/dicom"),  # a preamble may hold anything (PS3.10 7.1)
        ("a", BARE, "DICOM", "application/dicom"),
        ("A.DCM", b"garbage", "DICOM", "application/dicom"),
        ("a.dcm", ORM, "HL7V2", "application/hl7-v2+er7"),
        ("a.xml", b'<dicom><tag00020000 len="4"/></dicom>', "DICOM", "application/dicom+xml"),
        ("a.xml", b'<?xml version="1.0"?><NativeDicomModel xml:space="preserve"/>', "DICOM", "application/dicom+xml"),
        ("a.json", b'[{"00080018": {"vr": "UI"}}]', "DICOM", "application/dicom+json"),
        ("a.json", b'{"uri": "file:///archive/1.dcm"}', "DICOM", "application/vnd.bridge.reference+json"),
    ],
)
def test_a_file_is_known_by_what_it_begins_with(name: str, body: bytes, data_type: str, content_type: str) -> None:
    assert file_type(name, body) == (data_type, content_type, None)


@pytest.mark.parametrize(("body", "data_type"), [(ORM, "HL7V2"), (CT, "DICOM")])
def test_compressed_and_base64_files_are_known_by_what_is_inside(body: bytes, data_type: str) -> None:
    assert file_type("a.gz", gzip.compress(body))[::2] == (data_type, "gzip")
    assert file_type("a.txt", base64.encodebytes(body))[::2] == (data_type, "base64")
    assert file_type("a.txt", base64.encodebytes(gzip.compress(body)))[::2] == (data_type, "gzip, base64")
    assert file_type("a.gz", gzip.compress(base64.encodebytes(body)))[::2] == (data_type, "base64, gzip")


def test_damaged_gzip_and_text_that_only_looks_like_base64_are_no_reason_to_fail() -> None:
    assert file_type("a.gz", b"\x1f\x8bgarbage") == ("HL7V2", "application/hl7-v2+er7", "gzip")
    assert file_type("a.dcm.gz", b"\x1f\x8bgarbage") == ("DICOM", "application/dicom", "gzip")
    assert file_type("a", b"ABCDEFGHIJKLMNOPQRSTUVWX").content_encoding is None


def test_what_a_person_says_holds() -> None:
    assert file_type("a", b"garbage", DataType.DICOM)[:2] == ("DICOM", "application/dicom")
    assert file_type("a.dcm", CT, DataType.HL7V2)[:2] == ("HL7V2", "application/hl7-v2+er7")
    assert file_type("a", b"<other/>", DataType.DICOM)[:2] == ("DICOM", "application/dicom+xml")
    assert file_type("a", b"<dicom/>", DataType.HL7V2)[:2] == ("HL7V2", "application/hl7-v2+xml")
    assert file_type("a", b'{"uri": "file:///a"}', DataType.HL7V2).data_type == "HL7V2"
