"""HL7 v2 bytes to text: in the character set that the transport or else MSH-18 (HL7 table 0211) states.

A wrong declaration is read as what the bytes are, with a warning; a character is never replaced or dropped.
"""

import codecs
import re
from contextlib import suppress
from functools import lru_cache

from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.formats import hl7_iso2022
from bridge.formats.lost_characters import LOST

_WITHOUT_CODEC = "euc_tw"  # CNS 11643-1992: Python has none

# Spelled as in HL7 table 0211, as in DICOM, and as senders write it; capitals, spaces and punctuation do not count.
_CODECS = {
    **{f"{prefix}8859{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17)) for prefix in ("", "iso")},
    **{f"{prefix}{page}": f"cp{page}" for page in range(1250, 1259) for prefix in ("cp", "windows")},
    **{
        f"isoir{number}": f"iso8859-{part}"
        for part, number in enumerate((100, 101, 109, 110, 144, 127, 126, 138, 148), 1)
    },
    **{"isoir166": "iso8859-11", "isoir203": "iso8859-15"},
    **dict.fromkeys(("ascii", "usascii", "isoir6"), "ascii"),
    "latin1": "iso8859-1",
    # The bytes begin with "MSH" one byte a letter, so a declared UTF-16 or UTF-32 is UTF-8 by now.
    **dict.fromkeys(("utf8", "unicode", "unicodeutf8", "unicodeutf16", "unicodeutf32", "utf16", "utf32"), "utf-8"),
    "isoir192": "utf-8",
    **dict.fromkeys(("isoir87", "isoir159", "jisx0202", "jisx0208", "jas2020", "iso2022jp"), "iso2022_jp_2"),
    **dict.fromkeys(("isoir13", "isoir14", "jisx0201", "shiftjis", "sjis"), "shift_jis"),
    **dict.fromkeys(("windows31j", "cp932"), "cp932"),
    "eucjp": "euc_jp",
    **dict.fromkeys(("gb180302000", "gb18030", "gbk", "gb2312", "isoir58"), "gb18030"),
    **dict.fromkeys(("ksx1001", "euckr", "isoir149"), "euc_kr"),
    "big5": "big5",
    "koi8r": "koi8_r",
    "cns116431992": _WITHOUT_CODEC,
}
ONE_BYTE = {one for one in _CODECS.values() if re.match(r"ascii|iso8859-|cp125|koi8", one)}
_ASCII_BUT_FOR_ESCAPES = ("ascii", "iso2022_jp_2")

_LITTLE_ENDIAN = rb"\xff\xfe|(?:\x0b\0)?(?:M\0S\0H|[FB]\0H\0S)\0"
_BIG_ENDIAN = rb"\xfe\xff|(?:\0\x0b)?\0(?:M\0S\0H|[FB]\0H\0S)"
_WIDE = re.compile(rb"(\x0b?)(?:(%b)|%b)" % (_LITTLE_ENDIAN, _BIG_ENDIAN))
_BYTE_ORDER_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_AHEAD = b"\x0b \t\r\n"  # MLLP's start block, and padding
_BEHIND = b"\x1c\0\r\n\x1a"  # MLLP's end block, padding, DOS's end of a file; blanks are the last value's
_LINE_END = re.compile(rb"[\r\n]")
_CONTROL = re.compile("[\x80-\x9f]")  # of ISO 8859-1, which nobody writes; letters and quotes of Windows-1252
_NEIGHBOURS = (17, 19, 16, 20)  # of MSH-18


def codec(name: str) -> str | None:
    """Python's codec for a character set's name (HL7 table 0211, DICOM, IANA), None where there is none."""
    found = _codec(name)
    return None if found == _WITHOUT_CODEC else found


def narrow(body: bytes) -> tuple[bytes, str | None]:
    """A body in UTF-16 as UTF-8 with a byte order mark, and the codec it was in; any other as it is, and None.

    UTF-16 begins with a byte order mark or with a header segment, behind MLLP's start block too.
    Raises Invalid: `hl7-undecodable`.
    """
    found = None if body.startswith(b"MSH") else _WIDE.match(body)
    if not found:
        return body, None
    framed, little_endian = found.groups()
    if framed and body[1:2] == b"\0" and len(body) % 2 == 0 and not body.endswith(b"\x1c"):  # it is in UTF-16 too
        framed, little_endian = b"", b"\x0b\0"
    if framed:
        body = body[1:]
        for end in (b"\x1c\r", b"\x1c"):
            if body.endswith(end) and len(body) % 2 == len(end) % 2:
                body = body.removesuffix(end)
    wide = "utf-16-le" if little_endian else "utf-16-be"
    text = hl7_iso2022.plain(body, wide)
    return codecs.BOM_UTF8 + text.removeprefix("\ufeff").encode(), wide


def widened(body: bytes, wide: str) -> bytes:
    """A part of what `narrow` made, as it was in the whole, with a byte order mark."""
    return _BYTE_ORDER_MARKS[wide] + body.removeprefix(codecs.BOM_UTF8).decode().encode(wide)


def decode(
    body: bytes, default: str, stated: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[str, str, list[str]]:
    """The text, the codec that holds where no escape sequence switches to another, and warnings.

    `stated` is the character set that the transport gives, which holds before MSH-18: an engine that converts a message
    does not change its header. `default` holds where nothing is stated, or something wrong.
    Raises Invalid: `hl7-undecodable`, `max-fields` (so many switches of the character set).
    """
    fallback = codec(default)
    if fallback is None:
        raise Invalid("hl7-undecodable", "the character set named for this message is not known")
    body = body.lstrip(_AHEAD).rstrip(_BEHIND)
    marked = body.startswith(codecs.BOM_UTF8)
    body = body.removeprefix(codecs.BOM_UTF8).lstrip(_AHEAD)
    header = body[: found.start()] if (found := _LINE_END.search(body)) else body
    by_transport = codec(stated) if stated else None
    declared, odd = ("utf-8" if marked else by_transport), None
    place = "byte order mark" if marked else "charset"
    if not declared:
        place, (declared, odd) = "MSH-18", _declared(header)
    chosen = declared or fallback
    escape = b"" if header[3:4] in header[4:7] else header[6:7]
    switches = hl7_iso2022.switches(body, escape)
    if not switches and body.isascii():
        return body.decode("ascii"), chosen, []
    if switches > limits.max_fields:
        raise limits.exceeded("max_fields")
    if switches and escape:
        body = hl7_iso2022.with_hl7_escapes(body, escape)
    warnings = [odd] if odd else []
    if stated and not by_transport:
        warnings.append("charset: not a known character set; MSH-18 holds")
    is_utf_8 = _is_utf_8(body)
    if not (is_utf_8 or switches) and chosen in (*ONE_BYTE, "utf-8") and (damaged := _damaged_utf_8(body)):
        warnings.append(f"{place}: UTF-8 with {damaged.count(LOST)} damaged characters, marked as lost")
        return damaged, "utf-8", warnings
    text, used = _first_that_fits(body, chosen, _candidates(chosen, fallback, is_utf_8))
    if used == "utf-8" and chosen != "utf-8":
        warnings.append(
            f"{place}: the bytes are UTF-8, not what is declared; read as UTF-8"
            if declared
            else "MSH-18: the bytes are UTF-8, not the channel's character set; read as UTF-8"
        )
    elif used != chosen:
        warnings.append(f"{place}: the bytes are not what is declared; the channel's character set is used")
    if used == "iso8859-1" and not switches and _CONTROL.search(text):
        with suppress(UnicodeDecodeError):
            text, used = body.decode("cp1252"), "cp1252"
            warnings.append(f"{place}: the bytes are Windows-1252, not ISO 8859-1; read as that")
    return text, used, warnings


def _candidates(chosen: str, fallback: str, is_utf_8: bool) -> list[str]:
    """The codecs to try one after the other.

    Other text is practically never valid UTF-8 by chance, unless its characters have several bytes. A one-byte codec
    takes nearly any bytes, so it does not stand in for one with several bytes.
    """
    one_byte = chosen in ONE_BYTE
    order = [chosen, "utf-8"]
    if (one_byte or chosen == "iso2022_jp_2") and is_utf_8:
        order.reverse()
    if one_byte or chosen == "utf-8" or fallback not in ONE_BYTE:
        order.append(fallback)
    return order


def _damaged_utf_8(body: bytes) -> str | None:
    """The text of what is UTF-8 but for a few damaged bytes, as by a cut in a character; None for any other text.

    In another character set hardly any two letters make a sequence of UTF-8, so that more is lost than read.
    """
    text = body.decode("utf-8", "replace")
    lost = text.count(LOST)
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    return text if beyond_ascii - lost > lost else None


def _is_utf_8(body: bytes) -> bool:
    """Whether it is UTF-8 and not ASCII."""
    try:
        return not body.isascii() and bool(body.decode())
    except UnicodeDecodeError:
        return False


def _first_that_fits(body: bytes, chosen: str, candidates: list[str]) -> tuple[str, str]:
    errors = {}
    for name in candidates:
        try:
            return hl7_iso2022.decode(body, name), name
        except Invalid as error:
            errors[name] = error
    raise errors[chosen]


def _declared(header: bytes) -> tuple[str | None, str | None]:
    """The codec that MSH-18 declares, or else a neighbour that a sender counted wrong for, and what is odd about it."""
    separator = header[3:4]
    fields = header.split(separator) if separator else []
    stated, known = _named(fields, 18)
    if known:
        # The first repetition is the default set, the others are reached by escape sequences. But text in a set with
        # more than ASCII also comes without any, where ASCII is the first.
        chosen = next((one for one in known if one not in _ASCII_BUT_FOR_ESCAPES), None)
        chosen = chosen or ("iso2022_jp_2" if "iso2022_jp_2" in known else "ascii")
        if len(known) < stated:
            return chosen, "MSH-18: names a character set that is not known beside one that is"
        return chosen, None
    what = "not a known character set" if stated else "empty"
    for number in _NEIGHBOURS:
        if neighbour := _named(fields, number)[1]:
            return neighbour[0], f"MSH-18: {what}; the one that MSH-{number} names is used"
    return None, f"MSH-18: {what}; the channel's is used" if stated else None


def _named(fields: list[bytes], number: int) -> tuple[int, list[str]]:
    """How many character sets an MSH field names, and the codecs of those that are known."""
    if len(fields) < number or not fields[number - 1]:
        return 0, []
    repetition = fields[1][1:2]
    names = fields[number - 1].split(repetition) if repetition else [fields[number - 1]]
    found = [_codec(name.decode("ascii", "replace")) for name in names if name.strip()]
    return len(found), [one for one in found if one]


@lru_cache(maxsize=256)
def _codec(name: str) -> str | None:
    spelled = re.sub(r"[\s/_.()-]", "", name).lower()
    return _CODECS.get(spelled.replace("iso2022ir", "isoir"))
