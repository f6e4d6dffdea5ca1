"""What the bridge makes of every real file at hand, as a table: python -m tests.formats.corpus writes it.

A change of the table is a change of what hospitals get: look at each line of its difference before committing it.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bridge.config import load_channels, starter_channels
from bridge.core.errors import Invalid
from bridge.core.facts import NAMES
from bridge.core.model import Filtered, Instance, Reading
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, read

ROOT = Path(__file__).parents[3] / "shared" / "data"
TABLE = Path(__file__).with_name("corpus.tsv")
CHANNELS = {channel.source.data_type.value: channel for channel in load_channels(starter_channels())}
DATA_TYPES = {"hl7": "HL7V2", "dicom": "DICOM"}
REFUSED = "refused: "


def files() -> Iterator[tuple[str, Path]]:
    """Every file with its name in the table."""
    for path in sorted(ROOT.glob("*/**/*")):
        if path.is_file() and not path.name.startswith("_"):  # licences, a note
            yield str(path.relative_to(ROOT)), path


def outcome(name: str, body: bytes) -> str:
    """The facts of a file by kind, or why there are none; of a batch, how many messages came to what."""
    channel = CHANNELS[DATA_TYPES[name.partition("/")[0]]]
    outcomes: Counter[str] = Counter()
    try:
        for content in contents(Inbound(channel.name, body), channel.source.data_type):
            try:
                outcomes[_said(read(content, channel))] += 1
            except Invalid as error:
                outcomes[f"{REFUSED}{error.code}"] += 1
    except Invalid as error:
        outcomes[f"{REFUSED}{error.code}"] += 1
    found = (said if count == 1 else f"{count} messages: {said}" for said, count in outcomes.items())
    return "; ".join(found) or "filtered: a batch without messages"


def _said(said: Reading | Filtered) -> str:
    if isinstance(said, Filtered):
        return f"filtered: {said.reason}"
    kinds = Counter("instance" if isinstance(fact, Instance) else NAMES[type(fact)] for fact in said.facts)
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())


def table() -> str:
    return "".join(f"{name}\t{outcome(name, path.read_bytes())}\n" for name, path in files())


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
