"""Instance Number (0020,0013) is read from its bytes: what they write, or nothing."""

import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.core.instance_number import escape, parse_instance_number, unescape


def test_the_json_is_that_of_the_contract() -> None:
    number = parse_instance_number(b"1 ", "2")

    assert msgspec.json.encode(number) == (
        b'{"tag":"00200013","vr":"IS","raw":"1 ","value":1,"status":"valid","flags":[],'
        b'"requirement":{"type":"2","met":true}}'
    )


@pytest.mark.parametrize(
    ("raw", "value", "flags"),
    [
        (b"1 ", 1, ()),
        (b"21", 21, ()),
        (b"+5", 5, ()),
        (b"01", 1, ()),
        (b"0 ", 0, ()),
        (b"-0", 0, ()),
        (b"-3", -3, ()),
        (b"2147483647", 2147483647, ()),
        (b"-2147483648 ", -2147483648, ()),
        (b"000000000001", 1, ()),
        (b" 1", 1, ("padded",)),
        (b"1   ", 1, ("padded",)),
        (b"1\0", 1, ("null-padded",)),
        (b"1 \0\0", 1, ("null-padded",)),
        (b" 7\0\0", 7, ("null-padded", "padded")),
    ],
)
def test_a_legal_spelling_gives_its_integer_and_says_what_is_odd_about_it(
    raw: bytes, value: int, flags: tuple[str, ...]
) -> None:
    number = parse_instance_number(raw, None)

    assert (number.status, number.value, number.flags) == ("valid", value, flags)


@pytest.mark.parametrize(
    ("raw", "flags"),
    [
        (b"1.0", ("not-an-integer",)),
        (b"1.5", ("not-an-integer",)),
        (b"1e3 ", ("not-an-integer",)),
        (b"1_000 ", ("not-an-integer",)),
        (b"abc ", ("not-an-integer",)),
        (b"1,0 ", ("not-an-integer",)),
        (b"0x10", ("not-an-integer",)),
        (b"1 2 ", ("not-an-integer",)),
        (b"NaN ", ("not-an-integer",)),
        (b"inf ", ("not-an-integer",)),
        (b"1\t", ("not-an-integer",)),
        (b"\xef\xbc\x91 ", ("not-an-integer",)),  # a full-width 1
        (b"1\0 ", ("padded", "not-an-integer")),
        (b"+-1 ", ("not-an-integer",)),
        (b"- ", ("not-an-integer",)),
        (b"1\\2 ", ("multiple-values",)),
        (b"1\\", ("multiple-values",)),
        (b"2147483648", ("out-of-range",)),
        (b"-2147483649 ", ("out-of-range",)),
        (b"999999999999", ("out-of-range",)),
        (b"0000000000001 ", ("too-long",)),
        (b"1             ", ("too-long", "padded")),
        (b"99999999999999", ("too-long", "out-of-range")),
    ],
)
def test_anything_else_is_invalid_and_never_rounded(raw: bytes, flags: tuple[str, ...]) -> None:
    number = parse_instance_number(raw, None)

    assert (number.status, number.value, number.flags) == ("invalid", None, flags)


@pytest.mark.parametrize(("raw", "flags"), [(b"", ()), (b"  ", ("padded",)), (b"\0\0", ("null-padded",))])
def test_padding_alone_is_an_empty_value(raw: bytes, flags: tuple[str, ...]) -> None:
    number = parse_instance_number(raw, None)

    assert (number.status, number.value, number.flags) == ("empty", None, flags)


def test_an_absent_element_has_no_raw_value() -> None:
    number = parse_instance_number(None, None)

    assert (number.status, number.raw, number.value, number.flags) == ("absent", None, None, ())


@pytest.mark.parametrize(("vr", "value"), [("UN", 1), ("LO", None), ("US", None)])
def test_another_vr_is_flagged_and_only_un_is_read_as_text(vr: str, value: int | None) -> None:
    number = parse_instance_number(b"1 ", None, vr)

    assert (number.vr, number.value, number.flags) == (vr, value, ("vr-not-is",))


@pytest.mark.parametrize(
    ("requirement", "raw", "met"),
    [
        ("1", b"1 ", True),
        ("1", b"1.5 ", False),
        ("1", b"", False),
        ("1", None, False),
        ("2", b"1 ", True),
        ("2", b"", True),
        ("2", b"1.5 ", False),
        ("2", None, False),
        ("3", b"1.5 ", True),
        ("3", None, True),
        (None, b"1 ", None),
    ],
)
def test_whether_the_type_is_satisfied(requirement: str | None, raw: bytes | None, met: bool | None) -> None:
    number = parse_instance_number(raw, requirement)

    assert (number.requirement.type, number.requirement.met) == (requirement, met)


@st.composite
def legal_spellings(draw: st.DrawFn) -> tuple[int, bytes]:
    value = draw(st.integers(-(2**31), 2**31 - 1) | st.integers(-999, 999))
    sign = "-" if value < 0 else draw(st.sampled_from(["", "+"]))
    bare = sign + "0" * draw(st.integers(0, 11 - len(str(abs(value))))) + str(abs(value))
    room = 12 - len(bare)
    leading = draw(st.integers(0, max(room, 0)))
    trailing = draw(st.integers(0, max(room - leading, 0)))
    nulls = draw(st.integers(0, max(room - leading - trailing, 0)))
    return value, b" " * leading + bare.encode() + b" " * trailing + b"\0" * nulls


@given(legal_spellings())
def test_every_int32_in_any_legal_spelling_is_valid_with_that_value(spelling: tuple[int, bytes]) -> None:
    value, raw = spelling

    number = parse_instance_number(raw, "1")

    assert (number.status, number.value, number.requirement.met) == ("valid", value, True)


almost_numbers = st.text("0123456789+- .e\\\0", max_size=16).map(str.encode)


@given(st.binary(max_size=20) | almost_numbers)
@example(b"1\n")
def test_whatever_the_bytes_a_value_is_given_only_where_they_legally_write_it(raw: bytes) -> None:
    legal = re.fullmatch(rb" *([+-]?[0-9]+) *\x00*", raw) if len(raw) <= 12 else None
    expected = int(legal[1]) if legal and -(2**31) <= int(legal[1]) < 2**31 else None

    number = parse_instance_number(raw, None)

    assert number.value == expected
    assert (number.status == "valid") == (expected is not None)


@given(st.binary() | st.text("\\x0123456789abcdef\0é").map(str.encode))
def test_the_raw_text_is_printable_ascii_and_gives_every_byte_back(raw: bytes) -> None:
    text = parse_instance_number(raw, None).raw

    assert text is not None
    assert text.isascii()
    assert text.isprintable()
    assert unescape(text) == raw


def test_printable_bytes_stand_in_the_raw_text_as_they_are() -> None:
    assert escape(b"1\\2 ") == r"1\2 "
    assert escape(b"1\0") == r"1\x00"
    assert escape(b"\\x41") == r"\x5cx41"
