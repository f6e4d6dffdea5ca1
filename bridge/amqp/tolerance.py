"""Keeps one strange header from ending the connection: a time that pika cannot decode becomes nothing.

pika 1.3 and 1.4 raise for a timestamp after the year 9999, as senders write it that count milliseconds. The broker
would deliver that message again after every lost connection, for ever.
"""

from typing import Any

from pika import data

_decode_value = data.decode_value


def _tolerant(encoded: bytes, offset: int) -> tuple[Any, int]:
    try:
        value, end = _decode_value(encoded, offset)
    except (OSError, OverflowError, ValueError):
        if encoded[offset : offset + 1] != b"T":
            raise
        return None, offset + 9  # its letter and 64 bits of seconds (AMQP 0-9-1, 4.2.5.4)
    return value, end


def tolerate() -> None:
    """Puts it in the place of pika's own, for the whole process."""
    data.decode_value = _tolerant
