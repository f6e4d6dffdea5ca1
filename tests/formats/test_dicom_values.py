"""Values are decoded as their character set and VR say, and what is odd about one is kept out of the way."""

import math
import struct
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicom_bytes import ct, element, implicit, item, part10, sequence

from bridge.core.errors import ConfigError
from bridge.core.model import PersonName
from bridge.formats.dicom_elements import DataSet
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.dicom_values import attribute_tag, json_model, person_names, with_creators

SHIPPED = Path(pydicom.__file__).parent / "data"
BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def data_set(*elements: bytes) -> DataSet:
    return read_part10(ct(*elements))[1]


def json_of(*elements: bytes) -> dict[str, Any]:
    body = data_set(*elements)
    return json_model(body, sorted(set(body.elements) - {0x00080016, 0x00080018, 0x0020000D}))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("chrArab.dcm", PersonName("قباني^لنزار")),
        ("chrFren.dcm", PersonName("Buc^Jérôme")),
        ("chrGerm.dcm", PersonName("Äneas^Rüdiger")),
        ("chrGreek.dcm", PersonName("Διονυσιος")),
        ("chrH31.dcm", PersonName("Yamada^Tarou", "山田^太郎", "やまだ^たろう")),
        ("chrH32.dcm", PersonName("ﾔﾏﾀﾞ^ﾀﾛｳ", "山田^太郎", "やまだ^たろう")),  # half-width, JIS X 0201
        ("chrHbrw.dcm", PersonName("שרון^דבורה")),
        ("chrI2.dcm", PersonName("Hong^Gildong", "洪^吉洞", "홍^길동")),
        ("chrJapMultiExplicitIR6.dcm", PersonName("やまだ^たろう")),
        ("chrKoreanMulti.dcm", PersonName("김희중")),
        ("chrRuss.dcm", PersonName("Люкceмбypг")),  # noqa: RUF001 - Cyrillic it is
        ("chrX1.dcm", PersonName("Wang^XiaoDong", "王^小東")),
        ("chrX2.dcm", PersonName("Wang^XiaoDong", "王^小东")),
    ],
)
def test_a_name_in_any_character_set_is_unicode(file: str, name: PersonName) -> None:
    _, header = read_part10((SHIPPED / "charset_files" / file).read_bytes())

    assert person_names(header, 0x00100010) == (name,)


def test_a_delimiter_in_a_name_ends_the_switch_to_another_character_set() -> None:
    raw = b"\x1b-L" + "Иван".encode("iso8859_5") + b"^J\xe9r\xf4me=\xe9"
    header = data_set(
        element(0x00080005, "CS", "ISO 2022 IR 100\\ISO 2022 IR 144"),
        element(0x00100010, "PN", raw),
    )

    assert person_names(header, 0x00100010) == (PersonName("Иван^Jérôme", "é"),)


@pytest.mark.parametrize("file", ["chrSQEncoding.dcm", "chrSQEncoding1.dcm"])
def test_an_item_has_its_own_character_set_or_that_of_its_parent(file: str) -> None:
    _, header = read_part10((SHIPPED / "charset_files" / file).read_bytes())
    (requested_procedure,) = header.items(0x00321064)

    assert person_names(requested_procedure, 0x00100010)[0].ideographic == "山田^太郎"


@pytest.mark.parametrize(
    ("vr", "raw", "values"),
    [
        ("LO", b" a\\b \\\\c ", ["a", "b", None, "c"]),
        ("LT", b" one\\value ", [" one\\value"]),
        ("UI", b"1.2\0", ["1.2"]),
        ("DS", b"0.5\\512 \\-1e-3", [0.5, 512, -0.001]),
        ("DS", b"1,5 \\1e999\\12345678901234567", ["1,5", "1e999", "12345678901234567"]),
        ("IS", b"7 \\1.5", [7, "1.5"]),
        ("PN", b"Doe^Jane==Phone\\ ", [{"Alphabetic": "Doe^Jane", "Phonetic": "Phone"}, None]),
        ("AT", b"\x10\x00\x20\x00", ["00100020"]),
        ("US", struct.pack("<2H", 1, 65535), [1, 65535]),
        ("SS", struct.pack("<h", -1), [-1]),
        ("SV", struct.pack("<q", -(2**63)), [-(2**63)]),
        ("FL", struct.pack("<2f", 0.5, math.nan), [0.5, None]),
    ],
)
def test_each_vr_has_its_json_form(vr: str, raw: bytes, values: list[Any]) -> None:
    assert json_of(element(0x00081030, vr, raw)) == {"00081030": {"vr": vr, "Value": values}}


def test_an_empty_value_has_no_value() -> None:
    assert json_of(
        element(0x00080050, "SH", ""),
        element(0x00081030, "LO", "  "),
        sequence(0x00081140),
    ) == {"00080050": {"vr": "SH"}, "00081030": {"vr": "LO"}, "00081140": {"vr": "SQ"}}


@pytest.mark.parametrize(
    "odd",
    [
        element(0x00081030, "OB", b"\1\2"),
        element(0x00091030, "UN", b"\1\2"),
        element(0x00081030, "FD", b"\1\2\3\4"),
        element(0x00081030, "SQ", b"no items"),
        element(0x0008FFFF, "ZZ", b"odd "),
    ],
)
def test_what_is_binary_or_odd_is_left_out(odd: bytes) -> None:
    assert json_of(odd, element(0x00080050, "SH", "A1")) == {"00080050": {"vr": "SH", "Value": ["A1"]}}


@pytest.mark.parametrize("vr", ["UN", "ZZ"])
def test_a_vr_that_says_nothing_is_looked_up(vr: str) -> None:
    assert json_of(element(0x00081030, vr, b"Head"), element(0x00100010, vr, "Doe^Jane")) == {
        "00081030": {"vr": "LO", "Value": ["Head"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
    }


def test_private_elements_inside_a_sequence_are_left_out() -> None:
    nested = sequence(0x00081140, item(element(0x00081155, "UI", "1.2"), element(0x00091001, "LO", "private")))

    assert json_of(nested) == {"00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}


def test_the_character_set_of_what_is_published_is_utf_8() -> None:
    assert json_of(element(0x00080005, "CS", "ISO_IR 100"), element(0x00081030, "LO", b"Sch\xe4del")) == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00081030": {"vr": "LO", "Value": ["Schädel"]},
    }


def test_implicit_vr_is_looked_up_private_ones_by_their_creator() -> None:
    body = part10(
        data_set=b"".join(
            (
                implicit(0x00080018, "1.2.3.4 "),
                implicit(0x00190010, "GEMS_ACQU_01"),
                implicit(0x00191002, struct.pack("<L", 912)),
                implicit(0x00280103, b"\1\0"),
                implicit(0x00280106, b"\xff\xff"),
            )
        ),
        transfer_syntax="1.2.840.10008.1.2",
    )

    assert json_model(read_part10(body)[1], with_creators([0x00191002, 0x00280106])) == {
        "00190010": {"vr": "LO", "Value": ["GEMS_ACQU_01"]},
        "00191002": {"vr": "SL", "Value": [912]},
        "00280106": {"vr": "SS", "Value": [-1]},
    }


@pytest.mark.parametrize(
    "file", ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_expb.dcm", "reportsi.dcm", "rtplan.dcm", "test-SR.dcm"]
)
def test_pydicom_writes_the_same_json(file: str) -> None:
    path = SHIPPED / "test_files" / file
    _, header = read_part10(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = public(pydicom.dcmread(path, stop_before_pixels=True).to_json_dict())

    ours = public(json_model(header, list(header.elements)))

    assert len(ours) > 20
    assert ours == expected


def public(model: dict[str, Any]) -> dict[str, Any]:
    """Of a JSON model, what both sides hold: no private, binary or character set attributes, sequences likewise."""
    kept = {}
    for tag, attribute in sorted(model.items()):
        if attribute["vr"] in BINARY or int(tag, 16) >> 16 & 1 or tag == "00080005":
            continue
        values = attribute.get("Value", [])
        kept[tag] = {"vr": str(attribute["vr"]), "Value": [public(v) if attribute["vr"] == "SQ" else v for v in values]}
    return kept


@pytest.mark.parametrize("name", ["PatientID", "00100020", "(0010,0020)", "0010,0020", "(0010, 0020)"])
def test_an_attribute_is_named_by_keyword_or_tag(name: str) -> None:
    assert attribute_tag(name) == 0x00100020


@pytest.mark.parametrize("name", ["", "PatientNumber", "0010", "(0010,002G)", "00100020x"])
def test_what_names_no_attribute_is_a_mistake_in_the_channel(name: str) -> None:
    with pytest.raises(ConfigError):
        attribute_tag(name)


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "published"),
    [
        (0x00080050, "SH", b"\tA1\0\r\n", "A1"),
        (0x00080120, "UR", b"\nhttp://pacs\n", "http://pacs"),
        (0x00104000, "LT", b"\n\tone\r\n two\n", "\n\tone\r\n two\n"),
        (0x00081080, "ST", b" one\n", " one\n"),
        (0x00200013, "IS", b"1\n", "1\n"),
    ],
)
def test_white_space_is_published_only_where_it_means_something(tag: int, vr: str, raw: bytes, published: str) -> None:
    assert json_of(element(tag, vr, raw))[f"{tag:08X}"]["Value"] == [published]
