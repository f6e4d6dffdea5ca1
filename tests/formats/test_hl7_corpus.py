"""Every real HL7 v2 message at hand is read, filtered or refused; python-hl7 and hl7apy find the same in it."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import hl7 as python_hl7
import hl7apy.parser
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException

from bridge.core.errors import Invalid
from bridge.core.model import Filtered, OrderMessage
from bridge.formats.hl7 import Message, Segment, parse
from bridge.formats.hl7_messages import ORDER_MESSAGES, read_orders

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "hl7"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the real HL7 messages are not in {CORPUS}")

REFUSED_WITH = {"hl7-bad-msh", "hl7-batch", "hl7-no-message-type", "hl7-no-msh", "hl7-no-order"}

# Where others read something else, by what stands in the raw value.
PYTHON_HL7_DIFFERS = re.compile(
    r"\\\.(?:br|sp)"  # a formatted line break: "\r" there, "\n" here
    r"|\\[HN]\\"  # highlighting: "_" there, left out here
    r"|\\(?![FSRTE]\\)"  # a lone escape character or an unknown sequence: dropped there, kept here
    r"|\s$|\n"  # a line break inside a value, white space at a line's end: cut off there
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
def messages() -> dict[str, Message]:
    found, refused_with = {}, {}
    for name, body in bodies().items():
        try:
            found[name] = parse(body)
        except Invalid as invalid:
            refused_with[name] = invalid.code
    assert set(refused_with.values()) <= REFUSED_WITH, refused_with
    return found


def er7(segment: Segment) -> str:
    """The segment as it was received."""
    fields = [segment.name, *segment.fields[2:]] if segment.name == "MSH" else segment.fields
    return segment.encoding.field.join(fields)


def test_every_message_is_read_filtered_or_refused_with_a_code() -> None:
    outcomes: Counter[str] = Counter()
    for name, body in bodies().items():
        try:
            found = read_orders(body, channel="orders")
        except Invalid as invalid:
            outcomes[invalid.code] += 1
        else:
            outcomes["filtered" if isinstance(found, Filtered) else "orders"] += 1
            assert isinstance(found, Filtered) or found.updates, name
    assert set(outcomes) <= {"orders", "filtered", *REFUSED_WITH}
    assert (outcomes["orders"], outcomes["filtered"], outcomes.total()) == (47, 581, 694)


def test_no_segment_is_lost_and_no_text_either() -> None:
    for name, read in messages().items():
        body = bodies()[name].removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"")
        lines = [line.strip(b" \t\x0b\x1c") for line in re.split(rb"[\r\n]+", body)]
        separator = re.escape(read.encoding.field.encode())
        counted = [line[:3].decode() for line in lines if re.match(rb"[A-Z][A-Z0-9]{2}(?:%b|$)" % separator, line)]
        assert [segment.name for segment in read.segments] == counted, name
        kept = "".join(er7(segment) for segment in read.segments)
        assert re.sub(r"\s|\\", "", kept) == re.sub(r"\s|\\", "", b"".join(lines).decode(read.codec)), name


def test_python_hl7_finds_the_same_value_in_every_place() -> None:
    compared = 0
    for name, read in messages().items():
        other = python_hl7.parse("\r".join(er7(segment) for segment in read.segments))
        assert len(other) == len(read.segments), name
        for segment in read.segments:
            for number in range(3 if segment.name == "MSH" else 1, len(segment.fields)):
                for repetition in range(1, len(segment.repetitions(number)) + 1):
                    for component, raw in enumerate(segment.components(number, repetition), 1):
                        if PYTHON_HL7_DIFFERS.search(raw):
                            continue
                        for subcomponent in range(1, len(read.encoding.subcomponents(raw)) + 1):
                            place = (number, repetition, component, subcomponent)
                            theirs = other.extract_field(segment.name, segment.occurrence, *place)
                            assert (segment.value(*place) or "") == theirs, (name, segment.path, place)
                            compared += 1
    assert compared > 150_000


def test_hl7apy_finds_the_same_components_in_the_messages_that_it_can_read() -> None:
    compared = 0
    for number, (name, read) in enumerate(messages().items()):
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
    for name in bodies():
        if name.startswith(("dcm4che/OMG", "dcm4che/OMI", "dcm4che/ORM")):
            found = read_orders(bodies()[name], channel="orders")
            assert isinstance(found, OrderMessage)
            orders[name] = found
    assert len(orders) == 3
    for name, found in orders.items():
        (update,) = found.updates
        assert [number.value for number in update.accession_numbers or ()] == ["AccessionNumber"], name
        assert [uid.value for uid in update.study_instance_uids or ()] == ["1.2.392.200036.9125.0.198811291108.7"], name
        assert [step.scheduled_procedure_step_id for step in update.scheduled_steps or ()] == ["ScheduledProcStepID"]
        assert "from 12 \N{EN DASH}35" in str(update.reason), name  # declared 8859/1, written in UTF-8
