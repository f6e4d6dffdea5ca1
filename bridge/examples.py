"""Runs the examples of channels: messages whose outcome the channel file states. Needs no broker and no database."""

from importlib.resources import files
from pathlib import Path

from bridge.core.channel import Channel, Example
from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS
from bridge.core.model import Filtered, OrderUpdate, Reading
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, read_or_refused

_PYDICOM = "pydicom:"


def failures(channel: Channel) -> list[str]:
    """One line for each example of the channel that does not come out as stated."""
    return [
        f"{channel.name}: example {example.name!r}: {failure}"
        for example in channel.examples
        if (failure := _failure(channel, example))
    ]


def _failure(channel: Channel, example: Example) -> str | None:
    try:
        body = _body(channel, example)
    except OSError as error:
        return f"{example.file}: {error.strerror}"
    inbound = Inbound(channel.name, body, headers=example.headers)
    limits = channel.source.within(DEFAULT_LIMITS)
    try:
        said: list[Reading | Filtered | Invalid] = [
            read_or_refused(content, channel, limits) for content in contents(inbound, channel.source.data_type, limits)
        ]
    except Invalid as error:
        said = [error]
    updates = [fact for one in said if isinstance(one, Reading) for fact in one.facts if isinstance(fact, OrderUpdate)]
    for what, expected, found in (
        ("outcome", example.outcome, {_OUTCOMES[type(one)] for one in said}),
        ("orders", example.orders, {len(updates)}),
        ("code", example.code, {one.code if isinstance(one, Invalid) else None for one in said}),
        ("reason", example.reason, {None if isinstance(one, Reading) else one.reason for one in said}),
    ):
        if expected is not None and found != {expected}:
            return f"{what} is {', '.join(map(str, found))}, not {expected}"
    return None


_OUTCOMES = {Reading: "TRANSFORMED", Filtered: "FILTERED", Invalid: "ERROR"}


def _body(channel: Channel, example: Example) -> bytes:
    if example.file is None:
        return (example.message or "").encode()
    return example_file(channel.folder, example.file).read_bytes()


def example_file(folder: str, name: str) -> Path:
    """A file beside a channel, or `pydicom:NAME`, one of the files that the pydicom package ships."""
    if not name.startswith(_PYDICOM):
        return Path(folder) / name
    shipped = Path(str(files("pydicom.data")))
    for place in ("test_files", "charset_files"):
        found = shipped / place / name.removeprefix(_PYDICOM)
        if found.is_file():
            return found
    return shipped / name
