"""Every real HL7 v2 message at hand is read, filtered or refused; python-hl7 and hl7apy find the same in it."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import hl7 as python_hl7
import hl7apy.parser
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException

from bridge.core.channel import ORDER_MESSAGES
from bridge.core.errors import Invalid
from bridge.core.model import OrderUpdate, Reading
from bridge.formats.hl7 import Message, Segment, parse
from bridge.formats.hl7_batches import split
from bridge.formats.hl7_messages import read_message

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "hl7"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the real HL7 messages are not in {CORPUS}")

REFUSED_WITH = {"hl7-bad-msh", "hl7-no-appointment", "hl7-no-message-type", "hl7-no-order", "hl7-no-patient"}
DOUBLED = "MSH-2: the escape character is doubled; read as one"

# Where python-hl7 finds another text for the same value, by what stands in it.
PYTHON_HL7_DIFFERS = re.compile(
    r"\\\.(?:br|sp)"  # a formatted line break: "\r" there, "\n" here
    r"|\\[HN]\\"  # highlighting: "_" there, left out here
    r"|\\(?![FSRTE]\\)"  # a lone escape character or an unknown sequence: dropped there, kept here
    r"|\n"  # a line break inside a value: cut off there
)
HL7APY_DIFFERS = re.compile(
    r"\\"  # it escapes what is escaped already
    r"|(?:^|&)[+-]?(?:0[0-9]|[0-9]*\.)"  # it rewrites numbers: 00001 is 1
)


@cache
def bodies() -> dict[str, bytes]:
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file() and "_LICENSE" not in path.name)
    return {str(path.relative_to(CORPUS)): path.read_bytes() for path in files}


@cache
def parsed() -> tuple[dict[str, list[tuple[bytes, Message]]], dict[str, str]]:
    """The messages of each file, and the codes of those that are refused."""
    found, refused_with = {}, {}
    for name, body in bodies().items():
        try:
            found[name] = [(one, parse(one)) for one in split(body).messages]
        except Invalid as invalid:
            refused_with[name] = invalid.code
    return found, refused_with


def messages() -> list[tuple[str, bytes, Message]]:
    return [(name, body, read) for name, read_here in parsed()[0].items() for body, read in read_here]


def er7(segment: Segment) -> str:
    """The segment as it was received."""
    fields = [segment.name, *segment.fields[2:]] if segment.name == "MSH" else segment.fields
    return segment.encoding.field.join(fields)


def by_python_hl7(read: Message) -> Any:
    """The message as python-hl7 reads it. It cuts white space off the end, so something stands behind."""
    header, *lines = [er7(segment).replace(f"{segment.name}\n", segment.name, 1) for segment in read.segments]
    if DOUBLED in read.warnings:
        header = header.replace("\\\\", "\\", 1)
    if "\n" in read.segments[0].fields[2]:  # of a broken MSH segment: it is no delimiter
        header = header.replace("\n", "", 1)
    return python_hl7.parse("\r".join([header, *lines, f"ZZZ{read.encoding.field}end"]))


def can_be_parsed_by_python_hl7(body: bytes) -> bool:
    text = re.sub(r"\r\n|\n", "\r", body.removeprefix(b"\xef\xbb\xbf").decode("iso8859-1").strip())
    try:
        python_hl7.parse(text)
    except (AssertionError, python_hl7.ParseException):
        return False
    return True


def test_every_file_that_python_hl7_can_parse_is_read() -> None:
    read, refused_with = parsed()
    assert set(refused_with.values()) == {"hl7-bad-msh", "hl7-no-msh"}
    for name in refused_with:
        assert not can_be_parsed_by_python_hl7(bodies()[name]), name
    without_message = [name for name, found in read.items() if not found]
    assert without_message == ["oie/literals/StreamHandlerTests__L0364.hl7"]  # nothing but FHS and BHS
    several = sum(len(found) > 1 for found in read.values())
    odd = sum(message.odd_delimiters for _, _, message in messages())
    assert (len(bodies()), len(read), several, len(messages()), odd) == (694, 676, 12, 862, 16)


def test_every_message_is_read_filtered_or_refused_with_a_code() -> None:
    refused_with = set()
    for _, _, message in messages():
        try:
            read_message(message, channel="orders")
        except Invalid as invalid:
            refused_with.add(invalid.code)
    assert refused_with <= REFUSED_WITH


def test_no_segment_is_lost_and_no_text_either() -> None:
    for name, body, read in messages():
        text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").decode(read.codec)
        lines = [line.lstrip(" \t\x0b").rstrip("\x1c") for line in re.split(r"[\r\n]+", text)]
        separator = re.escape(read.encoding.field)
        counted = [line[:3] for line in lines if re.match(rf"[A-Z][A-Z0-9]{{2}}(?:{separator}|$)", line)]
        assert [segment.name for segment in read.segments] == counted, name
        kept = "\n".join(er7(segment) for segment in read.segments).split("\n")
        assert kept == [line for line in lines if line], name


def test_python_hl7_cuts_every_field_alike() -> None:
    compared = 0
    for name, _, read in messages():
        other = by_python_hl7(read)
        assert len(other) == len(read.segments) + 1, name
        for segment, theirs in zip(read.segments, other, strict=False):
            assert len(segment.fields) == len(theirs), (name, segment.path)
            for number in range(3 if segment.name == "MSH" else 1, len(segment.fields)):
                ours = [
                    [read.encoding.subcomponents(raw) for raw in segment.components(number, repetition)] or [[""]]
                    for repetition in range(1, len(segment.repetitions(number)) + 1)
                ]
                assert (ours or [[[""]]]) == cut(theirs[number], 3), (name, segment.where(number))
                compared += 1
    assert compared > 150_000


def cut(part: Any, levels: int) -> Any:
    """A part of a message as python-hl7 has it, which leaves out the levels below one that cuts nothing."""
    if not levels:
        return part
    if isinstance(part, str):
        return [cut(part, levels - 1)]
    return [cut(one, levels - 1) for one in part]


def test_python_hl7_finds_the_same_value_in_every_place() -> None:
    compared = 0
    for name, _, read in messages():
        for segment, other in zip(read.segments, by_python_hl7(read), strict=False):
            for number in range(3 if segment.name == "MSH" else 1, len(segment.fields)):
                for repetition in range(1, len(segment.repetitions(number)) + 1):
                    for component, raw in enumerate(segment.components(number, repetition), 1):
                        if PYTHON_HL7_DIFFERS.search(raw) or (read.odd_delimiters and read.encoding.escape in raw):
                            continue
                        for subcomponent in range(1, len(read.encoding.subcomponents(raw)) + 1):
                            place = (number, repetition, component, subcomponent)
                            theirs = other.extract_field(1, *place)
                            assert (segment.value(*place) or "") == theirs, (name, segment.path, place)
                            compared += 1
    assert compared > 190_000


def test_hl7apy_finds_the_same_components_in_the_messages_that_it_can_read() -> None:
    compared = 0
    for number, (name, _, read) in enumerate(messages()):
        message_type = f"{read.value('MSH-9')}^{read.value('MSH-9.2')}"
        if message_type not in ORDER_MESSAGES and number % 8:  # it takes a second for a hundred segments
            continue
        try:
            other = hl7apy.parser.parse_message(
                "\r".join(er7(segment) for segment in read.segments),
                validation_level=VALIDATION_LEVEL.TOLERANT,
                find_groups=False,
            )
        except (HL7apyException, IndexError):  # another delimiter in MSH-2, version 2.5.0, an odd segment name
            continue
        assert [segment.name for segment in other.children] == [segment.name for segment in read.segments], name
        for segment, theirs in zip(read.segments, other.children, strict=True):
            compared += agreeing_components(name, segment, theirs)
    assert compared > 10_000


def agreeing_components(name: str, segment: Segment, theirs: "hl7apy.core.Segment") -> int:
    """How many components both know. hl7apy gives no number to what its tables do not define."""
    compared = 0
    repetitions: Counter[int] = Counter()
    for field in theirs.children:
        prefix, _, number = (field.name or "").rpartition("_")
        if not prefix or (segment.name == "MSH" and int(number) <= 2):
            continue
        repetitions[int(number)] += 1
        ours = segment.components(int(number), repetitions[int(number)])
        for component in field.children:
            kind, _, position = (component.name or "").rpartition("_")
            if not kind or int(position) > len(ours) or HL7APY_DIFFERS.search(ours[int(position) - 1]):
                continue
            mine = ours[int(position) - 1].rstrip(segment.encoding.subcomponent or None)
            assert mine.strip() == component.to_er7().strip(), (name, segment.path, number, position)
            compared += 1
    return compared


def test_real_imaging_orders_give_the_numbers_that_their_authors_put_into_them() -> None:
    orders = {}
    for name, _, message in messages():
        if name.startswith(("dcm4che/OMG", "dcm4che/OMI", "dcm4che/ORM")):
            found = read_message(message, channel="orders")
            assert isinstance(found, Reading)
            orders[name] = found
    assert len(orders) == 3
    for name, found in orders.items():
        (update,) = found.facts
        assert isinstance(update, OrderUpdate)
        assert [number.value for number in update.accession_numbers or ()] == ["AccessionNumber"], name
        assert [uid.value for uid in update.study_instance_uids or ()] == ["1.2.392.200036.9125.0.198811291108.7"], name
        assert [step.scheduled_procedure_step_id for step in update.scheduled_steps or ()] == ["ScheduledProcStepID"]
        assert "from 12 \N{EN DASH}35" in str(update.reason), name  # declared 8859/1, written in UTF-8
