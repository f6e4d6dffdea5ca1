"""What a file is, as an engine would state it beside the same bytes: its data type, media type and content encoding.

Only the beginning of a file is looked at; whether it can be read is for others to say.
"""

import re
import zlib
from pathlib import PurePath
from typing import NamedTuple

from bridge.core.channel import DataType
from bridge.core.errors import Invalid
from bridge.formats import references
from bridge.formats.encodings import from_base64, looks_like_base64
from bridge.formats.reading import PLAIN, Form, form_of

_LOOKED_AT = 4096  # bytes
_GZIP = b"\x1f\x8b"
_HL7 = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x0b\x1c]*(?:MSH|FHS|BHS)[^\w\s]")
_REFERENCE = re.compile(rb'\s*\{\s*"uri"\s*:')
_DICOM_XML = re.compile(rb"<(?:\w+:)?(?:dicom|NativeDicomModel)\b")
_BARE_DATA_SET = re.compile(rb"[\x02\x08]\0[\0-\xff]\0|\0[\x02\x08]\0[\0-\xff]")  # group 0002 or 0008, either order
_SUFFIXES = (".dcm", ".dicom")


class FileType(NamedTuple):
    """How a file would be sent; `content_encoding` is None where nothing is to be undone."""

    data_type: DataType
    content_type: str
    content_encoding: str | None


def file_type(name: str, body: bytes, data_type: DataType | None = None) -> FileType:
    """What a file of this name and content is; `data_type` where a person knows it. What cannot be told is HL7."""
    start, encodings = _opened(body)
    content_encoding = ", ".join(encodings) or None
    if _REFERENCE.match(start):
        return FileType(data_type or DataType.DICOM, references.CONTENT_TYPE, content_encoding)
    kind = data_type or (DataType.DICOM if _is_dicom(name, start) else DataType.HL7V2)
    return FileType(kind, form_of(start, kind) or PLAIN[kind], content_encoding)


def _is_dicom(name: str, start: bytes) -> bool:
    if _HL7.match(start):
        return False
    match form_of(start, DataType.DICOM):
        case None:
            suffixes = {suffix.lower() for suffix in PurePath(name).suffixes[-2:]}  # .dcm.gz too
            return not suffixes.isdisjoint(_SUFFIXES) or _BARE_DATA_SET.match(start) is not None
        case Form.DICOM_XML:  # or HL7 in XML
            return _DICOM_XML.search(start) is not None
    return True


def _opened(body: bytes) -> tuple[bytes, list[str]]:
    """The beginning of what is inside, and its encodings in the sequence in which they were applied (RFC 9110, 8.4)."""
    start = body[:_LOOKED_AT]
    if start.startswith(_GZIP):
        inner, encodings = _opened(_inflated(start))
        return inner, [*encodings, "gzip"]
    if looks_like_base64(start):
        decoded = _decoded(start)
        if decoded.startswith(_GZIP) or decoded[128:132] == b"DICM" or _HL7.match(decoded):
            inner, encodings = _opened(decoded)
            return inner, [*encodings, "base64"]
    return start, []


def _inflated(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(start, _LOOKED_AT)
    except zlib.error:
        return b""


def _decoded(text: bytes) -> bytes:
    """The beginning of what a beginning of base64 says."""
    whole = text.translate(None, b" \t\r\n").rstrip(b"=")
    try:
        return from_base64(whole[: len(whole) // 4 * 4])
    except Invalid:
        return b""
