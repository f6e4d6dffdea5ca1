"""XML comes through as events, whatever its encoding; what an attacker sends is refused before it does anything."""

import socket
import tracemalloc
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.formats import xml_events


class Record:
    """Every event, texts that follow each other as one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, ...]] = []
        self.attributes: list[dict[str, str]] = []

    def start(self, name: str, attributes: Mapping[str, str], /) -> None:
        self.events.append(("start", name))
        self.attributes.append(dict(attributes))

    def data(self, text: str, /) -> None:
        before = self.events.pop()[1] if self.events[-1][0] == "data" else ""
        self.events.append(("data", before + text))

    def end(self, name: str, /) -> None:
        self.events.append(("end", name))

    @property
    def text(self) -> str:
        return "".join(event[1] for event in self.events if event[0] == "data")


def events(body: bytes, charset: str | None = None) -> Record:
    record = Record()
    assert xml_events.parse(body, record, charset=charset) == ()
    return record


def refusal(body: bytes, charset: str | None = None, limits: Limits | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        xml_events.parse(body, Record(), charset=charset, limits=limits or Limits())
    return caught.value


def test_elements_come_in_their_order_without_namespaces_comments_and_instructions() -> None:
    record = events(
        b'<?xml version="1.0"?><!-- a --><v:A xmlns:v="urn:v" xml:space="preserve" v:x="1" b="2">'
        b"<?pi no?>one &lt;<!-- c --> <![CDATA[&two;]]>&#233;<B/></v:A><?pi no?>\n"
    )
    assert record.events == [
        ("start", "A"),
        ("data", "one < &two;\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("start", "B"),
        ("end", "B"),
        ("end", "A"),
    ]
    assert record.attributes == [{"b": "2"}, {}]


NAME = "<A>J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg</A>"
JAPANESE = "<A>\N{CJK UNIFIED IDEOGRAPH-5C71}\N{CJK UNIFIED IDEOGRAPH-7530}</A>"


@pytest.mark.parametrize(
    ("text", "written_in", "declared", "charset"),
    [
        (NAME, "utf-8", None, None),
        (NAME, "utf-8-sig", None, None),
        (NAME, "utf-8-sig", "ISO-8859-1", "ISO-8859-1"),  # a byte order mark holds
        (NAME, "utf-8", "utf-16", None),  # .NET's StringWriter
        (NAME, "utf-16", None, None),
        (NAME, "utf-16", "UTF-16", "utf-16"),
        (NAME, "utf-16-le", "UTF-16", None),
        (NAME, "utf-16-be", None, None),
        (NAME, "latin-1", "ISO-8859-1", None),
        (NAME, "latin-1", None, "iso-8859-1"),
        (NAME, "latin-1", "UTF-8", "ISO-8859-1"),  # the transport holds before the declaration
        (NAME, "cp1252", "Windows-1252", None),
        (JAPANESE, "shift_jis", "Shift_JIS", None),
        (JAPANESE, "iso2022_jp", "ISO-2022-JP", None),
        (JAPANESE, "gb18030", None, "GB18030"),
    ],
)
def test_the_text_is_right_in_whatever_character_set_it_is_stated(
    text: str, written_in: str, declared: str | None, charset: str | None
) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else " \n"
    assert events((head + text).encode(written_in), charset).text == text[3:-4]


@pytest.mark.parametrize(("declared", "charset"), [("ISO-8859-1", None), (None, "windows-1252")])
def test_utf_8_that_is_declared_as_something_else_is_read_as_utf_8_with_a_warning(
    declared: str | None, charset: str | None
) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    record = Record()
    (warning,) = xml_events.parse((head + NAME).encode(), record, charset=charset)
    assert record.text == NAME[3:-4]
    assert warning == "the bytes of the XML are UTF-8, not what is declared; read as UTF-8"


@pytest.mark.parametrize(
    ("body", "charset", "reason"),
    [
        (b"+ADw-A/+AD4-", "UTF-7", "the character set that the transport states is not known"),
        (b'<?xml version="1.0" encoding="UTF-7"?><A/>', None, "the character set that the XML declaration states is"),
        (b'<?xml version="1.0" encoding="rot13"?><A/>', None, "the character set that the XML declaration states is"),
        (b"\x4c\xc1\x61\x6e", "IBM037", "the character set that the transport states is not known"),
        (NAME.encode("latin-1"), None, "byte 4 is not text in the character set of the XML"),
        (b"<A>" + b"x" * 200_000 + b"\xe9</A>", "utf-8", "byte 200003 is not text in the character set of the XML"),
        (b"<A>" + b"x" * 65532 + "\N{EURO SIGN}".encode()[:2] + b"</A>", None, "byte 65535 is not text"),
        (b"<A>\xed\xa0\x80</A>", None, "byte 3 is not text"),  # a surrogate
        (NAME.encode("utf-16")[:-1], None, "byte 22 is not text"),
    ],
)
def test_bytes_that_are_no_text_are_refused(body: bytes, charset: str | None, reason: str) -> None:
    error = refusal(body, charset)
    assert error.code == "xml-undecodable"
    assert error.reason.startswith(reason)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1"),
        (b" \n ", "line 1"),
        (b"MSH|^~\\&|Quetzalcoatl", "line 1"),
        (b"<A>\n\n<Quetzalcoatl></A>", "line 3"),
        (b"<A>\n<B/>", "line 2"),
        (b"<A/>\nQuetzalcoatl", "line 2"),
        (b"<A/><A/>", "line 1"),
        (b"<A>\n&Quetzalcoatl;</A>", "line 2"),  # it would have to come from a DTD
        (b'<A Quetzalcoatl="1" Quetzalcoatl="2"/>', "line 1"),
        (b"<A>\0</A>", "line 1"),
        (b"<A>&#0;</A>", "line 1"),
        ("<A/>".encode("utf-32"), "line 1"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_its_line_and_never_quoted(body: bytes, place: str) -> None:
    error = refusal(body)
    assert error.code == "xml-malformed"
    assert error.reason.startswith(place)
    assert "Quetzalcoatl" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE A [<!ENTITY l0 "ha">'
    + b"".join(b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10))
    + b"]><A>&l9;</A>"
)
QUADRATIC = b'<!DOCTYPE A [<!ENTITY a "' + b"a" * 100_000 + b'">]><A>' + b"&a;" * 100_000 + b"</A>"


@pytest.mark.parametrize("body", [BILLION_LAUGHS, QUADRATIC], ids=["billion-laughs", "quadratic-blowup"])
def test_entities_are_refused_before_they_expand(body: bytes) -> None:
    tracemalloc.start()
    try:
        assert refusal(body).code == "xml-doctype"
        assert tracemalloc.get_traced_memory()[1] < 4 * len(body) + 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE A SYSTEM "{uri}">',
        '<!DOCTYPE A PUBLIC "-//X//EN" "{uri}">',
        '<!DOCTYPE A [<!ENTITY x SYSTEM "{uri}">]>',
        '<!DOCTYPE A [<!ENTITY % p SYSTEM "{uri}"> %p;]>',
        "<!DOCTYPE A [<!ENTITY % p \"<!ENTITY x SYSTEM '{uri}'>\"> %p;]>",
        "<!DOCTYPE A>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_external_file_or_address_is_opened(doctype: str, encoding: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Quetzalcoatl")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        for uri in (secret.as_uri(), "file:///etc/passwd", f"http://127.0.0.1:{server.getsockname()[1]}/a.dtd"):
            record = Record()
            with pytest.raises(Invalid) as caught:
                xml_events.parse(f"{doctype.format(uri=uri)}<A>&x;</A>".encode(encoding), record, charset=None)
            assert caught.value.code == "xml-doctype"
            assert record.events == []
            assert "secret" not in str(caught.value)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_an_include_is_an_element_like_any_other() -> None:
    body = b'<A xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd" parse="text"/></A>'
    assert events(body).events == [("start", "A"), ("start", "include"), ("end", "include"), ("end", "A")]


def test_nesting_has_a_bound_that_follows_the_setting() -> None:
    assert refusal(b"<A>" * 10_000).code == "max-nesting"
    assert refusal(b"<A>" * 10_000 + b"</A>" * 10_000).code == "max-nesting"
    deepest = 4 * 2 + 16
    assert events(b"<A>" * deepest + b"</A>" * deepest).events
    assert refusal(b"<A>" * (deepest + 1) + b"</A>" * (deepest + 1), limits=Limits(max_nesting=2)).code == "max-nesting"


@pytest.mark.parametrize(
    "body",
    [
        b"<A " + b" ".join(b'a%d="1"' % number for number in range(700_000)) + b"/>",
        b'<A a="' + b"x" * 5_000_000 + b'"/>',
        b"<A><![CDATA[" + b"x" * 5_000_000 + b"]]></A>",
        b"<!--" + b"x" * 5_000_000 + b"--><A/>",
        b"<A" + b"x" * 5_000_000 + b"/>",
    ],
    ids=["attributes", "attribute", "cdata", "comment", "name"],
)
def test_markup_that_the_parser_would_hold_has_a_bound(body: bytes) -> None:
    assert refusal(body).code == "max-field-size"


class Count:
    """How much text came, in how many pieces, how long the longest was."""

    def __init__(self) -> None:
        self.characters = 0
        self.longest = 0

    def start(self, name: str, attributes: Mapping[str, str], /) -> None: ...

    def data(self, text: str, /) -> None:
        self.characters += len(text)
        self.longest = max(self.longest, len(text))

    def end(self, name: str, /) -> None: ...


@pytest.mark.parametrize("unit", [b"32767\\", "\N{EURO SIGN}".encode()], ids=["decimals", "beyond-ascii"])
def test_a_text_of_tens_of_megabytes_comes_in_pieces_and_is_not_held(unit: bytes) -> None:
    body = b"<A>" + unit * (30_000_000 // len(unit)) + b"</A>"
    count = Count()
    tracemalloc.start()
    try:
        xml_events.parse(body, count, charset=None)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert count.characters == len(unit.decode()) * (30_000_000 // len(unit))
    assert count.longest <= 65536


class Refuses(Record):
    """Raises at one of its events."""

    def __init__(self, number: int, error: Exception) -> None:
        super().__init__()
        self.remaining = number
        self.error = error

    def _counted(self) -> None:
        self.remaining -= 1
        if self.remaining == 0:
            raise self.error
        assert self.remaining > 0, "it went on after an error"

    def start(self, name: str, attributes: Mapping[str, str], /) -> None:
        self._counted()

    def data(self, text: str, /) -> None:
        self._counted()

    def end(self, name: str, /) -> None:
        self._counted()


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("error", [Invalid("max-fields", "too many"), ZeroDivisionError()])
@pytest.mark.parametrize("rest", ["", "<", "&x;", "<C/>" * 50_000])
def test_what_the_target_raises_ends_the_parsing_and_comes_out_itself(number: int, error: Exception, rest: str) -> None:
    body = f"<A>1<B>2</B>3</A>{rest}".encode()
    with pytest.raises(type(error)) as caught:
        xml_events.parse(body, Refuses(number, error), charset=None)
    assert caught.value is error


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "iso-8859-1", None]))
def test_random_bytes_are_read_or_refused(body: bytes, charset: str | None) -> None:
    for one in (body, b"<A>" + body + b"</A>", b"<?xml " + body + b"?><A/>", b"<!DOCTYPE " + body):
        with suppress(Invalid):
            xml_events.parse(one, Record(), charset=charset)


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))


@given(XML_TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]), st.integers(0, 70_000))
def test_any_text_comes_through_wherever_it_is_cut(text: str, encoding: str, padding: int) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = f"<A>{' ' * padding}{escaped}</A>".encode(encoding)
    assert events(body).text == " " * padding + text
