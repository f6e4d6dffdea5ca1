"""The messages of a body: envelopes, several messages and several MLLP blocks; none is lost, cut or changed."""

import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats.hl7 import parse
from bridge.formats.hl7_batches import Batch, split

SIZE = 128 * 1024


def message(number: int, end: bytes = b"\r") -> bytes:
    header = rb"MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20260102083000||ORM^O01^ORM_O01|C%d|P|2.5.1" % number
    return end.join((header, b"PID|1||A%d" % number, b"ORC|NW", b""))


FIRST, SECOND, THIRD = message(1), message(2), message(3)
FHS, BHS = rb"FHS|^~\&|RIS" + b"\r", rb"BHS|^~\&|RIS" + b"\r"
BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "body",
    [
        FIRST,
        b"\x0b" + FIRST + b"\x1c\r",
        BOM + FIRST,
        b"\r\n \t" + FIRST + b"\r\n\r\n",
        FIRST.decode().encode("utf-16"),
        FIRST + b"NTE|1||MSH|^~\\&|, BHS and FHS\r",
        FIRST + b"NTE|1||a\rMSH-18 is empty\rBHS-Hospital\rBTS: 2\rNTE|2||MSH",
        FIRST + b"NTE|1||a\rBTS\rb\rNTE|2||a\rFHS",
        b"MSHA^~\\&ARIS",
        b"",
        b"\x0b\x1c\r",
        b"hello",
        b"[SOM]" + FIRST,
        b"PID|1\r" + FIRST + SECOND,
        b"/* example */\r" + FIRST + SECOND,
        b"BTS|1\r",
        b"MSH",
    ],
)
def test_a_body_that_is_no_batch_is_returned_as_it_is(body: bytes) -> None:
    assert split(body) == Batch([body], [])


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (FIRST + SECOND + THIRD, [FIRST, SECOND, THIRD]),
        (FHS + BHS + FIRST + SECOND + b"BTS|2\rFTS|1\r", [FIRST, SECOND]),
        (FHS + BHS + FIRST + b"BTS|1\r" + BHS + SECOND + THIRD + b"BTS|2\rFTS|2", [FIRST, SECOND, THIRD]),
        (BHS + FIRST + b"BTS|001\r", [FIRST]),
        (BHS + FIRST + b"BTS\r", [FIRST]),
        (BHS + FIRST + b'BTS|""|fine\r', [FIRST]),
        (FHS + FIRST + b"FTS|1\r", [FIRST]),
        (FHS + BHS + b"BTS|0\rFTS|1\r", []),
        (FHS + b"FTS|0\r", []),
        (BOM + b"\x0b" + FHS + FIRST + SECOND + b"FTS|1\r\x1c\r", [FIRST, SECOND]),
        (
            b"\x0b" + FIRST + b"\x1c\r\x0b" + SECOND + b"\x1c\r",
            [b"\x0b" + FIRST + b"\x1c\r", b"\x0b" + SECOND + b"\x1c\r"],
        ),
        (b"\x0b" + FIRST + b"\x1c\x0b" + SECOND, [b"\x0b" + FIRST + b"\x1c", b"\x0b" + SECOND]),
        (FIRST + b"\r\n\n" + SECOND, [FIRST + b"\r\n\n", SECOND]),
        (FIRST + BOM + SECOND, [FIRST, BOM + SECOND]),
        (FIRST + b"  " + SECOND, [FIRST, b"  " + SECOND]),
        (FIRST + b"# a comment\r" + SECOND, [FIRST + b"# a comment\r", SECOND]),
        (FIRST + b"MSH^~|\\&^RIS\rPID^1\r", [FIRST, b"MSH^~|\\&^RIS\rPID^1\r"]),
        (FIRST + b"MSH|^~r&|RIS\r", [FIRST, b"MSH|^~r&|RIS\r"]),
        (rb"FHS^~|\&^RIS" + b"\rMSH^~|\\&^RIS\rPID^1\rBTS|2\rFTS^1\r", [b"MSH^~|\\&^RIS\rPID^1\rBTS|2\r"]),
    ],
)
def test_a_batch_is_taken_apart_into_the_very_bytes_of_its_messages(body: bytes, messages: list[bytes]) -> None:
    assert split(body) == Batch(messages, [])


@pytest.mark.parametrize("wide", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_batch_in_utf_16_is_taken_apart_into_messages_in_utf_16(wide: str, mark: str) -> None:
    batch = (mark + (FHS + BHS + FIRST + SECOND + b"BTS|2\rFTS|1\r").decode().replace("ORC|NW", "ORC|NW|山田")).encode(
        wide
    )
    found = split(batch)
    assert [one.decode("utf-16") for one in found.messages] == [
        one.decode().replace("ORC|NW", "ORC|NW|山田") for one in (FIRST, SECOND)
    ]
    assert [parse(one).value("ORC-2") for one in found.messages] == ["山田", "山田"]
    assert found.warnings == []


@pytest.mark.parametrize(
    ("body", "messages", "warnings"),
    [
        (BHS + FIRST + b"BTS|2\r", 1, ["BTS-1: not the number of messages in the batch"]),
        (BHS + FIRST + b"BTS|one\r", 1, ["BTS-1: not the number of messages in the batch"]),
        (FHS + BHS + FIRST + b"BTS|1\rFTS|2\r", 1, ["FTS-1: not the number of batches in the file"]),
        (FHS + FIRST + b"FTS|" + b"9" * 5000, 1, ["FTS-1: not the number of batches in the file"]),
        (FHS + BHS + FIRST, 1, ["BHS: without BTS", "FHS: without FTS"]),
        (FHS + BHS + FIRST + b"FTS|1\r", 1, ["BHS: without BTS"]),
        (FHS + FHS + FIRST + b"FTS|1\r", 1, ["FHS: without FTS"]),
        (BHS + FIRST + BHS + SECOND + b"BTS|1\r", 2, ["BHS: without BTS"]),
        (FIRST + SECOND + b"BTS|2\r", 2, ["BTS: without BHS"]),
        (FIRST + b"FTS|1\r" * 9, 1, ["FTS: without FHS"]),
        (
            BHS + b"NTE|1||about the batch\r\r" + FIRST + b"BTS|1\rNTE|1\r \rDSC\r",
            1,
            ["lines in the envelope that belong to no message: 3, left out"],
        ),
        (
            b"\x0b" + BHS + FIRST + b"BTS|1\r\x1c\rgarbage\r",
            1,
            ["lines in the envelope that belong to no message: 1, left out"],
        ),
    ],
)
def test_what_is_odd_about_an_envelope_is_a_warning(body: bytes, messages: int, warnings: list[str]) -> None:
    found = split(body)
    assert found.messages == [FIRST, SECOND][:messages]
    assert found.warnings == warnings


def test_what_follows_an_mllp_block_is_told_about_the_message_in_the_block() -> None:
    found = split(b"\x0b" + FIRST + b"\x1c\rgarbage\r\x0b" + SECOND + b"\x1c\r")
    assert [parse(one).warnings for one in found.messages] == [("bytes behind MLLP's end block: 7, left out",), ()]


def test_a_message_that_cannot_be_read_does_not_keep_the_others_from_being_read() -> None:
    found = split(FIRST + b"MSH|^^^^|RIS\r" + THIRD)
    with pytest.raises(Invalid):
        parse(found.messages[1])
    assert [parse(found.messages[number]).value("MSH-10") for number in (0, 2)] == ["C1", "C3"]


def test_segments_in_an_envelope_without_msh_are_refused_alone() -> None:
    found = split(FHS + BHS + b"PID|1||A0\rORC|NW\r" + FIRST + b"BTS|1\rFTS|1\r")
    assert found.messages == [b"\rPID|1||A0\rORC|NW\r", FIRST]
    with pytest.raises(Invalid) as refused:
        parse(found.messages[0])
    assert refused.value.code == "hl7-no-msh"


def test_an_envelope_of_very_many_segments_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        split(BHS * 40_001)
    assert refused.value.code == "max-messages"


def test_more_messages_than_the_bound_are_refused() -> None:
    many = b"MSH|^~\\&|\r" * DEFAULT_LIMITS.max_messages
    assert len(split(many).messages) == 10_000
    for body, limits in ((many + FIRST, DEFAULT_LIMITS), (FIRST + SECOND, Limits(max_messages=1))):
        with pytest.raises(Invalid) as refused:
            split(body, limits)
        assert refused.value.code == "max-messages"


@pytest.mark.parametrize(
    "repeated", [b"\x0b", b"\x1c", b" ", b"\r", b"MSH", b"\rMSH", b"\rBTS", b"x\r", b"MSH|", BOM, b"\0", b"|"]
)
def test_time_and_memory_stay_within_a_factor_of_the_body(repeated: bytes) -> None:
    body = FHS + FIRST + repeated * (SIZE // len(repeated)) + SECOND + b"BTS" + repeated * (SIZE // len(repeated))
    tracemalloc.start()
    try:
        with suppress(Invalid):
            split(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(body) + SIZE


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c\x1b\0\ufffd"), max_size=12)
LINES = st.lists(TEXT.map(lambda text: f"NTE|1||{text}".encode()), max_size=4)
ENDS = st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\r\n"])
MESSAGES = st.lists(
    st.builds(
        lambda number, lines, end: message(number, end) + b"".join(line + end for line in lines),
        st.integers(0, 10**6),
        LINES,
        ENDS,
    ),
    max_size=5,
)


@given(MESSAGES, ENDS, st.booleans(), st.booleans())
def test_messages_in_any_envelope_come_out_as_they_were(
    messages: list[bytes], end: bytes, file: bool, batch: bool
) -> None:
    body = b"".join(messages)
    if batch:
        body = rb"BHS|^~\&|" + end + body + b"BTS|%d" % len(messages) + end
    if file:
        body = rb"FHS|^~\&|" + end + body + b"FTS" + end
    assert split(body) == Batch(messages if file or batch or messages else [b""], [])


@given(MESSAGES, st.sampled_from([b"", b"\r", b"\r\n"]))
def test_messages_in_mllp_blocks_come_out_in_their_blocks(messages: list[bytes], end: bytes) -> None:
    blocks = [b"\x0b" + one + b"\x1c" + end for one in messages]
    assert split(b"".join(blocks)).messages == (blocks or [b""])
    for block in blocks:
        assert "MLLP" not in str(parse(block).warnings)


@given(st.lists(st.sampled_from([FHS, BHS, FIRST, b"BTS|1\r", b"FTS\n", b"\x0b", b"\x1c\r", BOM, b" ", b"MSH", b"x"])))
def test_nothing_between_the_messages_is_lost_but_the_envelope(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    found = split(body)
    assert b"".join(found.messages).count(b"PID|1||A1") == body.count(b"PID|1||A1")
    if not any(name in body for name in (b"FHS", b"BHS", b"BTS", b"FTS")):
        assert b"".join(found.messages) == body


@given(st.binary(max_size=300) | st.text("MSHFBT|^~\\&\r\n\x0b\x1c \ufeff", max_size=60).map(str.encode))
def test_random_bytes_are_split_or_refused(body: bytes) -> None:
    for whole in (body, FHS + body, FIRST + body + SECOND, body.decode("iso8859-1").encode("utf-16")):
        with suppress(Invalid):
            for one in split(whole).messages:
                with suppress(Invalid):
                    parse(one)


def test_what_a_cut_left_of_the_next_header_costs_no_message_but_itself() -> None:
    assert split(FIRST + b"MSH").messages == [FIRST, b"MSH"]
    assert split(FIRST + b"MSH\r" + SECOND).messages == [FIRST, b"MSH\r", SECOND]


def test_a_message_in_small_letters_in_a_batch_is_returned_to_be_refused() -> None:
    small = FIRST.lower()
    assert split(b"BHS|^~\\&|A\r" + small + b"BTS|1\r").messages == [b"\r" + small]
