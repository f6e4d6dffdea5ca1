"""The DICOM JSON Model says of an object what its DICOM file says."""

import base64
import json
import tracemalloc
import warnings
from contextlib import suppress
from typing import Any

import pytest
from dicom_serialisations import CORPUS, Sample, comparable, corpus, instance_of
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Identifier, Instance, PersonName
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_json import objects, part10
from bridge.formats.dicom_part10 import read_part10

UIDS = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
    "00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
}


def ct(**attributes: Any) -> bytes:
    """A CT object with these attributes, called by keyword."""
    return json.dumps({**UIDS, **attributes}).encode()


def with_instance_number(value: str) -> bytes:
    """A CT object whose Instance Number has this JSON as its one value."""
    return ct().removesuffix(b"}") + b', "00200013": {"vr": "IS", "Value": [%s]}}' % value.encode()


def read(body: bytes, *attributes: str) -> Instance:
    return instance_of(part10(body), attributes)


def refusal(body: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        part10(body, limits)
    return refused.value.code, refused.value.reason


def test_what_the_json_says_is_read() -> None:
    request = {
        "00400009": {"vr": "SH", "Value": ["SPS1"]},
        "00080050": {"vr": "SH", "Value": ["A1005"]},
        "00080051": {"vr": "SQ", "Value": [{"00400031": {"vr": "UT", "Value": ["RIS"]}}]},
    }
    instance = read(
        ct(
            **{
                "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
                "00080060": {"vr": "CS", "Value": ["CT"]},
                "00100010": {
                    "vr": "PN",
                    "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东", "Phonetic": ""}],
                },
                "00100020": {"vr": "LO", "Value": ["42"]},
                "00100030": {"vr": "DA", "Value": ["19700102"]},
                "00201002": {"vr": "IS", "Value": [1, "2", None]},
                "00280030": {"vr": "DS", "Value": [0.5, "0.50"]},
                "00400275": {"vr": "SQ", "Value": [request, None, {}]},
            }
        ),
        "00201002",
        "PixelSpacing",
        "RequestAttributesSequence",
    )

    assert instance.sop_instance_uid == "1.2.3.4.5"
    assert instance.sop_class_name == "CT Image Storage"
    assert instance.transfer_syntax_uid is None
    statement = instance.statement
    assert statement.study_instance_uid == "1.2.3"
    assert statement.modality == "CT"
    assert statement.patient.names == (PersonName("Wang^XiaoDong", "王^小东"),)
    assert statement.patient.identifiers == (Identifier("42", "00100020"),)
    assert statement.patient.birth_date == "1970-01-02"
    (stated,) = statement.requests
    assert stated.accession_number is not None
    assert stated.accession_number.where == "00400275[1].00080050"
    assert stated.accession_number.issuer is not None
    assert stated.accession_number.issuer.namespace_id == "RIS"
    assert instance.dicom["00201002"] == {"vr": "IS", "Value": [1, 2, None]}
    assert instance.dicom["00280030"] == {"vr": "DS", "Value": [0.5, 0.5]}
    assert instance.dicom["00400275"] == {"vr": "SQ", "Value": [request, {}, {}]}


@pytest.mark.parametrize(
    ("value", "raw", "integer", "status"),
    [
        ("1", "1", 1, "valid"),
        ('"1 "', "1 ", 1, "valid"),
        ('"01"', "01", 1, "valid"),
        ("-0", "-0", 0, "valid"),
        ("2147483648", "2147483648", None, "invalid"),
        ("1.5", "1.5", None, "invalid"),
        ("1.0", "1.0", None, "invalid"),
        ("1e3", "1e3", None, "invalid"),
        ("true", "true", None, "invalid"),
        ('"1\\\\2"', "1\\2", None, "invalid"),
        ("1, 2", "1\\2", None, "invalid"),
        ("null", "", None, "empty"),
        ('""', "", None, "empty"),
        ("", "", None, "empty"),
    ],
)
def test_instance_number_is_what_the_json_says(value: str, raw: str, integer: int | None, status: str) -> None:
    number = read(with_instance_number(value)).instance_number

    assert (number.raw, number.value, number.status) == (raw, integer, status)


def test_a_name_can_be_plain_text() -> None:
    names = read(ct(PatientName={"vr": "PN", "Value": ["Doe^Jane=王", {"Phonetic": "x"}]})).statement.patient.names

    assert names == (PersonName("Doe^Jane", "王"), PersonName(phonetic="x"))


@pytest.mark.parametrize("key", ["00100020", "0010 0020", "PatientID"])
def test_an_attribute_is_called_by_its_tag_or_keyword(key: str) -> None:
    written = part10(ct(**{key: {"vr": "LO", "Value": ["42"]}}))
    identifiers = read_instance(written.body).statement.patient.identifiers

    if " " in key:
        assert identifiers == ()
        assert written.warnings == ("the object: a name in it is neither a tag nor a keyword; left out",)
    else:
        assert identifiers == (Identifier("42", "00100020"),)
        assert written.warnings == ()


def test_tags_are_read_in_any_case() -> None:
    body = ct().replace(b"0020000D", b"0020000d")

    assert read(body).statement.study_instance_uid == "1.2.3"


def test_a_missing_vr_is_the_dictionarys() -> None:
    private = {"00091027": {"Value": [862399669]}, "00090010": {"Value": ["GEMS_IDEN_01"]}}
    instance = read(
        ct(PatientID={"Value": ["42"]}, Rows={"Value": [512]}, RequestAttributesSequence={"Value": [{}]}, **private),
        "Rows",
        "RequestAttributesSequence",
        "00091027",
    )

    assert instance.statement.patient.identifiers == (Identifier("42", "00100020"),)
    assert instance.dicom["00280010"] == {"vr": "US", "Value": [512]}
    assert instance.dicom["00400275"] == {"vr": "SQ", "Value": [{}]}
    assert instance.dicom["00091027"] == {"vr": "SL", "Value": [862399669]}


def test_a_private_sequence_without_vr_is_told_by_its_items() -> None:
    body = ct(**{"00091001": {"Value": [{"00080050": {"vr": "SH", "Value": ["A1"]}}]}})

    header = read_part10(part10(body).body)[1]
    assert [item.raw(0x00080050) for item in header.items(0x00091001)] == [b"A1"]


def test_numbers_can_be_text_and_not_finite() -> None:
    body = ct(**{"00280010": {"vr": "US", "Value": ["512"]}, "00189073": {"vr": "FD", "Value": ["NaN", 1.5, None]}})

    dicom = read(body, "00280010", "00189073").dicom
    assert dicom["00280010"] == {"vr": "US", "Value": [512]}
    assert dicom["00189073"] == {"vr": "FD", "Value": [None, 1.5, None]}


def test_binary_values_come_in_base64() -> None:
    private = base64.b64encode(struct_of("862399669")).decode()
    body = ct(
        **{"00090010": {"vr": "LO", "Value": ["GEMS_IDEN_01"]}, "00091027": {"vr": "UN", "InlineBinary": private}}
    )

    assert read(body, "00091027").dicom["00091027"] == {"vr": "SL", "Value": [862399669]}


def struct_of(number: str) -> bytes:
    return int(number).to_bytes(4, "little")


def test_a_sequence_in_a_un_stays_in_its_bytes() -> None:
    item = b"\xfe\xff\x00\xe0\x0a\0\0\0" + b"\x08\0\x50\0\x02\0\0\0A1"  # implicit VR little endian (PS3.5 6.2.2)
    body = ct(**{"00400275": {"vr": "UN", "InlineBinary": base64.b64encode(item).decode()}})

    (request,) = read(body).statement.requests
    assert request.accession_number == Identifier("A1", "00400275[1].00080050")


def test_bulk_data_that_is_only_referred_to_is_absent() -> None:
    written = part10(
        ct(
            PixelData={"vr": "OW", "BulkDataURI": "http://pacs/1"},
            EncapsulatedDocument={"vr": "OB", "BulkDataURI": "http://pacs/2"},
            InstanceNumber={"vr": "IS", "BulkDataURI": "http://pacs/3"},
        )
    )

    assert read_instance(written.body).instance_number.status == "absent"
    assert written.warnings == ("(0020,0013): only referred to (BulkDataURI); left out",)


def test_pixel_data_is_passed_over_whatever_it_is() -> None:
    assert part10(ct(PixelData={"vr": "OW", "InlineBinary": "?"})).warnings == ()


def test_the_transfer_syntax_is_the_one_stated() -> None:
    syntax = {"vr": "UI", "Value": ["1.2.840.10008.1.2"]}
    instance = read(ct(TransferSyntaxUID=syntax, AvailableTransferSyntaxUID=syntax), "AvailableTransferSyntaxUID")

    assert instance.transfer_syntax_uid == "1.2.840.10008.1.2"
    assert instance.warnings == ()
    assert instance.dicom["00083002"] == syntax


@pytest.mark.parametrize(
    ("attribute", "warning"),
    [
        ({"vr": "US", "Value": ["wide"]}, "not a value of VR US; left out"),
        ({"vr": "US", "Value": [1, None]}, "not a value of VR US; left out"),
        ({"vr": "OW", "Value": [1]}, "not a value of VR OW; left out"),
        ({"vr": "UN", "InlineBinary": "QUJ"}, "not base64; left out"),
        ({"vr": "UT", "Value": ["1" * 1001]}, "over the bound max_field_size; left out"),
        ({"vr": "LO", "InlineBinary": "1" * 1001}, "over the bound max_field_size; left out"),
    ],
)
def test_a_value_that_cannot_be_read_leaves_the_others_with_a_warning(attribute: Any, warning: str) -> None:
    body = ct(**{"00400275": {"vr": "SQ", "Value": [{"00186020": attribute}]}})
    written = part10(body, Limits(max_field_size=1000))

    assert written.warnings == (f"(0040,0275)[1] > (0018,6020): {warning}",)
    assert read_instance(written.body).sop_instance_uid == "1.2.3.4.5"


@pytest.mark.parametrize(
    "attribute",
    [
        '"42"',
        "[]",
        "null",
        '{"vr": 1}',
        '{"vr": "LO", "Value": "42"}',
        json.dumps({str(number): 42 for number in range(17)}),
        '{"vr": "LO", "Value": {"0": "42"}}',
        '{"vr": "LO", "Value": [["42"]]}',
        '{"vr": "LO", "Value": [{"Alphabetic": "42"}]}',
        '{"vr": "LO", "InlineBinary": 42}',
        '{"vr": "LO", "InlineBinary": "NDI=", "Value": ["42"]}',
        '{"vr": "PN", "Value": [{"Alphabetic": 42}]}',
        '{"vr": "SQ", "Value": ["42"]}',
        '{"vr": "SQ", "InlineBinary": "NDI="}',
        '{"vr": "LO", "Value": ["42"], "Value": ["42"]}',
        '{"vr": "PN", "Value": [{"Alphabetic": "4", "Alphabetic": "2"}]}',
    ],
)
def test_an_attribute_that_is_not_made_as_it_should_be_is_refused_with_its_tag(attribute: str) -> None:
    body = b'{"00400275": {"vr": "SQ", "Value": [{}, {"00100020": %s}]}}' % attribute.encode()
    code, reason = refusal(body)

    assert code == "dicom-malformed"
    assert reason.startswith("(0040,0275)[2] > (0010,0020) ")
    assert "42" not in reason


@pytest.mark.parametrize(
    "twice",
    [
        '"00100020": {"vr": "LO", "Value": ["1"]}, "00100020": {"vr": "LO", "Value": ["2"]}',
        '"0020000D": {"vr": "UI", "Value": ["1"]}, "0020000d": {"vr": "UI", "Value": ["2"]}',
        '"00100020": {"vr": "LO", "Value": ["1"]}, "PatientID": {"vr": "LO", "Value": ["2"]}',
    ],
)
def test_an_attribute_that_stands_twice_is_refused(twice: str) -> None:
    code, reason = refusal(f"{{{twice}}}".encode())

    assert code == "dicom-malformed"
    assert reason.endswith("stands twice with different values")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"00100020": ', "not JSON, or cut short"),
        (b'{"00100020": {"vr": "LO", "Value": [42,]}}', "not JSON near byte 39"),
        (b'{"00100020": {"vr": "FD", "Value": [NaN]}}', "not JSON near byte 36"),
        (b'{"00100020": {}} 42', "not JSON near byte 18"),
        (b'{"00100020": {"vr": "LO", "Value": ["\\ud83d"]}}', "not JSON, or cut short"),
        (b'{"0010\xff": {}}', "not JSON, or cut short"),
        (b"[]", "the body is not a JSON object"),
        (b"42", "the body is not a JSON object"),
    ],
)
def test_what_is_not_json_is_refused_with_its_position(body: bytes, reason: str) -> None:
    assert refusal(body) == ("dicom-json-malformed", reason)


def test_text_that_is_not_utf8_is_refused_with_its_tag() -> None:
    body = '{"00100020": {"vr": "LO", "Value": ["Größe"]}}'.encode("latin-1")

    assert refusal(body) == ("dicom-malformed", "(0010,0020) is not made as the DICOM JSON Model has it")


@pytest.mark.parametrize(
    "body",
    [
        b'{"00400275": {"vr": "SQ", "Value": [' * 4 + b"{}" + b"]}}" * 4,
        b'{"00400275": ' * 100_000,
        b'{"00400275": {"vr": "SQ", "Value": ' + b"[" * 100_000,
        b'{"00400275": {"vr": "SQ", "Value": [' * 200 + b"{}" + b"]}}" * 200,
    ],
)
def test_nesting_is_bounded(body: bytes) -> None:
    assert refusal(body, Limits(max_nesting=3))[0] == "max-nesting"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({f"{tag:08X}": {} for tag in range(0x00100001, 0x00100005)}),
        json.dumps({"00400275": {"vr": "SQ", "Value": [None] * 4}}),
        json.dumps({"00400275": {"vr": "SQ", "Value": [{}] * 20}}),
        json.dumps({"00400275": {"vr": "SQ", "Value": [{str(number): 1 for number in range(4)}]}}),
    ],
)
def test_elements_are_bounded(body: str) -> None:
    assert refusal(body.encode(), Limits(max_elements=3))[0] == "max-elements"


def test_one_object_is_itself() -> None:
    body = b' {"00100020": {}}'

    assert objects(body, None) == [body]


def test_an_array_is_its_objects_as_they_stand() -> None:
    assert objects(b'[{"a": 1.50}, {} ,{"b":[{}]}]', None) == [b'{"a": 1.50}', b"{}", b'{"b":[{}]}']
    assert objects(b" [ ] ", None) == []


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_objects_are_utf8_whatever_they_came_in(codec: str) -> None:
    text = '[{"00100010": "Größe"}]'
    mark = "\ufeff" if codec == "utf-16-be" else ""

    assert objects((mark + text).encode(codec), "ISO-8859-1") == [text[1:-1].encode()]


def test_a_stated_charset_holds_where_the_bytes_are_not_utf8() -> None:
    text = '{"00100010": "Größe"}'

    assert objects(text.encode("latin-1"), "ISO-8859-1") == [text.encode()]
    assert objects(text.encode(), "ISO-8859-1") == [text.encode()]


@pytest.mark.parametrize(
    ("body", "charset", "reason"),
    [
        (b"", None, "the body is neither a JSON object nor an array of them"),
        (b'"42"', None, "the body is neither a JSON object nor an array of them"),
        (b"[{}, 42]", None, "element 2 of the array is not an object"),
        (b"[{}, [{}]]", None, "element 2 of the array is not an object"),
        (b"[{}, {]", None, "not JSON near byte 6"),
        (b"[{}", None, "not JSON, or cut short"),
        (b"\xff\xfe{\0\x00\xd8", None, "byte 4 is not text in the character set of the JSON"),
        (b'{"\xff"}', "us-ascii", "byte 2 is not text in the character set of the JSON"),
    ],
)
def test_a_body_that_holds_no_objects_is_refused(body: bytes, charset: str | None, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        objects(body, charset)
    assert (refused.value.code, refused.value.reason) == ("dicom-json-malformed", reason)


def test_an_array_is_bounded() -> None:
    with pytest.raises(Invalid, match="max-messages"):
        objects(b"[{},{},{}]", None, Limits(max_messages=2))
    with pytest.raises(Invalid, match="max-nesting"):
        objects(b'[{"a":' * 100_000, None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"00400275": {"vr": "SQ", "Value": [' + b"{}," * 300_000 + b"{}]}}",
        b'{"00100020": {"vr": "LO", "Value": [' + b"1," * 500_000 + b"1]}}",
        b'{"00420011": {"vr": "OB", "InlineBinary": "' + b"A" * 1_000_000 + b'"}}',
        b'{"00100020": {' + b'"a": 1,' * 150_000 + b'"a": 1}}',
        b"{" + b",".join(b'"%08X":{}' % tag for tag in range(0x00100000, 0x00100000 + 80_000)) + b"}",
        b"[" + b"{}," * 300_000 + b"{}]",
    ],
)
def test_what_is_refused_or_left_out_takes_little_memory(body: bytes) -> None:
    limits = Limits(max_elements=1000, max_field_size=10_000)
    tracemalloc.start()
    try:
        with suppress(Invalid):
            part10(objects(body, None, limits)[0], limits)
        assert tracemalloc.get_traced_memory()[1] < len(body)
    finally:
        tracemalloc.stop()


# What pydicom cannot write as JSON, or reads otherwise than we do.
NOT_WRITTEN = {"GH195.dcm", "badVR.dcm", "GH364.dcm"}  # an odd DS, an odd IS, a delimiter among the elements
READ_OTHERWISE = {
    "GH179A.dcm",  # an element that lost its length
    "chrGB2312.dcm",  # pydicom leaves the escape sequence of ISO 2022 IR 58 in the name
}


@pytest.mark.skipif(not CORPUS.exists(), reason="the real files are not beside the repository")
def test_every_file_of_the_corpus_reads_the_same_from_the_json_that_pydicom_writes() -> None:
    compared = 0
    for sample in corpus():
        body = to_json(sample)
        assert (body is None) == (sample.name in NOT_WRITTEN), sample.name
        if body is None or sample.name in READ_OTHERWISE:
            continue
        written = part10(body)
        assert written.warnings == (), sample.name
        ours, theirs = (
            comparable(instance, without=("transferSyntaxUID", "instanceNumber"))
            for instance in (instance_of(written, sample.attributes), sample.instance)
        )
        assert ours == theirs, sample.name
        number, expected = read_instance(written.body).instance_number, sample.instance.instance_number
        assert (number.value, number.status) == (expected.value, expected.status), sample.name
        compared += 1
    assert compared > 300


def to_json(sample: Sample) -> bytes | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return str(sample.data_set.to_json()).encode()
        except (ValueError, NotImplementedError):
            return None


tags = st.sampled_from(["00080018", "0020000d", "00100010", "00200013", "00400275", "00091001", "PatientID", "", "7"])
vrs = st.sampled_from(["UI", "PN", "IS", "SQ", "LO", "US", "FD", "AT", "OB", "UN", "XX"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
jsons = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(tags, inner, max_size=3)
        | st.fixed_dictionaries(
            {}, optional={"vr": vrs | scalars, "Value": st.lists(inner, max_size=3), "InlineBinary": scalars}
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(tags, jsons, max_size=6))
def test_any_json_is_read_or_refused(attributes: dict[str, Any]) -> None:
    body = json.dumps({**UIDS, **attributes}).encode()
    with suppress(Invalid):
        read(body, "00400275", "00091001", "PatientID")


@given(st.text(), st.sampled_from(["LO", "UT", "UN"]))
def test_text_is_written_as_it_stands(value: str, vr: str) -> None:
    try:
        expected = value.encode()
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return
    written = part10(json.dumps({"00091001": {"vr": vr, "Value": [value]}}).encode())

    assert read_part10(written.body)[1].raw(0x00091001) == expected


@pytest.mark.parametrize("value", ["7", "1.2E+5", "true", "false", '"A", 7', "null, 7"])
@pytest.mark.parametrize("vr", ["LO", "DS", "US", "UN"])
def test_a_number_never_becomes_an_identifier(value: str, vr: str) -> None:
    attributes = f'"00100020": {{"vr": "{vr}", "Value": [{value}]}}, "00080050": {{"Value": [ {value} ]}}'
    body = ct().removesuffix(b"}") + f", {attributes}}}".encode()
    instance = read(body)

    assert instance.statement.patient.identifiers == ()
    assert instance.statement.accession_number is None
    assert part10(body).warnings == tuple(
        f"{place}: a number or truth value in the place of text; left out" for place in ("(0008,0050)", "(0010,0020)")
    )


def test_a_number_never_becomes_a_name() -> None:
    assert read(ct(PatientName={"vr": "PN", "Value": [7]})).statement.patient.names == ()


@pytest.mark.parametrize("tag", ["00080018", "0020000D"])
def test_an_object_whose_uid_is_a_number_is_refused(tag: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(ct(**{tag: {"vr": "UI", "Value": [1.2]}}))

    assert refused.value.code in ("dicom-no-sop-instance-uid", "dicom-no-study-instance-uid")


def test_a_text_without_a_value_is_empty_however_it_is_spaced() -> None:
    assert part10(ct().removesuffix(b"}") + b', "00100020": {"vr": "LO", "Value": [ ]}}').warnings == ()


@pytest.mark.parametrize(("vr", "value"), [("US", "49"), ("AT", "31323334"), ("UL", "875770417")])
def test_digits_that_are_stated_as_binary_never_become_an_identifier(vr: str, value: str) -> None:
    instance = read(ct(PatientID={"vr": vr, "Value": [value]}))

    assert instance.statement.patient.identifiers == ()
    assert instance.warnings == (f"(0010,0020): stated as {vr}, which is no text; not used",)


@pytest.mark.parametrize(
    "stated",
    [
        {"vr": "CS", "Value": [True]},
        {"vr": "CS", "Value": ["YES", ""]},
        {"vr": "CS", "BulkDataURI": "http://pacs/1"},
        {"vr": "UN", "BulkDataURI": "http://pacs/1"},
        {"vr": "CS", "InlineBinary": "?"},
        {"vr": "US", "Value": ["YES"]},
        {"vr": "US", "Value": ["0"]},
        {"vr": "SQ", "Value": [{}]},
    ],
)
def test_patient_identity_counts_as_removed_where_the_json_does_not_say_no(stated: dict[str, Any]) -> None:
    instance = read(ct(PatientIdentityRemoved=stated))

    assert instance.statement.patient_identity_removed
    assert "(0012,0062): neither YES nor NO; taken as YES" in instance.warnings


@pytest.mark.parametrize("stated", [{"vr": "CS"}, {"vr": "CS", "Value": [None]}, {"vr": "CS", "Value": ["NO\n"]}])
def test_patient_identity_is_not_removed_where_the_json_says_no_or_nothing(stated: dict[str, Any]) -> None:
    assert not read(ct(PatientIdentityRemoved=stated)).statement.patient_identity_removed


@pytest.mark.parametrize(
    "stated",
    [{"vr": "LO", "value": ["ZZZ"]}, {"VR": "LO", "Values": ["ZZZ"]}, {"vr": "LO", "Value": None, "value": ["Z"]}],
)
def test_an_attribute_whose_value_is_misspelled_is_refused(stated: dict[str, Any]) -> None:
    assert refusal(ct(**{"00100020": stated})) == (
        "dicom-malformed",
        "(0010,0020) has members that the DICOM JSON Model has not, and no value",
    )


def test_a_name_whose_component_group_is_misspelled_is_refused() -> None:
    assert refusal(ct(PatientName={"vr": "PN", "Value": [{"alphabetic": "Doe^Jane"}]}))[0] == "dicom-malformed"
