"""Reads the elements of a DICOM file (PS3.10) in whatever transfer syntax its bytes are, up to its pixel data.

What is stated about the encoding is never trusted where the bytes say otherwise.
"""

import zlib
from collections.abc import Container

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats.dicom_charsets import PADDING
from bridge.formats.dicom_elements import Account, Bytes, DataSet, bytes_of, data_set, looks_implicit

_TRANSFER_SYNTAX_UID = 0x00020010
_SPECIFIC_CHARACTER_SET = 0x00080005
_NEEDED = {_TRANSFER_SYNTAX_UID, _SPECIFIC_CHARACTER_SET}

_IMPLICIT = b"1.2.840.10008.1.2"
_BIG_ENDIAN = b"1.2.840.10008.1.2.2"
_STANDARD = b"1.2.840.10008.1.2."  # all others: explicit VR little endian (PS3.5 A)
_DEFLATED = {  # of these the whole data set is deflated (PS3.5 A.5, A.7, A.13)
    b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.4.95",
    b"1.2.840.10008.1.2.4.205",
}

# Pixel Data, Float Pixel Data and Double Float Pixel Data end the header.
_at_pixels = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010}).__contains__


def read_part10(
    body: bytes, limits: Limits = DEFAULT_LIMITS, wanted: frozenset[int] | None = None, *, whole: bool = True
) -> tuple[DataSet, DataSet]:
    """The File Meta Information and the data set of a DICOM file, the latter up to its pixel data.

    Preamble, prefix and File Meta Information may be missing (PS3.10 7.1); what is stated about the encoding is not
    trusted where the bytes say otherwise. `wanted` are the tags to find, None for all; in an item all are found.
    Where `body` is only the beginning of a file (not `whole`), its header is complete if the pixel data is reached.
    Raises Invalid: `dicom-not-dicom`, `dicom-truncated`, `dicom-malformed`, `max-inflated-size`, `max-elements`,
    `max-nesting`.
    """
    start = 132 if body[128:132] == b"DICM" else 0
    if start == 0 and not _looks_like_group_2_or_8(body):
        raise Invalid("dicom-not-dicom", "no DICM prefix at byte 128, and no data set at byte 0")
    if wanted is not None:
        wanted |= _NEEDED
    account = Account(limits)
    little = bytes_of(body, "<", account)
    meta, position = _meta(little, start, wanted)
    syntax = (meta.raw(_TRANSFER_SYNTAX_UID) or b"").strip(PADDING.encode())

    source = little
    # Group 0008 in the clear is no deflated stream: its first block would be stored, with a bit set in its padding.
    deflated = syntax in _DEFLATED and body[position : position + 2] != b"\x08\0"
    if deflated:
        inflated, all_inflated = _inflate(body[position:], limits)
        whole = whole and all_inflated
        source, position = bytes_of(inflated, "<", account), 0
    if _is_big_endian(source.body, position, stated=syntax == _BIG_ENDIAN):
        source = bytes_of(source.body, ">", account)

    implicit = looks_implicit(source.body, position)
    main, end = data_set(source, position, len(source.body), implicit=implicit, ends=_at_pixels, wanted=wanted)
    if end == len(source.body) and not whole:
        raise Invalid("dicom-truncated", "the file is cut short before its pixel data")
    if _contradicts(syntax, implicit=implicit, big_endian=source.order == ">", deflated=deflated):
        main.warn(_TRANSFER_SYNTAX_UID, "another transfer syntax than the data set is in; read as its bytes are")
    return meta, main


def _looks_like_group_2_or_8(body: bytes) -> bool:
    return body[:2] in (b"\x02\0", b"\x08\0", b"\0\x08") and len(body) >= 8


def _is_big_endian(body: bytes, position: int, *, stated: bool) -> bool:
    """The byte order is seen where the data set starts with group 0008, as nearly all do."""
    group = body[position : position + 2]
    return group == b"\0\x08" or (stated and group != b"\x08\0")


def _contradicts(syntax: bytes, *, implicit: bool, big_endian: bool, deflated: bool) -> bool:
    """Whether a transfer syntax that the standard defines is another than the bytes are in."""
    if syntax == _IMPLICIT:
        return big_endian or not implicit
    if syntax == _BIG_ENDIAN:
        return implicit or not big_endian
    return syntax.startswith(_STANDARD) and (implicit or big_endian or deflated != (syntax in _DEFLATED))


def _inflate(deflated: bytes, limits: Limits) -> tuple[bytes, bool]:
    """The inflated bytes, and whether the deflated ones were all there."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(deflated, limits.max_inflated_size)
        if inflater.unconsumed_tail and inflater.decompress(inflater.unconsumed_tail, 1):
            raise limits.exceeded("max_inflated_size")
    except zlib.error:
        raise Invalid("dicom-malformed", "the deflated data set cannot be inflated") from None
    return inflated, inflater.eof


def _meta(source: Bytes, start: int, wanted: Container[int] | None) -> tuple[DataSet, int]:
    """Group 0002, whatever its group length says: explicit VR little endian (PS3.10 7.1), implicit in some files."""
    implicit = looks_implicit(source.body, start)
    return data_set(source, start, len(source.body), implicit=implicit, ends=_after_group_2, wanted=wanted)


def _after_group_2(tag: int) -> bool:
    return tag >> 16 != 2
