"""Reads a data set in XML, the Native DICOM Model (PS3.19 A.1) or Mirth Connect's `<dicom>`, into a DICOM file.

It must never choose: an attribute that stands twice, or is made otherwise than its model says, is refused with its tag.
In both the text is Unicode, whatever Specific Character Set says. Bulk data and pixel data are not decoded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.datadict import tag_for_keyword

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import xml_events
from bridge.formats.dicom_writing import Part10, Writer, inline_binary

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")
_PIXELS = 0x7FE0  # group

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_WORDS = ("OD", "OF", "OL", "OV", "OW")  # numbers of which nothing is used
_ESCAPED = re.compile(rb"\\(\\|[0-9A-Fa-f]{2})")


def part10(body: bytes, charset: str | None, limits: Limits = DEFAULT_LIMITS) -> Part10:
    """The object as a DICOM file; `charset` is what the transport states.

    A value is written as it stands. What does not fit its VR is left out with a warning, and so is one longer than
    max_field_size, and one that is only referred to (`BulkData`); of a binary VR silently, as nothing of it is used.
    Mirth trims the padding of a value: Instance Number `1 ` is `1`.
    Raises Invalid: `dicom-xml-unknown-root`, `dicom-malformed`, `max-elements`, `max-nesting`, and what
    `xml_events.parse` raises.
    """
    document = _Document(limits)
    warnings = xml_events.parse(body, document, charset=charset, limits=limits)
    written = document.writer.part10()
    return written._replace(warnings=(*warnings, *written.warnings))


@dataclass(slots=True)
class _Attribute:
    """An attribute whose element is open, and what its element has held so far."""

    tag: int
    vr: str
    creator: str
    has_items: bool = False
    binary: bytes | None = None
    fault: str = ""  # of the binary value
    is_elsewhere: bool = False  # only referred to
    values: list[str | None] = field(default_factory=list)  # None is one that is not stated
    number: int = 0  # of the open value
    group: str = ""  # the open component group
    name: dict[str, dict[str, str]] = field(default_factory=dict)  # the open name: components by component group
    text: list[str] | None = None  # of the open element, None where text is layout
    size: int = 0  # characters of the values, and one for each


class _Document:
    """What the parser calls: the root tells the model, which is told the rest but for what is passed over."""

    def __init__(self, limits: Limits) -> None:
        self.writer = Writer(limits)
        self._limits = limits
        self._model: _Native | _Mirth | None = None
        self._depth = 0
        self._passed_over = 0  # depth of the element that is passed over, 0 for none

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._passed_over:
            return
        if self._model is not None:
            if not self._model.start(name, attributes):
                self._passed_over = self._depth
        elif name == "NativeDicomModel":
            self._model = _Native(_Attributes(self.writer, self._limits))
        elif name == "dicom":
            self._model = _Mirth(_Attributes(self.writer, self._limits))
        else:
            raise Invalid("dicom-xml-unknown-root", "the root element is neither NativeDicomModel nor dicom")

    def data(self, text: str) -> None:
        if self._model is not None and not self._passed_over:
            self._model.attributes.add_text(text)

    def end(self, name: str) -> None:
        if self._model is not None and not self._passed_over and self._depth > 1:
            self._model.end(name)
        if self._passed_over == self._depth:
            self._passed_over = 0
        self._depth -= 1


class _Attributes:
    """The attributes that are open, each in an item of the one before."""

    def __init__(self, writer: Writer, limits: Limits) -> None:
        self.writer = writer
        self._most = limits.max_field_size
        self._open: list[_Attribute | None] = []  # None is an item

    def open(self, tag: int, vr: str | None, creator: str = "") -> _Attribute:
        if self._open and self._open[-1] is not None:
            raise self.writer.malformed(tag, "stands in an attribute, but in no item of it")
        attribute = _Attribute(tag, self.writer.vr(tag, vr, creator), creator)
        self._open.append(attribute)
        return attribute

    def current(self) -> _Attribute:
        attribute = self._open[-1] if self._open else None
        if attribute is None:
            raise self.writer.malformed(None, "has an element outside of its attributes")
        return attribute

    def open_item(self) -> None:
        sequence = self.current()
        if sequence.vr not in ("SQ", "UN"):
            raise self.writer.malformed(sequence.tag, "has items, but is no sequence")
        if "".join(sequence.text or ()).strip():
            raise self.writer.malformed(sequence.tag, "has text beside its items")
        if not sequence.has_items:
            self.writer.open_sequence(sequence.tag, sequence.creator)
        sequence.has_items, sequence.text = True, None
        self.writer.open_item()
        self._open.append(None)

    def close_item(self) -> None:
        self.writer.close_item()
        self._open.pop()

    def add_text(self, text: str) -> None:
        attribute = self._open[-1] if self._open else None
        if attribute is None or attribute.text is None:
            if text.strip():
                raise self.writer.malformed(attribute.tag if attribute else None, "has text outside of its values")
        else:
            attribute.size += len(text)
            if attribute.size <= self._most:
                attribute.text.append(text)

    def add_value(self, value: str) -> None:
        """Puts a value at the place that its number says, the next one where it has none."""
        attribute = self.current()
        values, number = attribute.values, attribute.number or len(attribute.values) + 1
        attribute.size += max(number - len(values), 0)
        if attribute.size > self._most:
            return
        values.extend([None] * (number - len(values)))
        if values[number - 1] is not None:
            raise self.writer.malformed(attribute.tag, "has two values of the same number")
        values[number - 1] = value

    def close(self) -> None:
        """Writes the attribute that ends, of which no more than one kind of value is stated."""
        attribute = self.current()
        tag, vr, creator = attribute.tag, attribute.vr, attribute.creator
        if attribute.has_items + (attribute.binary is not None) + bool(attribute.values) > 1:
            raise self.writer.malformed(tag, "states its value in two ways")
        self._open.pop()
        if attribute.has_items:
            self.writer.close_sequence()
        elif vr == "SQ":
            if attribute.binary is not None or attribute.values:
                raise self.writer.malformed(tag, "is a sequence, but not made of items")
            self.writer.value(tag, vr, b"", creator)
        elif attribute.size > self._most:
            self.writer.left_out(tag, vr, "over the bound max_field_size")
        elif attribute.binary is not None:
            self.writer.value(tag, vr, attribute.binary, creator)
        elif attribute.fault and not attribute.values:
            self.writer.unreadable(tag, attribute.fault)
        elif attribute.is_elsewhere and not attribute.values:
            self.writer.left_out(tag, vr, "only referred to (BulkData)")
        else:
            self.writer.texts(tag, vr, attribute.values, creator)


class _Native:
    """The Native DICOM Model. Items count in their order, values by their number, with empty ones for gaps."""

    def __init__(self, attributes: _Attributes) -> None:
        self.attributes = attributes
        self._malformed = attributes.writer.malformed

    def start(self, name: str, stated: Mapping[str, str]) -> bool:
        """Whether what is in the element is wanted."""
        if name == "DicomAttribute":
            return self._open(stated)
        attribute = self.attributes.current()
        if attribute.text is not None:
            name = ""  # there is nothing in a text
        match name:
            case "Item":
                self.attributes.open_item()
            case "Value" | "PersonName":
                number = stated.get("number", "")
                if number and not _NUMBER.fullmatch(number):
                    raise self._malformed(attribute.tag, "has a value whose number is none")
                attribute.number, attribute.name = int(number or 0), {}
                attribute.text = [] if name == "Value" else None
            case "Alphabetic" | "Ideographic" | "Phonetic" if name not in attribute.name:
                attribute.group, attribute.name[name] = name, {}
            case _ if name in _COMPONENTS and name not in attribute.name.get(attribute.group, _COMPONENTS):
                attribute.text = []
            case "InlineBinary" if attribute.binary is None:
                attribute.text = []
            case "BulkData":
                attribute.is_elsewhere = True
                return False
            case _:
                raise self._malformed(attribute.tag, "holds an element that has no place in it, or has it twice")
        return True

    def _open(self, stated: Mapping[str, str]) -> bool:
        tag = int(stated["tag"], 16) if _TAG.fullmatch(stated.get("tag", "")) else None
        if "tag" not in stated and stated.get("keyword"):
            tag = tag_for_keyword(stated["keyword"])
        if tag is None:
            raise self._malformed(None, "has an attribute whose tag is not eight hexadecimal digits")
        if tag >> 16 == _PIXELS:
            return False
        creator = stated.get("privateCreator", "").strip() if tag >> 16 & 1 else ""
        self.attributes.open(tag, stated.get("vr"), creator)
        return True

    def end(self, name: str) -> None:
        if name == "Item":
            return self.attributes.close_item()
        if name == "DicomAttribute":
            return self.attributes.close()
        attribute = self.attributes.current()
        text = "".join(attribute.text or ())
        attribute.text = None
        match name:
            case "Value":
                self.attributes.add_value(text)
            case "PersonName":
                self.attributes.add_value(_person_name(attribute.name))
            case "InlineBinary":
                attribute.binary = inline_binary(text)
                attribute.fault = "not base64"
            case _ if name in _COMPONENTS:
                attribute.name[attribute.group][name] = text
        return None


def _person_name(groups: Mapping[str, Mapping[str, str]]) -> str:
    """A name as a PN has it (PS3.5 6.2.1), without what only separates."""
    stated = [groups.get(group, {}) for group in _GROUPS]
    return "=".join("^".join(one.get(part, "") for part in _COMPONENTS).rstrip("^") for one in stated).rstrip("=")


class _Mirth:
    """Mirth Connect's `<dicom>`, of dcm4che 2: `<tag00100010 len="8" tag="00100010" vr="PN">`, `<item>` in sequences.

    Values are separated by backslashes, OB is in hexadecimal bytes, UN in characters with `\\XX` for all but printable
    ASCII. `len` and `off` are those of the bytes that it was made from.
    """

    def __init__(self, attributes: _Attributes) -> None:
        self.attributes = attributes

    def start(self, name: str, stated: Mapping[str, str]) -> bool:
        """Whether what is in the element is wanted."""
        if name == "item":
            self.attributes.open_item()
            return True
        digits = name.removeprefix("tag")
        if digits == name or not _TAG.fullmatch(digits) or stated.get("tag", digits).upper() != digits.upper():
            raise self.attributes.writer.malformed(None, "has an element that is neither a tag nor an item")
        tag = int(digits, 16)
        if tag >> 16 == _PIXELS:
            return False
        vr = stated.get("vr")
        if vr in _WORDS:
            self.attributes.writer.left_out(tag, vr, f"stated as {vr}, which is no text")
            return False
        attribute = self.attributes.open(tag, vr)
        attribute.text = None if attribute.vr == "SQ" else []
        return True

    def end(self, name: str) -> None:
        if name == "item":
            return self.attributes.close_item()
        attribute = self.attributes.current()
        if attribute.text is not None:
            text = "".join(attribute.text)
            if attribute.vr == "OB":
                attribute.binary = _from_hexadecimal(text)
                attribute.fault = "not in hexadecimal bytes"
            elif attribute.vr == "UN":
                attribute.binary = _ESCAPED.sub(_unescaped, text.encode())
            else:
                attribute.values = list(text.split("\\"))
        return self.attributes.close()


def _from_hexadecimal(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.replace("\\", " "))
    except ValueError:
        return None


def _unescaped(found: re.Match[bytes]) -> bytes:
    return found[1] if found[1] == b"\\" else bytes.fromhex(found[1].decode())
