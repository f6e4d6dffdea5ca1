"""A site's own Python between what is read and what is compared."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.errors import ConfigError, Invalid
from bridge.core.model import Filtered, Instance, OrderUpdate, Reading
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, read
from tests.conftest import Engine, Service, at_least
from tests.samples import ROOT, ct, orm

MODULE = """
from msgspec.structs import replace

from bridge.core.model import Instance, OrderUpdate


def cut(fact, headers):
    if isinstance(fact, Instance) and headers.get("calling-aet") == "CT_ER":
        number = replace(fact.statement.accession_number, value=fact.statement.accession_number.value.partition("/")[0])
        return replace(fact, statement=replace(fact.statement, accession_number=number))
    return fact


def none(fact, headers):
    return None


def no_second(fact, headers):
    return None if isinstance(fact, OrderUpdate) and fact.filler_order_number.value == "F-2" else fact


def fails(fact, headers):
    raise KeyError(fact.statement.patient.identifiers[0].value)


def another(fact, headers):
    return "a text"


NUMBER = 7
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the site's module, and a package that says so in its metadata."""
    (tmp_path / "north_site.py").write_text(MODULE)
    (tmp_path / "broken_site.py").write_text("import nonsense_of_the_site\n")
    installed = tmp_path / "north-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: north\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[hl7_dicom_bridge.transformers]\nnorth = north_site:cut\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def channel(site: Path) -> Callable[[str, str], Channel]:
    def loaded(data_type: str, python: str) -> Channel:
        source = f'[source]\ndata_type = "{data_type}"\nqueue = "q"\nbindings = ["#"]\n'
        (site / "north.toml").write_text(f'{source}[transformer]\npython = "{python}"\n')
        return load_channels(site)[0]

    return loaded


def said(channel: Channel, body: bytes, **headers: str) -> Reading | Filtered:
    [content] = contents(Inbound(channel.name, body, headers=headers), channel.source.data_type)
    return read(content, channel)


@pytest.mark.parametrize("name", ["north_site:cut", "north"])
def test_a_fact_is_what_the_function_makes_of_it(channel: Callable[[str, str], Channel], name: str) -> None:
    body = ct(1, study=f"{ROOT}.1", accession="48213/2")
    for aet, expected in (("CT_ER", "48213"), ("CT_1", "48213/2")):
        reading = said(channel("DICOM", name), body, **{"calling-aet": aet})
        assert isinstance(reading, Reading)
        [fact] = reading.facts
        assert isinstance(fact, Instance)
        assert fact.statement.accession_number is not None
        assert fact.statement.accession_number.value == expected


def test_what_it_leaves_out_is_not_read_and_a_message_without_a_fact_is_filtered(
    channel: Callable[[str, str], Channel],
) -> None:
    two = orm(1) + b"".join(orm(2).splitlines(keepends=True)[-1:]).replace(b"OBR|1", b"ORC|NW|P-2|F-2\rOBR|2")
    reading = said(channel("HL7V2", "north_site:no_second"), two)
    assert isinstance(reading, Reading)
    [order] = reading.facts
    assert isinstance(order, OrderUpdate)
    assert said(channel("HL7V2", "north_site:none"), two) == Filtered("left out by transformer.python")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fails", "transformer.python failed on it (KeyError)"),
        ("another", "transformer.python returned str for Instance"),
    ],
)
def test_a_function_that_fails_fails_its_message_and_tells_no_value(
    channel: Callable[[str, str], Channel], name: str, reason: str
) -> None:
    with pytest.raises(Invalid) as failure:
        said(channel("DICOM", f"north_site:{name}"), ct(1, study=f"{ROOT}.1", patient="SECRET"))
    assert (failure.value.code, failure.value.reason) == ("python-hook", reason)


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("nowhere:transform", "it cannot be imported (ModuleNotFoundError: No module named 'nowhere')"),
        ("north_site:absent", "it cannot be imported (AttributeError"),
        (
            "broken_site:transform",
            "it cannot be imported (ModuleNotFoundError: No module named 'nonsense_of_the_site')",
        ),
        ("north_site:NUMBER", "this is no function"),
        ("south", "no entry point of hl7_dicom_bridge.transformers has this name; there are ['north']"),
    ],
)
def test_a_function_that_cannot_be_had_is_a_mistake_of_the_channel(
    channel: Callable[[str, str], Channel], name: str, mistake: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        channel("HL7V2", name)
    [line] = failure.value.mistakes
    assert "north.toml:6: transformer.python: " in line
    assert mistake in line


def test_in_the_service_the_message_it_fails_on_is_a_dead_letter_and_the_next_one_is_read(
    service: Service, engine: Engine, site: Path
) -> None:
    channels = site / "channels"
    channels.mkdir()
    (site / "picky_site.py").write_text(
        "def transform(fact, headers):\n"
        "    if fact.statement.accession_number.value == 'SECRET':\n"
        "        raise ValueError(fact.statement.accession_number.value)\n"
        "    return fact\n"
    )
    (channels / "images.toml").write_text(
        '[source]\ndata_type = "DICOM"\nqueue = "bridge.dicom"\nbindings = ["dicom.#"]\n'
        '[transformer]\npython = "picky_site:transform"\n'
    )
    service.environment |= {"BRIDGE_CHANNELS": str(channels), "PYTHONPATH": str(site)}
    service.start()
    engine.dicom(ct(1, study=f"{ROOT}.1", accession="SECRET"))
    engine.dicom(ct(2, study=f"{ROOT}.2", accession="A-2"))
    engine.collect(at_least("instance.pending", 1))
    events = engine.collect(at_least("message.rejected", 1))
    assert json.dumps(events).count("python-hook") == 1
    assert service.stop() == 0
    [(properties, _body)] = engine.dead_letters()
    assert properties.headers["bridge-error"] == "python-hook"
    assert "SECRET" not in "".join(service.log) + str(properties.headers) + json.dumps(events)
