"""The commands around channel files: which there are, what each does, what all of them exchange, and a first set."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge import app
from bridge.asyncapi import document
from bridge.config import channels_place, starter_channels
from bridge.core.channel import READ_MESSAGES, Channel, DataType, Destination
from bridge.core.filtering import Condition
from bridge.schema import CHANNEL_SCHEMA
from bridge.terminal import EXIT_WRONG, Json, output, settings_of

commands = typer.Typer()

_SETTINGS_FILE = "bridge.toml"
_SETTINGS = """\
# Settings of the HL7 v2 to DICOM bridge. Each line is the default; take the # away to change it.
# Every setting is also an environment variable: BRIDGE_SITE, and for a secret BRIDGE_AMQP_URL_FILE, the file it is in.
# docs/operations.md explains all of them.

# site         = "default"                             # SITE: names this bridge in every event that it publishes
# amqp_url     = "amqp://guest:guest@localhost:5672/%2F"
# database_url = "sqlite:///bridge.db"                 # postgresql+psycopg://… for more than one process
# channels     = "channels"
# settle_after = "60s"                                 # without a new object of a study: study.settled
# hold_for     = "24h"                                 # without an order for a study: study.overdue
"""


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to; it need not exist.", file_okay=False)],
) -> None:
    """Writes a settings file and the starter channels with their examples, to be changed; overwrites nothing."""
    shipped = starter_channels()
    wanted = [*shipped.glob("*.toml"), *(shipped / "examples").iterdir(), shipped / CHANNEL_SCHEMA]
    copies = {folder / "channels" / file.relative_to(shipped): file for file in sorted(wanted)}
    if there := [str(file) for file in (folder / _SETTINGS_FILE, *copies) if file.exists()]:
        print(f"nothing was written, as there is already {', '.join(there)}", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG)
    for copy, file in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (folder / _SETTINGS_FILE).write_text(_SETTINGS)
    print(f"{folder / _SETTINGS_FILE} and {len(list(shipped.glob('*.toml')))} channels in {folder / 'channels'}")
    print(f"try them: cd {folder} && bridge check")


@commands.command(name="channels")
def list_channels(context: typer.Context, as_json: Json = False) -> None:
    """The channels: what each reads, what it accepts, and where its events go."""
    settings, _ = settings_of(context)
    place = channels_place(settings)
    channels = app.checked_channels(place)
    if as_json:
        print(json.dumps([_described(channel) for channel in channels], ensure_ascii=False, indent=2))
        return
    output.print(f"channels of {place}")
    for channel in channels:
        output.print()
        output.print("\n".join(_lines(channel)))


@commands.command()
def asyncapi(context: typer.Context) -> None:
    """The AsyncAPI 3.0 document of all that the channels consume and publish; never a credential."""
    settings, _ = settings_of(context)
    channels = app.checked_channels(channels_place(settings))
    print(json.dumps(document(settings, channels), ensure_ascii=False, indent=2))


def _described(channel: Channel) -> dict[str, Any]:
    source = channel.source
    return {
        "name": channel.name,
        "description": channel.description,
        "source": {
            "dataType": source.data_type,
            "exchange": source.exchange,
            "queue": source.queue,
            "bindings": source.bindings,
        },
        "messageTypes": channel.message_types if source.data_type is DataType.HL7V2 else None,
        "accept": [_said(one) for one in channel.filter.accept],
        "reject": [_said(one) for one in channel.filter.reject],
        "destinations": [
            {
                "name": one.name,
                "exchange": one.exchange,
                "declare": one.declare,
                "routingKey": one.routing_key,
                "events": one.events,
                "accept": [_said(condition) for condition in one.filter.accept],
                "reject": [_said(condition) for condition in one.filter.reject],
            }
            for one in channel.destinations
        ],
        "examples": len(channel.examples),
    }


def _lines(channel: Channel) -> Iterator[str]:
    source = channel.source
    yield f"{channel.name}  {channel.description}".rstrip()
    bindings = ", ".join(source.bindings)
    yield f"  reads      {source.data_type} from queue {source.queue} (exchange {source.exchange}, {bindings})"
    if source.data_type is DataType.HL7V2:
        everything = set(channel.message_types) == set(READ_MESSAGES)
        yield f"  accepts    {'every type that is read' if everything else ', '.join(channel.message_types)}"
    else:
        yield "  accepts    every object"
    yield from (f"  only if    {_said(one)}" for one in channel.filter.accept)
    yield from (f"  not if     {_said(one)}" for one in channel.filter.reject)
    for one in channel.destinations:
        key = "" if one.routing_key == Destination().routing_key else f" as {one.routing_key}"
        yield f"  publishes  {', '.join(one.events)} to exchange {one.exchange}{key}"
        yield from (f"    only if  {_said(condition)}" for condition in one.filter.accept)
        yield from (f"    not if   {_said(condition)}" for condition in one.filter.reject)
    yield f"  examples   {len(channel.examples)}"


def _said(one: Condition) -> str:
    """A condition as it would be said: `MSH-11.1 in P, ""`."""
    if one.present is not None:
        return f"{one.place} is {'there' if one.present else 'not there'}"
    if one.matches is not None:
        return f"{one.place} matches {one.matches}"
    words = ", ".join(word or '""' for word in sorted(one.within or one.outside or ()))
    return f"{one.place} {'in' if one.within else 'not in'} {words}"
