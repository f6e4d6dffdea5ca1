"""The commands: each reads settings, calls one function, prints, and ends with the exit code of DESIGN 3.1."""

import json
import logging
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bridge import (
    __version__,
    amqp,
    app,
    configuring,
    dead,
    deciding,
    explain,
    figures,
    inspection,
    purging,
    replaying,
    sending,
)
from bridge.config import Settings, channels_place, duration, load_channels, unknown_variables
from bridge.config.scenario_files import load_scenarios
from bridge.core.channel import Channel, DataType
from bridge.core.errors import BridgeError, ConfigError, Unavailable
from bridge.core.events import EVENTS
from bridge.examples import failures
from bridge.explain import waiting
from bridge.log import set_up
from bridge.scenarios import failures as failures_of_scenarios
from bridge.scenarios import failures_of_examples
from bridge.schema import channel_schema, event_schema
from bridge.store.store import Store
from bridge.terminal import (
    EXIT_CONFIG,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    EXIT_WRONG,
    Json,
    Redact,
    known_store,
    output,
    settings_of,
)

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Correlates HL7 v2 imaging orders with DICOM objects, and publishes enriched events.",
)
cli.add_typer(configuring.commands)
cli.add_typer(deciding.commands)
cli.add_typer(dead.commands, name="dead")
cli.add_typer(replaying.commands)
cli.add_typer(purging.commands)


def main() -> None:
    """The console script."""
    try:
        cli()
    except ConfigError as error:
        _fail(error.mistakes, EXIT_CONFIG)
    except Unavailable as error:
        _fail([str(error)], EXIT_UNAVAILABLE)
    except BridgeError as error:
        _fail([str(error)], EXIT_WRONG)
    except Exception:
        logging.getLogger(__name__).exception("bug: please report this")
        sys.exit(app.EXIT_BUG)


def _fail(lines: Any, code: int) -> None:
    for line in lines:
        print(f"bridge: {line}", file=sys.stderr)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hl7-dicom-bridge {__version__}")
        raise typer.Exit


@cli.callback()
def choose(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="The settings file, else BRIDGE_CONFIG or ./bridge.toml.")] = None,
    _version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options before the command."""
    context.obj = config


@cli.command()
def run(context: typer.Context) -> None:
    """Runs the service until SIGTERM."""
    settings, file = settings_of(context)
    place = channels_place(settings)
    shipped = "" if place == settings.channels else " (shipped with the package)"
    logging.getLogger(__name__).info(
        "starting %s, settings %s, channels %s%s", __version__, file or "built in", place, shipped
    )
    for variable in unknown_variables():
        logging.getLogger(__name__).warning("not used, as no setting has this name: %s", variable)
    app.run(settings)


@cli.command()
def check(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="One channel file, else all of the channels folder.")] = None,
    connect: Annotated[bool, typer.Option("--connect", help="Also try the broker and the database.")] = False,
) -> None:
    """Validates settings and channels, and runs the channels' examples and scenarios."""
    settings, _ = settings_of(context)
    place = file or channels_place(settings)
    channels, scenarios = app.checked_channels(place), load_scenarios(place)
    wrong = [line for channel in channels for line in failures(channel)]
    wrong += failures_of_examples(channels)
    wrong += failures_of_scenarios(scenarios, channels)
    for line in wrong:
        print(line, file=sys.stderr)
    if connect:
        _try_connections(settings, channels)
    examples = sum(len(channel.examples) for channel in channels)
    print(f"{len(channels)} channels, {examples} examples, {len(scenarios)} scenarios, {len(wrong)} wrong")
    if wrong:
        raise typer.Exit(EXIT_WRONG)


def _try_connections(settings: Settings, channels: list[Channel]) -> None:
    """What `bridge run` would find; nothing is created."""
    url, topology = settings.broker_url, app.topology_of(channels)
    with amqp.connected(url):
        print("the broker answers")
    if settings.amqp_declare == "check":
        amqp.declare(url, topology, create=False)
        print("the exchanges and queues exist")
    else:
        absent = amqp.compare(url, topology)
        print(
            f"bridge run declares {', '.join(absent)}" if absent else "the exchanges and queues are as they have to be"
        )
    store = Store(settings.database_url.get_secret_value())
    if store.file and not store.file.exists():
        print("the database does not exist yet: bridge run creates it")
    else:
        store.check_schema()
        print("the database answers, and its schema is the one of this version")


@cli.command()
def migrate(context: typer.Context) -> None:
    """Brings the database to the schema of this version, creating it where there is none."""
    settings, _ = settings_of(context)
    before, after = Store(settings.database_url.get_secret_value()).migrate()
    print(f"schema {after}" if before == after else f"schema {before or 'none'} -> {after}")


@cli.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """The ledger: what was received and what became of it."""
    settings, file = settings_of(context)
    store = known_store(settings)
    ledger, beside = figures.ledger(store, settings.broker_url)
    if as_json:
        print(json.dumps(ledger))
    else:
        output.print(f"settings {file or 'built in'}, database {store.name}")
        output.print(figures.table(ledger, beside))


@cli.command(name="explain")
def explain_key(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="A UID, accession, placer or filler number, order id, or patient ID.")],
    as_json: Json = False,
    redact: Redact = False,
) -> None:
    """Why a study is linked to an order, or why not."""
    settings, _ = settings_of(context)
    with known_store(settings).read() as db:
        found = explain.find(db, key)
    if not (found.studies or found.orders or found.reports):
        print("nothing known has this key", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG)
    if as_json:
        print(msgspec.json.encode(explain.as_json(found, redact=redact)).decode())
    else:
        output.print(explain.as_text(found, redact=redact, now=app.now()))


@cli.command(name="studies")
def list_studies(
    context: typer.Context,
    verdict: Annotated[str, typer.Option(help=f"Which, separated by commas: {', '.join(waiting.WAITING)}.")] = ",".join(
        waiting.FOR_A_PERSON
    ),
    since: Annotated[str | None, typer.Option(help="Only those that became so within 24h, 7d …")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the oldest.")] = 100,
    fail_if_any: Annotated[bool, typer.Option("--fail-if-any", help="Exit code 1 when there is one.")] = False,
    as_json: Json = False,
    redact: Redact = False,
) -> None:
    """What waits for a person, the oldest first."""
    verdicts = verdict.replace(" ", "").split(",")
    if unknown := set(verdicts) - set(waiting.WAITING):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(waiting.WAITING)}")
    try:
        within = duration(since) if since else None
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}") from None
    settings, _ = settings_of(context)
    now = app.now()
    with known_store(settings).read() as db:
        found = waiting.waiting(db, verdicts, now=now, within=within, limit=limit)
    if as_json:
        print(msgspec.json.encode(waiting.as_json(found, redact=redact)).decode())
    else:
        output.print(waiting.as_text(found, verdicts, redact=redact, now=now))
    if fail_if_any and found.total:
        raise typer.Exit(EXIT_WRONG)


@cli.command(name="inspect")
def inspect_files(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="HL7 or DICOM files, - for the standard input.")],
    data_type: Annotated[DataType | None, typer.Option("--as", help="What they are, where it cannot be seen.")] = None,
    channel: Annotated[str | None, typer.Option(help="Read as this channel does.")] = None,
    as_json: Json = False,
    redact: Redact = False,
) -> None:
    """What the bridge reads in HL7 or DICOM files."""
    for file in files:
        if str(file) != "-" and (file.is_dir() or not file.exists()):
            print(f"there is no file {file}", file=sys.stderr)
            raise typer.Exit(EXIT_USAGE)
    settings, _ = settings_of(context)
    channels = app.checked_channels(channels_place(settings))
    if channel is not None:
        channels = [one for one in channels if one.name == channel]
        if not channels:
            print(f"there is no enabled channel {channel}", file=sys.stderr)
            raise typer.Exit(EXIT_USAGE)
        data_type = data_type or channels[0].source.data_type
    messages = [one for file in files for one in inspection.inspect(file, channels, data_type, settings.limits)]
    if redact:
        messages = inspection.hidden(messages)
    if as_json:
        print(json.dumps(inspection.as_json(messages), ensure_ascii=False, indent=2))
    else:
        output.print(inspection.as_text(messages, output.width), soft_wrap=False)
    if any(one.outcome == "ERROR" for one in messages):
        raise typer.Exit(EXIT_WRONG)


@cli.command()
def send(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="HL7 or DICOM files.", exists=True, dir_okay=False)],
    data_type: Annotated[DataType | None, typer.Option("--as", help="What they are, where it cannot be seen.")] = None,
) -> None:
    """Publishes files as a channel would."""
    settings, _ = settings_of(context)
    channels = load_channels(channels_place(settings))
    publications = [sending.publication(file, channels, data_type) for file in files]
    confirmations = amqp.publish(settings.broker_url, publications)
    for file, publication, confirmation in zip(files, publications, confirmations, strict=True):
        print(f"{file}  {publication.exchange}  {publication.routing_key}  {confirmation}")
    if any(confirmation is not amqp.Confirmation.CONFIRMED for confirmation in confirmations):
        raise typer.Exit(EXIT_WRONG)


@cli.command()
def listen(
    context: typer.Context,
    binding: Annotated[str, typer.Argument(help="For example instance.enriched.CT or study.#")] = "#",
    as_json: Json = False,
    seconds: Annotated[float | None, typer.Option(help="End when none came for so long.")] = None,
    count: Annotated[int | None, typer.Option(help="End after so many.")] = None,
) -> None:
    """Shows events as they pass, from now on."""
    settings, _ = settings_of(context)
    exchange = load_channels(channels_place(settings))[0].destinations[0].exchange
    passing = amqp.events(settings.broker_url, exchange, binding, seconds)
    next(passing)
    print(f"listening on {exchange} for {binding}", file=sys.stderr, flush=True)
    for _key, body in islice(passing, count):
        print(body.decode() if as_json else sending.one_line(body), flush=True)


@cli.command()
def schema(
    name: Annotated[
        str | None, typer.Argument(help="An event, such as instance.enriched, or channel; else all are listed.")
    ] = None,
) -> None:
    """The JSON Schema of an event, or of a channel file."""
    if name is None:
        print("\n".join((*EVENTS, "channel")))
    elif name == "channel":
        print(json.dumps(channel_schema(), indent=2))
    elif name in EVENTS:
        print(json.dumps(event_schema(name), indent=2))
    else:
        print(f"there is no event {name}; there are {', '.join(EVENTS)}", file=sys.stderr)
        raise typer.Exit(EXIT_USAGE)


@cli.command()
def demo() -> None:
    """Real orders and objects through RabbitMQ: what the bridge does, in a minute."""
    from bridge import demo as shown

    set_up("warning", None)
    raise typer.Exit(shown.run())
