"""Bytes to text where escape sequences switch the character set (ISO 2022; HL7 2.5.1, 2.7.2 and MSH-20).

A character is never replaced or dropped: what is not in the set in force is refused.
"""

import re
from typing import NamedTuple

from bridge.core.errors import Invalid


class _Set(NamedTuple):
    """Which codec has the characters of a set, and how it writes one: after `prefix`, in `size` bytes above 0x7F."""

    codec: str
    size: int = 1
    prefix: bytes = b""


_JIS_X_0208 = _Set("euc_jp", 2)
_JIS_X_0212 = _Set("euc_jp", 2, b"\x8f")
_KATAKANA = _Set("euc_jp", 1, b"\x8e")  # JIS X 0201
_GB_2312 = _Set("gb2312", 2)
_KS_X_1001 = _Set("cp949", 2)
_PARTS_OF_8859 = {
    b"A": 1, b"B": 2, b"C": 3, b"D": 4, b"L": 5, b"G": 6, b"F": 7, b"H": 8, b"M": 9,
    b"V": 10, b"T": 11, b"Y": 13, b"_": 14, b"b": 15, b"f": 16,
}  # fmt: skip

# What follows ESC (the International Register of Coded Character Sets). A G0 set is written in bytes below 0x80, a G1
# set above; None is ASCII, which JIS X 0201's Latin letters are read as: their yen sign and overline are delimiters.
_G0: dict[bytes, _Set | None] = {
    **dict.fromkeys((b"(B", b"(J"), None),
    b"(I": _KATAKANA,
    **dict.fromkeys((b"$@", b"$B", b"$(@", b"$(B"), _JIS_X_0208),
    b"$(D": _JIS_X_0212,
    **dict.fromkeys((b"$A", b"$(A"), _GB_2312),
    b"$(C": _KS_X_1001,
}
_G1: dict[bytes, _Set] = {
    b")I": _KATAKANA,
    b"$)B": _JIS_X_0208,
    b"$)D": _JIS_X_0212,
    b"$)A": _GB_2312,
    b"$)C": _KS_X_1001,
    **{b"-" + final: _Set(f"iso8859-{part}") for final, part in _PARTS_OF_8859.items()},
}
_SWITCH = re.compile(rb"\x1b(\$[@AB]|\$?[(-/][0-~])|[\r\n]+")
_MANY_CHARACTERS = (b"$", b".", b"/")  # two-byte sets, and G2 and G3
_RUN = re.compile(rb"([!-~]+)|([\x80-\xff]+)|[\x00- \x7f]+")
# One that means a delimiter is matched to be passed over: what follows it is text.
_HL7_ESCAPE = rb"%b(?:C((?:[0-9A-Fa-f]{2}){2})|M((?:[0-9A-Fa-f]{2}){2,3})|[FSRETPHN])%b"
_TO_G1 = bytes(byte | 0x80 for byte in range(256))
_WIDER = {"shift_jis": "cp932", "euc_kr": "cp949", "big5": "cp950"}  # Microsoft's, with the characters they added
_SHIFT_OUT = b"\x0e"


def decode(raw: bytes, codec: str) -> str:
    """The text of `raw`, in `codec` until an escape sequence switches, and again from the next line on.

    What is no switch is text, such as a printer's commands; a switch to a one-byte set that is not read looks like one.
    Raises Invalid: `hl7-undecodable`.
    """
    if codec == "iso2022_jp_2":
        codec = "ascii"  # the escape sequences are read here
    if b"\x1b" not in raw:
        return plain(raw, codec)
    text: list[str] = []
    g0: _Set | None = None
    g1: _Set | None = None
    at = 0
    for switch in _SWITCH.finditer(raw):
        designation = switch[1]
        if designation is None:
            if g0 is None and g1 is None:
                continue
        elif designation not in _G0 and designation not in _G1:
            if designation.startswith(_MANY_CHARACTERS):
                raise _undecodable(switch.start(), "switches to a character set that is not read")
            continue
        text.append(_part(raw[at : switch.start()], codec, g0, g1, at))
        at = switch.end()
        if designation is None:
            text.append(switch[0].decode("ascii"))
            g0 = g1 = None
        elif designation in _G0:
            g0 = _G0[designation]
        else:
            g1 = _G1[designation]
    text.append(_part(raw[at:], codec, g0, g1, at))
    return "".join(text)


def switches(raw: bytes, escape: bytes) -> int:
    r"""How many escape sequences may switch the character set, ISO 2022's and, by MSH-2, HL7's such as `\M2442\`."""
    number = raw.count(b"\x1b")
    return number + raw.count(escape + b"M24") + raw.count(escape + b"C2") if escape else number


def with_hl7_escapes(raw: bytes, escape: bytes) -> bytes:
    r"""The bytes with HL7's escape sequences `\Cxxyy\` and `\Mxxyyzz\` as those of ISO 2022 (HL7 2.5.1, 2.7.2)."""

    def iso2022(sequence: re.Match[bytes]) -> bytes:
        if not sequence.lastindex:
            return sequence[0]
        designation = bytes.fromhex((sequence[1] or sequence[2]).decode("ascii"))
        many_bytes = sequence[2] is not None
        known = (designation in _G0 or designation in _G1) and designation.startswith(b"$") is many_bytes
        return b"\x1b" + designation if known else sequence[0]

    return re.sub(_HL7_ESCAPE % ((re.escape(escape),) * 2), iso2022, raw)


def _part(raw: bytes, codec: str, g0: _Set | None, g1: _Set | None, at: int) -> str:
    """The text between two switches; `at` is where it begins in the message."""
    if g0 is None and g1 is None:
        return plain(raw, codec, at)
    text: list[str] = []
    for run in _RUN.finditer(raw):
        low, high = run.groups()
        start = at + run.start()
        if low and g0:
            text.append(_in_set(low.translate(_TO_G1), g0, start))
        elif high and g1:
            text.append(_in_set(high, g1, start))
        elif _SHIFT_OUT in run[0]:
            raise _undecodable(start, "shifts to another character set (SO), which is not read")
        else:
            text.append(plain(run[0], codec if high else "ascii", start))
    return "".join(text)


def _in_set(high: bytes, character_set: _Set, at: int) -> str:
    codec, size, prefix = character_set
    characters = b"".join(prefix + high[i : i + size] for i in range(0, len(high), size)) if prefix else high
    if character_set is _JIS_X_0208 and len(high) % 2 == 0 and min(high) > 0xA0:
        try:
            return characters.decode(codec)
        except UnicodeDecodeError:  # Microsoft's additions to JIS X 0208, many a name is written with
            return plain(_shift_jis(high), "cp932", at)
    text = plain(characters, codec, at)
    return text.replace("~", "\uff5e") if character_set is _JIS_X_0212 else text  # its tilde is no delimiter


def _shift_jis(pairs: bytes) -> bytes:
    """JIS X 0208 as Shift_JIS writes it, which is where Microsoft's codec has its additional characters."""
    shifted = bytearray()
    for row, cell in zip(pairs[::2], pairs[1::2], strict=True):
        shifted.append((row - 0x80 + 1) // 2 + (0x70 if row < 0xDF else 0xB0))
        shifted.append(cell - 2 if row % 2 == 0 else cell - (0x60 if cell >= 0xE0 else 0x61))
    return bytes(shifted)


def plain(raw: bytes, codec: str, at: int = 0) -> str:
    """The text of bytes in one codec, or in what Microsoft made of it. `at` is where they begin in the message."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        start = at + error.start
    except LookupError:
        raise Invalid("hl7-undecodable", "MSH-18: CNS 11643-1992 is not read") from None
    wider = _WIDER.get(codec)
    if wider:
        return plain(raw, wider, at)
    raise _undecodable(start, "is not text in the character set of this message")


def _undecodable(byte: int, what: str) -> Invalid:
    return Invalid("hl7-undecodable", f"byte {byte} {what}")
