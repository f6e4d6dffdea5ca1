"""Logs to stderr, as text for people or JSON for collectors: our own ids, channel, outcome, duration; never a value."""

import json
import logging
import sys
from typing import Literal

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        details = "".join(f" {name}={value}" for name, value in _details(record).items())
        return f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')} {record.levelname:<7} {record.getMessage()}{details}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line | _details(record), default=str)


def _details(record: logging.LogRecord) -> dict[str, object]:
    """What was given as `extra`, and of an exception its type and place: its text may hold a value."""
    details = {name: value for name, value in vars(record).items() if name not in _OWN}
    if record.exc_info and record.exc_info[0]:
        details["exception"] = record.exc_info[0].__name__
        trace = record.exc_info[2]
        while trace and trace.tb_next:
            trace = trace.tb_next
        if trace:
            details["at"] = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
    return details


def set_up(level: str, form: Literal["text", "json"] | None) -> None:
    """Sends the program's own log to stderr; of libraries only what is an error."""
    output = logging.StreamHandler(sys.stderr)
    text = form == "text" or (form is None and sys.stderr.isatty())
    output.setFormatter(_Text() if text else _Json())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.ERROR)
    logging.getLogger("bridge").setLevel(level.upper())
    for library in ("pika", "psycopg"):  # they report what the bridge does, with stack traces and with rows
        logging.getLogger(library).setLevel(logging.CRITICAL)
