"""Decodes the text of DICOM values in the character sets that (0008,0005) declares (PS3.5 6.1, PS3.3 C.12.1.1.2).

A character is never guessed: what is not in its character set is marked as lost.
"""

import re
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, default_encoding, python_encoding

from bridge.formats.lost_characters import LOST

# What ends a switch to another character set inside a value, and inside a name (PS3.5 6.1.2.5.3).
VALUE_DELIMITER = re.compile(rb"[\\\r\n\f\t]")
NAME_DELIMITER = re.compile(rb"[\\\r\n\f\t^=]")

PADDING = " \0\t\r\n"
"""What is taken off both ends of a text of one line: padding (PS3.5 6.2), and what XML layout and scanners add."""

_ESC = 0x1B
_FRAGMENT = re.compile(rb"\x1b[^\x1b]*|[^\x1b]+")
_MISSPELLED = re.compile(r"^ISO[-_ ]?(2022[-_ ]?)?IR[-_ ]?")  # such as ISO-IR 100
_HELD_BY_CODEC = ("iso2022_jp", "iso2022_jp_2")  # Python's codecs read these escape sequences themselves
_LATIN_1 = {python_encoding["ISO_IR 100"], default_encoding}


def decode(raw: bytes, character_sets: bytes, delimiter: re.Pattern[bytes] = VALUE_DELIMITER) -> str:
    """The text of a value without trailing padding; `character_sets` is the value of (0008,0005) that applies to it.

    LOST stands for bytes that are not in their character set, and for NULs, which databases refuse. ISO 2022 escape
    sequences are followed even where (0008,0005) does not announce them (PS3.3 C.12.1.1.2, PS3.5 6.1.2.5), and UTF-8
    is read as that where ASCII or Latin-1 is declared: its sequences are no words in them.
    """
    encoding, escapes = _encoding(character_sets)
    if _ESC in raw and escapes:
        decoded = "".join(_fragment(part, encoding, delimiter) for part in _FRAGMENT.findall(raw))
    elif raw.isascii():
        decoded = raw.decode(encoding, "replace")
    else:
        decoded = raw.decode("utf-8" if is_undeclared_utf8(raw, character_sets) else encoding, "replace")
    return decoded.rstrip(" \0").replace("\0", LOST)


def is_undeclared_utf8(raw: bytes, character_sets: bytes) -> bool:
    """Whether a value is UTF-8 where ASCII or Latin-1 is declared, or nothing that is known."""
    if raw.isascii() or _ESC in raw or _encoding(character_sets)[0] not in _LATIN_1:
        return False
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def unknown_character_set(character_sets: bytes) -> bool:
    """Whether a value of (0008,0005) names a character set that the standard does not have."""
    return any(_defined_term(name) not in python_encoding for name in character_sets.split(b"\\"))


@lru_cache(maxsize=64)
def _encoding(character_sets: bytes) -> tuple[str, bool]:
    """The codec of the first character set, and whether others may be switched to."""
    name = _defined_term(character_sets.split(b"\\")[0])
    return python_encoding.get(name, default_encoding), name not in STAND_ALONE_ENCODINGS


def _defined_term(name: bytes) -> str:
    """The name of a character set as the standard spells it, where it is one."""
    stated = name.decode("ascii", "replace").strip(PADDING)
    return _MISSPELLED.sub(lambda found: "ISO 2022 IR " if found[1] else "ISO_IR ", stated)


def _fragment(fragment: bytes, encoding: str, delimiter: re.Pattern[bytes]) -> str:
    """A part of a value that starts with the escape sequence it is in, the first one with none."""
    length = 4 if fragment[:3] in (b"\x1b$(", b"\x1b$)") else 3
    switched = CODES_TO_ENCODINGS.get(fragment[:length])
    if switched is None:
        return fragment.decode(encoding, "replace")
    if switched in _HELD_BY_CODEC:
        return fragment.decode(switched, "replace")
    rest = fragment[length:]
    found = delimiter.search(rest)
    end = found.start() if found else len(rest)
    return rest[:end].decode(switched, "replace") + rest[end:].decode(encoding, "replace")
