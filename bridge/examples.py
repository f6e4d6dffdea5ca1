"""Runs the examples of channels: messages whose outcome the channel file states. Needs no broker and no database."""

from importlib.resources import files
from pathlib import Path

from bridge.core.channel import Channel, Example
from bridge.core.errors import Invalid
from bridge.core.model import Filtered, OrderMessage
from bridge.core.ports import Inbound
from bridge.formats.reading import read

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
        body = example_file(channel.folder, example.file).read_bytes()
    except OSError as error:
        return f"{example.file}: {error.strerror}"
    orders = code = None
    try:
        fact = read(Inbound(channel.name, body), channel)
        outcome = "FILTERED" if isinstance(fact, Filtered) else "TRANSFORMED"
        orders = len(fact.updates) if isinstance(fact, OrderMessage) else None
    except Invalid as error:
        outcome, code = "ERROR", error.code
    for what, expected, found in (
        ("outcome", example.outcome, outcome),
        ("orders", example.orders, orders),
        ("code", example.code, code),
    ):
        if expected is not None and expected != found:
            return f"{what} is {found}, not {expected}"
    return None


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
