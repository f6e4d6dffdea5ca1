"""A set of channels to begin with, and the list of channels."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import Settings

Command = Callable[..., "subprocess.CompletedProcess[str]"]

NORTH = """
description = "The north site"

[source]
data_type = "HL7V2"
queue     = "bridge.hl7.north"
bindings  = ["hl7-north.#", "hl7.#"]

[filter]
message_types = ["ORM^O01", "ADT^A40"]

[[filter.accept]]
path = "MSH-11.1"
in   = ["P", ""]

[[filter.reject]]
path    = "PID-3.1"
matches = "^TEST"

[[filter.reject]]
header = "calling-aet"
not_in = ["RIS"]

[[filter.reject]]
path    = "ZDS-1"
present = false
"""


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """As a new user types it, in a folder where nothing is set."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}

    def run(*arguments: str, folder: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "bridge", *arguments]
        return subprocess.run(line, env=environment, cwd=folder, capture_output=True, text=True, check=False)

    return run


def test_a_starter_set_checks_without_a_change_and_is_never_overwritten(command: Command, tmp_path: Path) -> None:
    site = tmp_path / "site"
    answer = command("init", "site")
    assert answer.returncode == 0, answer.stderr
    checked = command("check", folder=site)
    assert checked.stdout.startswith("2 channels, ")
    assert checked.returncode == 0, checked.stderr
    schema = (site / "channels/orders.toml").read_text().splitlines()[0].removeprefix("#:schema ")
    assert (site / "channels" / schema).is_file()

    orders = site / "channels" / "orders.toml"
    orders.write_text("mine")
    again = command("init", "site")
    assert (again.returncode, again.stdout) == (1, "")
    assert "site/channels/orders.toml" in again.stderr
    assert orders.read_text() == "mine"


def test_what_the_settings_file_suggests_is_the_default(command: Command, tmp_path: Path) -> None:
    command("init", "site")
    text = (tmp_path / "site" / "bridge.toml").read_text()
    assert tomllib.loads(text) == {}
    suggested = tomllib.loads("\n".join(re.findall(r"^# (\w+ += .*)$", text, re.MULTILINE)))
    assert len(suggested) == 6
    assert Settings.model_validate(suggested) == Settings()


def test_the_list_says_what_each_channel_reads_accepts_and_publishes(command: Command, tmp_path: Path) -> None:
    command("init", ".")
    (tmp_path / "channels" / "north.toml").write_text(NORTH)
    (tmp_path / "channels" / "orders.toml").unlink()
    said = command("channels").stdout
    images, north = said.split("\n\n")[1:]
    assert "DICOM from queue bridge.dicom (exchange bridge.in, dicom.#)" in images
    assert "every object" in images
    assert north.splitlines() == [
        "north  The north site",
        "  reads      HL7V2 from queue bridge.hl7.north (exchange bridge.in, hl7-north.#, hl7.#)",
        "  accepts    ORM^O01, ADT^A40",
        '  only if    MSH-11.1 in "", P',
        "  not if     PID-3.1 matches ^TEST",
        "  not if     calling-aet not in RIS",
        "  not if     ZDS-1 is not there",
        "  publishes  instance.*, study.*, message.rejected to exchange bridge.events",
        "  examples   0",
    ]
    listed = {one["name"]: one for one in json.loads(command("channels", "--json").stdout)}
    assert listed["images"]["messageTypes"] is None
    assert listed["north"]["messageTypes"] == ["ORM^O01", "ADT^A40"]
    assert listed["north"]["reject"] == ["PID-3.1 matches ^TEST", "calling-aet not in RIS", "ZDS-1 is not there"]
