"""The guide of docs/channels.md, step by step as a new user goes through it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, REPOSITORY, Service

GUIDE = (REPOSITORY / "docs/channels.md").read_text().partition("## From nothing to an event")[2].partition("\n## ")[0]
COMMANDS = [line.split() for line in re.findall(r"^    (bridge .*)$", GUIDE, re.MULTILINE)]


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return found


def test_from_an_empty_folder_to_an_event(tmp_path: Path, amqp_url: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    environment["BRIDGE_AMQP_URL"] = amqp_url
    north = tmp_path / "north"

    def command(name: str, folder: Path = north) -> str:
        [arguments] = [line[1:] for line in COMMANDS if line[1] == name]
        answer = subprocess.run(
            [sys.executable, "-m", "bridge", *arguments], env=environment, cwd=folder, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    command("init", tmp_path)
    with (north / "channels" / "orders.toml").open("a") as channel:
        channel.write(block("toml"))
    (north / "order.hl7").write_text(block("hl7"))
    (north / "image.json").write_text(block("json"))
    assert ", 0 wrong" in command("check")
    assert re.search(r"48213\b.*NORTH", command("inspect"))

    service = Service(north, amqp_url)
    service.environment = environment | {"BRIDGE_LOG_FORMAT": "json"}
    service.start()
    [line] = [line for line in COMMANDS if line[1] == "listen"]
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", *line[1:]],
        env=environment,
        cwd=north,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listening:
        try:
            assert listening.stderr is not None
            assert "listening on" in listening.stderr.readline()
            command("send")
            shown, _ = listening.communicate(timeout=PATIENCE)
        finally:
            listening.send_signal(signal.SIGKILL)
    assert "instance.enriched" in shown
    assert "F-2001" in shown
    assert "instance number 7 valid" in shown
    assert service.stop() == 0
    explained = service.command("explain", "48213").stdout
    assert "matched" in explained
    assert "OBR-20" in explained


@pytest.mark.parametrize("step", ["init", "check", "inspect", "run", "listen", "send"])
def test_every_step_stands_in_the_guide(step: str) -> None:
    assert [line[1] for line in COMMANDS].count(step) == 1
