"""Every character set of HL7 table 0211: declared, switched to, misdeclared or not stated; no character is lost."""

import codecs
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.formats.hl7 import Message, parse

FRAMES = [
    (b"", b""),
    (b"\x0b", b"\x1c\r"),
    (b"\x0b", b"\x1c"),
]


def message(value: bytes, declared: bytes = b"", escape: bytes = b"\\") -> bytes:
    """A message with `value` in PID-5, and a line behind it."""
    header = rb"MSH|^~%b&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01^ORM_O01|C1|P|2.5.1||||||%b" % (escape, declared)
    return b"\r".join((header, b"PID|1||A1||" + value + b"|end", b"ORC|NW|behind"))


def name(read: Message) -> str | None:
    assert read.value("PID-6") == "end"
    assert read.value("ORC-2") == "behind"
    return read.value("PID-5")


def refused(body: bytes, charset: str = "ISO-8859-1") -> str:
    with pytest.raises(Invalid) as error:
        parse(body, charset)
    assert error.value.code == "hl7-undecodable"
    return error.value.reason


@pytest.mark.parametrize(
    ("declared", "python", "text"),
    [
        (b"8859/1", "iso8859-1", "Müller"),
        (b"8859/2", "iso8859-2", "Łódź"),
        (b"8859/3", "iso8859-3", "Ġorġ"),
        (b"8859/4", "iso8859-4", "Bērziņš"),
        (b"8859/5", "iso8859-5", "Иванов"),
        (b"8859/6", "iso8859-6", "قباني"),
        (b"8859/7", "iso8859-7", "Διονυσιος"),
        (b"8859/8", "iso8859-8", "שרון"),
        (b"8859/9", "iso8859-9", "Çavuşoğlu"),
        (b"8859/10", "iso8859-10", "Ŧuođđu"),
        (b"8859/11", "iso8859-11", "สมชาย"),
        (b"8859/13", "iso8859-13", "Žemaitė"),
        (b"8859/14", "iso8859-14", "Ŵyn"),
        (b"8859/15", "iso8859-15", "1 €"),
        (b"8859/16", "iso8859-16", "Țară"),
        (b"ISO_IR 144", "iso8859-5", "Иванов"),
        (b"UNICODE UTF-8", "utf-8", "Müller 山田 Иванов"),
        (b"UTF-8", "utf-8", "Müller"),
        (b"utf8~8859/1", "utf-8", "Müller"),
        (b"UNICODE", "utf-8", "Müller"),
        (b"ISO_IR 192", "utf-8", "Müller"),
        (b"ISO IR6~ISO IR87", "iso2022_jp", "山田^太郎"),
        (b"~ISO IR87~ISO IR159", "iso2022_jp_1", "山田^丂太郎"),
        (b"\\ISO 2022 IR 87", "iso2022_jp", "山田"),
        (b"ISO IR14", "shift_jis", "ﾔﾏﾀﾞ"),
        (b"ISO IR14~ISO IR87", "shift_jis", "ﾔﾏﾀﾞ"),
        (b"GB 18030-2000", "gb18030", "王^小东𠮷"),
        (b"KS X 1001", "euc_kr", "김^희중"),
        (b"ASCII~KS X 1001", "euc_kr", "김^희중"),
        (b"BIG-5", "big5", "功許"),  # its second bytes are a backslash and a bracket
        (b"WINDOWS-1252", "cp1252", "Weiß “x”"),
        (b"", "iso8859-1", "Müller"),
        (b"UNICODE UTF-8~NOT A CHARSET", "utf-8", "Müller"),
    ],
)
def test_the_declared_character_set_is_read(declared: bytes, python: str, text: str) -> None:
    read = parse(message(text.encode(python), declared.lstrip(b"\\")))
    family, _, given_name = text.partition("^")
    assert name(read) == family
    assert read.value("PID-5.2") == (given_name or None)


KANJI = b"\x1b$B;3ED\x1b(B"  # 山田


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        (b"ISO IR14~ISO IR87", b"\xd4\xcf\xc0\xde " + KANJI, "ﾔﾏﾀﾞ 山田"),
        (b"ISO IR87", b"\x1b$B;3ED\x1b(J", "山田"),
        (b"ISO IR87", b"\x1b$@;3ED\x1b(B", "山田"),
        (b"ISO IR87", b"\x1b$(B;3 ED\x1b(B", "山 田"),
        (b"ISO IR159", b"\x1b$(D0!\x1b(B", "丂"),
        (b"ISO IR159", b'\x1b$(D"7\x1b(B', "\N{FULLWIDTH TILDE}"),
        (b"8859/1", b"M\xfcller " + KANJI + b" \xe9", "Müller 山田 é"),
        (b"", b"M\xfcller " + KANJI, "Müller 山田"),
        (b"UNICODE UTF-8", "Müller ".encode() + KANJI, "Müller 山田"),
        (b"", b"\x1b(ITO@^\x1b(B", "ﾔﾏﾀﾞ"),
        (b"8859/1", b"\x1b)I\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (b"8859/1", b"\x1b$)B\xbb\xb3\xc5\xc4", "山田"),
        (b"8859/1~8859/5", b"M\xfcller \x1b-L\xb8\xd2\xd0\xdd\xde\xd2 \x1b-A\xfc", "Müller Иванов ü"),
        (b"ISO IR6~KS X 1001", b"\x1b$)C" + "김".encode("euc_kr"), "김"),
        (b"8859/1~KS X 1001", b"Kim \x1b$)C" + "김".encode("euc_kr"), "Kim 김"),
        (b"8859/1", b"\x1b$(C1h\x1b(B", "김"),
        (b"8859/1~GB 18030-2000", b"\x1b$)A" + "王".encode("gb2312"), "王"),
        (b"8859/1", b"\x1b$AMu\x1b(B", "王"),
        (b"8859/1", b"M\\C2D41\\\xfcller \\C2D4C\\\xb8\xd2\\C2842\\.", "Müller Ив."),
        (b"~ISO IR87", rb"\M2442\;3ED\C2842\.", "山田."),
        (b"~ISO IR159", rb"\M242844\0!\C284A\.", "丂."),
        (b"~KS X 1001", b"\\M242943\\" + "김".encode("euc_kr"), "김"),
        (b"8859/1", rb"\C4142\ \M414243\ \M2842\ \C244\.", r"\C4142\ \M414243\ \M2842\ \C244\."),
        (b"8859/1", b"\x1b[1mbold\x1b(s0B \xfc", "\x1b[1mbold\x1b(s0B ü"),
        (b"8859/1", rb"\X1B24423B331B2842\.", "山."),
    ],
)
def test_escape_sequences_switch_the_character_set(declared: bytes, value: bytes, text: str) -> None:
    read = parse(message(value, declared))
    assert name(read) == text
    assert read.warnings == ()


def test_a_character_set_that_is_switched_to_holds_until_the_line_ends() -> None:
    for switch, text in ((b"\x1b$B;3ED", "山田"), (b"\x1b$)C\xb1\xe8", "김")):
        read = parse(message(b"").removesuffix(b"|end\rORC|NW|behind") + switch + b"\rORC|NW|M\xfcller\nZZZ|\xe9")
        assert read.value("PID-5") == text
        assert read.value("ORC-2") == "Müller"
        assert read.value("ZZZ-1") == "é"


def test_hl7s_own_escape_sequences_begin_with_the_escape_character_of_the_message() -> None:
    assert name(parse(message(b"$M2442$;3ED$C2842$.", escape=b"$"))) == "山田."
    assert name(parse(message(rb"\M2442\;3ED\C2842\.", escape=b"$"))) == r"\M2442\;3ED\C2842\."


def test_a_message_without_escape_character_has_no_escape_sequences() -> None:
    read = parse(b"MSH|^~|RIS\rPID|C2842|M2442|\xfc")
    assert [read.value(f"PID-{number}") for number in (1, 2, 3)] == ["C2842", "M2442", "ü"]


@pytest.mark.parametrize("python", ["iso2022_jp", "iso2022_jp_1"])
@pytest.mark.parametrize("row", range(0x21, 0x7F))
def test_two_byte_characters_may_consist_of_delimiters(python: str, row: int) -> None:
    cells = bytes(byte for cell in range(0xA1, 0xFF) for byte in (row | 0x80, cell))
    text = cells.decode("euc_jp", "ignore")
    if python == "iso2022_jp_1":
        text = b"".join(b"\x8f" + cells[i : i + 2] for i in range(0, len(cells), 2)).decode("euc_jp", "ignore")
    text = text.replace("~", "")  # that is written in ASCII
    assert (name(parse(message(text.encode(python), b"~ISO IR87"))) or "") == text


MANY_BYTES = {b"GB 18030-2000": "gb18030", b"KS X 1001": "cp949", b"BIG-5": "big5", b"ISO IR14": "cp932"}
DECLARED = st.sampled_from(sorted(MANY_BYTES.items()))


@given(DECLARED, st.lists(st.integers(0x80, 0xFFFF).map(chr), max_size=20))
def test_no_character_of_a_set_with_several_bytes_is_lost(declared: tuple[bytes, str], characters: list[str]) -> None:
    charset, python = declared
    text = "".join(characters).encode(python, "ignore").decode(python).replace("\ufffd", "")
    read = parse(message(b"." + text.encode(python), charset))
    if python not in ("big5", "cp932"):  # these map a few signs as Microsoft does, if they have to
        assert name(read) == "." + text
    assert len(name(read) or "") == 1 + len(text)


@pytest.mark.parametrize(
    ("declared", "python", "text"),
    [(b"ISO IR14", "cp932", "髙橋①"), (b"KS X 1001", "cp949", "똠방각하"), (b"BIG-5", "cp950", "恒")],
)
def test_characters_that_microsoft_added_are_read(declared: bytes, python: str, text: str) -> None:
    assert name(parse(message(text.encode(python), declared))) == text


def test_characters_that_microsoft_added_are_read_in_two_byte_sets_too() -> None:
    assert name(parse(message(b"\x1b$B|b66-!;3\x1b(B", b"~ISO IR87"))) == "髙橋①山"


@pytest.mark.parametrize("declared", [b"8859/1", b"ASCII", b"ISO IR87", b"8859/1~8859/5"])
def test_utf_8_that_is_declared_otherwise_is_read_as_utf_8_with_a_warning(declared: bytes) -> None:
    read = parse(message("Müller".encode(), declared))
    assert name(read) == "Müller"
    assert read.warnings == ("MSH-18: the bytes are UTF-8, not what is declared; read as UTF-8",)


def test_utf_8_that_is_not_declared_is_read_as_utf_8_with_a_warning() -> None:
    read = parse(message("Müller".encode()))
    assert name(read) == "Müller"
    assert read.warnings == ("MSH-18: the bytes are UTF-8, not the channel's character set; read as UTF-8",)


def test_utf_8_that_is_declared_as_korean_is_read_as_utf_8_where_it_is_not_korean() -> None:
    read = parse(message("Gómez 김".encode(), b"KS X 1001"))
    assert name(read) == "Gómez 김"
    assert read.warnings == ("MSH-18: the bytes are UTF-8, not what is declared; read as UTF-8",)


@pytest.mark.parametrize("declared", [b"UNICODE UTF-8", b"ASCII"])
def test_a_wrong_declaration_is_a_warning_and_the_channels_character_set_is_used(declared: bytes) -> None:
    read = parse(message("Łódź".encode("iso8859-2"), declared), charset="8859/2")
    assert name(read) == "Łódź"
    assert read.warnings == ("MSH-18: the bytes are not what is declared; the channel's character set is used",)


def test_a_wrong_byte_order_mark_is_a_warning_and_the_channels_character_set_is_used() -> None:
    read = parse(codecs.BOM_UTF8 + message(b"M\xfcller"))
    assert name(read) == "Müller"
    (warning,) = read.warnings
    assert warning == "byte order mark: the bytes are not what is declared; the channel's character set is used"


def test_the_transport_is_believed_before_the_message() -> None:
    body = message("Łódź".encode("iso8859-2"), b"8859/1")
    assert name(parse(body, stated_charset="iso-8859-2")) == "Łódź"
    read = parse(message("Łódź".encode(), b"8859/1"), stated_charset="iso-8859-2")
    assert read.warnings == ("charset: the bytes are UTF-8, not what is declared; read as UTF-8",)


def test_a_character_set_that_is_not_known_is_a_warning() -> None:
    read = parse(message(b"M\xfcller", b"CAN"))
    assert name(read) == "Müller"
    assert read.warnings == ("MSH-18: not a known character set; the channel's is used",)
    read = parse(message("Łódź".encode("iso8859-2"), b"8859/2~CAN"))
    assert name(read) == "Łódź"
    assert read.warnings == ("MSH-18: names a character set that is not known beside one that is",)


def test_a_character_set_is_no_matter_as_long_as_the_text_is_ascii() -> None:
    for declared in (b"CAN", b"CNS 11643-1992"):
        assert parse(message(b"Miller", declared)).warnings == ()


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        (b"8859/2||", "MSH-18: empty; the one that MSH-16 names is used"),
        (b"|8859/2|", "MSH-18: empty; the one that MSH-17 names is used"),
        (b"|8859/2|POL", "MSH-18: not a known character set; the one that MSH-17 names is used"),
        (b"|||8859/2", "MSH-18: empty; the one that MSH-19 names is used"),
        (b"||||8859/2", "MSH-18: empty; the one that MSH-20 names is used"),
        (b"|POL||8859/2~ASCII", "MSH-18: empty; the one that MSH-19 names is used"),
    ],
)
def test_a_character_set_in_a_neighbouring_field_is_used_with_a_warning(fields: bytes, warning: str) -> None:
    header = rb"MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01|C1|P|2.5.1|||AL|"
    read = parse(header + fields + b"\rPID|1||A1||" + "Łódź".encode("iso8859-2"))
    assert read.value("PID-5") == "Łódź"
    assert read.warnings == (warning,)


@pytest.mark.parametrize(
    ("body", "charset", "reason"),
    [
        (message(b"M\xfcller"), "UTF-8", "is not text in the character set of this message"),
        (message(b"\xb1\xe8\xb1", b"KS X 1001"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\xfc", b"ISO IR87"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\x1b$B;3E\x1b(B", b"ISO IR87"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\x1b$B;3EDx|", b"ISO IR87"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\x1b$)B\x81\xa1"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\x1b(Ixyz\x1b(B"), "ISO-8859-1", "is not text in the character set of this message"),
        (message(b"\x1b$)GDA"), "ISO-8859-1", "switches to a character set that is not read"),
        (message(b"\x1b.A\x1bNi"), "ISO-8859-1", "switches to a character set that is not read"),
        (message(b"\x1b$)C\x0e1h\x0f"), "ISO-8859-1", "shifts to another character set (SO), which is not read"),
    ],
)
def test_what_is_not_text_in_its_character_set_is_refused(body: bytes, charset: str, reason: str) -> None:
    assert re.fullmatch(rf"byte [0-9]+ {re.escape(reason)}", refused(body, charset))


def test_the_byte_that_is_not_text_is_named() -> None:
    body = message(KANJI + b"\x1b$B;3E\x1b(B", b"ISO IR87")
    assert refused(body).startswith(f"byte {body.index(b'E' + KANJI[-3:])} ")


def test_a_character_set_without_a_codec_is_refused_by_name() -> None:
    assert refused(message(b"\xc4\xe3", b"CNS 11643-1992")) == "MSH-18: CNS 11643-1992 is not read"


def test_a_character_set_nobody_knows_is_refused_when_the_channel_names_it() -> None:
    refused(message(b"Miller"), "klingon")


def test_switches_without_end_are_refused() -> None:
    body = message(b"\x1b(B" * 50)
    assert name(parse(body, limits=Limits(max_fields=60))) is None
    with pytest.raises(Invalid) as error:
        parse(body, limits=Limits(max_fields=49))
    assert error.value.code == "max-fields"


@pytest.mark.parametrize("wide", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("before", "after"), FRAMES)
@pytest.mark.parametrize("text", ["山田", "山田1", "”", "\U00020bb7"])
def test_utf_16_is_recognised_by_its_first_bytes(wide: str, mark: str, before: bytes, after: bytes, text: str) -> None:
    whole = message(text.encode(), b"UNICODE UTF-16").decode()
    for body in (
        before + (mark + whole).encode(wide) + after,
        before + (mark + whole + "\r").encode(wide) + after,
    ):
        read = parse(body)
        assert name(read) == text
        assert read.warnings == ()


@pytest.mark.parametrize("wide", ["utf-16-le", "utf-16-be"])
def test_mllps_blocks_may_be_in_utf_16_too(wide: str) -> None:
    read = parse(("\x0b" + message("山田".encode()).decode() + "\r\x1c\r").encode(wide))
    assert name(read) == "山田"
    assert read.warnings == ()


def test_utf_16_that_is_cut_is_refused() -> None:
    refused(codecs.BOM_UTF16_LE + message(b"").decode().encode("utf-16-le") + b"x")


def test_a_hexadecimal_escape_is_in_the_messages_character_set() -> None:
    assert name(parse(message(rb"\XFC\.", b"8859/1"))) == "ü."
    assert name(parse(message(rb"\XC3BC\.", b"UNICODE UTF-8"))) == "ü."


@pytest.mark.parametrize("declared", [b"UNICODE UTF-8", b"", b"8859/1"])
def test_utf_8_that_was_cut_in_a_character_is_still_utf_8(declared: bytes) -> None:
    body = message("Müller^Jörg".encode(), declared) + b"\rNTE|1||caf\xc3\r"
    read = parse(body)
    assert read.value("PID-5") == "Müller"
    assert read.value("NTE-3") == "caf\ufffd"
    assert any(warning.endswith("UTF-8 with 1 damaged characters, marked as lost") for warning in read.warnings)


def test_latin_1_is_not_taken_for_damaged_utf_8() -> None:
    read = parse(message("Müller^Jörg é".encode("latin-1"), b"8859/1"))
    assert read.value("PID-5.2") == "Jörg é"
    assert read.warnings == ()


def test_windows_1252_that_calls_itself_8859_1_is_read_as_what_it_is() -> None:
    read = parse(message("O\N{RIGHT SINGLE QUOTATION MARK}Brien".encode("cp1252"), b"8859/1"))
    assert name(read) == "O\N{RIGHT SINGLE QUOTATION MARK}Brien"
    assert read.warnings == ("MSH-18: the bytes are Windows-1252, not ISO 8859-1; read as that",)


def test_a_charset_of_the_transport_that_is_not_known_is_a_warning() -> None:
    read = parse(message("Müller".encode("latin-1"), b"8859/1"), stated_charset="klingon")
    assert name(read) == "Müller"
    assert read.warnings == ("charset: not a known character set; MSH-18 holds",)


def test_an_escaped_escape_character_is_no_beginning_of_a_switch() -> None:
    assert name(parse(message(b"12\\E\\M2442\\E\\34", b"8859/1"))) == "12\\M2442\\34"
