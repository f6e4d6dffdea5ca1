"""Whatever is built is read back, python-hl7 agrees, and nothing that arrives raises anything but Invalid."""

import string
from typing import Any

import hl7 as python_hl7
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.model import Filtered
from bridge.formats.hl7 import parse
from bridge.formats.hl7_batches import split
from bridge.formats.hl7_messages import read_message

Fields = dict[int, list[list[list[str]]]]  # by number: repetitions, components, subcomponents

PUNCTUATION = sorted(set(string.punctuation) - {'"'})
TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "M"), exclude_characters="\ufffd"), min_size=1, max_size=8)
FIELDS: st.SearchStrategy[Fields] = st.dictionaries(
    st.integers(1, 50),
    st.lists(
        st.lists(st.lists(st.just("") | TEXT, min_size=1, max_size=3), min_size=1, max_size=4), min_size=1, max_size=3
    ),
    max_size=6,
)
NAMES = st.sampled_from(["PID", "PV1", "ORC", "OBR", "TQ1", "IPC", "ZDS", "NTE", "ZZ9", "XYZ"])
SEGMENTS = st.lists(st.tuples(NAMES, FIELDS), max_size=6)
DELIMITERS = st.just("|^~\\&") | st.permutations(PUNCTUATION).map(lambda order: "".join(order[:5]))

MSH = {9: [[["ORM"], ["O01"]]], 12: [[["2.5.1"]]], 18: [[["UNICODE UTF-8"]]]}
ORDER = rb"""MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01|C1|P|2.3.1
PID|1||4711^^^HOSP&1.2.3&ISO^MR~99^^^SSA||Quetzalcoatl^Tezca^^JR||19500101|F||||||||||ACCT1
PV1|1|O|||||||||||||||||V100
ORC|NW|P1^RIS|F1^PACS||SC||^^^20260105110000^^R||20260102083000|||77^Weiss^Anna
TQ1|1||||||20260105110000||S
OBR|1|P1^RIS|F1^PACS|CTABD^CT \T\ abdomen^L|||||||||pain|||88^Roe||A1^RIS|RP1|SPS1||||CT|||||||^cough|||12&Roe
IPC|A1|RP1|1.2.3.4|SPS1|CT|P^Protocol^L|ST1~ST2|ROOM|AE1
ZDS|1.2.3.4^MAIN^Application^DICOM
""".replace(b"\n", b"\r")


def build(delimiters: str, segments: list[tuple[str, Fields]]) -> str:
    """A message in ER7, every delimiter inside a value escaped."""
    field, component, repetition, escape, subcomponent = delimiters
    letters = dict(zip((field, component, repetition, escape, subcomponent), "FSRET", strict=True))
    escaped = str.maketrans({delimiter: f"{escape}{letter}{escape}" for delimiter, letter in letters.items()})

    def er7(repetitions: list[list[list[str]]]) -> str:
        return repetition.join(
            component.join(subcomponent.join(value.translate(escaped) for value in part) for part in one)
            for one in repetitions
        )

    lines = []
    for name, fields in [("MSH", MSH), *segments]:
        texts = [er7(fields[number]) if number in fields else "" for number in range(1, max(fields, default=0) + 1)]
        if name == "MSH":
            texts = [delimiters[1:], *texts[2:]]
        lines.append(field.join([name, *texts]))
    return "\r".join(lines)


def places(fields: Fields) -> list[tuple[int, int, int, int, str]]:
    return [
        (number, repetition, component, subcomponent, value)
        for number, repetitions in fields.items()
        for repetition, components in enumerate(repetitions, 1)
        for component, subcomponents in enumerate(components, 1)
        for subcomponent, value in enumerate(subcomponents, 1)
    ]


@given(DELIMITERS, SEGMENTS)
def test_what_is_built_is_read_back_from_the_same_places(delimiters: str, segments: list[tuple[str, Fields]]) -> None:
    read = parse(build(delimiters, segments).encode())
    assert [segment.name for segment in read.segments] == ["MSH", *(name for name, _ in segments)]
    for segment, (_, fields) in zip(read.segments[1:], segments, strict=True):
        for *place, value in places(fields):
            assert (segment.value(*place) or "") == value


@given(SEGMENTS)
def test_python_hl7_finds_every_value_in_the_same_place(segments: list[tuple[str, Fields]]) -> None:
    segments = [(name, {**fields, 51: [[["end"]]]}) for name, fields in segments]  # it does not count a bare name
    text = build("|^~\\&", segments)
    read, other = parse(text.encode()), python_hl7.parse(text)
    assert [segment.name for segment in read.segments] == [str(segment[0]) for segment in other]
    for segment, (name, fields) in zip(read.segments[1:], segments, strict=True):
        for *place, value in places(fields):
            if value:  # of an empty one python-hl7 says that it is not there
                assert segment.value(*place) == other.extract_field(name, segment.occurrence, *place)


def outcome(body: bytes) -> list[Any]:
    """What is told about messages that are not read, or read with warnings."""
    told: list[Any] = []
    try:
        batch = split(body)
        told += batch.warnings
        for one in batch.messages:
            found = read_message(parse(one), channel="orders", timezone="Europe/Berlin")
            told += [found.reason] if isinstance(found, Filtered) else found.warnings
    except Invalid as invalid:
        told.append(str(invalid))
    return told


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(body: bytes) -> None:
    outcome(body)
    outcome(b"MSH|^~\\&|" + body)
    outcome(ORDER + body)


@given(
    st.integers(0, len(ORDER)), st.integers(0, 40), st.binary(max_size=12) | st.sampled_from([b"|", b"^", b'""', b"\r"])
)
def test_an_order_that_is_cut_and_edited_is_read_or_refused_and_never_quoted(
    start: int, length: int, replacement: bytes
) -> None:
    told = str(outcome(ORDER[:start] + replacement + ORDER[start + length :]))
    assert "Quetzalcoatl" not in told
    assert "4711" not in told


@given(st.lists(st.sampled_from(ORDER.split(b"\r")[:-1]), max_size=12), st.integers(0, 400))
def test_segments_in_any_order_and_number_are_read_or_refused(lines: list[bytes], cut: int) -> None:
    outcome(b"\r".join(lines))
    outcome(b"\r".join((ORDER.split(b"\r")[0], *lines))[: 80 + cut])


@given(SEGMENTS)
def test_any_content_of_any_segment_is_read_or_refused(segments: list[tuple[str, Fields]]) -> None:
    outcome(build("|^~\\&", segments).encode())
