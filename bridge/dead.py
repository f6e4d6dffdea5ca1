"""The commands about dead letters: list, show, requeue, drop. A letter's body is never shown unasked."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge import app
from bridge.amqp import DEAD, Confirmation, DeadQueue, Letter, dead_queue
from bridge.config import Settings, channels_place, duration, load_channels
from bridge.core.redaction import printable
from bridge.letters import NOTHING, DeadLetter, Selection, as_json, as_table, as_text, described, one_line
from bridge.terminal import EXIT_USAGE, EXIT_WRONG, Json, output, settings_of

commands = typer.Typer(no_args_is_help=True, help="The dead letters: messages that could not be read.")

_LOOKING = (
    "Nothing is taken out by looking. RabbitMQ counts each look as a delivery of every letter that is looked at, and "
    f"{DEAD} lets a letter be delivered 1,000,000 times. Letters that another consumer holds are not seen."
)


def _span(text: str | None) -> timedelta | None:
    try:
        return duration(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `bridge dead list` shows them.")]
Code = Annotated[list[str] | None, typer.Option(help="Only with this code, - for none; several times for several.")]
ChannelName = Annotated[list[str] | None, typer.Option("--channel", help="Only of this channel; several times.")]
OlderThan = Annotated[str | None, typer.Option(help="Only those rejected longer ago than 90m, 24h, 7d …")]
NewerThan = Annotated[str | None, typer.Option(help="Only those rejected within 90m, 24h, 7d …")]
All = Annotated[bool, typer.Option("--all", help="Every letter.")]


@commands.command(name="list", epilog=_LOOKING)
def list_letters(
    context: typer.Context,
    code: Code = None,
    channel: ChannelName = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the first in the queue.")] = 100,
    as_json_: Json = False,
) -> None:
    """Lists the letters in the sequence of the queue."""
    selection = _selection(None, code, channel, older_than, newer_than)
    settings, _ = settings_of(context)
    with _opened(settings) as (queue, known):
        found = [one for one, _ in islice(_selected(queue, known, selection), limit)]
        waiting = queue.waiting
    if as_json_:
        print(msgspec.json.encode(as_json(found, waiting)).decode())
    else:
        if found:
            output.print(as_table(found, app.now()))
        more = f"; there may be more: --limit {limit * 10} shows them" if len(found) == limit < waiting else ""
        output.print(f"{len(found)} of {_counted(waiting)}{more}")
    if not found:
        raise typer.Exit(EXIT_WRONG)


@commands.command(epilog=_LOOKING)
def show(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `bridge dead list` shows it.")],
    body: Annotated[bool, typer.Option("--body", help="Its body instead, byte by byte: patient data.")] = False,
    file: Annotated[
        Path | None, typer.Option("--output", help="Write the body to this new file, which only you can read.")
    ] = None,
) -> None:
    """Shows what is known of a letter, and its properties and headers."""
    settings, _ = settings_of(context)
    with _opened(settings) as (queue, known):
        found, letter = next(_selected(queue, known, Selection(ids=frozenset({id_}))), (None, None))
    if found is None or letter is None:
        print(f"there is no dead letter {id_}", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG)
    if file:
        _write(file, letter.body)
        print(f"{len(letter.body)} bytes written to {file}", file=sys.stderr)
    elif body:
        _show_body(letter.body)
    else:
        output.print(as_text(found, letter))


@commands.command(epilog="A letter leaves the queue when the broker has confirmed that its message is back.")
def requeue(
    context: typer.Context,
    ids: Ids = None,
    code: Code = None,
    channel: ChannelName = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    all_: All = False,
) -> None:
    """Publishes messages again, to the queue that each came from, so that the bridge reads them again."""
    selection = _selection(ids, code, channel, older_than, newer_than, all_=all_)
    settings, _ = settings_of(context)
    with _opened(settings) as (queue, known):
        done: Counter[Confirmation] = Counter()
        seen: set[str] = set()
        try:
            for found, letter in _selected(queue, known, selection):
                confirmation = queue.requeue(letter)
                done[confirmation] += 1
                seen.add(found.id)
                if confirmation is not Confirmation.CONFIRMED:
                    print(one_line(f"{found.id} stays: {_why(found, confirmation)}"), file=sys.stderr)
        finally:
            requeued = done[Confirmation.CONFIRMED]
            left, refused = queue.waiting - requeued, done.total() - requeued
            said = f"{requeued} of {_counted(queue.waiting)} requeued; {left} {'is' if left == 1 else 'are'} left"
            print(f"{said}, {refused} of them refused" if refused else said)
    if _missing(selection, seen) or refused:
        raise typer.Exit(EXIT_WRONG)


@commands.command()
def drop(
    context: typer.Context,
    ids: Ids = None,
    code: Code = None,
    channel: ChannelName = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Removes letters for good. It asks before; where nobody can be asked, --yes has to be given."""
    selection = _selection(ids, code, channel, older_than, newer_than, all_=all_)
    settings, _ = settings_of(context)
    if not yes:
        selection = _agreed(settings, selection)
    with _opened(settings) as (queue, known):
        seen: list[str] = []
        try:
            for found, letter in _selected(queue, known, selection):
                queue.drop(letter)
                seen.append(found.id)
        finally:
            print(f"{len(seen)} of {_counted(queue.waiting)} dropped")
    if _missing(selection, set(seen)):
        raise typer.Exit(EXIT_WRONG)


def _agreed(settings: Settings, selection: Selection) -> Selection:
    """The letters that a person has agreed to lose: those that are there when it is asked, and no other."""
    if not sys.stdin.isatty():
        print("nothing was dropped: where nobody can be asked, --yes drops them", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)
    with _opened(settings) as (queue, known):
        found = [one.id for one, _ in _selected(queue, known, selection)]
    if not found or not typer.confirm(f"Drop {_counted(len(found))} for good?", err=True):
        print("nothing was dropped" if found else "there is no such dead letter", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG)
    return selection._replace(ids=selection.ids or frozenset(found))


def _selection(
    ids: list[str] | None,
    code: list[str] | None,
    channel: list[str] | None,
    older_than: str | None,
    newer_than: str | None,
    *,
    all_: bool | None = None,
) -> Selection:
    """What is asked for. Where a command changes something (`all_` is stated), it has to be said which letters."""
    selection = Selection(
        frozenset(ids or ()),
        frozenset(one or NOTHING for one in code or ()),
        frozenset(one or NOTHING for one in channel or ()),
        _span(older_than),
        _span(newer_than),
    )
    if all_ is not None and all_ is (selection != Selection()):
        raise typer.BadParameter("say which letters: ids, filters, or --all by itself")
    return selection


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[DeadQueue, Mapping[str, str]]]:
    """The queue, and the name of the channel that reads each queue."""
    known = app.channels_by_queue(load_channels(channels_place(settings)))
    with dead_queue(settings.broker_url) as queue:
        if queue is None:
            print(f"there is no queue {DEAD}: bridge run declares it", file=sys.stderr)
            raise typer.Exit(EXIT_WRONG)
        if queue.readers:
            print(f"another consumer reads {DEAD}: the letters that it holds are not seen", file=sys.stderr)
        yield queue, known


def _selected(
    queue: DeadQueue, channels: Mapping[str, str], selection: Selection
) -> Iterator[tuple[DeadLetter, Letter]]:
    now = app.now()
    for letter in queue.letters():
        found = described(letter, channels)
        if selection.takes(found, now):
            yield found, letter


def _why(letter: DeadLetter, confirmation: Confirmation) -> str:
    """Why a letter stays."""
    if letter.queue is None:
        return "nothing says which queue it came from"
    gone = confirmation is Confirmation.RETURNED
    return f"there is no queue {letter.queue}" if gone else "the broker does not take the message"


def _missing(selection: Selection, seen: set[str]) -> bool:
    """Says which ids were not found; whether there were any, or nothing was found at all."""
    missing = sorted(selection.ids - seen)
    for one in missing:
        print(f"there is no dead letter {one}", file=sys.stderr)
    return bool(missing) or not seen


def _counted(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _show_body(body: bytes) -> None:
    """The bytes as they are; at a terminal only text, with nothing in it that would steer the terminal."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(body)
        sys.stdout.flush()
        return
    try:
        text = body.decode()
    except UnicodeDecodeError:
        print("this is no text: --output FILE writes it to a file", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
    print(printable(text.replace("\r\n", "\n").replace("\r", "\n")))


def _write(file: Path, body: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(body)
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE) from None
