"""The commands as a person types them, run in this process, which is quicker than a new one for each."""

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from bridge.cli import main
from tests.conftest import REPOSITORY


class Answer(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def beside(folder: Path, amqp_url: str = "amqp://127.0.0.1:1") -> Callable[..., Answer]:
    """The commands on the database `bridge.db` of a folder, and on a broker where one is named."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")} | {
        "BRIDGE_AMQP_URL": amqp_url,
        "BRIDGE_DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
        "BRIDGE_CHANNELS": str(REPOSITORY / "channels"),
        "BRIDGE_SITE": "test",
        "COLUMNS": "200",
    }

    def command(*arguments: str) -> Answer:
        out, err, code = io.StringIO(), io.StringIO(), 0
        handlers = logging.getLogger().handlers[:]
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(sys, "argv", ["bridge", *arguments]),
            patch.object(sys, "stdin", io.StringIO()),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                logging.getLogger().handlers[:] = handlers
        return Answer(code, out.getvalue(), err.getvalue())

    return command
