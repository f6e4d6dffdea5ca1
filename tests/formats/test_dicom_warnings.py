"""What is odd about a header is read as well as it can be, and said in a warning that names place and cause only."""

import base64
from pathlib import Path

import pytest
from dicom_bytes import (
    DEFLATED,
    IMPLICIT_LITTLE,
    SEQUENCE_END,
    SOP_INSTANCE,
    UNDEFINED,
    ct,
    element,
    item,
    part10,
    sequence,
)

from bridge.core.errors import Invalid
from bridge.core.model import Identifier, Issuer, Patient, PersonName
from bridge.formats.dicom import read_instance
from bridge.formats.selection import selection

MIRTH = Path(__file__).parents[2].parent / "shared" / "reference" / "mirth" / "dicom"

QUESTION_MARKS = (
    "(0010,0010): ? in place of letters: an engine has written the object anew and lost them; "
    "publish it without a source transformer step"
)
LOST = "characters that cannot be read: not in the declared character set, or lost in an earlier system"
NOT_USED = "not used, as it or its issuer cannot be read in full"
UTF8 = element(0x00080005, "CS", "ISO_IR 192")
JAPANESE = element(0x00080005, "CS", "\\ISO 2022 IR 87")


def test_a_header_that_is_as_it_should_be_has_no_warnings() -> None:
    body = ct(
        UTF8,
        element(0x00080050, "SH", "A" * 16),
        element(0x00100010, "PN", "Müller^Änne=" + "山" * 64),
        element(0x00100020, "LO", "ü" * 64),
        element(0x00100030, "DA", "19500102"),
        element(0x00200011, "IS", "3"),
        element(0x00101000, "LO", "1\\2"),
    )

    assert read_instance(body).warnings == ()


# Names


@pytest.mark.parametrize(
    ("stated", "names"),
    [
        ("Yamada^Tarou=??^??=???^???", (PersonName("Yamada^Tarou"),)),
        ("???", ()),
        ("? ^?^?", ()),
        ("??^??=山田^太郎", (PersonName(None, "山田^太郎"),)),
    ],
)
def test_a_name_of_question_marks_is_no_name(stated: str, names: tuple[PersonName, ...]) -> None:
    instance = read_instance(ct(UTF8, element(0x00100010, "PN", stated)))

    assert instance.statement.patient.names == names
    assert instance.warnings == (QUESTION_MARKS,)


def test_several_question_marks_are_suspicious_where_character_sets_are_switched() -> None:
    switched = read_instance(ct(JAPANESE, element(0x00100010, "PN", "?amada^T?rou")))
    one = read_instance(ct(JAPANESE, element(0x00100010, "PN", "Yamada^Tarou ?")))
    plain = read_instance(ct(element(0x00100010, "PN", "Doe^Jane ??")))

    assert switched.statement.patient.names == (PersonName("?amada^T?rou"),)
    assert switched.warnings == (QUESTION_MARKS,)
    assert one.warnings == plain.warnings == ()


def test_a_representation_with_lost_characters_is_not_taken_for_the_name() -> None:
    instance = read_instance(ct(UTF8, element(0x00100010, "PN", b"M\xfcller^Hans=" + "山田^太郎".encode())))

    assert instance.statement.patient.names == (PersonName(None, "山田^太郎"),)
    assert instance.warnings == (f"(0010,0010): {LOST}", "(0010,0010): not used where it cannot be read in full")


def test_several_names_are_each_a_name() -> None:
    instance = read_instance(ct(element(0x00100010, "PN", "Doe^Jane\\Roe^Jane")))

    assert instance.statement.patient.names == (PersonName("Doe^Jane"), PersonName("Roe^Jane"))
    assert instance.warnings == ("(0010,0010): several values where one is allowed; each is taken for a name",)


@pytest.mark.skipif(not MIRTH.exists(), reason="the engine's samples are not beside the repository")
@pytest.mark.parametrize("name", ["chrH31", "chrKoreanMulti"])
def test_names_that_a_source_transformer_of_the_engine_lost_are_reported(name: str) -> None:
    transformed = read_instance(base64.b64decode((MIRTH / name / "base64.txt").read_bytes()))
    untouched = read_instance((MIRTH / name / "nostep.part10.dcm").read_bytes())

    assert transformed.warnings == (QUESTION_MARKS,)
    assert untouched.warnings == ()
    assert (
        untouched.statement.patient.names
        == read_instance((MIRTH / name / "in.dcm").read_bytes()).statement.patient.names
    )
    assert all("?" not in str(names) for names in transformed.statement.patient.names)


# Identifiers


@pytest.mark.parametrize(
    ("odd", "place"),
    [
        (element(0x00100020, "LO", b"47\xfc11"), "(0010,0020)"),
        (element(0x00100020, "LO", b"47\x0011"), "(0010,0020)"),
        (element(0x00100020, "LO", "47\ufffd11"), "(0010,0020)"),
        (element(0x00080050, "SH", b"A\xfc1"), "(0008,0050)"),
        (element(0x00101000, "LO", b"X\xfc"), "(0010,1000)"),
        (element(0x00402016, "LO", b"P\xfc"), "(0040,2016)"),
        (sequence(0x00101002, item(element(0x00100020, "LO", b"4\xfc"))), "(0010,1002)[1] > (0010,0020)"),
        (sequence(0x00400275, item(element(0x00401001, "SH", b"4\xfc"))), "(0040,0275)[1] > (0040,1001)"),
    ],
)
def test_an_identifier_that_lost_a_character_is_no_evidence(odd: bytes, place: str) -> None:
    instance = read_instance(ct(UTF8, odd))
    statement = instance.statement

    assert statement.accession_number is None
    assert (statement.patient.identifiers, statement.requests) == ((), ())
    assert instance.warnings == (f"{place}: {LOST}", f"{place}: {NOT_USED}")


@pytest.mark.parametrize(
    ("number", "issuer", "place"),
    [
        (element(0x00100020, "LO", "4711"), element(0x00100021, "LO", b"S\xfcd"), "(0010,0021)"),
        (
            element(0x00080050, "SH", "A1005"),
            sequence(0x00080051, item(element(0x00400031, "UT", b"S\xfcd"))),
            "(0008,0051)[1] > (0040,0031)",
        ),
    ],
)
def test_without_its_issuer_an_identifier_would_be_anybodys(number: bytes, issuer: bytes, place: str) -> None:
    instance = read_instance(ct(UTF8, number, issuer))

    assert (instance.statement.accession_number, instance.statement.patient.identifiers) == (None, ())
    assert instance.warnings[0] == f"{place}: {LOST}"
    assert instance.warnings[1].endswith(NOT_USED)


@pytest.mark.parametrize(
    ("tag", "code"), [(0x00080018, "dicom-no-sop-instance-uid"), (0x0020000D, "dicom-no-study-instance-uid")]
)
def test_an_object_is_not_filed_under_a_uid_that_lost_a_character(tag: int, code: str) -> None:
    uids = {0x00080018: b"1.2.3.4.5", 0x0020000D: b"1.2.3", tag: b"1.2\x003.4"}

    with pytest.raises(Invalid) as refused:
        read_instance(part10(*(element(uid, "UI", value) for uid, value in uids.items())))

    assert refused.value.code == code


def test_two_uids_in_different_bytes_are_never_one() -> None:
    uids = [
        read_instance(ct(UTF8, element(0x0020000E, "UI", raw))).series_instance_uid for raw in (b"1.\xfc", b"1.\xfd")
    ]

    assert None not in uids
    assert uids[0] != uids[1]


def test_a_value_longer_than_its_vr_is_kept_whole() -> None:
    body = ct(
        element(0x00080050, "SH", "A" * 17),
        element(0x00080060, "CS", "M" * 17),
        element(0x00100010, "PN", "D" * 65 + "^=" + "P" * 10),
        element(0x00100020, "LO", "4" * 65),
        element(0x0020000E, "UI", "1." * 33),
        sequence(0x00400275, item(element(0x00401001, "SH", "R" * 17))),
    )
    instance = read_instance(body)

    assert instance.statement.accession_number == Identifier("A" * 17, "00080050")
    assert instance.statement.patient.identifiers[0].value == "4" * 65
    assert instance.series_instance_uid == "1." * 33
    assert set(instance.warnings) == {
        "(0008,0050): longer than SH allows (16 characters); kept whole",
        "(0008,0060): longer than CS allows (16 characters); kept whole",
        "(0010,0010): longer than PN allows (64 characters); kept whole",
        "(0010,0020): longer than LO allows (64 characters); kept whole",
        "(0020,000E): longer than UI allows (64 characters); kept whole",
        "(0040,0275)[1] > (0040,1001): longer than SH allows (16 characters); kept whole",
    }


def test_several_values_where_one_is_allowed_are_reported() -> None:
    body = ct(
        element(0x00080050, "SH", "A1\\A2"),
        element(0x00080060, "CS", "CT\\PT"),
        element(0x00080051, "SQ", item(element(0x00400031, "UT", "a\\b"))),  # of UT a backslash is a character
    )
    instance = read_instance(body)

    assert instance.statement.accession_number == Identifier("A1\\A2", "00080050", Issuer("a\\b"))
    assert instance.statement.modality == "CT"
    assert instance.warnings == (
        "(0008,0060): several values where one is allowed; the first is taken",
        "(0008,0050): several values where one is allowed; kept as one",
    )


def test_a_uid_with_other_characters_is_kept() -> None:
    instance = read_instance(ct(element(0x0020000E, "UI", "1.2.x")))

    assert instance.series_instance_uid == "1.2.x"
    assert instance.warnings == ("(0020,000E): characters that no UID has; kept",)


# Values and character sets


@pytest.mark.parametrize("stated", ["UTF-8", "ISO_IR 999", "\\ISO 2022 IR 999"])
def test_an_unknown_character_set_is_reported(stated: str) -> None:
    instance = read_instance(ct(element(0x00080005, "CS", stated), element(0x00100010, "PN", b"M\xfcller")))

    assert instance.statement.patient.names == (PersonName("Müller"),)
    assert instance.warnings == ("(0008,0005): not a known character set; ISO 8859-1 or UTF-8 is read",)


@pytest.mark.parametrize("declared", ["", "ISO_IR 6", "ISO_IR 100"])
def test_utf_8_that_is_declared_as_something_else_is_read(declared: str) -> None:
    body = ct(
        element(0x00080005, "CS", declared), element(0x00100010, "PN", "Müller"), element(0x00100020, "LO", "ÄB-1")
    )
    instance = read_instance(body)

    assert instance.statement.patient.names == (PersonName("Müller"),)
    assert instance.statement.patient.identifiers == (Identifier("ÄB-1", "00100020"),)
    assert instance.warnings == (
        "(0010,0020): declared as another character set, but UTF-8; read as that",
        "(0010,0010): declared as another character set, but UTF-8; read as that",
    )


@pytest.mark.parametrize(
    ("odd", "warning"),
    [
        (element(0x00100030, "DA", "19000229"), "(0010,0030): no date; left out"),
        (element(0x00200011, "IS", "3.0"), "(0020,0011): no integer; left out"),
        (element(0x00280008, "IS", "many"), "(0028,0008): no integer; left out"),
        (element(0x00280010, "US", b"\1\2\3", length=3), "(0028,0010): cannot be read; left out"),
        (
            sequence(0x04000561, item(element(0x04000562, "DT", "tomorrow"))),
            "(0400,0561)[1] > (0400,0562): no date and time; left out",
        ),
    ],
)
def test_what_is_left_out_is_reported(odd: bytes, warning: str) -> None:
    assert read_instance(ct(odd)).warnings == (warning,)


# The object as a whole


@pytest.mark.parametrize(
    "stated",
    [IMPLICIT_LITTLE, "1.2.840.10008.1.2.2", DEFLATED],
    ids=["implicit", "big-endian", "deflated"],
)
def test_a_transfer_syntax_that_the_bytes_contradict_is_reported(stated: str) -> None:
    body = ct()[len(part10()) :]
    instance = read_instance(part10(data_set=body, transfer_syntax=stated))

    assert instance.sop_instance_uid == "1.2.3.4.5"
    assert instance.transfer_syntax_uid == stated
    assert instance.warnings == ("(0002,0010): another transfer syntax than the data set is in; read as its bytes are",)


@pytest.mark.parametrize("stated", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70", "1.2.840.113619.5.2"])
def test_a_transfer_syntax_that_agrees_or_is_private_is_not(stated: str) -> None:
    body = ct()[len(part10()) :]

    assert read_instance(part10(data_set=body, transfer_syntax=stated)).warnings == ()


def test_a_missing_preamble_or_meta_header_and_a_private_sop_class_are_no_matter() -> None:
    private = part10(
        element(0x00080016, "UI", "1.2.840.113619.4.27"),
        element(0x00080018, "UI", "1.2.3.4.5"),
        element(0x0020000D, "UI", "1.2.3"),
    )
    bare = private[len(part10()) :]

    for body in (private, private[132:], bare):
        instance = read_instance(body)
        assert instance.warnings == ()
        assert (instance.sop_class_name, instance.instance_number.requirement.type) == (None, None)


def test_warnings_have_an_end() -> None:
    items = (item(element(0x00401001, "SH", "R" * 20)) for _ in range(1000))
    warnings = read_instance(ct(sequence(0x00400275, *items))).warnings

    assert len(warnings) == 20
    assert warnings[-1] == "further warnings are left out"


def test_no_warning_holds_a_value() -> None:
    odd = b"SECRET\xff\\SECRET" * 8
    body = ct(
        UTF8,
        *(element(tag, "LO", odd) for tag in (0x00080050, 0x00080060, 0x00100010, 0x00100020, 0x00100030, 0x00200011)),
        element(0x0020000E, "UI", odd),
    )

    warnings = read_instance(body).warnings

    assert len(warnings) > 8
    assert "SECRET" not in str(warnings)


@pytest.mark.parametrize("vr", ["US", "UL", "FD", "AT", "OB", "OW"])
def test_text_is_never_made_of_what_is_stated_as_numbers_or_bytes(vr: str) -> None:
    body = ct(
        element(0x00080050, vr, b"12345678"), element(0x00100010, vr, b"Doe^Jane"), element(0x00101000, vr, b"4711")
    )
    instance = read_instance(body)

    assert instance.statement.accession_number is None
    assert instance.statement.patient == Patient()
    assert set(instance.warnings) == {
        f"{place}: stated as {vr}, which is no text; not used"
        for place in ("(0008,0050)", "(0010,0010)", "(0010,1000)")
    }


def test_a_sequence_is_no_text() -> None:
    instance = read_instance(ct(sequence(0x00100020, item())))

    assert instance.statement.patient.identifiers == ()
    assert instance.warnings == ("(0010,0020): stated as SQ, which is no text; not used",)


def test_a_series_number_is_never_made_of_binary_numbers() -> None:
    instance = read_instance(ct(element(0x00200011, "US", b"1\0")))

    assert instance.series_number is None
    assert instance.warnings == ("(0020,0011): stated as US, which is no text; not used",)


def test_a_study_whose_uid_is_stated_as_numbers_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        read_instance(part10(SOP_INSTANCE, element(0x0020000D, "US", b"1.23")))

    assert refused.value.code == "dicom-no-study-instance-uid"


def test_a_value_of_undefined_length_is_no_text() -> None:
    instance = read_instance(
        ct(element(0x00100020, "UN", b"12345678" + SEQUENCE_END, length=UNDEFINED)), attributes=selection("PatientID")
    )

    assert instance.statement.patient.identifiers == ()
    assert instance.dicom == {}
    assert instance.warnings == (
        "(0010,0020): of undefined length, which no text is; not used",
        "(0010,0020): cannot be read; left out",
    )


@pytest.mark.parametrize("stated", ["\n A1\n", "A1\r", "\tA1\0\r\n", "\0A1"])
def test_white_space_around_an_identifier_is_no_part_of_it(stated: str) -> None:
    instance = read_instance(
        ct(
            element(0x00080050, "SH", stated),
            element(0x00100010, "PN", stated),
            element(0x00100020, "LO", stated),
            element(0x00101000, "LO", f"{stated}\\{stated}".replace("\0", "")),
            element(0x0020000E, "UI", "1.2\n"),
        )
    )
    statement = instance.statement

    assert statement.accession_number == Identifier("A1", "00080050")
    assert [identifier.value for identifier in statement.patient.identifiers] == ["A1", "A1", "A1"]
    assert statement.patient.names == (PersonName("A1"),)
    assert instance.series_instance_uid == "1.2"
    assert instance.warnings == ()


def test_an_identifier_whose_issuer_is_stated_in_several_ways_is_not_used() -> None:
    one, other = (item(element(0x00400031, "UT", name)) for name in ("X1", "X2"))
    types = (item(element(0x00400035, "CS", name)) for name in ("MR", "PI"))
    instance = read_instance(
        ct(
            element(0x00080050, "SH", "A1"),
            sequence(0x00080051, one, other),
            element(0x00100020, "LO", "4711"),
            sequence(0x00100024, *types),
            sequence(0x00400275, item(element(0x00402016, "LO", "P1"), sequence(0x00400026, one, item()))),
        )
    )
    statement = instance.statement

    assert (statement.accession_number, statement.patient.identifiers, statement.requests) == (None, (), ())
    assert instance.warnings == tuple(
        f"{place}: not used, as its issuer is stated in several ways"
        for place in ("(0008,0050)", "(0040,0275)[1] > (0040,2016)", "(0010,0020)")
    )


def test_an_issuer_that_is_stated_twice_alike_is_that_issuer() -> None:
    issuer = item(element(0x00400031, "UT", "X1"))
    instance = read_instance(ct(element(0x00080050, "SH", "A1"), sequence(0x00080051, issuer, issuer)))

    assert instance.statement.accession_number == Identifier("A1", "00080050", Issuer("X1", None, None))
    assert instance.warnings == ()
