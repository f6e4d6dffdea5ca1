"""HL7 v2 bytes to text: in the character set that the transport or else MSH-18 (HL7 table 0211) states.

A wrong declaration is read as what the bytes are, with a warning; a character is never replaced or dropped.
"""

import codecs
import re

from bridge.core.errors import Invalid

# Spelled as in HL7 table 0211 and as senders write it; capitals, spaces and punctuation do not count.
_CODECS = {
    **{f"{prefix}8859{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17)) for prefix in ("", "iso")},
    **{f"{prefix}{page}": f"cp{page}" for page in range(1250, 1259) for prefix in ("cp", "windows")},
    **dict.fromkeys(("ascii", "usascii", "isoir6"), "ascii"),
    "latin1": "iso8859-1",
    # The bytes begin with "MSH" one byte a letter, so a declared UTF-16 or UTF-32 is UTF-8 by now.
    **dict.fromkeys(("utf8", "unicode", "unicodeutf8", "unicodeutf16", "unicodeutf32", "utf16", "utf32"), "utf-8"),
    **dict.fromkeys(("isoir87", "isoir159", "jisx0202", "jas2020", "iso2022jp"), "iso2022_jp_2"),
    **dict.fromkeys(("isoir14", "shiftjis", "sjis"), "shift_jis"),
    **dict.fromkeys(("windows31j", "cp932"), "cp932"),
    "eucjp": "euc_jp",
    **dict.fromkeys(("gb180302000", "gb18030", "gbk", "gb2312"), "gb18030"),
    **dict.fromkeys(("ksx1001", "euckr"), "euc_kr"),
    "big5": "big5",
    "koi8r": "koi8_r",
}
_SINGLE_BYTE = re.compile(r"ascii|iso8859-|cp125|koi8")
_WIDE = (
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"M\0S\0H\0", "utf-16-le"),
    (b"\0M\0S\0H", "utf-16-be"),
)
_AHEAD = b"\x0b \t\r\n"  # MLLP's start block, and padding
_BEHIND = b"\x1c\0\r\n"  # MLLP's end block, and padding; blanks are the last value's
_LINE_END = re.compile(rb"[\r\n]")
_KOREAN_DESIGNATION = b"\x1b$)C"  # ISO 2022: KS X 1001 into G1; what follows is EUC-KR


def codec(name: str) -> str | None:
    """Python's codec for a character set's name (HL7 table 0211, IANA), None where the name is not known."""
    return _CODECS.get(re.sub(r"[\s/_.()-]", "", name).lower())


def decode(body: bytes, default: str, stated: str | None = None) -> tuple[str, str, list[str]]:
    """The text, the codec it was read with, and warnings.

    `stated` is the character set that the transport gives, which holds before MSH-18: an engine that converts a message
    does not change its header. `default` holds where nothing is stated, or something wrong.
    Raises Invalid: `hl7-undecodable`.
    """
    fallback = codec(default)
    if fallback is None:
        raise Invalid("hl7-undecodable", "the character set named for this message is not known")
    for prefix, wide in _WIDE:
        if body.startswith(prefix):
            return _decode(body, wide), wide, []
    body = body.lstrip(_AHEAD).rstrip(_BEHIND)
    marked = body.startswith(codecs.BOM_UTF8)
    body = body.removeprefix(codecs.BOM_UTF8).lstrip(_AHEAD)
    by_transport = codec(stated) if stated else None
    place = "charset" if by_transport else "MSH-18"
    declared, known = (by_transport, True) if by_transport else _declared(body)
    chosen = "utf-8" if marked else declared or fallback
    if body.isascii() and b"\x1b" not in body:
        return body.decode("ascii"), chosen, []
    warnings = [] if known or marked else ["MSH-18: not a known character set; the channel's is used"]
    if _SINGLE_BYTE.match(chosen) and not body.isascii():
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:  # other text is practically never valid UTF-8 by chance
            warnings.append(
                f"{place}: the bytes are UTF-8, not what is declared; read as UTF-8"
                if declared
                else "MSH-18: empty, and the bytes are UTF-8, not the channel's character set; read as UTF-8"
            )
            return text, "utf-8", warnings
    try:
        return _decode(body, chosen), chosen, warnings
    except Invalid:
        if chosen == fallback:
            raise
    warnings.append(f"{place}: the bytes are not what is declared; the channel's character set is used")
    return _decode(body, fallback), fallback, warnings


def _declared(body: bytes) -> tuple[str | None, bool]:
    """The codec that MSH-18 declares, if any, and whether everything it names is known."""
    header = _LINE_END.split(body, maxsplit=1)[0]
    separator = header[3:4]
    fields = header.split(separator) if separator else []
    if len(fields) < 18:
        return None, True
    names = fields[17].decode("ascii", "replace")
    repetition = fields[1][1:2].decode("ascii", "replace")
    found = [codec(name) for name in (names.split(repetition) if repetition else [names]) if name.strip()]
    chosen = [one for one in found if one]
    # The first repetition is the default set, the others are reached by ISO 2022 escapes, whose codec reads both.
    iso2022 = [one for one in chosen if one.startswith("iso2022")]
    beyond_ascii = [one for one in chosen if one != "ascii"]
    return next(iter(iso2022 or beyond_ascii or chosen), None), None not in found


def _decode(body: bytes, name: str) -> str:
    if name == "euc_kr":
        body = body.replace(_KOREAN_DESIGNATION, b"")
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not text in the character set of this message"
        raise Invalid("hl7-undecodable", reason) from None
