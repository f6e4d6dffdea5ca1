"""HL7 v2 in XML says the same as in ER7, whichever dialect it is written in; what cannot be told is refused."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape as xml_escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.formats import hl7
from bridge.formats.hl7_xml import er7

SHARED = Path(__file__).parents[3] / "shared"
MIRTH = SHARED / "reference" / "mirth" / "hl7"
CORPUS = SHARED / "data" / "hl7"

MSH = "<MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.9><MSH.9.1>ORM</MSH.9.1></MSH.9></MSH>"
HEADER = "MSH|^~\\&|||||||ORM\r"
V2XML_MSH = "<MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2></MSH>"
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # XML 1.0, 2.2

Place = tuple[str, int, int, int, int, int]


def mirth(content: str) -> str:
    """What `<HL7Message>` with these segments after its MSH says, without the MSH."""
    said = er7(f"<HL7Message>{MSH}{content}</HL7Message>".encode(), None)
    assert said.warnings == ()
    assert said.text.startswith(HEADER)
    return said.text.removeprefix(HEADER)


def v2xml(content: str, header: str = V2XML_MSH) -> str:
    said = er7(f'<ORM_O01 xmlns="urn:hl7-org:v2xml">{header}{content}</ORM_O01>'.encode(), None)
    assert said.warnings == ()
    return said.text.partition("\r")[2]


def refusal(body: str | bytes, limits: Limits | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        er7(body.encode() if isinstance(body, str) else body, None, limits or Limits())
    assert "Quetzalcoatl" not in str(caught.value)
    return caught.value


def parsed(text: str) -> hl7.Message:
    return hl7.parse(text.encode(), "UTF-8", "UTF-8")


def values(message: hl7.Message) -> dict[Place, str]:
    """The text at every place that has any; a line break is a line feed."""
    return {
        (*place, subcomponent): re.sub(r"\r\n?", "\n", value)
        for segment, *place, subcomponents in places(message)
        for subcomponent in range(1, len(subcomponents) + 1)
        if (value := segment.value(*place[2:], subcomponent))
    }


def places(message: hl7.Message) -> Iterator[tuple[hl7.Segment, str, int, int, int, int, list[str]]]:
    """Every component with its place and its raw subcomponents."""
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for repetition in range(1, len(segment.repetitions(number)) + 1):
                for component, raw in enumerate(segment.components(number, repetition), 1):
                    is_delimiters = segment.name == "MSH" and number <= 2
                    subcomponents = [raw] if is_delimiters else message.encoding.subcomponents(raw)
                    yield segment, segment.name, segment.occurrence, number, repetition, component, subcomponents


# The engine's serialisation, and one of HL7 v2.xml: what a sender would write for a message.


def element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>" if content else f"<{name}/>"


def text(value: str) -> str:
    return xml_escape(value, {"\r": "&#13;"})


def formatted(value: str) -> str:
    """A value in v2.xml. One that is blank would be taken as layout with a line break in it."""
    return text(value).replace("\n", '<escape V=".br"/>' if value.isspace() else "\n")


def as_mirth(message: hl7.Message) -> bytes:
    """Text is raw; a component is an element even where it is the only one, a subcomponent is not."""

    def component(name: str, raw: str) -> str:
        subcomponents = message.encoding.subcomponents(raw)
        if len(subcomponents) == 1:
            return element(name, text(raw))
        return element(name, "".join(element(f"{name}.{n}", text(one)) for n, one in enumerate(subcomponents, 1)))

    segments = []
    for segment in message.segments:
        fields = []
        for number in range(1, len(segment.fields)):
            name = f"{segment.name}.{number}"
            if segment.name == "MSH" and number <= 2:
                fields.append(element(name, text(segment.field(number))))
                continue
            for repetition in segment.repetitions(number) or [""]:
                components = enumerate(message.encoding.components(repetition), 1)
                fields.append(element(name, "".join(component(f"{name}.{n}", raw) for n, raw in components)))
        segments.append(element(segment.name, "".join(fields)))
    return element("HL7Message", "".join(segments)).encode()


def as_v2xml(message: hl7.Message) -> bytes:
    """Text is the value; nothing is written for what is empty, and what has one part is written without it."""
    segments = []
    for segment in message.segments:
        fields = []
        for number in range(1, len(segment.fields)):
            name = f"{segment.name}.{number}"
            if segment.name == "MSH" and number <= 2:
                fields.append(element(name, text(segment.field(number))))
                continue
            for repetition in range(1, len(segment.repetitions(number)) + 1):
                parts = {}
                for component, raw in enumerate(segment.components(number, repetition), 1):
                    found = {
                        n: value
                        for n in range(1, len(message.encoding.subcomponents(raw)) + 1)
                        if (value := segment.value(number, repetition, component, n))
                    }
                    if set(found) == {1}:
                        parts[component] = formatted(found[1])
                    elif found:
                        parts[component] = "".join(element(f"HD.{n}", formatted(value)) for n, value in found.items())
                if set(parts) == {1} and "<HD" not in parts[1]:
                    fields.append(element(name, parts[1]))
                else:
                    content = "\n".join(element(f"CX.{n}", part) for n, part in parts.items())
                    fields.append(element(name, content))
        segments.append(element(segment.name, "\n  ".join(fields)))
    head, *others = segments
    group = element("ORM_O01.PATIENT", "\n".join(others))
    return f'<?xml version="1.0"?>\n<ORM_O01 xmlns="urn:hl7-org:v2xml">\n{head}\n{group}\n</ORM_O01>'.encode()


SERIALISERS = pytest.mark.parametrize("serialised", [as_mirth, as_v2xml])


@pytest.mark.skipif(not MIRTH.is_dir(), reason=f"the samples of the engine are not in {MIRTH}")
def test_what_the_engine_wrote_in_xml_is_byte_for_byte_what_it_sent_as_er7() -> None:
    samples = sorted((MIRTH / "xml").glob("*.xml"))
    assert len(samples) == 8
    for sample in samples:
        said = er7(sample.read_bytes(), None)
        assert said.text.encode() == (MIRTH / "as_sent" / f"{sample.stem}.hl7").read_bytes(), sample.name
        assert said.warnings == ()


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the real HL7 messages are not in {CORPUS}")
@SERIALISERS
def test_every_value_of_every_real_message_comes_back_from_xml(serialised: Callable[[hl7.Message], bytes]) -> None:
    compared = 0
    for path in sorted(CORPUS.rglob("*")):
        if not path.is_file() or "_LICENSE" in path.name:
            continue
        try:
            message = hl7.parse(path.read_bytes())
        except Invalid:
            continue
        are_delimiters_plain = message.encoding.escape and str(message.value("MSH-2")).isprintable()
        if message.odd_delimiters or not are_delimiters_plain:  # fuzzers' messages, not hospitals'
            continue
        if any(NOT_IN_XML.search(field) for segment in message.segments for field in segment.fields):
            continue
        said = er7(serialised(message), None)
        codec = "utf-8" if "\ufffd" in said.text else message.codec  # as \X..\ is in it
        back = hl7.parse(said.text.encode(codec), codec, codec)
        assert said.warnings == ()
        assert [one.name for one in back.segments] == [one.name for one in message.segments], path.name
        assert values(back) == values(message), path.name
        compared += 1
    assert compared > 630


VALUES = st.text(st.characters(categories=["L", "N", "P", "S", "Z"]) | st.just("\n"), max_size=6)
REPETITIONS = st.lists(st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=4), max_size=3)
SEGMENTS = st.lists(
    st.tuples(
        st.from_regex("[A-Z][A-Z0-9]{2}", fullmatch=True), st.dictionaries(st.integers(1, 40), REPETITIONS, max_size=5)
    ),
    max_size=4,
).filter(lambda segments: not {"MSH", "FHS", "BHS", "BTS", "FTS"} & {name for name, _ in segments})
DELIMITERS = st.just("|^~\\&") | st.permutations(sorted("!#$%&()*+,-./:;=?@[\\]^_`{|}~")).map(
    lambda one: "".join(one[:5])
)


@settings(max_examples=60)
@given(DELIMITERS, SEGMENTS)
def test_any_message_comes_back_from_xml(
    delimiters: str, segments: list[tuple[str, dict[int, list[list[list[str]]]]]]
) -> None:
    field, component, repetition, escape, subcomponent = delimiters
    letters = dict(zip((field, component, repetition, escape, subcomponent), "FSRET", strict=True)) | {"\n": ".br"}
    escaped = str.maketrans({character: f"{escape}{letter}{escape}" for character, letter in letters.items()})
    lines = [f"MSH{delimiters}"]
    for name, fields in segments:
        written = [
            repetition.join(
                component.join(subcomponent.join(value.translate(escaped) for value in part) for part in one)
                for one in fields.get(number, [])
            )
            for number in range(1, max(fields, default=0) + 1)
        ]
        lines.append(field.join([name, *written]))
    message = parsed("\r".join(lines))
    for serialised in (as_mirth, as_v2xml):
        back = parsed(er7(serialised(message), None).text)
        assert [one.name for one in back.segments] == [one.name for one in message.segments]
        assert values(back) == values(message)
    assert er7(as_mirth(message), None).text == "".join(line.rstrip("\r") + "\r" for line in lines)


def test_mirths_text_is_taken_as_it_is() -> None:
    assert (
        mirth(r"<NTE><NTE.3><NTE.3.1>a \T\ b\.br\c ~ d &amp; e</NTE.3.1></NTE.3></NTE>")
        == "NTE|||a \\T\\ b\\.br\\c ~ d & e\r"
    )


def test_elements_that_a_transformer_left_out_added_or_put_at_the_end_have_their_places() -> None:
    assert mirth("<PID><PID.5><PID.5.2>Anna</PID.5.2></PID.5><PID.3/><PID.2>7</PID.2></PID>") == "PID||7|||^Anna\r"
    assert mirth("<PID><PID.5><PID.5.3/><PID.5.1>Roe</PID.5.1></PID.5><PID.5/></PID>") == "PID|||||Roe^^~\r"


def test_a_separator_that_was_put_into_mirths_text_does_not_move_the_fields_behind_it() -> None:
    content = "<PID><PID.2><PID.2.1>a|b</PID.2.1><PID.2.2>c^d</PID.2.2></PID.2><PID.3>7</PID.3></PID>"
    said = er7(f"<HL7Message>{MSH}{content}</HL7Message>".encode(), None)
    assert said.text == HEADER + "PID||a\\F\\b^c\\S\\d|7\r"
    assert said.warnings == ("field or component separators in the text of the XML: 2, escaped",)


def test_v2xml_is_a_tree_of_groups_and_data_types_and_its_text_is_the_value() -> None:
    content = """
      <ORM_O01.PATIENT>
        <PID>
          <PID.3><CX.1>4711</CX.1><CX.4><HD.1>HOSP</HD.1><HD.2>1.2.3</HD.2></CX.4></PID.3>
          <PID.3><CX.1>99</CX.1></PID.3>
          <PID.7><TS.1>19800101</TS.1></PID.7>
          <PID.8>""</PID.8>
        </PID>
        <ORM_O01.PATIENT_VISIT><PV1><PV1.2>O</PV1.2></PV1></ORM_O01.PATIENT_VISIT>
      </ORM_O01.PATIENT>
      <ORM_O01.ORDER>
        <OBX><OBX.2>ST</OBX.2><OBX.5>C:\\a|b^c~d&amp;e</OBX.5></OBX>
        <OBX><OBX.2>CE</OBX.2><OBX.5><CE.1>A</CE.1><CE.2> Adenoma </CE.2></OBX.5></OBX>
        <ZDS><ZDS.1><ZDS.1.1>1.2.3</ZDS.1.1><RP.2>PACS</RP.2></ZDS.1></ZDS>
      </ORM_O01.ORDER>
    """
    assert v2xml(content).split("\r") == [
        'PID|||4711^^^HOSP&1.2.3~99||||19800101|""',
        "PV1||O",
        "OBX||ST|||C:\\E\\a\\F\\b\\S\\c\\R\\d\\T\\e",
        "OBX||CE|||A^ Adenoma ",
        "ZDS|1.2.3^PACS",
        "",
    ]


def test_escape_elements_of_v2xml_are_escape_sequences() -> None:
    content = '<NTE><NTE.3>a|<escape V=".br"/>b<escape V="H"></escape>c<escape V="N"/></NTE.3></NTE>'
    assert v2xml(content) == "NTE|||a\\F\\\\.br\\b\\H\\c\\N\\\r"


def test_line_breaks_in_a_value_stay_and_layout_does_not() -> None:
    for written in (mirth, v2xml):
        said = written("<NTE>\n <NTE.2>\n </NTE.2>\n <NTE.3>a\nb&#13;c&#13;&#10;\td</NTE.3>\n<NTE.4> </NTE.4></NTE>")
        assert said == "NTE|||a\\.br\\b\\.br\\c\\.br\\\td| \r"
        assert parsed(HEADER + said).value("NTE-3") == "a\nb\nc\n\td"


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("<MSH/>", "MSH|^~\\&"),
        ("<MSH><MSH.1/><MSH.2/><MSH.3>a|&amp;</MSH.3></MSH>", "MSH|^~\\&|a\\F\\\\T\\"),
        ("<MSH><MSH.3>a</MSH.3></MSH>", "MSH|^~\\&|a"),
        ("<MSH><MSH.2>#~\\&amp;</MSH.2><MSH.3><HD.1>a#</HD.1><HD.2>^</HD.2></MSH.3></MSH>", "MSH|#~\\&|a\\S\\#^"),
        ("<MSH><MSH.1>^</MSH.1><MSH.2>|~\\&amp;</MSH.2><MSH.3>a|^</MSH.3></MSH>", "MSH^|~\\&^a\\S\\\\F\\"),
        ("<MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;#</MSH.2><MSH.3>#</MSH.3></MSH>", "MSH|^~\\&#|#"),
        ("<MSH><MSH.1>|</MSH.1><MSH.2>^~\\\\&amp;</MSH.2><MSH.3>a&amp;</MSH.3></MSH>", "MSH|^~\\\\&|a\\T\\"),
        ("<MSH><MSH.1>|</MSH.1><MSH.2>^</MSH.2><MSH.3>a~b</MSH.3></MSH>", "MSH|^|a~b"),
    ],
)
def test_the_delimiters_are_those_of_the_header_or_the_recommended_ones(header: str, line: str) -> None:
    assert er7(f"<ACK>{header}</ACK>".encode(), None).text == f"{line}\r"


def test_text_without_an_msh_is_passed_on_to_be_refused_as_such() -> None:
    said = er7(b"<HL7Message><PID><PID.3>7</PID.3></PID></HL7Message>", None)
    assert said.text == "PID|||7\r"
    with pytest.raises(Invalid, match="hl7-no-msh"):
        parsed(said.text)
    with pytest.raises(Invalid, match="hl7-empty"):
        parsed(er7(b"<HL7Message/>", None).text)


def test_the_transports_character_set_and_warnings_come_through() -> None:
    body = f"<HL7Message>{MSH}<PID><PID.5>J\N{LATIN SMALL LETTER O WITH DIAERESIS}rg</PID.5></PID></HL7Message>"
    plain = er7(body.encode(), None)
    assert er7(body.encode("latin-1"), "ISO-8859-1") == plain
    assert er7(body.encode("utf-16"), None) == plain
    wrong = er7(body.encode(), "ISO-8859-1")
    assert (wrong.text, len(wrong.warnings)) == (plain.text, 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<NativeDicomModel/>", "hl7-xml-unknown-root"),
        ("<Quetzalcoatl><HL7Message/></Quetzalcoatl>", "hl7-xml-unknown-root"),
        ("<PID><PID.3/></PID>", "hl7-xml-unknown-root"),
        ("<BATCH><BHS/><ORM_O01/></BATCH>", "hl7-xml-batch"),
        ("<HL7Messages><HL7Message/><HL7Message/></HL7Messages>", "hl7-xml-batch"),
        ("<message_batch/>", "hl7-xml-batch"),
        ("MSH|^~\\&|Quetzalcoatl", "xml-malformed"),
        ("<!DOCTYPE HL7Message [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><HL7Message>&a;</HL7Message>", "xml-doctype"),
        ("<HL7Message>" * 10_000, "hl7-xml-malformed"),
        ("<ORM_O01>" + "<A.B>" * 10_000, "max-nesting"),
    ],
)
def test_documents_that_are_no_single_message_are_refused(body: str, code: str) -> None:
    assert refusal(body).code == code


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("Quetzalcoatl", "after 1 segments"),
        ("<Quetzalcoatl/>", "after 1 segments"),
        ("<ORM_O01.PATIENT/>", "after 1 segments"),  # groups are v2.xml's
        ("<pid/>", "after 1 segments"),
        ("<PID>Quetzalcoatl</PID>", "PID"),
        ("<PID/><PID><Quetzalcoatl.3/></PID>", "PID[2]"),
        ("<PID><PV1.3/></PID>", "PID"),
        ("<PID><PID.0/></PID>", "PID"),
        ("<PID><PID.03/></PID>", "PID"),
        ("<PID><PID.-1/></PID>", "PID"),
        ("<PID><PID.1000/></PID>", "PID"),
        ("<PID><PID.99999999999999999999/></PID>", "PID"),
        ("<PID><PID.Quetzalcoatl/></PID>", "PID"),
        ("<PID><PID/></PID>", "PID"),
        ("<PID><PID.3><PID.4.1/></PID.3></PID>", "PID-3"),
        ("<PID><PID.3/><PID.3><PID.3.1><PID.3.1.0/></PID.3.1></PID.3></PID>", "PID-3[2].1"),
        ("<PID><PID.3><PID.3.1><PID.3.1.1><PID.3.1.1.1/></PID.3.1.1></PID.3.1></PID.3></PID>", "PID-3.1.1"),
        ("<PID><PID.3>Quetzalcoatl<PID.3.1/></PID.3></PID>", "PID-3"),
        ("<PID><PID.3><PID.3.1/>Quetzalcoatl</PID.3></PID>", "PID-3"),
        ("<PID><PID.3><PID.3.1/><PID.3.1>Quetzalcoatl</PID.3.1></PID.3></PID>", "PID-3"),
        ("<NTE><NTE.3>a<escape V='.br'/></NTE.3></NTE>", "NTE-3"),  # these are v2.xml's too
        ("<MSH><MSH.1>|</MSH.1><MSH.3>a</MSH.3><MSH.2>#~\\&amp;</MSH.2></MSH>", "MSH[2]-2"),
        ("<MSH><MSH.2><MSH.2.1>^~\\&amp;</MSH.2.1></MSH.2></MSH>", "MSH[2]-2"),
        ("<MSH><MSH.2>^~</MSH.2></MSH><NTE><NTE.3>a|Quetzalcoatl</NTE.3></NTE>", "NTE-3"),
        ("<MSH><MSH.2>^</MSH.2></MSH><PID><PID.3/><PID.3/></PID>", "PID"),
        ("<MSH><MSH.2>^~\\</MSH.2></MSH><PID><PID.3><PID.3.4><PID.3.4.2/></PID.3.4></PID.3></PID>", "PID-3.4"),
    ],
)
def test_what_has_no_place_in_a_message_is_refused_with_the_place_where_it_stands(content: str, place: str) -> None:
    error = refusal(f"<HL7Message>{MSH}{content}</HL7Message>")
    assert error.code == "hl7-xml-malformed"
    assert error.reason.startswith(f"{place}: ")


@pytest.mark.parametrize(
    "content",
    [
        "<NTE><NTE.3>a<escape/></NTE.3></NTE>",
        "<NTE><NTE.3>a<escape V='|Quetzalcoatl'/></NTE.3></NTE>",
        "<NTE><NTE.3>a<escape V='H\\PID'/></NTE.3></NTE>",
        "<NTE><NTE.3>a<escape V='H&#13;PID'/></NTE.3></NTE>",
        "<NTE><NTE.3>a<escape V='H'>Quetzalcoatl</escape></NTE.3></NTE>",
        "<NTE><NTE.3>a<escape V='H'><escape V='N'/></escape></NTE.3></NTE>",
        "<NTE><NTE.3>a<br/></NTE.3></NTE>",
        "<NTE><NTE.3><FT.1/><escape V='H'/></NTE.3></NTE>",
        "<NTE><NTE.3><escape V='H'/><FT.1/></NTE.3></NTE>",
        "<escape V='H'/>",
        "<NTE><escape V='H'/></NTE>",
        "<PID><CX.1/></PID>",
        "<HL7Message/>",
        "<OBX><OBX.5><ClinicalDocument>Quetzalcoatl</ClinicalDocument></OBX.5></OBX>",
    ],
)
def test_what_has_no_place_in_v2xml_is_refused(content: str) -> None:
    assert refusal(f"<ORM_O01>{V2XML_MSH}{content}</ORM_O01>").code == "hl7-xml-malformed"


@pytest.mark.parametrize(
    ("separator", "characters"),
    [("||", "^~\\&amp;"), ("|", "^^\\&amp;"), ("|", "^~\\^"), ("|", "^~\\&amp;|"), ("|", "^&#13;~")],
)
def test_delimiters_that_would_make_text_into_structure_are_refused(separator: str, characters: str) -> None:
    header = f"<MSH><MSH.1>{separator}</MSH.1><MSH.2>{characters}</MSH.2></MSH>"
    assert refusal(f"<HL7Message>{header}</HL7Message>").code == "hl7-bad-msh"


def test_the_bounds_hold_and_what_is_left_out_counts() -> None:
    def within(content: str, limits: Limits) -> str:
        return refusal(f"<ORU_R01>{content}</ORU_R01>", limits).code

    assert within("<ORU_R01.PATIENT/>" * 11, Limits(max_elements=10)) == "max-elements"
    assert within("<PID/>" * 11, Limits(max_segments=10)) == "max-segments"
    assert within("<PID><PID.3/>" + "<PID.3/>" * 8, Limits(max_fields=10)) == "max-fields"
    assert within("<PID><PID.11/>", Limits(max_fields=10)) == "max-fields"
    assert within("<PID><PID.1/><PID.2><CX.10/>", Limits(max_fields=10)) == "max-fields"
    assert within("<PID><PID.1><CX.1><HD.11/>", Limits(max_fields=10)) == "max-fields"
    assert within("<PID>" + "<PID.1><CX.999/></PID.1>" * 300, Limits()) == "max-fields"
    assert within("<NTE><NTE.3>" + "<escape V='H'/>" * 4, Limits(max_field_size=11)) == "max-field-size"
    fits = f"<ORU_R01>{'<PID><PID.1>1234</PID.1><PID.5>1234</PID.5></PID>' * 2}</ORU_R01>".encode()
    limits = Limits(max_segments=2, max_fields=10, max_field_size=4)
    assert er7(fits, None, limits).text == "PID|1234||||1234\r" * 2


@pytest.mark.parametrize("before", ["", "<OBX.5>x</OBX.5>"])
def test_a_field_of_five_megabytes_is_refused(before: str) -> None:
    def of(text: str) -> str:
        return f"<HL7Message>{MSH}<OBX>{before}<OBX.5><OBX.5.5>{text}</OBX.5.5></OBX.5></OBX></HL7Message>"

    assert refusal(of("x" * 5_000_000)).code == "max-field-size"
    assert refusal(of(f"<![CDATA[{'x' * 5_000_000}]]>")).code == "max-field-size"
    assert refusal(of("\n" * 1_000_000 + "x")).code == "max-field-size"  # as escape sequences
    assert refusal(of("&lt;" * 1_001), Limits(max_field_size=1_000)).code == "max-field-size"
    assert (
        refusal("<HL7Message><OBX><OBX.5>" + "x" * 5_000_000).code == "max-field-size"
    )  # not to be held until its end
    assert len(er7(of("x" * 4_000_000).encode(), None).text) > 4_000_000


NAMES = ("MSH", "MSH.2", "PID", "PID.3", "PID.3.1", "CX.2", "ORM_O01.X")
PIECES = [f"<{name}>" for name in NAMES] + [f"</{name}>" for name in NAMES]
PIECES += ["<PID.9/>", "<escape V='H'/>", "Quetzalcoatl", "\n", "|^"]


@given(st.lists(st.sampled_from(PIECES), max_size=24), st.sampled_from(["HL7Message", "ORM_O01"]))
def test_elements_in_any_order_are_read_or_refused_and_never_quoted(pieces: list[str], root: str) -> None:
    body = f"<{root}>{''.join(pieces)}</{root}>".encode()
    try:
        said = er7(body, None)
    except Invalid as error:
        told = str(error)
    else:
        told = "".join(said.warnings)
        assert said.text.count("Quetzalcoatl") == pieces.count("Quetzalcoatl")
    assert "Quetzalcoatl" not in told
