"""Text is decoded in the character sets that are declared, and what is not in them is marked as lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.dicom_charsets import decode, unknown_character_set


@pytest.mark.parametrize(
    ("character_sets", "raw", "text"),
    [
        (b"", b"M\xfcller", "Müller"),
        (b"", "Müller".encode(), "Müller"),  # UTF-8 that nobody declared
        (b"ISO_IR 100", "Müller".encode(), "Müller"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 87", "Müller".encode(), "Müller"),
        (b"ISO_IR 144", "ТА".encode("iso8859_5"), "ТА"),  # noqa: RUF001 - Cyrillic, which would be UTF-8 as well
        (b"ISO-IR 144", "Иван".encode("iso8859_5"), "Иван"),
        (b"ISO 2022-IR 144", "Иван".encode("iso8859_5"), "Иван"),
        (b"ISO_IR 999", b"M\xfcller", "Müller"),
        (b"ISO_IR 192 ", "Müller".encode(), "Müller"),
        (b"ISO_IR 192", b"M\xfcller", "M\ufffdller"),
        (b"ISO_IR 192", b"\x1b$B", "\x1b$B"),  # no switching from a character set that stands alone
        (b"\\ISO 2022 IR 58", b"\x1b$)A" + "张^".encode("gb2312") + b"\x1b$)A" + "小东".encode("gb2312"), "张^小东"),
        (b"\\ISO 2022 IR 100", b"\x1b-AJ\xe9r\xf4me", "Jérôme"),
        (b"", b"\x1b$B;3ED\x1b(B", "山田"),  # not announced, but unmistakable
        (b"", b"\x1b$B\xff\xff", "\ufffd\ufffd"),
        (b"", b"\x1bZodd", "\x1bZodd"),
        (b"GB18030", b"\xf0\\A", "餦A"),  # the second byte is not a backslash
        (b"", b"ab \0", "ab"),
        (b"", b"a\0b", "a\ufffdb"),
    ],
)
def test_text_is_decoded_or_replaced(character_sets: bytes, raw: bytes, text: str) -> None:
    assert decode(raw, character_sets) == text


SETS = [b"", b"ISO_IR 13", b"\\ISO 2022 IR 87\\ISO 2022 IR 149", b"ISO_IR 192", b"GB18030", b"ISO_IR 166", b"\xff\\"]


@given(
    st.lists(st.binary(max_size=6) | st.sampled_from([b"\x1b$B", b"\x1b(J", b"\x1b$)C", b"\x1b$(D", b"^", b"="])),
    st.sampled_from(SETS),
)
def test_whatever_the_bytes_the_text_can_be_stored_and_published(parts: list[bytes], character_sets: bytes) -> None:
    decode(b"".join(parts), character_sets).encode("utf-8")
    assert "\0" not in decode(b"".join(parts), character_sets)


@pytest.mark.parametrize(
    "known", [b"", b"ISO_IR 192", b"ISO-IR 100 ", b"\\ISO 2022 IR 87", b"GB18030\0", b"ISO 2022 GBK"]
)
def test_the_character_sets_of_the_standard_are_known_even_misspelled(known: bytes) -> None:
    assert not unknown_character_set(known)


@pytest.mark.parametrize("unknown", [b"UTF-8", b"ISO_IR 999", b"ISO_IR 100\\KANJI", b"\xff"])
def test_other_character_sets_are_not(unknown: bytes) -> None:
    assert unknown_character_set(unknown)
