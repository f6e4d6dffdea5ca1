"""Reads the DICOM JSON Model (PS3.18 F) into a DICOM file, from which everything else is read.

It must never choose: an attribute that stands twice, or is made otherwise than the model says, is refused with its tag.
Bulk data and pixel data are not decoded.
"""

import codecs
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw
from pydicom.datadict import tag_for_keyword

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import hl7_charsets
from bridge.formats.dicom_values import is_text
from bridge.formats.dicom_writing import Part10, Writer, inline_binary

_WHITE_SPACE = b" \t\r\n"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_POSITION = re.compile(r"\(byte (\d+)\)")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBERS = re.compile(rb"\[[-+.eE0-9, \t\r\n]+\]")
_NO_NUMBER = (b'"', b"{", b"[", b"null")  # how a value begins that is neither a number nor a truth value
_ITEMS = re.compile(rb"\[[ \t\r\n]*\{")

_PIXELS = 0x7FE0  # group
_BRACES = 3  # for each element: its own, that of an item, that of a name
_MOST_MEMBERS = 16  # of an attribute or a name, which have four at the most
_NULL = Raw(b"null")
_VALUES = ("Value", "InlineBinary", "BulkDataURI")
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

T = TypeVar("T")


class _Name(str):
    """A name in a JSON object. No two are equal, so that a dict keeps one that stands there twice."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class _TooMany(Exception):
    """An object has more names than it may."""


def objects(body: bytes, charset: str | None, limits: Limits = DEFAULT_LIMITS) -> list[bytes]:
    """The objects of a body, each as its own JSON in UTF-8: one alone, or those of an array, of which none may be left.

    JSON is UTF-8 (RFC 8259, 8.1); UTF-16 with a byte order mark is read too, and a `charset` that the transport states
    where the bytes are not UTF-8. Raises Invalid: `dicom-json-malformed`, `max-messages`, `max-nesting`.
    """
    body = _in_utf8(body, charset)
    match body.lstrip(_WHITE_SPACE)[:1]:
        case b"{":
            return [body]
        case b"[":
            return _elements(body, limits)
    raise Invalid("dicom-json-malformed", "the body is neither a JSON object nor an array of them")


def part10(body: bytes, limits: Limits = DEFAULT_LIMITS) -> Part10:
    """One object as a DICOM file.

    A value is written as it stands, a number with its own digits. What does not fit its VR is left out with a warning,
    and so is one whose JSON is longer than max_field_size, and one that is only referred to (`BulkDataURI`); of a
    binary VR silently, as nothing of it is used.
    Raises Invalid: `dicom-json-malformed`, `dicom-malformed`, `max-elements`, `max-nesting`.
    """
    try:
        return _Object(limits).read(body)
    except RecursionError:
        raise limits.exceeded("max_nesting") from None


def _in_utf8(body: bytes, charset: str | None) -> bytes:
    if body.startswith(_UTF16):
        return _decoded(body, "utf-16").encode()
    body = body.removeprefix(codecs.BOM_UTF8)
    codec = hl7_charsets.codec(charset or "utf-8")
    if body.isascii() or codec in (None, "utf-8"):
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        return _decoded(body, str(codec)).encode()
    return body


def _decoded(body: bytes, codec: str) -> str:
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not text in the character set of the JSON"
        raise Invalid("dicom-json-malformed", reason) from None


def _elements(body: bytes, limits: Limits) -> list[bytes]:
    number = 0

    class Counted(msgspec.Struct):
        """An object, of which nothing is kept: the bound ends the decoding, so that too many cost nothing."""

        def __post_init__(self) -> None:
            nonlocal number
            number += 1
            if number > limits.max_messages:
                raise limits.exceeded("max_messages")

    try:
        msgspec.json.decode(body, type=list[Counted])
        return [bytes(element) for element in msgspec.json.decode(body, type=list[Raw])]
    except msgspec.ValidationError:
        reason = f"element {number + 1} of the array is not an object"
        raise Invalid("dicom-json-malformed", reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(error) from None
    except RecursionError:
        raise limits.exceeded("max_nesting") from None


def _not_json(error: Exception) -> Invalid:
    """The position alone: what else the decoder says could quote the body."""
    found = _POSITION.search(str(error)) if isinstance(error, msgspec.DecodeError) else None
    return Invalid("dicom-json-malformed", f"not JSON near byte {found[1]}" if found else "not JSON, or cut short")


class _Object:
    """One object while it is read, each JSON value only when its turn comes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._writer = Writer(limits)
        self._left = 0  # names that may still come
        self._names = msgspec.json.Decoder(dict[_Name, Raw], dec_hook=self._name)
        self._items = msgspec.json.Decoder(list[dict[_Name, Raw] | None], dec_hook=self._name)
        self._values = msgspec.json.Decoder(list[Raw])
        self._text = msgspec.json.Decoder(str)

    def read(self, body: bytes) -> Part10:
        if body.count(b"{") > _BRACES * self._limits.max_elements:
            raise self._limits.exceeded("max_elements")
        try:
            attributes = self._bounded(self._names.decode, body)
        except msgspec.ValidationError:
            raise Invalid("dicom-json-malformed", "the body is not a JSON object") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _not_json(error) from None
        self._data_set(attributes)
        return self._writer.part10()

    def _name(self, _type: type, name: Any) -> _Name:
        self._left -= 1
        if self._left < 0:
            raise _TooMany
        return _Name(name)

    def _bounded(self, decode: Callable[[bytes | Raw], T], json: bytes | Raw) -> T:
        """What `decode` gives, unless there are more names of attributes than elements allowed."""
        self._left = self._limits.max_elements
        try:
            return decode(json)
        except _TooMany:
            raise self._limits.exceeded("max_elements") from None

    def _data_set(self, attributes: dict[_Name, Raw]) -> None:
        tags = [(_tag(name), json) for name, json in attributes.items()]
        for tag, json in sorted(tags, key=lambda pair: pair[0] or 0):  # a private creator before what it is creator of
            if tag is None:
                self._writer.warn(None, "a name in it is neither a tag nor a keyword; left out")
            elif tag >> 16 != _PIXELS:
                try:
                    self._attribute(tag, json)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    raise self._writer.malformed(tag, "is not made as the DICOM JSON Model has it") from None

    def _attribute(self, tag: int, json: Raw) -> None:
        """Raises Invalid, and msgspec.DecodeError or UnicodeDecodeError where the JSON is not of an attribute."""
        members = self._members(tag, json, _VALUES, ("vr",))
        values, binary = members.get("Value"), members.get("InlineBinary")
        vr = self._writer.vr(tag, self._text.decode(members["vr"]) if "vr" in members else None)
        if values is not None and binary is not None:
            raise self._writer.malformed(tag, "has both Value and InlineBinary")
        if vr == "SQ" or (vr == "UN" and values is not None and _ITEMS.match(values)):
            if binary is not None:
                raise self._writer.malformed(tag, "is a sequence, but not made of items")
            self._sequence(tag, values)
        elif max(_size(values), _size(binary)) > self._limits.max_field_size:
            self._writer.left_out(tag, vr, "over the bound max_field_size")
        elif binary is not None:
            content = inline_binary(self._text.decode(binary))
            if content is None:
                self._writer.unreadable(tag, "not base64")
            else:
                self._writer.value(tag, vr, content)
        elif values is not None:
            texts = self._texts(tag, vr, values)
            if texts is None:
                self._writer.left_out(tag, vr, "a number or truth value in the place of text")
            else:
                self._writer.texts(tag, vr, texts)
        elif "BulkDataURI" not in members:
            self._writer.value(tag, vr, b"")
        else:
            self._writer.left_out(tag, vr, "only referred to (BulkDataURI)")

    def _members(
        self, tag: int, json: bytes | Raw, content: Sequence[str], about: Sequence[str] = ()
    ) -> dict[str, Raw]:
        """The members that are known, without null ones: of the content, or about it.

        Others mean nothing here, but where there is no content they may be that, misspelled.
        """
        members: dict[str, Raw] = {}
        self._left = _MOST_MEMBERS
        try:
            stated = self._names.decode(json)
        except _TooMany:
            raise self._writer.malformed(tag, f"has more than {_MOST_MEMBERS} members") from None
        for name, value in stated.items():
            member = str(name)
            if member in members:
                raise self._writer.malformed(tag, "states the same twice")
            if member in content or member in about:
                members[member] = value
        has_others = len(stated) > len(members)
        members = {member: value for member, value in members.items() if value != _NULL}
        if has_others and not any(member in content for member in members):
            raise self._writer.malformed(tag, "has members that the DICOM JSON Model has not, and no value")
        return members

    def _sequence(self, tag: int, values: Raw | None) -> None:
        self._writer.open_sequence(tag)
        if values is not None:
            for item in self._bounded(self._items.decode, values):
                self._writer.open_item()
                self._data_set(item or {})
                self._writer.close_item()
        self._writer.close_sequence()

    def _texts(self, tag: int, vr: str, values: Raw) -> list[str | None] | None:
        """The values as text: a string itself, a number by its digits, a name by its component groups, null as None.

        None where one is a number or truth value in the place of text: Patient ID 007 may have become 7.
        """
        if is_text(tag):
            tokens = self._values.decode(values)
            if not all(bytes(token).startswith(_NO_NUMBER) for token in tokens):
                return None
            return [self._value(tag, vr, token) for token in tokens]
        if _NUMBERS.fullmatch(values):  # the same, as there can be very many
            return [*bytes(values).translate(None, b"[] \t\r\n").decode().split(",")]
        return [self._value(tag, vr, token) for token in self._values.decode(values)]

    def _value(self, tag: int, vr: str, json: Raw) -> str | None:
        token = bytes(json)
        match token[:1]:
            case b'"':
                return self._text.decode(token)
            case b"{" if vr == "PN":
                groups = self._members(tag, token, _GROUPS)
                return "=".join([self._text.decode(groups.get(name, b'""')) for name in _GROUPS]).rstrip("=")
            case b"{" | b"[":
                raise self._writer.malformed(tag, "has a value that is no text, number or name")
        return None if token == b"null" else token.decode("ascii")


def _tag(name: str) -> int | None:
    if _TAG.fullmatch(name):
        return int(name, 16)
    return tag_for_keyword(name[:]) if name else None


def _size(json: Raw | None) -> int:
    return 0 if json is None else memoryview(json).nbytes
