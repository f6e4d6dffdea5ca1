"""The elements of a data set are found exactly where they stand, and a file that is cut short is refused."""

import struct
import warnings
import zlib
from pathlib import Path

import pydicom
import pytest
from dicom_bytes import (
    DEFLATED,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXELS,
    PREAMBLE,
    SEQUENCE_END,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    ct,
    element,
    implicit,
    item,
    open_item,
    open_sequence,
    part10,
    sequence,
)
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement

from bridge.core.errors import Invalid
from bridge.core.model import Identifier, Issuer, Stated
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_elements import DataSet
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.selection import selection

SHIPPED = Path(pydicom.__file__).parent / "data"
FILES = {
    path.name: path
    for folder in ("test_files", "charset_files", "palettes")
    for path in sorted((SHIPPED / folder).glob("*.dcm"))
}

BIG_ENDIAN = "1.2.840.10008.1.2.2"
UIDS = SOP_CLASS + SOP_INSTANCE + STUDY
NESTED = part10(
    SOP_CLASS,
    SOP_INSTANCE,
    open_sequence(
        0x00081140,
        open_item(element(0x00081150, "UI", "1.2"), open_sequence(0x0040A170, open_item(), item())),
        item(element(0x00081155, "UI", "1.2.3.4")),
    ),
    element(0x00091001, "OB", item(b"\xff\xd8\xff\xd9") + SEQUENCE_END, length=UNDEFINED),
    element(0x00091002, "OB", b"anything at all" + SEQUENCE_END, length=UNDEFINED),
    STUDY,
    sequence(0x00400275, item(element(0x00080050, "SH", "A1005"))),
    PIXELS,
)


MANY = selection("PatientName", "00091001", "PixelSpacing", "SourceImageSequence", "Rows")


def deflated(*elements: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data_set = compressor.compress(b"".join(elements)) + compressor.flush()
    return part10(transfer_syntax=DEFLATED, data_set=data_set)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in FILES
        # A stray byte before the data set, and a cut inside it: pydicom gives what it can, we refuse.
        if name not in ("no_meta.dcm", "rtplan_truncated.dcm")
    ],
)
def test_pydicom_finds_the_same_elements_in_the_files_it_ships(name: str) -> None:
    body = FILES[name].read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pydicom.dcmread(FILES[name], stop_before_pixels=True, force=True)
        meta, main = read_part10(body)

        assert set(meta.elements) == set(expected.file_meta.keys())
        assert_same(main, expected)


def assert_same(found: DataSet, expected: pydicom.Dataset) -> None:
    assert set(found.elements) == set(expected.keys())
    for tag, element_ in list(expected._dict.items()):
        if isinstance(element_, RawDataElement):
            assert found.raw(tag) == (element_.value or b"")
            assert found.elements[tag].vr == element_.VR
        if expected[tag].VR == "SQ":
            items = found.items(tag)
            assert len(items) == len(expected[tag].value)
            for item_, expected_item in zip(items, expected[tag].value, strict=True):
                assert_same(item_, expected_item)


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",  # explicit VR little endian
        "MR_small_implicit.dcm",
        "MR_small_expb.dcm",  # big endian
        "ExplVR_LitEndNoMeta.dcm",
        "JPEG2000.dcm",  # encapsulated
        "reportsi.dcm",  # no pixel data
        "rtplan.dcm",
        "chrKoreanMulti.dcm",
        "nested",
    ],
)
def test_a_header_cut_at_any_byte_is_refused_unless_the_cut_is_between_two_elements(name: str) -> None:
    body = NESTED if name == "nested" else FILES[name].read_bytes()
    _, main = read_part10(body)
    between = {element.stop for element in main.elements.values()}

    for cut in range(max(between)):
        if cut not in between:
            with pytest.raises(Invalid) as refused:
                read_part10(body[:cut])
            assert refused.value.code in ("dicom-truncated", "dicom-not-dicom")


def test_only_what_is_wanted_is_found_and_in_an_item_everything() -> None:
    _, main = read_part10(NESTED, wanted=frozenset({0x00400275, 0x00080018}))
    _, named = read_part10(FILES["chrH31.dcm"].read_bytes(), wanted=frozenset({0x00100010}))

    assert set(main.elements) == {0x00080018, 0x00400275}
    assert set(main.items(0x00400275)[0].elements) == {0x00080050}
    assert named.character_sets == b"\\ISO 2022 IR 87 "  # a name is nothing without them


def test_a_cut_names_the_element_and_nothing_that_is_in_it() -> None:
    body = part10(SOP_CLASS, SOP_INSTANCE, element(0x00080050, "SH", "SECRET"))

    with pytest.raises(Invalid) as refused:
        read_part10(body[:-3])

    assert (refused.value.code, refused.value.reason) == ("dicom-truncated", "the file ends inside (0008,0050)")


def test_the_beginning_of_a_file_is_enough_only_where_it_reaches_the_pixel_data() -> None:
    body = ct(element(0x00400275, "SQ", item(element(0x00080050, "SH", "A1"))))
    header = len(body) - len(PIXELS)

    assert read_instance(body[: header + 9], whole=False) == read_instance(body)
    with pytest.raises(Invalid, match="dicom-truncated: the file is cut short before its pixel data"):
        read_instance(body[:header], whole=False)


def test_a_file_that_ends_before_its_data_set_is_refused() -> None:
    with pytest.raises(Invalid, match="dicom-truncated: the file ends before its first element"):
        read_part10(PREAMBLE)
    with pytest.raises(Invalid, match=r"dicom-truncated: the file ends after \(0002,0010\)"):
        read_part10(part10())


def test_a_file_written_to_its_full_size_but_not_filled_is_refused() -> None:
    with pytest.raises(Invalid, match=r"dicom-truncated: the file ends after \(0020,000D\)"):
        read_part10(part10(SOP_CLASS, SOP_INSTANCE, STUDY) + b"\0" * 64)


@pytest.mark.parametrize("kept", [0, 1, 8, 15])
def test_pixel_data_may_be_cut_or_missing(kept: int) -> None:
    whole = ct()
    _, cut = read_part10(whole[: len(whole) - 16 + kept])
    _, header_only = read_part10(part10(SOP_CLASS, SOP_INSTANCE, STUDY))

    assert set(cut.elements) == set(header_only.elements) == {0x00080016, 0x00080018, 0x0020000D}


def test_a_length_beyond_the_item_that_holds_it_is_malformed() -> None:
    request = item(element(0x00080050, "SH", "A1", length=200))

    with pytest.raises(Invalid, match=r"dicom-malformed: \(0008,0050\) is longer than what holds it"):
        read_instance(part10(SOP_CLASS, SOP_INSTANCE, STUDY, sequence(0x00400275, request), PIXELS))


def test_bytes_left_over_at_the_end_of_an_item_are_malformed() -> None:
    request = item(element(0x00080050, "SH", "A1") + b"\0\0\0")

    with pytest.raises(Invalid, match=r"dicom-malformed: an item has bytes left over after \(0008,0050\)"):
        read_instance(part10(SOP_CLASS, SOP_INSTANCE, STUDY, sequence(0x00400275, request), PIXELS))


def test_an_item_longer_than_its_sequence_takes_nothing_from_behind_it() -> None:
    request = struct.pack("<HHL", 0xFFFE, 0xE000, 60) + element(0x00080050, "SH", "A1")

    with pytest.raises(Invalid, match=r"dicom-malformed: \(0040,0275\) is longer than what holds it"):
        read_instance(part10(SOP_CLASS, SOP_INSTANCE, STUDY, sequence(0x00400275, request), PIXELS, PIXELS))


def test_an_element_that_stands_twice_is_refused_unless_it_says_the_same() -> None:
    twice = element(0x00080050, "SH", "A1")

    assert read_instance(ct(twice, twice)).statement.accession_number is not None
    with pytest.raises(Invalid, match=r"dicom-malformed: \(0008,0050\) stands twice with different values"):
        read_instance(ct(twice, element(0x00080050, "SH", "A2")))


def test_a_value_whose_items_end_in_something_else_is_passed_over_to_its_delimiter() -> None:
    fragments = item(SEQUENCE_END) + b"no item." + SEQUENCE_END
    body = part10(SOP_CLASS, SOP_INSTANCE, element(0x00091001, "OB", fragments, length=UNDEFINED), STUDY, PIXELS)

    assert read_instance(body).statement.study_instance_uid == "1.2.3"


def test_an_item_without_its_delimiter_is_malformed() -> None:
    request = open_item(element(0x00080050, "SH", "A1"))[:-8]

    with pytest.raises(Invalid, match="dicom-malformed"):
        read_instance(part10(SOP_CLASS, SOP_INSTANCE, STUDY, sequence(0x00400275, request), PIXELS))


IMPLICIT_UIDS = (
    implicit(0x00080016, "1.2.840.10008.5.1.4.1.1.2 ")
    + implicit(0x00080018, "1.2.3.4.5 ")
    + implicit(0x0020000D, "1.2.3 ")
)


@pytest.mark.parametrize(
    "body",
    [
        part10(data_set=UIDS),
        part10(data_set=IMPLICIT_UIDS, transfer_syntax=IMPLICIT_LITTLE),
        part10(data_set=IMPLICIT_UIDS, transfer_syntax=EXPLICIT_LITTLE),
        part10(data_set=UIDS, transfer_syntax=IMPLICIT_LITTLE),
        part10(data_set=UIDS, transfer_syntax=BIG_ENDIAN),
        part10(data_set=UIDS, transfer_syntax="1.2.840.113619.5.2"),
        UIDS,
        IMPLICIT_UIDS,
        PREAMBLE + UIDS,
        part10(data_set=UIDS)[132:],
        PREAMBLE + implicit(0x00020010, "1.2.840.10008.1.2 ") + IMPLICIT_UIDS,
        deflated(UIDS),
        part10(data_set=UIDS, transfer_syntax=DEFLATED),
    ],
    ids=[
        "explicit",
        "implicit",
        "implicit-stated-as-explicit",
        "explicit-stated-as-implicit",
        "little-stated-as-big-endian",
        "private-transfer-syntax",
        "bare-explicit",
        "bare-implicit",
        "no-meta",
        "no-preamble",
        "implicit-meta",
        "deflated",
        "stated-as-deflated",
    ],
)
def test_the_encoding_is_seen_in_the_bytes_whatever_is_stated(body: bytes) -> None:
    instance = read_instance(body)

    assert (instance.sop_instance_uid, instance.statement.study_instance_uid) == ("1.2.3.4.5", "1.2.3")


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"MSH|^~\\&|RIS|", b"\x89PNG\r\n\x1a\n" + b"\0" * 200, b"{" * 400, b"\0" * 4000],
    ids=["empty", "one-byte", "hl7", "png", "json", "zeros"],
)
def test_what_is_not_dicom_is_called_that(body: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        read_part10(body)

    assert refused.value.code == "dicom-not-dicom"


def test_implicit_items_inside_explicit_ones_are_read() -> None:
    issuer = implicit(0x00080051, open_item(implicit(0x00400031, "RIS ")) + SEQUENCE_END, length=UNDEFINED)
    request = item(implicit(0x00080050, "A1005 "), issuer, implicit(0x00401001, "RP1 "))
    unknown = element(0x00400275, "UN", request + SEQUENCE_END, length=UNDEFINED)  # PS3.5 6.2.2, note 2
    for encoded in (sequence(0x00400275, request), element(0x00400275, "UN", request), unknown):
        (read,) = read_instance(part10(SOP_CLASS, SOP_INSTANCE, STUDY, encoded, PIXELS)).statement.requests

        assert read.accession_number == Identifier("A1005", "00400275[1].00080050", Issuer("RIS"))
        assert read.requested_procedure_id == Stated("RP1", "00400275[1].00401001")


@pytest.mark.parametrize("length", ["stated", "undefined"])
def test_items_inside_un_are_little_endian_even_in_a_big_endian_data_set(length: str) -> None:
    content = item(implicit(0x00080050, "A1005 ")) + (SEQUENCE_END if length == "undefined" else b"")
    stated = UNDEFINED if length == "undefined" else len(content)
    body = part10(
        data_set=struct.pack(">HH2sH10s", 0x0008, 0x0018, b"UI", 10, b"1.2.3.4.5")
        + struct.pack(">HH2sH6s", 0x0020, 0x000D, b"UI", 6, b"1.2.3")
        + struct.pack(">HH2sHL", 0x0040, 0x0275, b"UN", 0, stated)
        + content,
        transfer_syntax=BIG_ENDIAN,
    )

    (request,) = read_instance(body).statement.requests

    assert request.accession_number is not None
    assert request.accession_number.value == "A1005"


def test_a_vr_of_two_spaces_has_a_length_of_16_bits() -> None:
    odd = struct.pack("<HH2sH", 0x0008, 0x0019, b"  ", 2) + b"\1\2"

    assert read_part10(part10(SOP_CLASS, SOP_INSTANCE, odd, STUDY))[1].raw(0x00080019) == b"\1\2"


def test_a_deflated_header_cut_at_any_byte_is_refused() -> None:
    body = deflated(UIDS, element(0x00400275, "SQ", b""))
    start = len(part10(transfer_syntax=DEFLATED))

    for cut in range(start, len(body)):
        with pytest.raises(Invalid, match="dicom-truncated"):
            read_part10(body[:cut])


def test_a_deflated_object_cut_inside_its_pixel_data_is_read() -> None:
    body = deflated(UIDS, element(0x7FE00010, "OW", bytes(range(256)) * 40))

    assert read_instance(body[:-20]).sop_instance_uid == "1.2.3.4.5"


def test_bytes_that_do_not_inflate_are_malformed() -> None:
    with pytest.raises(Invalid, match="dicom-malformed: the deflated data set cannot be inflated"):
        read_part10(part10(transfer_syntax=DEFLATED, data_set=b"\xff" * 50))


def refusal(body: bytes) -> str:
    """The code of Invalid, or "" for an Instance: nothing else may come of any bytes, and warnings are errors here."""
    try:
        read_instance(
            body, attributes=selection("PatientName", "00091001", "PixelSpacing", "SourceImageSequence", "Rows")
        )
    except Invalid as refused:
        return refused.code
    return ""


CODES = {
    "",
    "dicom-not-dicom",
    "dicom-truncated",
    "dicom-malformed",
    "max-nesting",
    "dicom-media-directory",
    "dicom-no-sop-instance-uid",
    "dicom-no-study-instance-uid",
}
HEADS = [b"", PREAMBLE, part10(), part10(SOP_CLASS, SOP_INSTANCE, STUDY), part10(transfer_syntax=DEFLATED)]


@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(head: bytes, tail: bytes) -> None:
    assert refusal(head + tail) in CODES


SEEDS = [NESTED, *(FILES[name].read_bytes()[:6000] for name in ("CT_small.dcm", "reportsi.dcm", "image_dfl.dcm"))]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 5999),
        st.sampled_from([0, 0, 1, 4]),  # bytes that the edit replaces
        st.binary(max_size=4) | st.sampled_from([b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", SEQUENCE_END, b"SQ", b"UN"]),
    ),
    min_size=1,
    max_size=8,
)


@given(st.sampled_from(SEEDS), EDITS, st.integers(0, 6000))
def test_damaged_files_are_read_or_refused(seed: bytes, edits: list[tuple[int, int, bytes]], cut: int) -> None:
    damaged = bytearray(seed)
    for place, replaced, new in edits:
        at = place % len(damaged)
        damaged[at : at + replaced] = new

    assert refusal(bytes(damaged)) in CODES
    assert refusal(bytes(damaged[:cut])) in CODES
