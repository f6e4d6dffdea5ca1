"""The command that purges now what the service purges by itself, or says what would go."""

import json
from typing import Annotated

import typer

from bridge import app
from bridge.config import channels_place
from bridge.purge import Removed, steps, supposed
from bridge.terminal import Json, known_store, settings_of

commands = typer.Typer()

_KINDS = ("studies", "objects", "orders", "facts", "rejections", "messages", "bodies")


@commands.command()
def purge(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Removes what is older than BRIDGE_RETAIN_STUDIES, _MESSAGES and _BODIES say; it may run beside the service."""
    settings, _ = settings_of(context)
    store = known_store(settings)
    site = app.site_of(settings, app.checked_channels(channels_place(settings)), store)
    retention = app.retention_of(settings)
    if dry_run:
        found = supposed(store, site, retention, app.now())
    else:
        found = sum((step.removed for step in steps(store, site, retention, app.now())), Removed())
    counted = {kind: found[kind] for kind in _KINDS}
    if as_json:
        print(json.dumps(counted))
    else:
        said = ", ".join(f"{kind} {count}" for kind, count in counted.items())
        print(f"would go: {said}" if dry_run else f"gone: {said}")
