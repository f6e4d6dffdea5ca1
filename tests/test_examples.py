"""Examples of channel files: what they say of reading, events and studies, and what is told when it is otherwise."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.app import checked_channels
from bridge.examples import failures
from bridge.scenarios import failures_of_examples
from tests.conftest import REPOSITORY

DOCUMENTED = (REPOSITORY / "docs" / "channels.md").read_text()
GUIDE, EXAMPLES = (
    DOCUMENTED.partition(f"## {title}\n")[2].partition("\n## ")[0] for title in ("From nothing to an event", "Examples")
)

Told = Callable[..., list[str]]


def block(text: str, language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert isinstance(found, str)
    return found


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What is told of the documented examples in the channel of the guide, where some things are replaced."""

    def failed(*replaced: tuple[str, str]) -> list[str]:
        folder = tmp_path / "channels"
        folder.mkdir()
        for name in ("orders.toml", "images.toml"):
            shipped = (REPOSITORY / "channels" / name).read_text().partition("[[examples]]")[0]
            (folder / name).write_text(shipped)
        (tmp_path / "order.hl7").write_text(block(GUIDE, "hl7"))
        (tmp_path / "image.json").write_text(block(GUIDE, "json"))
        text = block(GUIDE, "toml").partition("[[examples]]")[0] + block(EXAMPLES, "toml")
        for before, after in replaced:
            assert before in text
            text = text.replace(before, after)
        with (folder / "orders.toml").open("a") as file:
            file.write(text)
        channels = checked_channels(folder)
        return [line for channel in channels for line in failures(channel)] + failures_of_examples(channels)

    return failed


def test_the_documented_examples_come_out_as_stated(told: Told) -> None:
    assert told() == []


def test_what_comes_out_otherwise_is_told_as_the_documentation_says(told: Told) -> None:
    sender = block(GUIDE, "toml")
    lines = [line + "\n" for line in sender.splitlines() if line.startswith(("issuers", "normalise"))]
    said = "\n".join(told(*((line, "") for line in lines))).splitlines()
    for line, documented in zip(said, block(EXAMPLES, "text").splitlines(), strict=True):
        beginning, shortened, _ = documented.partition("…")
        assert line.startswith(beginning) if shortened else line == documented


@pytest.mark.parametrize(
    ("written", "instead", "expected"),
    [
        (
            'from = "OBR-20"',
            'from = "OBR-18"',
            'is "48213" of NORTH from OBR-20, should be "48213" of NORTH from OBR-18',
        ),
        ('birth_date = "1961-07-04"', 'birth_date = ""', 'patient.birth_date is "1961-07-04", should be absent'),
        ('"matched"', '"conflict"', "verdict: matched, should be conflict"),
        ('"instance.enriched"', '"instance.conflict"', "no event instance.conflict is published, but "),
        (
            '"instance.enriched.CT"',
            '"instance.enriched.MR"',
            "instance.enriched: routing_key is instance.enriched.CT, should be instance.enriched.MR",
        ),
        (
            'value = 7, status = "valid"',
            "value = 8",
            "instance.enriched: data.instance.instanceNumber.value is 7, should be 8",
        ),
        ("data        = { instance", "data        = { instanse", "data.instanse is null, should be {"),
    ],
)
def test_a_difference_is_told_with_what_is_and_what_should_be(
    told: Told, written: str, instead: str, expected: str
) -> None:
    said = told((written, instead))
    assert len(said) == 1
    assert expected in said[0]


def test_another_number_of_orders_is_told(told: Told) -> None:
    [said] = told(("[[examples.orders]]", "[[examples.orders]]\n[[examples.orders]]"))
    assert "1 requested procedures are read, should be 2" in said


def test_a_file_that_is_not_there_is_told(told: Told) -> None:
    said = told(('["../order.hl7", "../image.json"]', '["../order.hl7", "../gone.json"]'))
    assert any("../gone.json: No such file or directory" in line for line in said)


def test_the_shipped_examples_come_out_as_stated_of_one_file_too(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "channels", tmp_path / "own", ignore=shutil.ignore_patterns("scenarios", "mirth"))
    for name in ("orders", "images"):
        channels = checked_channels(tmp_path / "own" / f"{name}.toml")
        assert [*failures(channels[0]), *failures_of_examples(channels)] == []
