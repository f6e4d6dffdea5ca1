"""What the commands have in common: the options that several take, exit codes, settings, and the store to look into."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bridge.config import Settings, load_settings
from bridge.log import set_up
from bridge.store.store import Store

EXIT_WRONG, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_CONFIG = 1, 2, 69, 78

output = Console(soft_wrap=True, highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Redact = Annotated[bool, typer.Option("--redact", help="Hide patient data.")]


def _said(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("it must say something")
    return text


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in a container
        return ""


Study = Annotated[str, typer.Argument(help="A Study Instance UID.")]
Reason = Annotated[str, typer.Option(callback=_said, help="Why: recorded, and shown by bridge explain.")]
User = Annotated[
    str,
    typer.Option(
        default_factory=_login_name, callback=_said, show_default="the login name", help="Who decides: recorded."
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="Take back what was decided about these.")]


def settings_of(context: typer.Context) -> tuple[Settings, Path | None]:
    """What the options before the command, the environment and the settings file say."""
    settings, file = load_settings(context.obj)
    set_up(settings.log_level, settings.log_format)
    return settings, file


def known_store(settings: Settings) -> Store:
    """The store; its schema must be there already."""
    store = Store(settings.database_url.get_secret_value())
    store.check_schema()
    return store
