"""Claim checks: a message that names a file instead of holding it (`application/vnd.bridge.reference+json`).

It must never open anything outside the allowed folders: not by `..`, not by a link, not by one that is exchanged while
it is looked at.
"""

import os
import stat
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from bridge.core.errors import Invalid
from bridge.core.limits import Limits

CONTENT_TYPE = "application/vnd.bridge.reference+json"


class _Reference(msgspec.Struct):
    uri: str


_decode = msgspec.json.Decoder(_Reference).decode
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def referred(body: bytes, limits: Limits) -> tuple[bytes, bool]:
    """The file that a reference names, and whether it is whole: at most `max_message_size` bytes are read.

    Raises Invalid: `reference-malformed`, `reference-not-allowed`, `reference-not-found`, `reference-unreadable`.
    """
    try:
        uri = _decode(body).uri
    except (msgspec.DecodeError, RecursionError):
        raise Invalid("reference-malformed", 'the body is not JSON such as {"uri": "file:///folder/file"}') from None
    folder, path = _allowed(uri, limits)
    try:
        descriptor = _open_below(folder, path)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Invalid("reference-unreadable", "what the reference names is no regular file")
            content = file.read(limits.max_message_size)
            return content, not file.read(1)
    except FileNotFoundError:
        raise Invalid("reference-not-found", "there is no such file below the allowed folders") from None
    except OSError as error:
        raise Invalid("reference-unreadable", f"the file cannot be opened: {error.strerror}") from None


def _allowed(uri: str, limits: Limits) -> tuple[Path, Path]:
    """The allowed folder that the file is in, and the file, both free of links; refused before anything is opened."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise Invalid("reference-malformed", "the uri is none") from None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise Invalid("reference-not-allowed", "only file: URIs of this machine are read")
    name = unquote(parts.path)
    if not name.startswith("/") or "\0" in name:
        raise Invalid("reference-malformed", "the uri has no absolute path")
    path = Path(os.path.realpath(name))
    for folder in limits.reference_folders:
        real = Path(os.path.realpath(folder))
        if path.is_relative_to(real) and path != real:
            return real, path
    raise Invalid("reference-not-allowed", "the file is not below a folder of reference_folders")


def _open_below(folder: Path, path: Path) -> int:
    """Opens the file step by step without following a link, so that none can be put in its way meanwhile."""
    descriptor = os.open(folder, _FLAGS | os.O_DIRECTORY)
    *folders, name = path.relative_to(folder).parts
    for step, flags in (*((one, _FLAGS | os.O_DIRECTORY) for one in folders), (name, _FLAGS)):
        outer = descriptor
        try:
            descriptor = os.open(step, flags, dir_fd=outer)
        finally:
            os.close(outer)
    return descriptor
