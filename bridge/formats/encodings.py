"""Undoes a message's `content_encoding` (DESIGN 3.3): gzip and base64. Nothing is inflated beyond the bound."""

import binascii
import gzip
import re
import zlib
from io import BytesIO

from bridge.core.errors import Invalid
from bridge.core.limits import Limits

_CHUNK = 1024 * 1024  # bytes
_BLANK = b" \t\r\n"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/= \t\r\n]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{4}[A-Za-z0-9+/= \t\r\n]*")


def is_charset(name: str) -> bool:
    """Engines put the name of a character set into content_encoding; it says nothing about the bytes' encoding."""
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def decoded(body: bytes, content_encoding: str | None, limits: Limits) -> bytes:
    """The body without its encodings, several of which are undone from the last to the first (RFC 9110, 8.4).

    Raises Invalid: `unsupported-content-encoding`, `gzip-malformed`, `base64-malformed`, `max-inflated-size`.
    """
    for name in reversed((content_encoding or "").lower().split(",")):
        match name.strip():
            case "" | "identity":
                pass
            case "gzip" | "x-gzip":
                body = gunzipped(body, limits)
            case "base64":
                body = from_base64(body)
            case other if not is_charset(other):
                raise Invalid("unsupported-content-encoding", "the content_encoding is none of gzip and base64")
    return body


def gunzipped(body: bytes, limits: Limits) -> bytes:
    """Every member of a gzip file (RFC 1952, 2.2), one after the other."""
    pieces: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=BytesIO(body)) as file:
            while piece := file.read(_CHUNK):
                size += len(piece)
                if size > limits.max_inflated_size:
                    raise limits.exceeded("max_inflated_size")
                pieces.append(piece)
    except EOFError:
        raise Invalid("gzip-malformed", "the gzip data ends early") from None
    except (gzip.BadGzipFile, zlib.error):
        raise Invalid("gzip-malformed", "the body is not gzip data, or damaged") from None
    return b"".join(pieces)


def from_base64(body: bytes) -> bytes:
    """Base64 (RFC 4648, 4) with white space anywhere, as engines break lines."""
    wrong = _NOT_BASE64.search(body)
    if wrong:
        raise Invalid("base64-malformed", f"byte {wrong.start()} is none that base64 has")
    try:
        return binascii.a2b_base64(body.translate(None, _BLANK), strict_mode=True)
    except binascii.Error:
        raise Invalid("base64-malformed", "the base64 text is cut short, or its padding is wrong") from None


def looks_like_base64(body: bytes) -> bool:
    """Whether there is nothing but base64 in it, as where an engine's author forgot to decode."""
    return len(body) > 16 and _BASE64.fullmatch(body.strip(_BLANK)) is not None
