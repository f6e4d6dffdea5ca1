"""Builds DICOM bytes element by element, so that a test can state exactly what is wrong with them."""

import struct

PREAMBLE = b"\0" * 128 + b"DICM"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
UNDEFINED = 0xFFFFFFFF
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)

_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


def element(tag: int, vr: str, value: bytes | str, length: int | None = None) -> bytes:
    """One element in explicit VR little endian; `length` is what it states, its real one by default."""
    raw = value.encode() if isinstance(value, str) else value
    if length is None:
        raw += (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(raw) % 2)
        length = len(raw)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HL", 0, length) if vr in _LONG else struct.pack("<H", length)) + raw


def implicit(tag: int, value: bytes | str, length: int | None = None) -> bytes:
    """One element in implicit VR little endian."""
    raw = value.encode() if isinstance(value, str) else value
    raw += b" " * (len(raw) % 2)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(raw) if length is None else length) + raw


def item(*elements: bytes) -> bytes:
    """An item of stated length."""
    content = b"".join(elements)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def open_item(*elements: bytes) -> bytes:
    """An item of undefined length."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED) + b"".join(elements) + ITEM_END


def sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of stated length."""
    return element(tag, "SQ", b"".join(items))


def open_sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of undefined length."""
    return element(tag, "SQ", b"".join(items) + SEQUENCE_END, length=UNDEFINED)


def part10(*elements: bytes, transfer_syntax: str = EXPLICIT_LITTLE, data_set: bytes = b"") -> bytes:
    """A file of these elements in the order given, or of a data set that is already encoded."""
    meta = element(0x00020010, "UI", transfer_syntax)
    group_length = element(0x00020000, "UL", struct.pack("<L", len(meta)))
    return PREAMBLE + group_length + meta + (data_set or b"".join(elements))


SOP_CLASS = element(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2")
SOP_INSTANCE = element(0x00080018, "UI", "1.2.3.4.5")
STUDY = element(0x0020000D, "UI", "1.2.3")
PIXELS = element(0x7FE00010, "OW", b"\1\2" * 8)


def ct(*elements: bytes) -> bytes:
    """A CT object with these elements besides its UIDs and pixel data, in the order of their tags."""
    present = sorted((SOP_CLASS, SOP_INSTANCE, STUDY, *elements), key=_tag)
    return part10(*present, PIXELS)


def _tag(encoded: bytes) -> tuple[int, int]:
    group, number = struct.unpack_from("<HH", encoded)
    return group, number
