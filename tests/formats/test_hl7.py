"""The field index: every value at its place, whatever the delimiters, line ends, framing and character set."""

import pytest

from bridge.core.errors import Invalid
from bridge.formats.hl7 import HL7_NULL, parse, parse_path

HEADER = rb"MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01^ORM_O01|C1|P|2.5.1"


def message(*lines: bytes, header: bytes = HEADER, end: bytes = b"\r") -> bytes:
    return end.join((header, *lines)) + end


def declaring(charset: bytes) -> bytes:
    return HEADER + b"||||||" + charset


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("PID-3", "A1"),
        ("PID-3.1", "A1"),
        ("PID-3.4", "HOSP"),
        ("PID-3.4.1", "HOSP"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3.4.3", "ISO"),
        ("PID-3.4.4", None),
        ("PID-3.5", "MR"),
        ("PID-3[2]", "B2"),
        ("PID-3[2].4.1", "SSA"),
        ("PID-3[3]", None),
        ("PID-5.2", "Jane"),
        ("PID-2", None),
        ("PID-99", None),
        ("PID[2]-3", None),
        ("ORC-3", "F1"),
        ("ORC[2]-3", "F2"),
        ("ZZ1-2", "kept"),
        ("QQQ-1", "kept too"),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-2.2", None),
        ("MSH-3", "RIS"),
        ("MSH-9.2", "O01"),
        ("MSH-12", "2.5.1"),
    ],
)
def test_a_path_counts_from_one_and_what_it_leaves_out_is_the_first(path: str, value: str | None) -> None:
    read = parse(
        message(
            b"PID|1||A1^^^HOSP&1.2.3&ISO^MR~B2^^^SSA^SS||Doe^Jane",
            b"ORC|NW||F1",
            b"ORC|NW||F2",
            b"ZZ1||kept",
            b"QQQ|kept too",
        )
    )
    assert read.value(path) == value


def test_segments_keep_their_order_and_none_is_dropped() -> None:
    read = parse(message(b"PID|1", b"ZDS|1.2.3", b"XYZ", b"ORC|NW", b"ZDS|1.2.4"))
    assert [segment.path for segment in read.segments] == ["MSH", "PID", "ZDS", "XYZ", "ORC", "ZDS[2]"]
    assert [segment.value(1) for segment in read.named("ZDS")] == ["1.2.3", "1.2.4"]


@pytest.mark.parametrize("path", ["", "PID", "PID-0", "PID-3[0]", "pid-3", "PID-3.1.1.1", "PID-", "PID-3 ", "PIDX-3"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not an HL7 path"):
        parse_path(path)


def test_a_deleted_value_is_not_an_absent_one() -> None:
    read = parse(message(b'PID|""||""^^^HOSP|  |'))
    assert read.value("PID-1") == HL7_NULL
    assert read.value("PID-3") == HL7_NULL
    assert read.value("PID-2") is None
    assert read.value("PID-5") is None


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\r\r\n\n"])
def test_any_line_end_separates_segments(end: bytes) -> None:
    read = parse(message(b"PID|1||A1", b"ORC|NW", end=end))
    assert [segment.name for segment in read.segments] == ["MSH", "PID", "ORC"]
    assert read.warnings == ()


def test_mixed_line_ends_a_missing_last_one_and_indentation_are_tolerated() -> None:
    read = parse(HEADER + b"\nPID|1||A1\r\n\n  ORC|NW\rZDS|1.2.3")
    assert [segment.name for segment in read.segments] == ["MSH", "PID", "ORC", "ZDS"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"\x0b", b"\x1c\r"), (b"\xef\xbb\xbf", b""), (b"\x0b\xef\xbb\xbf", b"\x1c"), (b"\r\n\r\n", b"\0\0")],
)
def test_mllp_framing_and_a_byte_order_mark_are_no_part_of_the_message(before: bytes, after: bytes) -> None:
    read = parse(before + message(b"PID|1||A1") + after)
    assert read.value("MSH-3") == "RIS"
    assert len(read.segments) == 2
    assert read.warnings == ()


def test_a_line_break_that_a_sender_did_not_escape_stays_inside_its_value() -> None:
    read = parse(message(b"PID|1||A1||Society\r e.V.^Tyson||20200101", b"ORC|NW"))
    assert read.value("PID-5") == "Society\ne.V."
    assert read.value("PID-5.2") == "Tyson"
    assert read.value("PID-7") == "20200101"
    assert [segment.name for segment in read.segments] == ["MSH", "PID", "ORC"]
    assert read.warnings == ("lines that are no segments: 1, read as line breaks in the segments before them",)


@pytest.mark.parametrize(
    ("separators", "line", "value"),
    [
        (rb"|^~\&", rb"PID|1|a^b~c^d&e", "e"),
        (rb"|^~\&#", rb"PID|1|a^b~c^d&e", "e"),
        (rb"^~|\&", rb"PID^1^a~b|c~d&e", "e"),
        (rb"!$%?@", rb"PID!1!a$b%c$d@e", "e"),
        (rb"|^~\\&", rb"PID|1|a^b~c^d&e", "e"),
        (rb"|^~", rb"PID|1|a^b~c^d&e", "d&e"),
    ],
)
def test_the_message_names_its_own_delimiters(separators: bytes, line: bytes, value: str) -> None:
    separator = separators[:1]
    read = parse(b"MSH" + separators + separator + b"RIS\r" + line)
    assert read.value("MSH-3") == "RIS"
    assert read.value("PID-2[2].2.2" if value == "e" else "PID-2[2].2") == value


def test_a_message_with_nothing_but_a_component_separator_has_no_repetitions() -> None:
    assert parse(b"MSH|^|RIS\rPID|1|a^b~c").value("PID-2.2") == "b~c"


@pytest.mark.parametrize(
    "header",
    [
        b"MSH",
        b"MSH|",
        b"MSH||RIS",
        b"MSH|^^^^|RIS",
        b"MSH|^~r&|RIS",
        b"MSH ^~ RIS",
        b'MSH|^~\\"|RIS',
        b"MSH|^~\\&#!|RIS",
        b"MSHA^~\\&ARIS",
    ],
)
def test_delimiters_that_would_cut_values_are_refused(header: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        parse(header + b"\rPID|1")
    assert refused.value.code == "hl7-bad-msh"


def test_a_line_of_text_that_begins_like_a_segment_name_is_no_segment() -> None:
    read = parse(message(b"NTE|1||first\rSECOND line\rTHE|third\rPID: 4|", b"ORC|NW"))
    assert [segment.name for segment in read.segments] == ["MSH", "NTE", "THE", "ORC"]
    assert read.value("NTE-3") == "first\nSECOND line"


def test_blanks_at_the_end_of_a_line_belong_to_the_last_value() -> None:
    read = parse(message(b"NTE|1||a \t", b"NTE|2||b  "))
    assert [segment.value(3) for segment in read.named("NTE")] == ["a \t", "b  "]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (rb"a\P\b", "a#b"),
        (rb"a\.br\b", "a\nb"),
        (rb"a\.sp2\b\.sp\c", "a\n\nb\nc"),
        (rb"a\H\bold\N\b", "aboldb"),
        (rb"a\X41\b\X4243\c", "aAbBCc"),
        (rb"a\XC3BC\b", "a\u00fcb"),
        (rb"a\XFF\b", r"a\XFF\b"),
        (rb"a\X4\b", r"a\X4\b"),
        (rb"a\X00\b", "ab"),
        (rb"a\Zq\b\.ti3\c\C4142\d\M414243\e", r"a\Zq\b\.ti3\c\C4142\d\M414243\e"),
        (rb"C:\dir\file \T\ more", "C:\\dir\\file & more"),
        (rb"ends with \ ", "ends with \\ "),
        (rb"\E\T\E\ ", "\\T\\ "),
    ],
)
def test_escape_sequences_are_replaced_and_unknown_ones_are_kept(raw: bytes, value: str) -> None:
    read = parse(message(b"NTE|1||" + raw + b"|end", header=declaring(b"UNICODE UTF-8")))
    assert read.value("NTE-3") == value
    assert read.value("NTE-4") == "end"


def test_without_an_escape_character_a_backslash_is_text() -> None:
    assert parse(rb"MSH|^~|RIS" + b"\r" + rb"NTE|1||a\T\b").value("NTE-3") == r"a\T\b"


def test_an_escape_character_other_than_the_backslash_works_alike() -> None:
    assert parse(b"MSH|^~$&|RIS\rNTE|1||a$T$b\\T\\c").value("NTE-3") == "a&b\\T\\c"


@pytest.mark.parametrize(
    ("declared", "python", "text"),
    [
        (b"8859/1", "iso8859-1", "Müller"),
        (b"8859/2", "iso8859-2", "Łódź"),
        (b"8859/5", "iso8859-5", "Иванов"),
        (b"8859/15", "iso8859-15", "1 €"),
        (b"UNICODE UTF-8", "utf-8", "Müller 山田 Иванов"),
        (b"UTF-8", "utf-8", "Müller"),
        (b"utf8~8859/1", "utf-8", "Müller"),
        (b"UNICODE", "utf-8", "Müller"),
        (b"ISO IR6~ISO IR87", "iso2022_jp_2", "山田^太郎"),
        (b"~ISO IR87~ISO IR159", "iso2022_jp_2", "山田^太郎"),
        (b"GB 18030-2000", "gb18030", "王^小东"),
        (b"KS X 1001", "euc_kr", "김^희중"),
        (b"BIG-5", "big5", "功許"),  # its second bytes are a backslash and a bracket
        (b"ISO IR14", "shift_jis", "ﾔﾏﾀﾞ"),
        (b"WINDOWS-1252", "cp1252", "Weiß “x”"),
        (b"", "iso8859-1", "Müller"),
        (b"ASCII", "iso8859-1", "Müller"),
        (b"NOT A CHARSET", "iso8859-1", "Müller"),
        (b"UNICODE UTF-8", "iso8859-1", "Müller"),
    ],
)
def test_the_declared_character_set_is_read_or_else_the_channels(declared: bytes, python: str, text: str) -> None:
    read = parse(message(b"PID|1||A1||" + text.encode(python), header=declaring(declared)))
    family, _, given = text.partition("^")
    assert read.value("PID-5") == family
    assert read.value("PID-5.2") == (given or None)


def test_a_korean_designation_before_the_text_is_understood() -> None:
    body = message(b"PID|1||A1||\x1b$)C" + "김".encode("euc_kr"), header=declaring(b"ASCII~KS X 1001"))
    assert parse(body).value("PID-5") == "김"


@pytest.mark.parametrize("declared", [b"8859/1", b"ASCII", b""])
def test_utf_8_that_is_declared_otherwise_is_read_as_utf_8_with_a_warning(declared: bytes) -> None:
    read = parse(message("PID|1||A1||Müller".encode(), header=declaring(declared)))
    assert read.value("PID-5") == "Müller"
    assert [warning.split(":")[0] for warning in read.warnings] == ["MSH-18"]


def test_a_wrong_declaration_is_a_warning_and_the_channels_character_set_is_used() -> None:
    body = message("PID|1||A1||Łódź".encode("iso8859-2"), header=declaring(b"UNICODE UTF-8"))
    read = parse(body, charset="8859/2")
    assert read.value("PID-5") == "Łódź"
    assert [warning.split(":")[0] for warning in read.warnings] == ["MSH-18"]


def test_an_unknown_character_set_is_no_matter_as_long_as_the_text_is_ascii() -> None:
    assert parse(message(b"PID|1||A1", header=declaring(b"CAN"))).warnings == ()


@pytest.mark.parametrize("python", ["utf-16", "utf-16-le", "utf-16-be"])
def test_two_byte_unicode_is_recognised_by_its_first_bytes(python: str) -> None:
    read = parse(message("PID|1||A1||山田".encode()).decode().encode(python))
    assert read.value("PID-5") == "山田"


def test_a_hexadecimal_escape_is_in_the_messages_character_set() -> None:
    assert parse(message(rb"NTE|1||\XFC\ ", header=declaring(b"8859/1"))).value("NTE-3") == "ü "


def test_bytes_that_are_no_text_in_any_character_set_that_applies_are_refused() -> None:
    with pytest.raises(Invalid) as refused:
        parse(message(b"PID|1||A1||M\xfcller"), charset="UTF-8")
    assert refused.value.code == "hl7-undecodable"


def test_a_character_set_nobody_knows_is_refused_when_the_transport_names_it() -> None:
    with pytest.raises(Invalid) as refused:
        parse(message(b"PID|1"), charset="klingon")
    assert refused.value.code == "hl7-undecodable"


def test_what_an_engine_did_to_the_text_is_a_warning() -> None:
    body = message(b"OBX|1|ED|||${ATTACH:4f2a}", "PID|1||A1||M\0\ufffdller".encode())
    assert [warning.split(" ")[0] for warning in parse(body).warnings[1:]] == ["NUL", "U+FFFD", "an"]
    assert parse(body).value("PID-5") == "M\ufffdller"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "hl7-empty"),
        (b"\x0b\x1c\r", "hl7-empty"),
        (b" \r\n\r\n", "hl7-empty"),
        (b"PID|1||A1", "hl7-no-msh"),
        (b"PID|1\r" + HEADER, "hl7-no-msh"),
        (b"hello", "hl7-no-msh"),
        (b"\xff\xfe\xfd", "hl7-undecodable"),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + HEADER, "hl7-batch"),
        (HEADER + b"\r" + HEADER, "hl7-batch"),
        (b"\x0b" + HEADER + b"\r\x1c\r\x0b" + HEADER + b"\r\x1c\r", "hl7-batch"),
        (HEADER + b"\rBTS|1", "hl7-batch"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_code(body: bytes, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(body)
    assert refused.value.code == code


def test_a_body_of_very_many_short_lines_is_read_in_linear_time() -> None:
    read = parse(message(*[b"x"] * 300_000))
    assert len(read.segments) == 1
