"""The shipped table says which type each SOP class requires Instance Number to be."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from bridge.formats.sop_classes import instance_number_type, sop_class_name

ROOT = Path(__file__).parents[2]
DERIVATION = ROOT.parent / "shared" / "reference" / "instance_number_by_sop_class.json"


@pytest.mark.parametrize(
    ("uid", "type_", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.2", "2", "CT Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.4", "2", "MR Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.2.1", "1", "Enhanced CT Image Storage"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "1", "Segmentation Storage"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "1", "Key Object Selection Document Storage"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "1", "Grayscale Softcopy Presentation State Storage"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "1", "Encapsulated PDF Storage"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "1", "Label Map Segmentation Storage"),  # newer than pydicom 3.0.2
        ("1.2.840.10008.5.1.4.1.1.481.2", "3", "RT Dose Storage"),
        ("1.2.840.10008.1.3.10", None, "Media Storage Directory Storage"),
        ("1.2.840.10008.5.1.4.1.1.6", None, "Ultrasound Image Storage"),  # retired, so not derived
        ("1.2.3.4", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_sop_class_has_a_type_and_a_name(uid: str | None, type_: str | None, name: str | None) -> None:
    assert instance_number_type(uid) == type_
    assert sop_class_name(uid) == name


@pytest.fixture(scope="module")
def derivation() -> dict[str, Any]:
    if not DERIVATION.exists():
        pytest.skip("the derivation of the table is not beside the repository (../shared/reference)")
    derived: dict[str, Any] = json.loads(DERIVATION.read_text(encoding="utf-8"))
    return derived


def test_all_180_sop_classes_have_the_derived_type(derivation: dict[str, Any]) -> None:
    derived = {row["sop_class_uid"]: row["effective_type"] for row in derivation["sop_classes"]}

    assert len(derived) == 180
    assert {uid: instance_number_type(uid) for uid in derived} == derived
    assert all(sop_class_name(uid) for uid in derived)


def test_the_shipped_table_is_what_its_generator_writes(derivation: dict[str, Any]) -> None:
    generator = runpy.run_path(str(ROOT / "tests" / "generate_instance_number_table.py"))

    assert generator["table"](derivation) == generator["TABLE"].read_text(encoding="utf-8")
