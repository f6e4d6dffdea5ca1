"""The field index: every value at its place, whatever the delimiters, line ends, framing and character set."""

import tracemalloc
from contextlib import suppress

import pytest

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats.hl7 import HL7_NULL, parse
from bridge.formats.hl7_paths import parse_path

MEBIBYTE = 1024 * 1024
FACTOR = 10  # of the message's size, beside 16 MiB
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
    assert read.warnings == ("PID: lines behind it that are no segments: 1, read as line breaks in it",)


def test_of_very_many_segments_with_line_breaks_in_them_only_the_first_are_named() -> None:
    read = parse(message(*[b"NTE|1||one\rtwo\rthree"] * 12))
    assert read.warnings[9:] == (
        "NTE[10]: lines behind it that are no segments: 2, read as line breaks in it",
        "lines that are no segments behind 2 further segments, likewise",
    )


@pytest.mark.parametrize(
    "line", [b"pid|1||A1", b"Obr|1", b"0BR|1", b"0rc|NW", b"zds|1.2.3", b"PID |1||A1", b"msh|^~\\&|"]
)
def test_a_line_that_may_be_a_damaged_segment_is_refused_with_its_place(line: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        parse(message(b"NTE|1||one\rtwo", b"", b"NTE|2||one", line, b"ORC|NW"))
    assert refused.value.code == "hl7-broken-segment"
    assert refused.value.reason == (
        "line 5 (empty ones not counted), behind NTE[2]: a damaged segment name, or the rest of a value"
    )


@pytest.mark.parametrize(
    "line", [b"the|end", b"000|0", b"to|||", b"8866|", b"pid 1", b"obr: 1|", b"|||", b"Zoom|1", b"PI|1"]
)
def test_a_line_that_is_like_no_segment_is_the_rest_of_a_value(line: bytes) -> None:
    read = parse(message(b"NTE|1||one", line, b"ORC|NW"))
    assert [segment.name for segment in read.segments] == ["MSH", "NTE", "ORC"]
    assert "\n" + line.decode() in "|".join(read.segments[1].fields)


def test_what_follows_the_end_block_of_mllp_is_left_out_with_a_warning() -> None:
    read = parse(b"\x0b" + message(b"PID|1||A1") + b"\x1c\r\xffgarbage \r\nmore\r\n\0")
    assert read.value("PID-3") == "A1"
    assert read.warnings == ("bytes behind MLLP's end block: 15, left out",)


def test_segments_that_follow_the_end_block_of_mllp_are_not_left_out() -> None:
    with pytest.raises(Invalid) as refused:
        parse(b"\x0b" + message(b"PID|1||A1") + b"\x1c\rORC|NW\r\x1c\r")
    assert refused.value.code == "hl7-broken-frame"


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
    [b"MSH", b"MSH|", b"MSH|^^^^|RIS", b"MSH|^&&^|RIS", b"MSH|0000|RIS", b"MSH^^~\\&^RIS", b"MSH^^RIS"],
)
def test_delimiters_that_are_not_distinct_are_refused(header: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        parse(header + b"\rPID|1")
    assert refused.value.code == "hl7-bad-msh"


@pytest.mark.parametrize(
    ("header", "path", "value"),
    [
        (b"MSH!$r?@!RIS!a$brc", "MSH-4.2", "b"),
        (b"MSH|^~r&|RIS|a^b", "MSH-4.2", "b"),
        (b'MSH|^~\\"|RIS|a"b', "MSH-4.1.2", "b"),
        (b"MSH ^~ RIS a^b", "MSH-4.2", "b"),
        (b"MSHA^~\\&ARISAa^b", "MSH-4.2", "b"),
        (b"MSH|^~\\&#!|RIS|a&b", "MSH-4.1.2", "b"),
        (b"MSH|^~^&|RIS|a^b", "MSH-4.2", "b"),
        (b"MSH||RIS|a^b&c~d", "MSH-4.2.2", "c"),  # by the recommended ones
        (b"MSH||RIS|a^b&c~d", "MSH-4[2]", "d"),
        ("MSH|^~§&|RIS|a§T§b".encode("iso8859-1"), "MSH-4", "a&b"),
    ],
)
def test_delimiters_that_nobody_should_use_are_read_and_marked(header: bytes, path: str, value: str) -> None:
    read = parse(header)
    assert read.odd_delimiters
    assert read.value("MSH-3") == "RIS"
    assert read.value(path) == value
    assert read.warnings == (
        "MSH-2: the delimiters are not one to five distinct punctuation marks; they may cut values",
    )


def test_usual_delimiters_are_not_odd() -> None:
    assert not parse(message()).odd_delimiters


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
        (rb"a\X00\b", "a\ufffdb"),
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


def test_what_an_engine_did_to_the_text_is_a_warning() -> None:
    body = message(b"OBX|1|ED|||${ATTACH:4f2a}", "PID|1||A1||M\0\ufffdller".encode())
    assert [warning.split(" ")[0] for warning in parse(body).warnings[1:]] == ["NUL", "U+FFFD", "an"]
    assert parse(body).value("PID-5") == "M\ufffd\ufffdller"


def test_a_nul_that_pads_is_left_out_and_one_inside_a_value_is_a_lost_character() -> None:
    read = parse(message(b"PID|1||12\x0034^^^H\0|\0x\0\0|\0\0"))
    assert [read.value(path) for path in ("PID-3", "PID-3.4", "PID-4", "PID-5")] == ["12\ufffd34", "H", "x", None]


@pytest.mark.parametrize("glued", ["ORC|NW|P1|F1{}PID|1||B1", "ZDS|1.2.3{}ZDS|4"])
def test_a_message_that_was_joined_to_another_without_a_line_end_is_refused(glued: str) -> None:
    header = HEADER.decode().strip()
    with pytest.raises(Invalid, match="hl7-batch"):
        parse(f"{header}\r{glued.format(header + chr(13))}".encode())


@pytest.mark.parametrize("sign", ["\xa0", "\u200b", '"', "#;"])
def test_a_segment_with_a_sign_ahead_is_refused_and_not_made_a_part_of_the_one_before(sign: str) -> None:
    with pytest.raises(Invalid, match="hl7-broken-segment"):
        parse(message(f"{sign}PID|1||A1".encode()), "UTF-8", "UTF-8")


def test_what_is_plainly_not_hl7_is_refused_before_it_costs_memory() -> None:
    body = b"A" * 10_000_000
    tracemalloc.start()
    try:
        with pytest.raises(Invalid, match="hl7-no-msh"):
            parse(body)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


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
    read = parse(message(*[b"x"] * 190_000))
    assert len(read.segments) == 1


@pytest.mark.parametrize(
    ("bound", "within", "over"),
    [
        ("max_segments", message(*[b"NTE|1"] * 19_999), message(*[b"NTE|1"] * 20_000)),
        ("max_fields", message(b"NTE" + b"|" * 199_000), message(b"NTE" + b"|" * 200_000)),
        ("max_fields", message(b"OBX|" + b"~" * 199_000), message(b"OBX|" + b"~" * 200_000)),
        ("max_fields", message(*[b""] * 199_000, b"PID"), message(*[b"\n"] * 100_000, b"PID")),
        ("max_fields", message(b"NTE|" + b"a\r" * 199_000), message(b"NTE|" + b"a\r" * 200_000)),
        ("max_field_size", message(b"OBX|5|" + b"x" * 4 * MEBIBYTE), message(b"OBX|5|" + b"x" * 5 * MEBIBYTE)),
    ],
)
def test_a_message_over_a_bound_is_refused_with_the_name_of_the_bound(bound: str, within: bytes, over: bytes) -> None:
    assert parse(within).value("MSH-3") == "RIS"
    with pytest.raises(Invalid) as refused:
        parse(over)
    assert refused.value.code == bound.replace("_", "-")
    assert refused.value.reason == f"over the bound {bound} of {getattr(DEFAULT_LIMITS, bound)}"


@pytest.mark.parametrize("bound", ["max_segments", "max_fields", "max_field_size"])
def test_each_bound_is_a_setting(bound: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(message(b"PID|1"), limits=Limits(**{bound: 1}))
    assert refused.value.code == bound.replace("_", "-")


@pytest.mark.parametrize(
    ("repeated", "text"),
    [
        (b"|", ""),
        (b"~", ""),
        (b"\r", ""),
        (b"^", ""),
        (b"ab^", ""),
        (b"ab&", ""),
        (b"x", ""),
        (b"x\r", ""),
        (b"NTE|1\r", ""),
        (b"ab|", ""),
        (b"x" * 2000 + b"\r\n", ""),
        (b"x" * 2000 + b"|", ""),
        (b"x" * 2000 + b"|", "\N{GRINNING FACE}"),
        (b"x" * 2000 + b"\r\n", "\N{GRINNING FACE}"),
        (b"\x1b(B", ""),
        (b"\\M2442\\", ""),
    ],
)
def test_memory_stays_within_a_factor_of_the_message(repeated: bytes, text: str) -> None:
    body = message(b"OBX|1||" + text.encode() + repeated * (10 * MEBIBYTE // len(repeated)))
    tracemalloc.start()
    try:
        with suppress(Invalid):
            parse(body).value("OBX-3")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < FACTOR * len(body) + 16 * MEBIBYTE


def test_a_field_has_a_thousand_repetitions_and_no_more_but_in_obx() -> None:
    def repeated(number: int) -> bytes:
        return b"~".join(b"%d" % one for one in range(number))

    assert len(parse(message(b"PID|1||" + repeated(1000))).named("PID")[0].repetitions(3)) == 1000
    assert parse(message(b"OBX|1|NA|||" + repeated(5000))).value("OBX-5[5000]") == "4999"
    with pytest.raises(Invalid, match="max_repetitions") as refused:
        parse(message(b"PID|1||" + repeated(1001)))
    assert refused.value.code == "max-repetitions"
