"""The commands by which a person decides: link, unlink and unmerge. Each is recorded with user and reason.

What the rules speak against is shown, and done only when it is confirmed.
"""

import sys
from shlex import quote
from typing import Annotated

import typer

from bridge import app, person
from bridge.config import channels_place
from bridge.correlation import Site
from bridge.explain.decided import afterwards, before_linking, knows_merge, owed
from bridge.store.store import Store
from bridge.terminal import EXIT_WRONG, Reason, Study, Undo, User, known_store, settings_of

commands = typer.Typer()


@commands.command()
def link(
    context: typer.Context,
    study: Study,
    order: Annotated[str, typer.Argument(help="An order's id, or any of its numbers.")],
    reason: Reason,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Link in spite of what speaks against it.")] = False,
    undo: Undo = False,
) -> None:
    """Links a study to an order: a person decides it, whatever the rules say."""
    store, site, who = _deciding(context, user, reason)
    if undo:
        _told(store, person.undo(store, site, who, study, order))
        return
    try:
        decided = person.link(store, site, who, study, order)
    except person.NeedsConfirmation as contradicted:
        print("\n".join(before_linking(contradicted.codes)), file=sys.stderr)
        if not yes and not (sys.stdin.isatty() and typer.confirm("Link them all the same?", err=True)):
            print("nothing was changed; --yes links them all the same", file=sys.stderr)
            raise typer.Exit(EXIT_WRONG) from None
        decided = person.link(store, site, who, study, order, contradicted.codes)
    _told(store, decided, f'bridge link {study} {order} --undo --reason "…"')


@commands.command()
def unlink(
    context: typer.Context,
    study: Study,
    reason: Reason,
    user: User,
    order: Annotated[str | None, typer.Argument(help="An order's id or number, else all that are linked.")] = None,
    undo: Undo = False,
) -> None:
    """Forbids the link of a study to an order."""
    store, site, who = _deciding(context, user, reason)
    if undo:
        _told(store, person.undo(store, site, who, study, order))
    else:
        again = f'bridge unlink {" ".join(filter(None, (study, order)))} --undo --reason "…"'
        _told(store, person.unlink(store, site, who, study, order), again)


@commands.command()
def unmerge(
    context: typer.Context,
    prior: Annotated[str, typer.Argument(help="The identifier that was merged: VALUE, or VALUE^ISSUER.")],
    survivor: Annotated[str, typer.Argument(help="The one that it was merged into.")],
    reason: Reason,
    user: User,
    undo: Undo = False,
) -> None:
    """Takes out every merge and link of two patient identifiers."""
    store, site, who = _deciding(context, user, reason)
    with store.read() as db:
        if not knows_merge(db, prior, survivor):
            print("no merge or link of these two is known yet; it will count for one that comes", file=sys.stderr)
    for line in owed(person.unmerge(store, site, who, prior, survivor, undone=undo)):
        print(line)
    if not undo:
        print(f'to undo it: bridge unmerge {quote(prior)} {quote(survivor)} --undo --reason "…"')


def _deciding(context: typer.Context, user: str, reason: str) -> tuple[Store, Site, person.Person]:
    """What a decision needs, recorded under the time that it is now."""
    settings, _ = settings_of(context)
    channels, store = app.checked_channels(channels_place(settings)), known_store(settings)
    return store, app.site_of(settings, channels, store), person.Person(user, reason, app.now())


def _told(store: Store, decided: person.Decided, to_undo: str | None = None) -> None:
    with store.read() as db:
        lines = [*afterwards(db, decided.study, decided.decision), *owed(decided.events)]
    print("\n".join(lines))
    if to_undo:
        print(f"to undo it: {to_undo}")
