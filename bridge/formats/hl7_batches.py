"""The single messages of a body: out of FHS and BHS envelopes, or one behind the other (HL7 2.5.1, 2.10.3).

It must never lose a message nor cut one: each is the bytes that its sender would have sent alone.
"""

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import hl7_charsets

_PUNCTUATION = rb"!-/:-@[-`{-~"
_FIRST = re.compile(rb"[\r\n \t\0\x0b\x1c]*+(?:\xef\xbb\xbf)?[\r\n \t\0\x0b\x1c]*+(?:MSH|FHS|BHS)([%b])" % _PUNCTUATION)
_NAME = re.compile(rb"(?:\A|(?<=[\r\n \t\0\x0b\x1c\xbf]))(MSH|[FB][HT]S)(?=[\r\n\x1c%b]|\Z)" % _PUNCTUATION)
_DELIMITERS = re.compile(rb"([%b])[%b]{1,5}\1" % (_PUNCTUATION, _PUNCTUATION))  # MSH-1, MSH-2, and MSH-1 again
_ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")
_SEGMENT = re.compile(rb"[A-Z][A-Z0-9]{2}[%b]" % _PUNCTUATION, re.IGNORECASE)
_LEFT_OUT = (b"NTE", b"DSC")  # segments that are about a batch, not of a message
_AHEAD = b" \t\0\x0b\x1c"  # of a segment: indentation, padding, MLLP's blocks
_WRITTEN_LINE = re.compile(rb"[^\r\n \t\0\x0b\x1c][^\r\n]*")


class Batch(NamedTuple):
    """The messages of a body in their sequence; `warnings` are about what is around them, and hold no value."""

    messages: list[bytes]
    warnings: list[str]


def split(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Batch:
    """The messages of a body: FHS, BHS, BTS and FTS are left out, several MSH and several MLLP blocks taken apart.

    A body that is one message is returned as it is, and so is one that does not begin with a header segment, which can
    be no message. An envelope without a message gives none. Segments that stand in an envelope without MSH are returned
    like a message, to be refused for that. Of UTF-16 each message has a byte order mark.

    Raises Invalid: `max-messages`, `hl7-undecodable`.
    """
    if body.count(b"MSH") == 1 and not (b"FHS" in body or b"BHS" in body or b"BTS" in body or b"FTS" in body):
        return Batch([body], [])
    text, wide = hl7_charsets.narrow(body)
    first = _FIRST.match(text)
    if not first:
        return Batch([body], [])
    messages: list[bytes] = []
    envelope = _Envelope(first[1])
    for name, part in _parts(text, first[1]):
        message = part if name == b"MSH" else envelope.segment(name, part)
        if message:
            messages.append(hl7_charsets.widened(message, wide) if wide else message)
            envelope.message()
        if len(messages) > limits.max_messages or envelope.segments > len(_ENVELOPE) * limits.max_messages:
            raise limits.exceeded("max_messages")
    if len(messages) == 1 and not envelope.segments:
        return Batch([body], [])
    return Batch(messages, envelope.warnings())


def _parts(text: bytes, separator: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each header and trailer segment's name, and the bytes from there to the next one.

    `separator` is MSH-1 of the first; a text that happens to begin with such a name is none of them. A name and nothing
    else is a trailer only where there is an envelope.
    """
    bare = (b"\r", b"\n", b"\x1c", b"")
    name, begin, searched, in_envelope = b"", 0, 0, False
    for found in _NAME.finditer(text):
        at, behind = found.span()
        if found[1] == b"MSH":
            alone = bool(name) and text[behind : behind + 1] in bare  # all that a cut has left of it
            header = alone or text.startswith(separator, behind) or _DELIMITERS.match(text, behind) is not None
        else:
            header = text.startswith(separator, behind) or (in_envelope and text[behind : behind + 1] in bare)
        next_begin = _beginning(text, searched, at) if header else None
        searched = behind
        if next_begin is None:
            continue
        if name:
            yield name, text[begin:next_begin]
            begin = next_begin
        name = found[1]
        in_envelope = in_envelope or name != b"MSH"
    yield name, text[begin:]


def _beginning(text: bytes, start: int, at: int) -> int | None:
    """Where the line or MLLP block begins, not before `start`, that has nothing but padding before `at`."""
    before = text[start:at].rstrip(_AHEAD).removesuffix(codecs.BOM_UTF8).rstrip(_AHEAD)
    begin = start + len(before)
    ahead = text[begin:at]
    if b"\x0b" in ahead or b"\x1c" in ahead:
        return begin + max(ahead.rfind(b"\x0b"), ahead.rfind(b"\x1c") + 1)
    return begin if not begin or text[begin - 1] in b"\r\n" else None


class _Envelope:
    """Follows the header and trailer segments around the messages, and finds what is odd about them."""

    def __init__(self, separator: bytes) -> None:
        self.segments = 0
        self._separator = separator
        self._open: set[bytes] = set()  # headers whose trailer is to come
        self._messages = 0  # in this batch
        self._batches = 0  # in this file
        self._lines_left_out = 0
        self._odd: dict[str, None] = {}  # each warning once, in their sequence

    def message(self) -> None:
        if not self._messages and b"BHS" not in self._open:
            self._batches += 1  # BHS may be left out (HL7 2.5.1, 2.10.3.1)
        self._messages += 1

    def segment(self, name: bytes, part: bytes) -> bytes | None:
        """What stands behind the header or trailer segment, where that is not only to be left out."""
        self.segments += 1
        line = _WRITTEN_LINE.search(part)
        end = line.end() if line else 0
        fields = part[:end].split(self._separator, 2)
        self._follow(name, fields[1].strip() if len(fields) > 1 else b"")
        for behind in _WRITTEN_LINE.finditer(part, end):
            if _SEGMENT.match(behind[0]) and behind[0][:3].upper() not in _LEFT_OUT:
                return part[end:]
        self._lines_left_out += sum(1 for _ in _WRITTEN_LINE.finditer(part, end))
        return None

    def _follow(self, name: bytes, count: bytes) -> None:
        match name:
            case b"FHS":
                self._end(b"BHS", b"BTS")
                self._end(b"FHS", b"FTS")
                self._open.add(name)
                self._batches = 0
            case b"BHS":
                self._end(b"BHS", b"BTS")
                self._open.add(name)
                self._batches += 1
            case b"BTS":
                self._trailer(b"BHS", b"BTS", count, self._messages, "messages in the batch")
            case b"FTS":
                self._end(b"BHS", b"BTS")
                self._trailer(b"FHS", b"FTS", count, self._batches, "batches in the file")
        self._messages = 0

    def warnings(self) -> list[str]:
        self._end(b"BHS", b"BTS")
        self._end(b"FHS", b"FTS")
        if self._lines_left_out:
            self._odd[f"lines in the envelope that belong to no message: {self._lines_left_out}, left out"] = None
        return list(self._odd)

    def _end(self, header: bytes, trailer: bytes) -> None:
        if header in self._open:
            self._open.remove(header)
            self._odd[f"{header.decode()}: without {trailer.decode()}"] = None

    def _trailer(self, header: bytes, trailer: bytes, stated: bytes, number: int, what: str) -> None:
        if header not in self._open:
            self._odd[f"{trailer.decode()}: without {header.decode()}"] = None
        self._open.discard(header)
        if stated not in (b"", b'""') and stated.lstrip(b"0") != (b"%d" % number).lstrip(b"0"):
            self._odd[f"{trailer.decode()}-1: not the number of {what}"] = None
