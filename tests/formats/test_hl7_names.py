"""The standard's names of segments and fields."""

import subprocess
import sys

import hl7apy
import pytest

from bridge.formats.hl7_names import field_name, segment_name


@pytest.mark.parametrize(
    ("segment", "field", "name"),
    [
        ("MSH", 10, "Message Control ID"),
        ("PID", 1, "Set ID - PID"),
        ("PID", 3, "Patient Identifier List"),
        ("PID", 6, "Mother's Maiden Name"),
        ("PID", 7, "Date/Time of Birth"),
        ("ORC", 2, "Placer Order Number"),
        ("ORC", 7, "Quantity/Timing"),
        ("ORC", 13, "Enterer's Location"),
        ("OBR", 5, "Priority - OBR"),
        ("OBR", 18, "Placer Field 1"),
        ("IPC", 1, "Accession Identifier"),
        ("IPC", 3, "Study Instance UID"),
        ("IPC", 9, "Scheduled AE Title"),
        ("SCH", 26, "Placer Order Number"),
        ("MRG", 1, "Prior Patient Identifier List"),
        ("TQ1", 7, "Start Date/Time"),
    ],
)
def test_a_field_is_called_as_the_standard_writes_it(segment: str, field: int, name: str) -> None:
    assert field_name(segment, field) == name
    assert field_name(segment, field, "2.5.1") == name


def test_zds_is_named_by_ihe_and_other_z_segments_by_nobody() -> None:
    assert field_name("ZDS", 1) == "Study Instance UID"
    assert field_name("ZDS", 2) is None
    assert field_name("ZZZ", 1) is None
    assert field_name("PID", 99) is None


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("2.2", "Diagnostic Service Section ID"),
        ("2.3", "Diagnostic Service Section ID"),
        ("2.3.0", "Diagnostic Service Section ID"),
        ("2.3.1", "Diagnostic Serv Sect ID"),
        ("2.3.1^DEU", "Diagnostic Serv Sect ID"),
        ("2.99", "Diagnostic Serv Sect ID"),
        ("2.0", "Diagnostic Service Section ID"),
        ("2", "Diagnostic Serv Sect ID"),
        ("3.0", "Diagnostic Serv Sect ID"),
        ("", "Diagnostic Serv Sect ID"),
        ("v251", "Diagnostic Serv Sect ID"),
        (None, "Diagnostic Serv Sect ID"),
    ],
)
def test_a_field_is_called_as_its_version_or_the_one_before_calls_it(stated: str | None, name: str) -> None:
    assert field_name("OBR", 24, stated) == name


def test_a_field_that_came_after_the_version_has_its_later_name() -> None:
    assert field_name("IPC", 1, "2.3.1") == "Accession Identifier"


@pytest.mark.parametrize("version", hl7apy.SUPPORTED_LIBRARIES)
def test_every_field_of_every_version_has_a_name_for_people(version: str) -> None:
    for key in hl7apy.load_library(version).FIELDS:
        segment, _, number = key.rpartition("_")
        name = field_name(segment, int(number), version)
        assert name, key
        assert name[0].isupper() or name[0].isdigit(), (key, name)
        assert "_" not in name, (key, name)


def test_segments_have_names_where_the_standard_has_them() -> None:
    assert segment_name("PID") == "Patient Identification"
    assert segment_name("IPC") == "Imaging Procedure Control"
    assert segment_name("ZAA") is None


def test_the_tables_are_loaded_only_for_who_wants_names() -> None:
    loaded = "import sys, bridge.cli; print([name for name in sys.modules if name.startswith('hl7apy')])"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
