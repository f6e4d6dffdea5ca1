"""Real DICOM files that nobody of the project wrote are read as another program read them, or refused for a reason."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from bridge.core.errors import Invalid
from bridge.core.model import Instance
from bridge.formats.dicom import read_instance

DATA = Path(__file__).parents[2].parent / "shared" / "data"
INVENTORY = DATA / "inventory_dicom.csv"

pytestmark = pytest.mark.skipif(not INVENTORY.exists(), reason="the real files are not beside the repository")

# The inventory was made with pydicom, which gives nothing for these.
UNREAD_BY_PYDICOM = {
    "GH1339.dcm",  # cut inside its pixel data
    "emri_small_jpeg_2k_lossless_too_short.dcm",  # cut inside its pixel data
    "GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm",  # a little endian UN in a big endian data set
}
# pydicom leaves the escape sequence ESC $)A of ISO 2022 IR 58 in the name; a name of carets alone is none to us.
NAME_DIFFERS = {"chrGB2312.dcm", "image_dfl.dcm"}


def rows() -> list[dict[str, str]]:
    with INVENTORY.open(encoding="utf-8", newline="") as inventory:
        return list(csv.DictReader(inventory))


def read(row: dict[str, str]) -> Instance | Invalid:
    try:
        return read_instance((DATA / row["file"]).read_bytes())
    except Invalid as refused:
        return refused


@pytest.fixture(scope="module")
def corpus() -> list[tuple[str, dict[str, str], Instance | Invalid]]:
    return [(Path(row["file"]).name, row, read(row)) for row in rows()]


def test_every_object_is_read_as_pydicom_read_it(corpus: list[tuple[str, dict[str, str], Instance | Invalid]]) -> None:
    compared = 0
    for name, row, instance in corpus:
        if isinstance(instance, Invalid) or name in UNREAD_BY_PYDICOM:
            continue
        compared += 1
        statement = instance.statement
        raw = instance.instance_number.raw
        patient_ids = [i.value for i in statement.patient.identifiers if i.where == "00100020"]
        names = [[n.alphabetic or "", n.ideographic or "", n.phonetic or ""] for n in statement.patient.names]
        ours = {
            "sop_instance_uid": instance.sop_instance_uid,
            "study_uid": statement.study_instance_uid,
            "series_uid": instance.series_instance_uid or "",
            "modality": statement.modality or "",
            "accession": statement.accession_number.value if statement.accession_number else "",
            "patient_id": "".join(patient_ids),
            "patient_name": "".join("=".join(groups).rstrip("=") for groups in names),
            "instance_number_raw": "" if raw is None else repr(raw),
        }
        theirs = {column: "" if row[column] in ("(absent)", "(empty)") else row[column] for column in ours}
        if name in NAME_DIFFERS:
            del ours["patient_name"], theirs["patient_name"]
        assert ours == theirs, row["file"]
    assert compared == 319


def test_what_is_refused_is_refused_for_its_reason(
    corpus: list[tuple[str, dict[str, str], Instance | Invalid]],
) -> None:
    refused = {row["file"]: instance for _, row, instance in corpus if isinstance(instance, Invalid)}

    assert Counter(refusal.code for refusal in refused.values()) == {
        "dicom-no-sop-instance-uid": 38,  # 23 worklist files, 15 test files without one
        "dicom-no-study-instance-uid": 20,  # 8 colour palettes, 12 test files without one
        "dicom-media-directory": 9,
        "dicom-truncated": 3,
    }
    assert {Path(file).name for file, refusal in refused.items() if refusal.code == "dicom-truncated"} == {
        "rtplan_truncated.dcm",
        "GH626.dcm",  # zeros from the middle of its header on
        "GH179B.dcm",  # an element that lost its length
    }
    for file, row, refusal in ((name, row, r) for name, row, r in corpus if isinstance(r, Invalid)):
        if refusal.code == "dicom-no-sop-instance-uid":
            assert row["sop_instance_uid"] in ("", " ") or row["sop_instance_uid"].startswith("(meta)"), file
        if refusal.code == "dicom-no-study-instance-uid":
            assert row["study_uid"] == "", file


def test_the_state_of_each_instance_number_is_that_of_the_inventory(
    corpus: list[tuple[str, dict[str, str], Instance | Invalid]],
) -> None:
    states = Counter(
        (row["instance_number_state"], instance.instance_number.status)
        for name, row, instance in corpus
        if isinstance(instance, Instance) and name not in UNREAD_BY_PYDICOM
    )

    assert states == {
        ("int", "valid"): 286,
        ("int leading-space", "valid"): 14,
        ("int leading-zero", "valid"): 3,
        ("zero", "valid"): 1,
        ("empty", "empty"): 11,
        ("absent", "absent"): 4,
    }
