"""The systemd units of docs/systemd: systemd takes them, and the two differ only in what they are about."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.config import Settings
from tests.conftest import REPOSITORY

UNITS = ("hl7-dicom-bridge.service", "hl7-dicom-bridge@.service")
# What each states for itself; everything else, and above all what is taken away from the process, is the same.
OWN = ("#", "Description=", "Environment=", "LoadCredential=", "StateDirectory", "WorkingDirectory=")

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def lines(unit: str) -> list[str]:
    return (REPOSITORY / "docs" / "systemd" / unit).read_text().splitlines()


def made_startable(unit: str, folder: Path) -> Path:
    """A copy with a program that there is on this machine."""
    copy = folder / unit
    copy.write_text("\n".join(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", line) for line in lines(unit)))
    return copy


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: str, tmp_path: Path) -> None:
    command = ["systemd-analyze", "verify", str(made_startable(unit, tmp_path))]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert [line for line in answer.stderr.splitlines() if unit in line] == []
    assert answer.returncode == 0


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_leaves_little_exposed(unit: str, tmp_path: Path) -> None:
    """2.0 of 10, of which the network is 0.5."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(made_startable(unit, tmp_path))]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_both_units_are_hardened_alike() -> None:
    one, other = ([line for line in lines(unit) if line and not line.startswith(OWN)] for unit in UNITS)
    assert one == other
    assert {"Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077", "LimitCORE=0"} < set(one)
    assert "StateDirectoryMode=0700" in lines(UNITS[0])


@pytest.mark.parametrize("unit", UNITS)
def test_every_setting_of_a_unit_exists(unit: str) -> None:
    stated = re.findall(r"^Environment=BRIDGE_(\w+)=", "\n".join(lines(unit)), re.MULTILINE)
    assert len(stated) >= 4
    assert {name.removesuffix("_FILE").lower() for name in stated} <= set(Settings.model_fields)
