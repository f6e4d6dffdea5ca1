"""A header over a bound is refused with the bound's name, and costs no more than its size allows."""

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from time import process_time

import pytest
from dicom_bytes import (
    DEFLATED,
    IMPLICIT_LITTLE,
    SEQUENCE_END,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    ct,
    element,
    implicit,
    item,
    open_item,
    open_sequence,
    part10,
    sequence,
)

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Instance
from bridge.formats.dicom import read_instance
from bridge.formats.selection import selection

MEBIBYTE = 1024 * 1024
UIDS = implicit(0x00080018, "1.2.3.4.5 ") + implicit(0x0020000D, "1.2.3 ")


def refusal(body: bytes, limits: Limits = DEFAULT_LIMITS, *, attributes: tuple[str, ...] = ()) -> str:
    with pytest.raises(Invalid) as refused:
        read_instance(body, attributes=selection(*attributes), limits=limits)
    return refused.value.code


def nested(depth: int, tag: int = 0x00081140, *, stated: bool = False) -> bytes:
    """Sequences within each other, built from the inside."""
    if stated:
        inside = b""
        for _ in range(depth):
            inside = implicit(tag, item(inside))
        return inside
    opened = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, b"SQ", 0, UNDEFINED) + open_item()[:8]
    return opened * depth + (open_item()[8:] + SEQUENCE_END) * depth


def requests(content: bytes) -> bytes:
    """Request attributes in implicit VR, whose lengths are not bounded by 64 KB."""
    return part10(data_set=UIDS + implicit(0x00400275, content), transfer_syntax=IMPLICIT_LITTLE)


def rejection_note(content: bytes) -> bytes:
    """A rejection note in implicit VR with these items for the objects of one series."""
    for tag in (0x00081199, 0x00081115, 0x0040A375):
        content = implicit(tag, content if tag == 0x00081199 else item(content))
    title = implicit(0x0040A043, item(implicit(0x00080100, "113001"), implicit(0x00080102, "DCM")))
    sop_class = implicit(0x00080016, b"1.2.840.10008.5.1.4.1.1.88.59\0")
    return part10(data_set=sop_class + UIDS + title + content, transfer_syntax=IMPLICIT_LITTLE)


def deflated_pixels(mebibytes: int) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = SOP_CLASS + SOP_INSTANCE + STUDY + element(0x7FE00010, "OW", b"", length=mebibytes * MEBIBYTE)
    parts = [compressor.compress(head), *(compressor.compress(bytes(MEBIBYTE)) for _ in range(mebibytes))]
    return part10(transfer_syntax=DEFLATED, data_set=b"".join(parts) + compressor.flush())


# Each bound, exactly


def test_nesting_is_bounded() -> None:
    body = part10(SOP_CLASS, SOP_INSTANCE, nested(5), STUDY)

    assert read_instance(body, limits=Limits(max_nesting=5)).sop_instance_uid == "1.2.3.4.5"
    assert refusal(body, Limits(max_nesting=4)) == "max-nesting"


def test_elements_are_counted_with_those_in_items_that_are_passed_over() -> None:
    body = part10(
        SOP_CLASS,
        SOP_INSTANCE,
        open_sequence(0x00081140, open_item(element(0x00081155, "UI", "1.2")), item(element(0x00081155, "UI", "1.2"))),
        STUDY,
    )
    meta, uids, passed_over = 2, 3, 1 + 2 + 1  # the sequence, its first item and what is in it, its second unopened
    counted = meta + uids + passed_over

    assert (
        read_instance(body, attributes=selection(), limits=Limits(max_elements=counted)).sop_instance_uid == "1.2.3.4.5"
    )
    assert refusal(body, Limits(max_elements=counted - 1)) == "max-elements"


def test_what_is_read_inside_items_is_counted() -> None:
    body = ct(sequence(0x00400275, *[item(element(0x00080050, "SH", "A1"))] * 20))

    assert len(read_instance(body, attributes=selection(), limits=Limits(max_elements=46)).statement.requests) == 20
    assert refusal(body, Limits(max_elements=45)) == "max-elements"


def test_values_that_are_kept_are_counted_too() -> None:
    several = ct(element(0x00280030, "DS", "1\\2\\3\\4\\5\\6"))

    assert read_instance(several, limits=Limits(max_elements=20)).sop_instance_uid == "1.2.3.4.5"
    assert refusal(several, Limits(max_elements=10), attributes=("PixelSpacing",)) == "max-elements"


@pytest.mark.parametrize(
    "joined",
    [
        lambda number: element(0x00101000, "LO", b"\\".join([b"A"] * number)),
        lambda number: element(0x00100010, "PN", b"\\".join([b"A"] * number)),
        lambda number: sequence(0x00101002, *[item(element(0x00100020, "LO", "A"))] * number),
        lambda number: sequence(0x00400275, *[item(element(0x00401001, "SH", "A"))] * number),
        lambda number: sequence(0x0040A370, *[item(element(0x00401001, "SH", "A"))] * number),
    ],
    ids=["other-patient-ids", "names", "other-patient-ids-items", "request-attributes", "referenced-requests"],
)
def test_a_thousand_values_that_name_a_patient_or_request_are_read_and_no_more(
    joined: Callable[[int], bytes],
) -> None:
    assert read_instance(ct(joined(1000))).sop_instance_uid == "1.2.3.4.5"
    assert refusal(ct(joined(1001))) == "max-repetitions"


@pytest.mark.parametrize(
    "used",
    [
        element(0x00080050, "SH", "A" * 40),
        element(0x00100010, "PN", "A" * 40),
        element(0x00200013, "IS", "1" * 40),
        element(0x00081030, "LO", "A" * 40),
        sequence(0x00400275, item(element(0x00401001, "SH", "A" * 40))),
    ],
    ids=["identifier", "name", "instance-number", "kept-for-the-event", "in-an-item"],
)
def test_a_value_that_is_used_is_bounded(used: bytes) -> None:
    assert read_instance(ct(used), limits=Limits(max_field_size=40)).sop_instance_uid == "1.2.3.4.5"
    assert refusal(ct(used), Limits(max_field_size=39), attributes=("StudyDescription",)) == "max-field-size"


def test_a_value_that_is_not_looked_at_may_be_of_any_size() -> None:
    body = ct(
        element(0x00091001, "UN", b"x" * 5 * MEBIBYTE),
        element(0x00420011, "OB", b"%PDF" * MEBIBYTE * 2),
        sequence(0x54000100, item(element(0x54001010, "OW", b"\1\2" * 3 * MEBIBYTE))),
    )

    assert read_instance(body, attributes=selection("00091001", "EncapsulatedDocument")).dicom == {}
    assert read_instance(body, attributes=selection("WaveformSequence")).dicom == {
        "54000100": {"vr": "SQ", "Value": [{}]}
    }


def test_the_inflated_size_is_bounded() -> None:
    body = deflated_pixels(1)

    assert read_instance(body, limits=Limits(max_inflated_size=MEBIBYTE + 1000)).sop_instance_uid == "1.2.3.4.5"
    assert refusal(body, Limits(max_inflated_size=MEBIBYTE)) == "max-inflated-size"


# The defaults, against what they are there for


@pytest.mark.parametrize("attributes", [(), ("ReferencedImageSequence",)])
def test_a_sequence_ten_thousand_deep_is_refused(attributes: tuple[str, ...]) -> None:
    body = part10(SOP_CLASS, SOP_INSTANCE, nested(10_000), STUDY)

    assert refusal(body, attributes=attributes) == "max-nesting"


def test_a_sequence_ten_thousand_deep_with_stated_lengths_is_refused_where_it_is_read() -> None:
    deep = item(nested(10_000, 0x00400275, stated=True))

    assert refusal(requests(deep), attributes=("RequestAttributesSequence",)) == "max-nesting"
    assert len(read_instance(requests(deep), attributes=selection()).statement.requests) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"".join(struct.pack("<HHL", 0x0041 + n // 60_000, n % 60_000, 0) for n in range(1_000_001)),
        struct.pack("<HHL", 0x0041, 0x1001, UNDEFINED) + item() * 1_000_001 + SEQUENCE_END,
    ],
    ids=["elements", "items"],
)
def test_more_than_a_million_elements_are_refused(content: bytes) -> None:
    assert refusal(part10(data_set=UIDS + content)) == "max-elements"


def test_a_name_of_5_mb_is_refused() -> None:
    assert refusal(ct(element(0x00100010, "UN", b"A" * 5_000_000))) == "max-field-size"


def test_a_deflate_bomb_is_refused() -> None:
    bomb = deflated_pixels(140)

    assert len(bomb) < MEBIBYTE
    assert refusal(bomb) == "max-inflated-size"


# What a body may cost


def cost(body: bytes) -> tuple[Instance | None, float]:
    """What is read, and the peak memory as a multiple of the body."""
    tracemalloc.start()
    try:
        instance = read_instance(body)
    except Invalid:
        instance = None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return instance, peak / len(body)


@pytest.mark.parametrize("place", ["data set", "item"])
def test_elements_that_are_not_used_take_no_memory(place: str) -> None:
    many = b"".join(struct.pack("<HHL", 0x0041 + n // 60_000, n % 60_000, 0) for n in range(20_000))
    if place == "item":
        many = implicit(0x00411001, open_item(many) + SEQUENCE_END, length=UNDEFINED)
    instance, factor = cost(part10(data_set=UIDS + many))

    assert instance is not None
    assert factor < 0.2


@pytest.mark.parametrize(
    "body",
    [
        requests(item() * 20_000),
        requests(item(implicit(0x00080050, "A1")) * 10_000),
        requests(item(b"".join(struct.pack("<HHL", 0x0022 + n // 50_000 * 2, n % 50_000, 0) for n in range(20_000)))),
        part10(data_set=UIDS[:18] + implicit(0x00100010, "a\\" * 20_000) + UIDS[18:]),
        part10(data_set=UIDS[:18] + implicit(0x00101000, "a\\" * 20_000) + UIDS[18:]),
        part10(data_set=UIDS + implicit(0x00280030, "1\\" * 20_000)),
        rejection_note(b"".join(item(implicit(0x00081155, f"{number:06}")) for number in range(10_000))),
    ],
    ids=["items", "requests", "elements-of-an-item", "names", "patient-identifiers", "numbers", "rejected-objects"],
)
def test_memory_stays_within_a_hundred_times_a_hostile_body(body: bytes) -> None:
    _, factor = cost(body)

    assert factor < 100


def test_a_delimiter_that_is_searched_for_again_and_again_takes_no_more_time_than_once() -> None:
    """Items that end in something else, each within the item of another: each level once doubled the work."""
    tag = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, UNDEFINED)
    inside = tag + b"no item." + bytes(MEBIBYTE) + SEQUENCE_END
    for _ in range(30):
        inside = tag + item(element(0x00091002, "OB", SEQUENCE_END)) + open_item(inside) + b"no item." + SEQUENCE_END
    before = process_time()
    read_instance(part10(SOP_CLASS, SOP_INSTANCE, inside, STUDY))

    assert process_time() - before < 2
