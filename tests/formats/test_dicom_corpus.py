"""Real DICOM files that nobody of the project wrote say to the bridge what they say to pydicom, or are refused."""

import csv
import warnings
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
import pytest
from pydicom import config
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.valuerep import IS, DSfloat

from bridge.core.errors import Invalid
from bridge.core.model import Identifier, Instance, Stated
from bridge.formats.dicom import read_instance

DATA = Path(__file__).parents[2].parent / "shared" / "data"
INVENTORY = DATA / "inventory_dicom.csv"

pytestmark = pytest.mark.skipif(not INVENTORY.exists(), reason="the real files are not beside the repository")

# What we do not read, and pydicom does.
TRUNCATED = {
    "rtplan_truncated.dcm",  # ends inside (300A,00B0)
    "GH626.dcm",  # zeros from the middle of its header on
    "GH179B.dcm",  # an element that lost its length, so that all behind it is misread
}
REFUSED = {
    "dicom-no-sop-instance-uid": 38,  # 23 worklist files, 15 test files without one
    "dicom-no-study-instance-uid": 20,  # 8 colour palettes, 12 test files without one
    "dicom-media-directory": 9,
    "dicom-truncated": 3,
}
# pydicom leaves the escape sequence ESC $)A of ISO 2022 IR 58 in the name; a name of carets alone is none to us.
NAME_DIFFERS = {"chrGB2312.dcm", "image_dfl.dcm"}
# A little endian UN in a big endian data set.
UNREAD_BY_PYDICOM = {"GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm"}
# pydicom stops without a word at an element whose VR is two spaces; the request comes behind it.
CUT_BY_PYDICOM = {"GH179A.dcm"}
# The inventory was made of the whole file, which pydicom does not read where the pixel data is cut.
PIXELS_CUT = {"GH1339.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}

WARNINGS = {
    "(0002,0010): another transfer syntax than the data set is in; read as its bytes are": {"SC_rgb_jpeg.dcm"},
    "(0008,0018): characters that no UID has; kept": {"bad_sequence.dcm"},
    "(0008,0050): longer than SH allows (16 characters); kept whole": {"GH1376.dcm"},
    "(0010,0030): no date; left out": {"slicethickness_empty_string.dcm"},
    "(0020,000D): characters that no UID has; kept": {"bad_sequence.dcm"},
    "(0020,000E): characters that no UID has; kept": {"bad_sequence.dcm"},
    "(0028,0008): no integer; left out": {"badVR.dcm"},
    "(0040,0275)[1] > (0040,1001): longer than SH allows (16 characters); kept whole": {"GH342.dcm"},
}

# The elements that link and identify, as pydicom names them, and where a request has them.
IDENTIFYING = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "InstanceNumber",
)
IN_A_REQUEST = (
    "StudyInstanceUID",
    "AccessionNumber",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)


class Read(NamedTuple):
    """One file, and what each makes of it."""

    name: str
    row: dict[str, str]
    theirs: pydicom.Dataset | None  # None where pydicom opens it only by force, or not at all
    forced: pydicom.Dataset | None
    ours: Instance | Invalid


@pytest.fixture(scope="module")
def corpus() -> Iterator[list[Read]]:
    """Values are asked of pydicom while the tests run, so its complaints are silenced until they have."""
    with warnings.catch_warnings(), INVENTORY.open(encoding="utf-8", newline="") as inventory:
        warnings.simplefilter("ignore")
        validation, config.settings.reading_validation_mode = config.settings.reading_validation_mode, config.IGNORE
        yield [read(row) for row in csv.DictReader(inventory)]
        config.settings.reading_validation_mode = validation


def read(row: dict[str, str]) -> Read:
    body = (DATA / row["file"]).read_bytes()
    ours: Instance | Invalid
    try:
        ours = read_instance(body)
    except Invalid as refused:
        ours = refused
    return Read(Path(row["file"]).name, row, by_pydicom(body, force=False), by_pydicom(body, force=True), ours)


def by_pydicom(body: bytes, *, force: bool) -> pydicom.Dataset | None:
    try:
        return pydicom.dcmread(BytesIO(body), stop_before_pixels=True, force=force)
    except (InvalidDicomError, OSError):
        return None


def stated(data_set: pydicom.Dataset, keyword: str) -> str:
    """The value as text without padding, "" where it is absent; several joined as they stand."""
    value = data_set.get(keyword)
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join(written(value) for value in values).strip(" \0")


def written(value: object) -> str:
    if isinstance(value, DSfloat | IS):
        return value.original_string
    return "" if value is None else str(value)


def said(instance: Instance) -> dict[str, str]:
    """The same of ours."""
    statement = instance.statement
    names = [[name.alphabetic or "", name.ideographic or "", name.phonetic or ""] for name in statement.patient.names]
    return {
        "SOPClassUID": instance.sop_class_uid or "",
        "SOPInstanceUID": instance.sop_instance_uid,
        "StudyInstanceUID": statement.study_instance_uid,
        "SeriesInstanceUID": instance.series_instance_uid or "",
        "Modality": statement.modality or "",
        "AccessionNumber": value(statement.accession_number),
        "PatientID": "".join(i.value for i in statement.patient.identifiers if i.where == "00100020"),
        "PatientName": "\\".join("=".join(groups).rstrip("=") for groups in names),
        "PatientBirthDate": (statement.patient.birth_date or "").replace("-", ""),
        "PatientSex": statement.patient.sex or "",
        "InstanceNumber": (instance.instance_number.raw or "").strip(" "),
    }


def value(found: Identifier | Stated | None) -> str:
    return found.value if found else ""


def test_of_all_that_pydicom_opens_whatever_has_a_name_is_read(corpus: list[Read]) -> None:
    opened = [one for one in corpus if one.theirs is not None]
    forced = [one for one in corpus if one.forced is not None]

    assert (len(corpus), len(opened), len(forced)) == (392, 383, 391)
    assert sum(isinstance(one.ours, Instance) for one in opened) == 318
    assert sum(isinstance(one.ours, Instance) for one in forced) == 321
    assert {one.name for one in corpus if one.forced is None} == UNREAD_BY_PYDICOM
    assert all(isinstance(one.ours, Instance) for one in corpus if one.forced is None)


def test_what_is_refused_is_refused_for_its_reason(corpus: list[Read]) -> None:
    refused = {one.row["file"]: one for one in corpus if isinstance(one.ours, Invalid)}

    assert Counter(one.ours.code for one in refused.values() if isinstance(one.ours, Invalid)) == REFUSED
    for file, one in refused.items():
        assert isinstance(one.ours, Invalid)
        assert one.forced is not None
        match one.ours.code:
            case "dicom-no-sop-instance-uid":
                assert stated(one.forced, "SOPInstanceUID") == "", file
            case "dicom-no-study-instance-uid":
                assert stated(one.forced, "StudyInstanceUID") == "", file
            case "dicom-media-directory":
                assert "DirectoryRecordSequence" in one.forced, file
            case "dicom-truncated":
                assert one.name in TRUNCATED


def test_every_identifying_value_is_the_one_that_pydicom_reads(corpus: list[Read]) -> None:
    compared = 0
    for one in corpus:
        if not isinstance(one.ours, Instance) or one.forced is None:
            continue
        compared += 1
        theirs = {keyword: stated(one.forced, keyword) for keyword in IDENTIFYING}
        ours = said(one.ours)
        theirs["PatientName"] = theirs["PatientName"].rstrip("=")
        if theirs["PatientSex"] not in ("F", "M", "O"):
            theirs["PatientSex"] = ""
        if one.name in NAME_DIFFERS:
            del ours["PatientName"], theirs["PatientName"]
        if "(0010,0030): no date; left out" in one.ours.warnings:
            del ours["PatientBirthDate"], theirs["PatientBirthDate"]
        assert ours == theirs, one.row["file"]
    assert compared == 321


def test_every_request_is_the_one_that_pydicom_reads(corpus: list[Read]) -> None:
    found = Counter[str]()
    for one in corpus:
        if not isinstance(one.ours, Instance) or one.forced is None or one.name in CUT_BY_PYDICOM:
            continue
        theirs = [
            {keyword: stated(item, keyword) for keyword in IN_A_REQUEST}
            for sequence in ("RequestAttributesSequence", "ReferencedRequestSequence")
            for item in one.forced.get(sequence) or []
        ]
        top = {keyword: stated(one.forced, keyword) for keyword in IN_A_REQUEST[4:]}
        theirs.append({keyword: top.get(keyword, "") for keyword in IN_A_REQUEST})
        ours = [
            dict(
                zip(IN_A_REQUEST, (value(getattr(request, field)) for field in request.__struct_fields__), strict=True)
            )
            for request in one.ours.statement.requests
        ]
        assert ours == [request for request in theirs if any(request.values())], one.row["file"]
        found.update(keyword for request in ours for keyword in request if request[keyword])
    assert found == {
        "AccessionNumber": 3,
        "PlacerOrderNumberImagingServiceRequest": 1,
        "RequestedProcedureID": 8,
        "ScheduledProcedureStepID": 7,
        "StudyInstanceUID": 3,
    }


def test_every_patient_identifier_is_the_one_that_pydicom_reads(corpus: list[Read]) -> None:
    others = 0
    for one in corpus:
        if not isinstance(one.ours, Instance) or one.forced is None:
            continue
        own = [one.forced, *(one.forced.get("OtherPatientIDsSequence") or [])]
        theirs = [(stated(item, "PatientID"), stated(item, "IssuerOfPatientID")) for item in own]
        theirs += [(number, "") for number in stated(one.forced, "OtherPatientIDs").split("\\")]
        ours = [
            (number.value, (number.issuer and number.issuer.namespace_id) or "")
            for number in one.ours.statement.patient.identifiers
        ]
        assert ours == [(number, issuer) for number, issuer in theirs if number], one.row["file"]
        others += len(ours) > 1
    assert others == 4


def test_the_state_of_each_instance_number_is_that_of_the_inventory(corpus: list[Read]) -> None:
    states = Counter(
        (one.row["instance_number_state"], one.ours.instance_number.status)
        for one in corpus
        if isinstance(one.ours, Instance) and one.name not in UNREAD_BY_PYDICOM | PIXELS_CUT
    )

    assert states == {
        ("int", "valid"): 286,
        ("int leading-space", "valid"): 14,
        ("int leading-zero", "valid"): 3,
        ("zero", "valid"): 1,
        ("empty", "empty"): 11,
        ("absent", "absent"): 4,
    }


def test_the_warnings_are_these_and_no_others(corpus: list[Read]) -> None:
    found: dict[str, set[str]] = {}
    for one in corpus:
        for warning in one.ours.warnings if isinstance(one.ours, Instance) else ():
            found.setdefault(warning, set()).add(one.name)

    assert found == WARNINGS
