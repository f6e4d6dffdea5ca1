"""The JSON Schema of channel files, with which editors complete and check them."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from bridge.schema import CHANNEL_SCHEMA, channel_schema, write_channel_schema
from tests.conftest import REPOSITORY

CHANNELS = REPOSITORY / "channels"
SHIPPED = sorted(CHANNELS.glob("*.toml"))
CHECKED = jsonschema.Draft7Validator(channel_schema())
CHANNEL = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["dicom.#"]\n'


def test_the_shipped_schema_is_that_of_the_code(tmp_path: Path) -> None:
    write_channel_schema(tmp_path)
    assert (CHANNELS / CHANNEL_SCHEMA).read_text() == (tmp_path / CHANNEL_SCHEMA).read_text()
    jsonschema.Draft7Validator.check_schema(channel_schema())


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_channel_names_the_schema_and_is_valid_by_it(file: Path) -> None:
    named = file.read_text().splitlines()[0].removeprefix("#:schema ")
    assert (file.parent / named).resolve() == (CHANNELS / CHANNEL_SCHEMA).resolve()
    CHECKED.validate(tomllib.loads(file.read_text()))


def test_the_channels_of_the_documentation_are_valid_by_it() -> None:
    *parts, whole, _scenario = re.findall(
        r"```toml\n(.*?)```", (REPOSITORY / "docs/channels.md").read_text(), re.DOTALL
    )
    for part in parts:
        CHECKED.validate(tomllib.loads(f"{CHANNEL}{part}"))
    CHECKED.validate(tomllib.loads(whole))


@pytest.mark.parametrize(
    "lines",
    [
        "prefech = 5",
        "prefetch = 0",
        "[correlation]\nhold_for = '5 years'",
        "[filter]\nmessage_types = ['ORM^O99']",
        "[[filter.accept]]\nattribute = 'Modality'",
        "[[filter.accept]]\nin = ['CT']",
        "[[filter.accept]]\nattribute = 'Modality'\nin = ['CT']\npresent = true",
        "[transformer.normalise]\npatient_id = ['strip']",
        "[[transformer.sender]]\nissuers = {}",
        "[transformer.order]\naccession = ['OBR-20']",
        "[[destinations]]\nevents = ['instance.nonsense']",
        "[[examples]]\nname = 'neither message nor file'",
    ],
)
def test_a_mistake_is_seen_in_the_editor_already(lines: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        CHECKED.validate(tomllib.loads(f"{CHANNEL}{lines}\n"))


def test_what_an_editor_offers_is_what_there_is() -> None:
    text = json.dumps(channel_schema())
    assert "null" not in text
    source = channel_schema()["$defs"]["SourceFile"]["properties"]
    assert source["charset"] == {"default": "ISO-8859-1", "type": "string"}
    assert source["data_type"] == {"$ref": "#/$defs/DataType"}
