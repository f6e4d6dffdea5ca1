"""What the header of a DICOM object says, each value with its place."""

import struct
from pathlib import Path

import msgspec
import pytest
from dicom_bytes import (
    IMPLICIT_LITTLE,
    PIXELS,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    ct,
    element,
    implicit,
    item,
    open_item,
    open_sequence,
    part10,
    sequence,
)
from pydicom.data import get_testdata_file

from bridge.core.errors import ConfigError, Invalid
from bridge.core.model import Identifier, Issuer, PersonName, Request, Stated
from bridge.formats.dicom import read_instance
from bridge.formats.selection import selection


def shipped(name: str) -> bytes:
    """A file that is part of the pydicom package."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def test_ct_small_is_read_in_full() -> None:
    instance = read_instance(shipped("CT_small.dcm"))

    assert instance.sop_instance_uid == "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
    assert instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert instance.sop_class_name == "CT Image Storage"
    assert instance.series_instance_uid == "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert (instance.series_number, instance.number_of_frames) == (1, None)
    assert (instance.instance_number.raw, instance.instance_number.value) == ("1 ", 1)
    assert (instance.instance_number.requirement.type, instance.instance_number.requirement.met) == ("2", True)
    assert instance.attributes_modified_at is None
    statement = instance.statement
    assert statement.study_instance_uid == "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    assert statement.accession_number is None
    assert statement.requests == ()
    assert (statement.modality, statement.study_date) == ("CT", "2004-01-19")
    assert instance.station_name == "CT01_OC0"
    assert instance.rejects is None
    assert not statement.patient_identity_removed
    assert statement.patient.identifiers == (
        Identifier("1CT1", "00100020"),
        Identifier("ABCD1234", "00101002[1].00100020"),
        Identifier("1234ABCD", "00101002[2].00100020"),
    )
    assert statement.patient.names == (PersonName("CompressedSamples^CT1"),)
    assert (statement.patient.birth_date, statement.patient.sex) == (None, "O")


def test_an_accession_number_comes_with_its_issuer() -> None:
    issuer = sequence(
        0x00080051,
        item(element(0x00400031, "UT", "RIS"), element(0x00400032, "UT", "1.2.9"), element(0x00400033, "CS", "ISO")),
    )
    statement = read_instance(ct(element(0x00080050, "SH", " A1005 "), issuer)).statement

    assert statement.accession_number == Identifier("A1005", "00080050", Issuer("RIS", "1.2.9", "ISO"))


def test_a_patient_id_comes_with_its_issuer_and_type() -> None:
    qualifiers = sequence(
        0x00100024,
        item(element(0x00400032, "UT", "1.2.9"), element(0x00400033, "CS", "ISO"), element(0x00400035, "CS", "MR")),
    )
    other = sequence(
        0x00101002,
        item(element(0x00100020, "LO", "")),
        item(element(0x00100020, "LO", "77"), element(0x00100021, "LO", "NORTH")),
    )
    body = ct(
        element(0x00100020, "LO", "4711"),
        element(0x00100021, "LO", "HOSP"),
        qualifiers,
        element(0x00101000, "LO", "X1\\ \\X3"),
        other,
    )

    assert read_instance(body).statement.patient.identifiers == (
        Identifier("4711", "00100020", Issuer("HOSP", "1.2.9", "ISO"), "MR"),
        Identifier("77", "00101002[2].00100020", Issuer("NORTH")),
        Identifier("X1", "00101000[1]"),
        Identifier("X3", "00101000[3]"),
    )


@pytest.mark.parametrize("lengths", ["stated", "undefined"])
def test_every_item_of_both_request_sequences_is_a_request(lengths: str) -> None:
    make_item, make_sequence = (item, sequence) if lengths == "stated" else (open_item, open_sequence)
    attributes = make_sequence(
        0x00400275,
        make_item(
            element(0x00080050, "SH", "A1"),
            make_sequence(0x00080051, make_item(element(0x00400031, "UT", "RIS"))),
            element(0x0020000D, "UI", "1.2.7"),
            element(0x00400009, "SH", "SPS1"),
            element(0x00401001, "SH", "RP1"),
        ),
        make_item(element(0x00080050, "SH", "A2"), element(0x00402017, "LO", "F2")),
        make_item(),
    )
    referenced = make_sequence(
        0x0040A370,
        make_item(
            make_sequence(0x00400026, make_item(element(0x00400031, "UT", "WARD"))),
            make_sequence(0x00400027, make_item(element(0x00400032, "UT", "1.2.9"))),
            element(0x00402016, "LO", "P3"),
            element(0x00402017, "LO", "F3"),
        ),
    )

    assert read_instance(ct(attributes, referenced)).statement.requests == (
        Request(
            study_instance_uid=Stated("1.2.7", "00400275[1].0020000D"),
            accession_number=Identifier("A1", "00400275[1].00080050", Issuer("RIS")),
            requested_procedure_id=Stated("RP1", "00400275[1].00401001"),
            scheduled_procedure_step_id=Stated("SPS1", "00400275[1].00400009"),
        ),
        Request(
            accession_number=Identifier("A2", "00400275[2].00080050"),
            filler_order_number=Identifier("F2", "00400275[2].00402017"),
        ),
        Request(
            placer_order_number=Identifier("P3", "0040A370[1].00402016", Issuer("WARD")),
            filler_order_number=Identifier("F3", "0040A370[1].00402017", Issuer(None, "1.2.9")),
        ),
    )


def test_order_numbers_outside_the_sequences_are_one_more_request() -> None:
    body = ct(
        sequence(0x00400026, item(element(0x00400031, "UT", "WARD"))),
        sequence(0x00400027, item(element(0x00400031, "UT", "RIS"))),
        element(0x00402016, "LO", "P1"),
        element(0x00402017, "LO", "F1"),
    )

    assert read_instance(body).statement.requests == (
        Request(
            placer_order_number=Identifier("P1", "00402016", Issuer("WARD")),
            filler_order_number=Identifier("F1", "00402017", Issuer("RIS")),
        ),
    )


def test_padding_is_trimmed_and_blank_is_absent() -> None:
    body = ct(element(0x00080050, "SH", "  "), element(0x00100020, "LO", b" 12\0 "), element(0x00100010, "PN", "^^"))
    statement = read_instance(body).statement

    assert statement.accession_number is None
    assert [identifier.value for identifier in statement.patient.identifiers] == ["12"]
    assert statement.patient.names == ()


def test_a_value_of_odd_length_is_read_to_its_last_byte() -> None:
    body = ct(element(0x00080050, "SH", "A1005", length=5), element(0x00100020, "LO", "471", length=3))
    statement = read_instance(body).statement

    assert statement.accession_number == Identifier("A1005", "00080050")
    assert statement.patient.identifiers == (Identifier("471", "00100020"),)


@pytest.mark.parametrize("vr", ["UN", "ZZ", "  "])
def test_text_is_read_where_its_vr_does_not_say_what_it_is(vr: str) -> None:
    body = ct(element(0x00080050, vr, b"A1005 "), element(0x00100010, vr, b"Doe^Jane"), element(0x00200011, vr, b"3 "))
    instance = read_instance(body)

    assert instance.statement.accession_number == Identifier("A1005", "00080050")
    assert instance.statement.patient.names == (PersonName("Doe^Jane"),)
    assert instance.series_number == 3


def test_several_values_in_an_identifier_are_never_taken_for_one_of_them() -> None:
    body = ct(element(0x00080050, "SH", "A1\\A2"), element(0x00100020, "LO", "1\\2 "))
    statement = read_instance(body).statement

    assert statement.accession_number == Identifier("A1\\A2", "00080050")
    assert statement.patient.identifiers == (Identifier("1\\2", "00100020"),)


@pytest.mark.parametrize(
    ("stated", "date"),
    [
        ("19500102", "1950-01-02"),
        ("1950.01.02", "1950-01-02"),
        ("20000229", "2000-02-29"),
        ("19000229", None),
        ("00000000", None),
        ("195001", None),
        ("19500102-19500105", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_birth_date_and_a_study_date_are_a_day_of_the_calendar_or_nothing(stated: str, date: str | None) -> None:
    body = ct(element(0x00080020, "DA", stated), element(0x00100030, "DA", stated))
    instance = read_instance(body)

    assert instance.statement.study_date == date
    assert instance.statement.patient.birth_date == date
    places = ("(0008,0020)", "(0010,0030)") if stated and not date else ()
    assert set(instance.warnings) == {f"{place}: no date; left out" for place in places}


@pytest.mark.parametrize(("stated", "sex"), [("F", "F"), ("m ", "M"), ("O", "O"), ("U", None), ("", None)])
def test_sex_is_one_of_the_three_that_dicom_defines(stated: str, sex: str | None) -> None:
    assert read_instance(ct(element(0x00100040, "CS", stated))).statement.patient.sex == sex


@pytest.mark.parametrize("stated", [b"NO", b" no \0", b"NO\n", b"", b" \t"])
def test_patient_identity_is_not_removed_where_the_header_says_no_or_nothing(stated: bytes) -> None:
    instance = read_instance(ct(element(0x00120062, "CS", stated)))

    assert not instance.statement.patient_identity_removed
    assert instance.warnings == ()


@pytest.mark.parametrize("stated", [b"YES", b"yes ", b"YES\n", b"\tYES\0"])
def test_patient_identity_is_removed_where_the_header_says_so(stated: bytes) -> None:
    instance = read_instance(ct(element(0x00120062, "CS", stated)))

    assert instance.statement.patient_identity_removed
    assert instance.warnings == ()


@pytest.mark.parametrize(
    ("vr", "stated"),
    [
        ("CS", b"YES\\"),
        ("CS", b"YES\\NO"),
        ("CS", b"Y"),
        ("CS", b"NO\\NO"),
        ("CS", b"\xff"),
        ("US", b"\0\0"),
        ("OB", b"NO"),
    ],
)
def test_patient_identity_counts_as_removed_where_the_header_does_not_say_no(vr: str, stated: bytes) -> None:
    instance = read_instance(ct(element(0x00120062, vr, stated)))

    assert instance.statement.patient_identity_removed
    assert instance.warnings[-1] == "(0012,0062): neither YES nor NO; taken as YES"


def test_the_latest_modification_counts_in_utc() -> None:
    body = ct(
        element(0x00080201, "SH", "+0200"),
        sequence(
            0x04000561,
            item(element(0x04000562, "DT", "20260102130000")),  # 11:00 in UTC
            item(element(0x04000562, "DT", "20260102120000.5-0100")),  # 13:00:00.5 in UTC
            item(element(0x04000562, "DT", "tomorrow")),
            item(),
        ),
    )

    assert read_instance(body).attributes_modified_at == "2026-01-02T13:00:00.500000Z"


@pytest.mark.parametrize("offset", ["", "somewhere", "+9900"])
def test_a_modification_time_without_a_usable_offset_is_utc(offset: str) -> None:
    body = ct(
        element(0x00080201, "SH", offset),
        sequence(0x04000561, item(element(0x04000562, "DT", "202601"))),
    )

    assert read_instance(body).attributes_modified_at == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("stated", "number"), [("3 ", 3), ("3.0 ", None), ("", None), ("1\\2 ", None), ("99999999999999", None)]
)
def test_series_number_and_number_of_frames_are_integers_or_nothing(stated: str, number: int | None) -> None:
    instance = read_instance(ct(element(0x00200011, "IS", stated), element(0x00280008, "IS", stated)))

    assert (instance.series_number, instance.number_of_frames) == (number, number)


def test_the_instance_number_keeps_its_bytes_and_its_stated_vr() -> None:
    exact = read_instance(ct(element(0x00200013, "IS", b"1.5 "))).instance_number
    unknown = read_instance(ct(element(0x00200013, "UN", b"7 "))).instance_number
    absent = read_instance(ct()).instance_number

    assert (exact.raw, exact.value, exact.status, exact.requirement.met) == ("1.5 ", None, "invalid", False)
    assert (unknown.vr, unknown.value, unknown.flags) == ("UN", 7, ("vr-not-is",))
    assert (absent.raw, absent.status, absent.requirement.type) == (None, "absent", "2")


def test_an_instance_number_inside_a_sequence_is_not_the_objects_own() -> None:
    nested = sequence(0x00081140, item(element(0x00200013, "IS", "9 ")))

    assert read_instance(ct(nested)).instance_number.status == "absent"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (part10(SOP_CLASS, STUDY, PIXELS), "dicom-no-sop-instance-uid"),
        (part10(SOP_CLASS, element(0x00080018, "UI", ""), STUDY, PIXELS), "dicom-no-sop-instance-uid"),
        (part10(SOP_CLASS, element(0x00080018, "UI", "1.2\\1.3"), STUDY, PIXELS), "dicom-no-sop-instance-uid"),
        (part10(SOP_CLASS, SOP_INSTANCE, PIXELS), "dicom-no-study-instance-uid"),
        (part10(SOP_CLASS, SOP_INSTANCE, element(0x0020000D, "UI", "\0\0"), PIXELS), "dicom-no-study-instance-uid"),
        (shipped("DICOMDIR"), "dicom-media-directory"),
    ],
)
def test_an_object_that_cannot_be_named_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_instance(body)

    assert refused.value.code == code


def test_a_request_sequence_that_is_none_fails_the_object_and_names_the_tag() -> None:
    with pytest.raises(Invalid, match=r"dicom-malformed: \(0040,0275\)") as refused:
        read_instance(ct(element(0x00400275, "SQ", b"SECRET12")))

    assert "SECRET" not in refused.value.reason


def test_private_unknown_and_odd_elements_do_not_fail_the_object() -> None:
    body = ct(
        element(0x00091001, "SQ", b"not an item."),
        element(0x00090010, "LO", "NOBODY"),
        element(0x0018FFFF, "ZZ", b"odd "),
        element(0x00280010, "US", b"\1\2\3\4\5\6"),
        element(0x00280030, "FD", b"short "),
    )

    instance = read_instance(body, attributes=selection("00091001", "0018FFFF", "Rows", "PixelSpacing", "Columns"))

    assert instance.sop_instance_uid == "1.2.3.4.5"
    assert instance.dicom == {
        "00090010": {"vr": "LO", "Value": ["NOBODY"]},
        "00280010": {"vr": "US", "Value": [513, 1027, 1541]},
    }


def test_the_channel_says_which_attributes_are_kept() -> None:
    body = ct(
        element(0x00080050, "SH", "A1"),
        element(0x00090010, "LO", "VENDOR"),
        element(0x00091001, "LO", "private"),
        element(0x00091002, "LO", "not named"),
        element(0x00280010, "US", struct.pack("<H", 512)),
    )

    assert read_instance(body, attributes=selection("Rows", "(0009,1001)")).dicom == {
        "00090010": {"vr": "LO", "Value": ["VENDOR"]},
        "00091001": {"vr": "LO", "Value": ["private"]},
        "00280010": {"vr": "US", "Value": [512]},
    }
    assert read_instance(body, attributes=selection()).dicom == {}
    with pytest.raises(ConfigError, match="PatientNumber"):
        read_instance(body, attributes=selection("PatientNumber"))


def test_a_number_that_is_signed_as_the_pixels_are_is_kept_as_such() -> None:
    uids = implicit(0x00080018, "1.2.3.4.5 ") + implicit(0x0020000D, "1.2.3 ")
    signed = implicit(0x00280103, b"\1\0") + implicit(0x00280106, b"\xff\xff")
    body = part10(data_set=uids + signed, transfer_syntax=IMPLICIT_LITTLE)

    assert read_instance(body, attributes=selection("SmallestImagePixelValue")).dicom == {
        "00280106": {"vr": "SS", "Value": [-1]}
    }


def test_pixel_data_is_never_kept_even_when_named() -> None:
    waveform = sequence(0x54000100, item(element(0x54001010, "OW", b"\1\2\3\4"), element(0x003A0010, "US", b"\2\0")))

    assert read_instance(ct(waveform), attributes=selection("PixelData", "WaveformSequence")).dicom == {
        "54000100": {"vr": "SQ", "Value": [{"003A0010": {"vr": "US", "Value": [2]}}]}
    }


def test_the_result_survives_json() -> None:
    instance = read_instance(shipped("CT_small.dcm"))

    assert msgspec.json.decode(msgspec.json.encode(instance), type=type(instance)) == instance
