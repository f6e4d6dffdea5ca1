"""The one door for XML: a document's elements and text as events, without a tree (XML 1.0, Namespaces in XML).

It must never expand an entity, read a DTD, open a file or connection, or tell what stands in the document: a document
type declaration is refused where it begins, before anything in it is looked at.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

from lxml import etree

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import hl7_charsets

_CHUNK = 64 * 1024
_WHITE_SPACE = b" \t\r\n"
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']""")


class Target(Protocol):
    """What receives the events. Names come without their namespace; what it raises ends the parsing and comes out."""

    def start(self, name: str, attributes: Mapping[str, str], /) -> None: ...

    def data(self, text: str, /) -> None:
        """A piece of text: an element's text can come in any number of pieces, and is not held between them."""

    def end(self, name: str, /) -> None: ...


def parse(body: bytes, target: Target, *, charset: str | None, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Tells `target` what is in the document, in its order, and gives warnings, which hold nothing of it.

    `charset` is what the transport states; it holds before the declaration in the document, a byte order mark before
    both. Comments and processing instructions are left out, CDATA is text. Attributes in a namespace (`xml:space`) are
    left out. Elements may be nested 4 * max_nesting + 16 deep (a DICOM sequence takes up to three levels of elements,
    an HL7 field up to ten); one tag, CDATA section, comment or processing instruction may have max_field_size, text
    outside CDATA has no bound here.

    Raises Invalid: `xml-doctype`, `xml-malformed`, `xml-undecodable`, `max-nesting`, `max-field-size`.
    """
    codec, warnings = _codec(body, charset)
    events = _Events(target, limits)
    parser = etree.XMLParser(
        target=events,  # type: ignore[arg-type]  # the stubs ask for more than lxml
        encoding="utf-8",  # of the pieces; it holds before the document's declaration
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
    )
    silent = 0
    try:
        for text in _pieces(body, codec):
            events.heard = False
            parser.feed(text.encode())
            silent = 0 if events.heard else silent + len(text)
            if silent > limits.max_field_size:  # the parser holds all of a tag until its end
                raise limits.exceeded("max_field_size")
        parser.close()
    except etree.XMLSyntaxError as error:
        line, column = error.position  # its message can quote the document
        raise Invalid("xml-malformed", f"line {max(line, 1)}, column {column}: not well-formed XML") from None
    return warnings


class _Events:
    """What lxml calls: bounds the depth, refuses a DOCTYPE, and passes the rest on without namespaces."""

    __slots__ = ("_deepest", "_depth", "_limits", "_target", "heard")

    def __init__(self, target: Target, limits: Limits) -> None:
        self._target = target
        self._limits = limits
        self._deepest = 4 * limits.max_nesting + 16
        self._depth = 0
        self.heard = False  # anything since it was last set

    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        raise Invalid("xml-doctype", "a document type declaration (DOCTYPE) is not read")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.heard = True
        self._depth += 1
        if self._depth > self._deepest:
            raise self._limits.exceeded("max_nesting")
        if attributes:
            attributes = {key: value for key, value in attributes.items() if not key.startswith("{")}
        self._target.start(name.rpartition("}")[2], attributes)

    def data(self, text: str) -> None:
        self.heard = True
        self._target.data(text)

    def end(self, name: str) -> None:
        self.heard = True
        self._depth -= 1
        self._target.end(name.rpartition("}")[2])

    def close(self) -> None:
        """What lxml asks a target for at the end of the document."""


def _codec(body: bytes, charset: str | None) -> tuple[str, tuple[str, ...]]:
    """Python's codec for the document, from the closed list of `hl7_charsets`, and warnings.

    UTF-16 is told by its bytes; where only a declaration says so, the bytes are UTF-8, as .NET's writers send it.
    """
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", ()
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", ()
    if b"\0" in body[:2]:  # of the first character, which is "<" or white space
        return "utf-16-be" if body[:1] == b"\0" else "utf-16-le", ()
    declaration = _ENCODING.match(body.lstrip(_WHITE_SPACE) if body[:1].isspace() else body)
    declared = charset or (declaration[1].decode("ascii", "replace") if declaration else "utf-8")
    chosen = hl7_charsets.codec(declared)
    if chosen is None:
        place = "the transport" if charset else "the XML declaration"
        raise Invalid("xml-undecodable", f"the character set that {place} states is not known")
    if chosen in hl7_charsets.ONE_BYTE and not body.isascii() and _is_utf8(body):
        return "utf-8", ("the bytes of the XML are UTF-8, not what is declared; read as UTF-8",)
    return chosen, ()


def _is_utf8(body: bytes) -> bool:
    try:
        for _ in _pieces(body, "utf-8"):
            pass
    except Invalid:
        return False
    return True


def _pieces(body: bytes, codec: str) -> Iterator[str]:
    """The document's text in pieces, without white space ahead. Raises Invalid: `xml-undecodable`."""
    decoder = codecs.getincrementaldecoder(codec)()
    ahead = True
    for start in range(0, len(body), _CHUNK):
        piece = body[start : start + _CHUNK]
        try:
            text = decoder.decode(piece, start + _CHUNK >= len(body))
        except UnicodeDecodeError as error:
            byte = start + len(piece) - len(error.object) + error.start  # error.object: what was left over, and piece
            reason = f"byte {byte} is not text in the character set of the XML"
            raise Invalid("xml-undecodable", reason) from None
        if ahead:
            text = text.lstrip(" \t\r\n")
            ahead = not text
        if text:
            yield text
