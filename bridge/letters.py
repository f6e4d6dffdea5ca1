"""What dead letters say of themselves, and which of them are meant by a person. Bodies are never kept."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from rich.table import Table
from rich.text import Text

from bridge.amqp import MESSAGE_HEADER, REJECTED_AT_HEADER, Letter
from bridge.core.redaction import printable
from bridge.core.struct import Value
from bridge.explain.values import age, moment
from bridge.intake import message_id

NOTHING = "-"  # what is shown where a letter does not say something

_UNITS = ((1 << 20, "MiB"), (1 << 10, "KiB"))


class DeadLetter(Value):
    """A letter without its body. `rejected_at` is RFC 3339 in UTC; null where it is not known, as are the others."""

    id: str
    code: str | None
    reason: str | None
    channel: str | None
    queue: str | None
    rejected_at: str | None
    size: int


def described(letter: Letter, channels: Mapping[str, str]) -> DeadLetter:
    """What a letter says; `channels` names the channel of each queue.

    One that the broker has put there says nothing: its code is the broker's reason, and its id is the one that the
    bridge gives to its message.
    """
    headers, channel = letter.headers, channels.get(letter.queue or "")
    code: str | None
    reason: str | None
    if letter.death:
        code = str(letter.death.get("reason", "")).replace("_", "-")
        reason, at = f"the broker took it out of {letter.death['queue']}", _moment(letter.death.get("time"))
    else:
        code, reason = _text(headers.get("bridge-error")), _text(headers.get("bridge-reason"))
        channel, at = _text(headers.get("bridge-channel")) or channel, _moment(headers.get(REJECTED_AT_HEADER))
    return DeadLetter(
        id=_text(headers.get(MESSAGE_HEADER)) or message_id(channel or letter.queue or "", letter.body),
        code=code or None,
        reason=reason,
        channel=channel,
        queue=letter.queue,
        rejected_at=at.isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None,
        size=len(letter.body),
    )


class Selection(NamedTuple):
    """Which letters are meant: all that are asked for have to hold; nothing asked for means every letter.

    Codes and channels are those that `as_table` shows: `NOTHING` for a letter without one. A letter of unknown age is
    neither older nor newer than anything.
    """

    ids: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    def takes(self, letter: DeadLetter, now: str) -> bool:
        if self.ids and letter.id not in self.ids:
            return False
        if self.codes and (letter.code or NOTHING) not in self.codes:
            return False
        if self.channels and (letter.channel or NOTHING) not in self.channels:
            return False
        if self.older_than is None and self.newer_than is None:
            return True
        if letter.rejected_at is None:
            return False
        old = datetime.fromisoformat(now) - datetime.fromisoformat(letter.rejected_at)
        return (self.older_than is None or old >= self.older_than) and (
            self.newer_than is None or old < self.newer_than
        )


def as_table(letters: Iterable[DeadLetter], now: str) -> Table:
    """A line each, in the sequence of the queue."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("id", "code", "channel", "age", "size", "reason"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("id", "age", "size"))
    for letter in letters:
        old = age(letter.rejected_at, now) if letter.rejected_at else "?"
        cells = (letter.id, letter.code, letter.channel, old, _size(letter.size), letter.reason)
        table.add_row(*(Text(one_line(cell or NOTHING)) for cell in cells))
    return table


def as_json(letters: Iterable[DeadLetter], waiting: int) -> Any:
    """`{"letters": […], "total": N}`; N is how many waited, shown or not."""
    return msgspec.to_builtins({"letters": list(letters), "total": waiting})


def as_text(one: DeadLetter, letter: Letter) -> str:
    """All that is known of a letter but its body: properties and headers as they are."""
    lines = [
        ("id", one.id),
        ("code", one.code or NOTHING),
        ("reason", one.reason or NOTHING),
        ("channel", one.channel or NOTHING),
        ("queue", one.queue or NOTHING),
        ("rejected", f"{moment(one.rejected_at)} UTC" if one.rejected_at else "?"),
        ("size", f"{one.size} bytes"),
        *((f"property {name}", str(value)) for name, value in sorted(letter.stated.items())),
        *((f"header {name}", str(_zoned(value))) for name, value in sorted(letter.headers.items())),
    ]
    width = max(len(name) for name, _ in lines)
    return "\n".join(one_line(f"{name:{width}}  {value}") for name, value in lines)


def one_line(text: str) -> str:
    """What somebody else has written, without what would break a line or steer the terminal."""
    return printable(text).replace("\n", " ")


def _zoned(value: Any) -> Any:
    """The value of a header, in which every time says its zone: AMQP has none but UTC."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, Mapping):
        return {name: _zoned(one) for name, one in value.items()}
    return [_zoned(one) for one in value] if isinstance(value, list) else value


def _text(said: object) -> str | None:
    return None if said is None else str(said)


def _moment(said: object) -> datetime | None:
    """A time of ours, or of the broker, which has none but UTC (AMQP 0-9-1, 4.2.5.5)."""
    if isinstance(said, datetime):
        return said.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(said) if isinstance(said, str) else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (OverflowError, ValueError):
        return None


def _size(size: int) -> str:
    return next((f"{size // unit} {name}" for unit, name in _UNITS if size >= unit), f"{size} B")
