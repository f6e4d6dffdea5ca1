"""In which line of a TOML file a key stands, which the parser of the standard library does not tell."""

import re
from collections.abc import Iterator

from bridge.core.errors import Key

_TABLE = re.compile(r"\s*\[(?P<array>\[)?\s*(?P<name>[^\[\]]+?)\s*\](?(array)\])\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=(?P<value>.*)""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_LONG_TEXTS = ('"' * 3, "'" * 3)


def line_of(text: str, key: Key) -> int | None:
    """The line, from 1, of a key such as `("transformer", "sender", 0, "when")`, or of the nearest one around it.

    `text` is TOML that was parsed already. None where nothing of the key stands in it.
    """
    nearest: tuple[int, int] | None = None  # how much of the key, and the line
    for number, known in _keys(text):
        if known == key[: len(known)] and (nearest is None or len(known) > nearest[0]):
            nearest = len(known), number
    return nearest[1] if nearest else None


def _keys(text: str) -> Iterator[tuple[int, Key]]:
    """Each table and each key at the beginning of a line, with its line."""
    table: Key = ()
    counts: dict[Key, int] = {}  # of arrays of tables
    ends_with: str | None = None  # inside a text of several lines
    for number, line in enumerate(text.splitlines(), start=1):
        if ends_with:
            ends_with = None if ends_with in line else ends_with
        elif found := _TABLE.fullmatch(line):
            table = _within(_parts(found["name"]), counts, is_array=bool(found["array"]))
            yield number, table
        elif found := _KEY.fullmatch(line):
            yield number, (*table, *_parts(found[1]))
            value = found["value"].strip()
            ends_with = next((mark for mark in _LONG_TEXTS if value.startswith(mark) and mark not in value[3:]), None)


def _within(parts: Key, counts: dict[Key, int], *, is_array: bool) -> Key:
    """The table's key with the number of the element in each array of tables on the way to it."""
    key: Key = ()
    for place, part in enumerate(parts):
        key = (*key, part)
        if is_array and place == len(parts) - 1:
            counts[key] = counts.get(key, -1) + 1
        if key in counts:
            key = (*key, counts[key])
    return key


def _parts(written: str) -> Key:
    return tuple(part.strip("\"'") for part in _PART.findall(written))
