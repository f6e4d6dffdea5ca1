"""Attributes are written as a DICOM file that pydicom and our own reader read as they were given."""

import struct
from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.dicom_writing import Writer, inline_binary


def reread(writer: Writer) -> Dataset:
    """As pydicom reads it, which needs the transfer syntax that is not in the file."""
    data_set = writer.part10().body[132:]
    return dcmread(BytesIO(bytes(128) + b"DICM" + _meta() + data_set))


def _meta() -> bytes:
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    return struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(syntax)) + syntax


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("LO", ["A", None, "B"], b"A\\\\B"),
        ("LO", [], b""),
        ("LO", [None], b""),
        ("IS", ["1"], b"1"),
        ("IS", ["1 "], b"1 "),
        ("PN", ["Wang^XiaoDong=王^小东"], "Wang^XiaoDong=王^小东".encode()),
        ("US", ["1", "65535"], b"\1\0\xff\xff"),
        ("US", ["1.0"], b"\1\0"),
        ("SS", ["-1"], b"\xff\xff"),
        ("UV", ["18446744073709551615"], b"\xff" * 8),
        ("FD", ["-1.5e3"], struct.pack("<d", -1500)),
        ("FL", ["1", "-Infinity"], struct.pack("<ff", 1, float("-inf"))),
        ("FD", ["1", None], struct.pack("<dd", 1, float("nan"))),
        ("AT", ["0020000D"], b"\x20\0\x0d\0"),
        ("AT", ["(0020,000d)"], b"\x20\0\x0d\0"),
        ("OW", [], b""),
    ],
)
def test_values_are_encoded_by_their_vr(vr: str, values: list[str | None], expected: bytes) -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00091001, vr, values)
    written = writer.part10()

    header = read_part10(written.body)[1]
    assert header.elements[0x00091001].vr == vr
    assert header.raw(0x00091001) == expected
    assert written.warnings == ()


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("US", "65536"),
        ("US", "-1"),
        ("US", "1.5"),
        ("US", "1_0"),
        ("US", "\u0661"),
        ("US", "true"),
        ("UL", "1" * 5000),
        ("FD", "1e999"),
        ("FL", "1e99"),
        ("FD", "A"),
        ("AT", "PatientID"),
        ("AT", "100000000"),
        ("AT", "0x100020"),
        ("AT", "100020"),
        ("OW", "1"),
        ("SQ", "1"),
    ],
)
def test_a_value_that_does_not_fit_its_vr_is_left_out_with_a_warning(vr: str, value: str) -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00186020, vr, [value])
    written = writer.part10()

    assert 0x00186020 not in read_part10(written.body)[1].elements
    assert written.warnings == (f"(0018,6020): not a value of VR {vr}; left out",)


@pytest.mark.parametrize(
    ("tag", "stated", "vr"),
    [
        (0x00100020, None, "LO"),
        (0x00100020, "SH", "SH"),
        (0x00100020, "XX", "UN"),
        (0x00100020, "UN", "UN"),
        (0x00280106, None, "US or SS"),
        (0x00090010, None, "LO"),
        (0x00091001, None, "UN"),
    ],
)
def test_a_missing_vr_is_the_dictionarys(tag: int, stated: str | None, vr: str) -> None:
    assert Writer(DEFAULT_LIMITS).vr(tag, stated) == vr


def test_the_vr_of_a_private_element_is_that_of_its_creators_dictionary() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00190010, "LO", ["GEMS_ACQU_01"])

    assert writer.vr(0x00191002, None) == "SL"
    assert writer.vr(0x00190002, None, "GEMS_ACQU_01") == "SL"


def test_numbers_in_a_un_are_written_as_the_vr_that_the_reader_takes_it_for() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00280010, "UN", ["512"])
    writer.texts(0x00280106, writer.vr(0x00280106, None), ["-3"])

    assert read_part10(writer.part10().body)[1].raw(0x00280010) == b"\0\2"
    assert reread(writer)[0x00280106].VR == "SS"


def test_a_value_too_long_for_its_vr_is_un_and_not_cut() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00100020, "LO", ["1" * 70_000])
    header = read_part10(writer.part10().body)[1]

    assert header.elements[0x00100020].vr == "UN"
    assert header.raw(0x00100020) == b"1" * 70_000


def test_sequences_are_written_with_their_items_in_sequence() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.open_sequence(0x00400275)
    for accession_number in ("A1", "A2"):
        writer.open_item()
        writer.texts(0x00080050, "SH", [accession_number])
        writer.open_sequence(0x00080051)
        writer.open_item()
        writer.close_item()
        writer.close_sequence()
        writer.close_item()
    writer.close_sequence()
    writer.texts(0x00100010, "PN", ["Ωμέγα"])

    data_set = reread(writer)
    assert [item.AccessionNumber for item in data_set.RequestAttributesSequence] == ["A1", "A2"]
    assert data_set.RequestAttributesSequence[0].IssuerOfAccessionNumberSequence == [Dataset()]
    assert data_set.PatientName == "Ωμέγα"
    assert data_set.SpecificCharacterSet == "ISO_IR 192"


def test_the_character_set_is_utf8_in_items_too_whatever_they_say() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.open_sequence(0x00400275)
    writer.open_item()
    writer.texts(0x00080005, "CS", ["ISO_IR 100"])
    writer.texts(0x00321060, "LO", ["Größe"])
    writer.close_item()
    writer.close_sequence()

    (item,) = reread(writer).RequestAttributesSequence
    assert item.RequestedProcedureDescription == "Größe"


def test_group_2_is_file_meta_information_and_the_stated_transfer_syntax_stands_apart() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00080018, "UI", ["1.2.3"])
    writer.texts(0x00020010, "UI", ["1.2.840.10008.1.2.1.99"])
    writer.texts(0x00020002, "UI", ["1.2.840.10008.1.3.10"])
    written = writer.part10()

    meta, header = read_part10(written.body)
    assert written.transfer_syntax_uid == "1.2.840.10008.1.2.1.99"
    assert list(meta.elements) == [0x00020002]
    assert list(header.elements) == [0x00080005, 0x00080018]
    assert header.warnings == ()


def test_commands_and_delimiters_are_none_of_an_objects_elements() -> None:
    writer = Writer(DEFAULT_LIMITS)
    for tag in (0x00000000, 0x00000110, 0xFFFEE00D):
        writer.texts(tag, "UL", ["1"])

    assert list(read_part10(writer.part10().body)[1].elements) == [0x00080005]


def test_an_empty_object_is_a_file_that_can_be_read() -> None:
    meta, header = read_part10(Writer(DEFAULT_LIMITS).part10().body)

    assert (list(meta.elements), list(header.elements)) == ([], [0x00080005])


def test_private_elements_get_a_block_of_their_creator() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00091001, "LO", ["in the block of its tag"], "THIRD")
    writer.texts(0x00090001, "LO", ["first free block"], "FIRST")
    writer.texts(0x00090002, "LO", ["same block"], "FIRST")
    writer.texts(0x00090013, "LO", ["SECOND"])
    writer.texts(0x00090001, "LO", ["block that is reserved"], "SECOND")

    data_set = reread(writer)
    for creator, element, value in [
        ("FIRST", 1, "first free block"),
        ("FIRST", 2, "same block"),
        ("SECOND", 1, "block that is reserved"),
        ("THIRD", 1, "in the block of its tag"),
    ]:
        assert data_set.private_block(9, creator)[element].value == value
    assert data_set[0x00091001].private_creator == "THIRD"


def test_a_group_with_more_creators_than_blocks_is_refused() -> None:
    writer = Writer(DEFAULT_LIMITS)
    for number in range(0xF1):
        writer.texts(0x00090001, "LO", [""], f"CREATOR {number}")

    with pytest.raises(Invalid, match=r"dicom-malformed: \(0009,0001\) is in a group with more private creators"):
        writer.part10()


def test_an_attribute_that_stands_twice_is_refused_unless_it_says_the_same() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.open_sequence(0x00400275)
    writer.open_item()
    writer.texts(0x00080050, "SH", ["A1"])
    writer.texts(0x00080050, "SH", ["A1"])

    with pytest.raises(Invalid) as refused:
        writer.texts(0x00080050, "SH", ["A2"])
    assert refused.value.code == "dicom-malformed"
    assert refused.value.reason == "(0040,0275)[1] > (0008,0050) stands twice with different values"


def test_one_element_with_and_without_its_private_creator_is_refused() -> None:
    writer = Writer(DEFAULT_LIMITS)
    writer.texts(0x00091001, "LO", ["A"])
    writer.texts(0x00091001, "LO", ["B"], "ACME")

    with pytest.raises(Invalid, match=r"\(0009,1001\) stands twice"):
        writer.part10()


def test_elements_and_items_are_counted_against_the_bound() -> None:
    writer = Writer(Limits(max_elements=3))
    writer.open_sequence(0x00400275)
    for _ in range(3):
        writer.open_item()
        writer.close_item()

    with pytest.raises(Invalid, match="max-elements"):
        writer.close_sequence()


def test_sequences_in_sequences_are_bounded() -> None:
    writer = Writer(Limits(max_nesting=2))
    for _ in range(2):
        writer.open_sequence(0x00400275)
        writer.open_item()

    with pytest.raises(Invalid, match="max-nesting"):
        writer.open_sequence(0x00400275)


def test_warnings_do_not_grow_without_end() -> None:
    writer = Writer(DEFAULT_LIMITS)
    for tag in range(0x00186000, 0x00186100):
        writer.texts(tag, "US", ["A"])
        writer.texts(tag, "US", ["B"])
    warnings = writer.part10().warnings

    assert len(warnings) == 20
    assert warnings[-1] == "further warnings are left out"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("QUJD", b"ABC"), ("QU\r\nJD ", b"ABC"), ("", b""), ("QUJ", None), ("QUJD!", None), ("é", None)],
)
def test_base64_is_read_strictly_but_for_white_space(text: str, expected: Any) -> None:
    assert inline_binary(text) == expected
