"""Reads Instance Number (0020,0013) from its raw bytes, never rounding, repairing or defaulting what it finds.

VR IS, VM 1 (PS3.5 6.2): optional sign, digits, leading and trailing spaces, at most 12 bytes, -2^31 to 2^31-1.
It identifies nothing: the standard promises neither uniqueness nor continuity, so it is never part of a key.
"""

import re
from collections.abc import Iterable
from typing import Literal

from bridge.core.struct import Value

TAG = "00200013"

Status = Literal["valid", "absent", "empty", "invalid"]
Flag = Literal[
    "too-long",  # over 12 bytes, padding included
    "out-of-range",  # an integer, but not of 32 bits
    "not-an-integer",
    "multiple-values",  # a backslash, where one value is allowed
    "null-padded",  # trailing NULs, where a space pads an IS: tolerated
    "padded",  # spaces other than the one that makes the length even: legal, but remarkable
    "vr-not-is",  # an explicit VR other than IS: tolerated for UN, whose bytes are the same
]

_MAX_LENGTH = 12
_MAX_DIGITS = 10  # of 2^31
_INTEGER = re.compile(rb"([+-]?)([0-9]+)")  # leading zeros are taken off afterwards: splitting them here is quadratic
_ESCAPED = re.compile(rb"[^ -~]|\\(?=x)")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class Requirement(Value):
    """What the SOP class asks of the attribute (PS3.5 7.4), and whether this object gives it.

    `type` is "1", "2" or "3", None when the SOP class is unknown; `met` is None exactly then. Type 1 is met by a valid
    value, type 2 by a valid or an empty one, type 3 by anything: a value that breaks its VR or VM satisfies neither of
    the first two (PS3.5 7.4.1, 7.4.3).
    """

    type: str | None
    met: bool | None


class InstanceNumber(Value, kw_only=True):
    """Instance Number as one object states it; `value` is set when, and only when, `status` is `valid`.

    `raw` is None when the element is absent, else its bytes as ASCII; see `escape`. `vr` is the VR as stated.
    """

    tag: str = TAG
    vr: str = "IS"
    raw: str | None
    value: int | None
    status: Status
    flags: tuple[Flag, ...]
    requirement: Requirement


class InstanceNumberSummary(Value):
    """The Instance Numbers of a series: information, not a verdict (the standard promises no sequence).

    `count` objects, of which `absent` have none (no element, or empty) and `invalid` one that is no integer. Of the
    others: the `lowest` and `highest` (null where there is none), how many `distinct` ones, how many `duplicates`
    beyond the first of each, and how many integers between lowest and highest are missing (`gaps`).
    """

    count: int
    lowest: int | None
    highest: int | None
    distinct: int
    duplicates: int
    gaps: int
    absent: int
    invalid: int


def summarise(numbers: Iterable[InstanceNumber]) -> InstanceNumberSummary:
    """What the Instance Numbers of one series have between them."""
    stated = list(numbers)
    values = [number.value for number in stated if number.value is not None]
    distinct = set(values)
    lowest, highest = min(distinct, default=None), max(distinct, default=None)
    return InstanceNumberSummary(
        count=len(stated),
        lowest=lowest,
        highest=highest,
        distinct=len(distinct),
        duplicates=len(values) - len(distinct),
        gaps=highest - lowest + 1 - len(distinct) if lowest is not None and highest is not None else 0,
        absent=sum(number.status in ("absent", "empty") for number in stated),
        invalid=sum(number.status == "invalid" for number in stated),
    )


def parse_instance_number(raw: bytes | None, requirement_type: str | None, vr: str = "IS") -> InstanceNumber:
    """The Instance Number whose value field is `raw`, None when the element is absent; raises nothing.

    `requirement_type` is what the object's SOP class asks for, `vr` the VR that the object states for the element.
    """
    value, status, flags = _read(raw, vr)
    return InstanceNumber(
        vr=vr,
        raw=None if raw is None else escape(raw),
        value=value,
        status=status,
        flags=tuple(flags),
        requirement=Requirement(type=requirement_type, met=_met(requirement_type, status)),
    )


def escape(raw: bytes) -> str:
    r"""Printable ASCII as it is, any other byte as `\xNN`, and a backslash as `\x5c` where an `x` follows it.

    No `\x` is left but those of an escape, so `unescape` gives every byte back.
    """
    return _ESCAPED.sub(lambda match: b"\\x%02x" % match[0][0], raw).decode("ascii")


def unescape(text: str) -> bytes:
    """The bytes that `escape` was given."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")


def _read(raw: bytes | None, vr: str) -> tuple[int | None, Status, list[Flag]]:
    flags: list[Flag] = []
    if raw is None:
        return None, "absent", flags
    if vr != "IS":
        flags.append("vr-not-is")
    if len(raw) > _MAX_LENGTH:
        flags.append("too-long")
    text = raw.rstrip(b"\0")
    if text != raw:
        flags.append("null-padded")
    bare = text.strip(b" ")
    if text != bare and not (text == bare + b" " and len(text) % 2 == 0):
        flags.append("padded")
    if not bare:
        return None, "empty", flags

    integer = _INTEGER.fullmatch(bare)
    digits = (integer[2].lstrip(b"0") or b"0") if integer else b""
    if b"\\" in bare:
        flags.append("multiple-values")
    elif integer is None:
        flags.append("not-an-integer")
    elif len(digits) > _MAX_DIGITS or not -(2**31) <= int(integer[1] + digits) < 2**31:
        flags.append("out-of-range")
    elif len(raw) <= _MAX_LENGTH and vr in ("IS", "UN"):
        return int(integer[1] + digits), "valid", flags
    return None, "invalid", flags


def _met(requirement_type: str | None, status: Status) -> bool | None:
    match requirement_type:
        case None:
            return None
        case "1":
            return status == "valid"
        case "2":
            return status in ("valid", "empty")
        case _:
            return True
