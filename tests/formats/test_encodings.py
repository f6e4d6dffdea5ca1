"""content_encoding is undone, bounded, and what is damaged is refused with its place."""

import base64
import gzip
import tracemalloc
import zlib

import pytest

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats.encodings import decoded, looks_like_base64

BODY = b"MSH|^~\\&|RIS|MAIN\rPID|1\r" * 40
PACKED = gzip.compress(BODY, mtime=0)  # the same in every run: test parameters become names of tests


def code_of(body: bytes, encoding: str, limits: Limits = DEFAULT_LIMITS) -> tuple[str, str]:
    with pytest.raises(Invalid) as refused:
        decoded(body, encoding, limits)
    return refused.value.code, refused.value.reason


@pytest.mark.parametrize("encoding", [None, "", "identity", "UTF-8", "ISO-8859-1"])
def test_a_body_without_encoding_or_with_the_name_of_a_character_set_stays_as_it_is(encoding: str | None) -> None:
    assert decoded(BODY, encoding, DEFAULT_LIMITS) is BODY


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_gzip_is_undone_in_all_its_members(encoding: str) -> None:
    assert decoded(gzip.compress(BODY) + gzip.compress(b"more"), encoding, DEFAULT_LIMITS) == BODY + b"more"


def test_base64_is_undone_whatever_white_space_an_engine_puts_into_it() -> None:
    lines = base64.encodebytes(BODY).replace(b"\n", b"\r\n")
    assert decoded(b" \t" + lines + b"\r\n", "base64", DEFAULT_LIMITS) == BODY


def test_several_encodings_are_undone_from_the_last_to_the_first() -> None:
    assert decoded(base64.b64encode(gzip.compress(BODY)), "gzip, base64", DEFAULT_LIMITS) == BODY


def test_a_gzip_bomb_is_refused_at_the_bound_with_memory_near_it() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    body = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(600)), bomb.flush()])
    assert len(body) < 1 << 20
    tracemalloc.start()
    try:
        assert code_of(body, "gzip")[0] == "max-inflated-size"
        assert tracemalloc.get_traced_memory()[1] < 1.2 * DEFAULT_LIMITS.max_inflated_size
    finally:
        tracemalloc.stop()


def test_what_is_just_within_the_bound_is_inflated() -> None:
    limits = Limits(max_inflated_size=len(BODY))
    assert decoded(gzip.compress(BODY), "gzip", limits) == BODY
    assert code_of(gzip.compress(BODY + b"x"), "gzip", limits)[0] == "max-inflated-size"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PACKED[:-9], "ends early"),
        (BODY, "not gzip data"),
        (PACKED[:-8] + bytes(8), "not gzip data"),  # its checksum is wrong
        (PACKED + b"garbage", "not gzip data"),
    ],
)
def test_damaged_gzip_data_is_refused(body: bytes, reason: str) -> None:
    code, said = code_of(body, "gzip")
    assert code == "gzip-malformed"
    assert reason in said


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"TVNI!!!!", "byte 4 is none that base64 has"),
        (b"TVN", "cut short"),
        (b"TVNI=TVNI", "padding"),
        (BODY, "byte 3 is none"),
    ],
)
def test_base64_garbage_is_refused_with_its_place(body: bytes, reason: str) -> None:
    code, said = code_of(body, "base64")
    assert code == "base64-malformed"
    assert reason in said


def test_an_encoding_that_is_not_known_is_refused() -> None:
    assert code_of(BODY, "br")[0] == "unsupported-content-encoding"
    assert code_of(BODY, "gzip, zstd")[0] == "unsupported-content-encoding"


def test_base64_is_recognised_where_nobody_states_it() -> None:
    assert looks_like_base64(base64.encodebytes(BODY))
    assert not looks_like_base64(BODY)
    assert not looks_like_base64(b"TVNI")
