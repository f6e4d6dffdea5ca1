"""What settings and channel files have in common: TOML, time spans, and mistakes that name their place."""

import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WithJsonSchema

from bridge.config.toml_lines import line_of
from bridge.core.errors import ConfigError, Key

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: object) -> timedelta:
    """`90s`, `5m`, `24h`, `7d` as a time span.

    Raises:
        ValueError: it is none.
    """
    if isinstance(text, str) and text[:-1].strip().isdigit() and text[-1:] in _UNITS:
        return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    if isinstance(text, timedelta):
        return text
    raise ValueError("write a whole number and a unit, such as 60s, 5m, 24h or 7d")


# As it is written, for JSON Schema; pydantic would say ISO 8601.
_WRITTEN_DURATION = WithJsonSchema({"type": "string", "pattern": r"^[0-9]+ *[smhd]$"})
Duration = Annotated[timedelta, BeforeValidator(duration), _WRITTEN_DURATION]

_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def _size(text: object) -> object:
    """`4194304`, `64KiB`, `4 MiB`, `1GiB` in bytes."""
    if not isinstance(text, str) or text.isdigit():
        return text
    if text[-3:] in _BYTES and text[:-3].strip().isdigit():
        return int(text[:-3]) * _BYTES[text[-3:]]
    raise ValueError("write a number of bytes, such as 4194304, 64KiB, 4MiB or 1GiB")


_WRITTEN_SIZE = WithJsonSchema({"type": ["integer", "string"], "minimum": 1, "pattern": "^[0-9]+ *[KMG]iB$"})
Bound = Annotated[int, Field(ge=1)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1), _WRITTEN_SIZE]
Nesting = Annotated[Bound, Field(le=200)]  # Python's own bound is near 1,000


def toml(text: bytes, place: str) -> dict[str, Any]:
    """The table that a file holds.

    Raises:
        ConfigError: it is no TOML in UTF-8.
    """
    try:
        return tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place}: {error}") from None


def meant(unknown: str, known: Collection[str]) -> str:
    """What to say of the known name that is nearest to an unknown one."""
    if unknown in known:
        return "; it is a key of another table"
    nearest = get_close_matches(unknown, known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def mistakes(
    error: ValidationError,
    file: str,
    models: Iterable[type[BaseModel]],
    text: str = "",
    instead: Callable[[Key], str] = lambda _: "",
) -> Sequence[str]:
    """One line for each mistake, with its key; never the value, which may be a secret.

    `models` are those whose keys an unknown one may have been meant for; `text` is what the file holds, where it is the
    only one that can be wrong. `instead` is what to say of an unknown key to which none is near.
    """
    known = [name for model in models for name in model.model_fields]
    lines = []
    for found in error.errors(include_input=False, include_url=False):
        said = _SAID.get(found["type"], found["msg"].removeprefix("Value error, "))
        if found["type"] == "extra_forbidden":
            said = f"unknown key{meant(str(found['loc'][-1]), known) or instead(found['loc'])}"
        said = said.format(**found.get("ctx", {})) if found["type"] in _SAID else said
        lines.append(mistake(file, text, found["loc"], said))
    return lines


# What is said of the kinds of mistakes that pydantic finds; `{…}` is what it tells of them.
_SAID = {
    "missing": "this key is missing",
    "list_type": 'write a list, in brackets: ["…"]',
    "string_type": 'write a text, in quotes: "…"',
    "int_type": "write a whole number",
    "bool_type": "write true or false",
    "dict_type": "this is a table",
    "model_type": "this is a table",
    "literal_error": "write {expected}",
    "enum": "write {expected}",
    "greater_than_equal": "write {ge} or more",
    "less_than_equal": "write {le} or less",
    "string_too_short": "write something",
    "too_short": "write at least one",
}


def mistake(file: str, text: str, key: Key, said: str) -> str:
    """What is wrong about a key, as `FILE:LINE: KEY: …`, so that terminals and editors find it."""
    line = line_of(text, key)
    return f"{file}{f':{line}' if line else ''}: {'.'.join(map(str, key))}: {said}"
