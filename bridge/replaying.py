"""`bridge replay`: publishes the current state of studies again, slowly enough that nothing else has to wait for it."""

import sys
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from bridge import app
from bridge.config import channels_place, duration, load_channels
from bridge.explain.values import counted
from bridge.replay import changed_since, replay
from bridge.store.store import Store
from bridge.terminal import EXIT_WRONG, User, known_store, settings_of

commands = typer.Typer()

_PAUSE = 0.01  # seconds after each study, in which others write: SQLite has one writer at a time
_MOST_OWED = 2000  # events in the outbox: those of new messages stand behind them
_LOOK_EVERY, _TELL_AFTER = 0.2, 50  # seconds between two looks at the outbox, looks


@commands.command(name="replay")
def replay_studies(
    context: typer.Context,
    user: User,
    study: Annotated[list[str] | None, typer.Option(help="A Study Instance UID; several times for several.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Every study that changed since then: 24h, 7d … or 2026-11-23T09:00:00Z.")
    ] = None,
) -> None:
    """Publishes the current state of studies again, under a new revision."""
    if bool(study) is bool(since):
        raise typer.BadParameter("say either --study or --since")
    now = app.now()
    start = _start(since, now) if since else None
    settings, _ = settings_of(context)
    channels, store = load_channels(channels_place(settings)), known_store(settings)
    site = app.site_of(settings, channels, store)
    studies, events, missing = 0, 0, 0
    try:
        for uid in _slowly(store, changed_since(store, start) if start else dict.fromkeys(study or ())):
            owed = replay(store, site, uid, user, app.now())
            if owed is None:  # not of those that are listed, but for one that is purged just then
                print(f"there is no study {uid}", file=sys.stderr)
                missing += 1
            else:
                studies, events = studies + 1, events + owed
    finally:
        told = "1 study" if studies == 1 else f"{studies} studies"
        print(f"{told} replayed: {counted(events, 'event')} to be published by bridge run")
    if missing or not studies:
        raise typer.Exit(EXIT_WRONG)


def _start(since: str, now: str) -> str:
    """A time span before `now`, or a time, as RFC 3339 in UTC."""
    try:
        start = datetime.fromisoformat(now) - duration(since)
    except ValueError as no_span:
        try:
            start = datetime.fromisoformat(since)
        except ValueError:
            raise typer.BadParameter(f"--since: {no_span}; or a time such as 2026-11-23T09:00:00Z") from None
    if start.tzinfo is None:
        raise typer.BadParameter("--since: a time needs its zone, such as 2026-11-23T09:00:00Z")
    return start.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _slowly(store: Store, studies: Iterable[str]) -> Iterator[str]:
    """The same, with time for others in between, and no more than some events ahead of `bridge run`."""
    clock = threading.Event()
    for uid in studies:
        looks = 0
        while _owed(store) > _MOST_OWED:
            looks += 1
            if looks == _TELL_AFTER:
                print("waiting: bridge run has to publish what is owed", file=sys.stderr)
            clock.wait(_LOOK_EVERY)
        yield uid
        clock.wait(_PAUSE)


def _owed(store: Store) -> int:
    with store.read() as db:
        return db.number_of_owed_events()
