"""The commands as a person types them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__
from bridge.core.events import EVENTS
from tests.conftest import REPOSITORY, Engine, Service, at_least
from tests.samples import ROOT, ct, orm


@pytest.mark.parametrize("command", [["bridge"], ["hl7-dicom-bridge"], [sys.executable, "-m", "bridge"]])
def test_it_is_called_by_three_names(command: list[str]) -> None:
    folder = Path(sys.executable).parent
    program = [str(folder / command[0]) if len(command) == 1 else command[0], *command[1:], "--version"]
    answer = subprocess.run(program, capture_output=True, text=True, check=True)
    assert answer.stdout == f"hl7-dicom-bridge {__version__}\n"


def test_what_cannot_be_understood_is_a_usage_error(service: Service) -> None:
    assert service.command("nonsense").returncode == 2
    assert service.command("explain").returncode == 2
    assert service.command("schema", "instance.nonsense").returncode == 2


def test_check_says_how_many_channels_examples_and_scenarios_are_right(service: Service) -> None:
    answer = service.command("check")
    scenarios = len(list((REPOSITORY / "channels" / "scenarios").iterdir()))
    assert answer.stdout == f"2 channels, 11 examples, {scenarios} scenarios, 0 wrong\n"
    assert answer.returncode == 0


def test_check_prints_one_line_for_a_scenario_that_ends_otherwise(service: Service, tmp_path: Path) -> None:
    channels, name = tmp_path / "own", "rule-study-instance-uid"
    shutil.copytree(REPOSITORY / "channels" / "scenarios" / name, channels / "scenarios" / name)
    for file in ("orders.toml", "images.toml"):
        text = (REPOSITORY / "channels" / file).read_text()
        (channels / file).write_text(text.partition("[[examples]]")[0])
    scenario = channels / "scenarios" / name / "scenario.toml"
    scenario.write_text(scenario.read_text().replace('"F-1"', '"F-2"'))
    service.environment["BRIDGE_CHANNELS"] = str(channels)
    answer = service.command("check")
    assert answer.returncode == 1
    assert answer.stdout == "2 channels, 0 examples, 1 scenarios, 1 wrong\n"
    assert answer.stderr == f"scenario {name}: steps 1, 2: 1.2.3.1: orders: F-1, should be F-2\n"


def test_check_fails_when_an_example_comes_out_otherwise(service: Service, tmp_path: Path) -> None:
    channel = (REPOSITORY / "channels" / "orders.toml").read_text()
    (tmp_path / "examples").symlink_to(REPOSITORY / "channels" / "examples")
    file = tmp_path / "orders.toml"
    file.write_text(channel.replace("A1004-2", "A1004-7").replace('modality         = "NM"', 'modality         = "PT"'))
    answer = service.command("check", str(file))
    assert answer.returncode == 1
    assert answer.stderr == (
        "orders: example 'OMI^O23: three orders, each with its own accession number and study':\n"
        '    order 2: accession_number is "A1004-2" from IPC[2]-1.1, should be "A1004-7"\n'
        '    order 3: modality is "NM" from IPC[3]-5.1, should be "PT"\n'
    )


def test_check_with_a_mistake_names_file_and_key(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text("[source]\ndata_type = 'HL7V2'\nqueue = 'q'\nbindings = ['#']\nprefetsh = 1\n")
    answer = service.command("check", str(file))
    assert answer.returncode == 78
    assert f"{file}:5: source.prefetsh: unknown key; did you mean prefetch?" in answer.stderr


def test_check_connects_to_the_broker_and_finds_no_database_yet(service: Service) -> None:
    one = str(REPOSITORY / "channels" / "orders.toml")  # whose scenarios are those of the folder
    answer = service.command("check", "--connect", one)
    assert answer.returncode == 0
    assert "the broker answers" in answer.stdout
    service.environment["BRIDGE_AMQP_URL"] = "amqp://127.0.0.1:1"
    assert service.command("check", "--connect", one).returncode == 69


def test_migrate_creates_the_database_and_says_so_once(service: Service) -> None:
    assert service.command("status").returncode == 78
    assert service.command("migrate").stdout == "schema none -> 0004\n"
    assert service.command("migrate").stdout == "schema 0004\n"
    assert service.command("status").returncode == 0


def test_status_names_settings_and_database_first(service: Service) -> None:
    service.command("migrate")
    first = service.command("status").stdout.splitlines()[0]
    assert "built in" in first
    assert "bridge.db" in first


def test_status_without_a_broker_shows_the_ledger_and_says_what_is_missing(service: Service) -> None:
    service.command("migrate")
    service.environment["BRIDGE_AMQP_URL"] = "amqp://127.0.0.1:1"
    answer = service.command("status", "--json")
    assert json.loads(answer.stdout)["dead"] is None
    assert "dead letters are not counted" in answer.stderr


def test_status_shows_no_number_of_dead_letters_where_there_is_no_queue_for_them(service: Service) -> None:
    service.command("migrate")
    answer = service.command("status", "--json")
    assert json.loads(answer.stdout)["dead"] is None
    assert "dead letters are not counted: there is no queue bridge.dead" in answer.stderr
    assert re.search(r"^dead +\?", service.command("status").stdout, re.MULTILINE)


def test_schema_lists_the_events_and_shows_each(service: Service) -> None:
    assert service.command("schema").stdout.split() == [*EVENTS, "channel"]
    assert json.loads(service.command("schema", "channel").stdout)["title"] == "channel"
    shown = json.loads(service.command("schema", "instance.enriched").stdout)
    assert shown["title"] == "instance.enriched"


def test_send_publishes_files_and_listen_shows_the_events(service: Service, engine: Engine, tmp_path: Path) -> None:
    service.start()
    (tmp_path / "order.hl7").write_bytes(orm(1, study=f"{ROOT}.1"))
    (tmp_path / "object.dcm").write_bytes(ct(1, study=f"{ROOT}.1", patient="PAT1"))
    listening = subprocess.Popen(
        [sys.executable, "-m", "bridge", "listen", "instance.enriched.*", "--seconds", "10", "--count", "1"],
        env=service.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listening.stderr is not None
    assert "listening on bridge.events" in listening.stderr.readline()
    answer = service.command("send", str(tmp_path / "order.hl7"), str(tmp_path / "object.dcm"))
    assert answer.returncode == 0, answer.stderr
    assert "hl7.ORM.O01" in answer.stdout
    assert "dicom.CT" in answer.stdout
    shown, _ = listening.communicate()
    assert listening.returncode == 0
    assert "instance number 1 valid" in shown
    assert "F-1" in shown


@pytest.fixture
def conflict(service: Service, engine: Engine) -> Service:
    """One accession number on two patients: one study matched, one in conflict."""
    service.start()
    engine.hl7(orm(1, accession="SHARED1", patient="PATONE", name="Onename^First"))
    engine.dicom(ct(1, study=f"{ROOT}.1", patient="PATONE", accession="SHARED1", name="Onename^First"))
    engine.dicom(ct(2, study=f"{ROOT}.2", patient="PATTWO", accession="SHARED1", name="Twoname^Second"))
    engine.collect(lambda events: at_least("study.conflict", 1)(events) and at_least("study.matched", 1)(events))
    service.stop()
    return service


@pytest.mark.parametrize("key", [f"{ROOT}.2", f"{ROOT}.2.1", f"{ROOT}.3.2", "PATTWO"])
def test_explain_finds_a_study_by_each_of_its_keys(conflict: Service, key: str) -> None:
    found = json.loads(conflict.command("explain", key, "--json").stdout)
    assert found["study"]["studyInstanceUID"] == f"{ROOT}.2"
    assert found["correlation"]["verdict"] == "conflict"
    assert found["correlation"]["reason"] == "patient-differs"
    assert found["orders"] == []
    assert found["history"][-1]["verdict"] == "conflict"


@pytest.mark.parametrize("key", ["SHARED1", "F-1", "P-1"])
def test_explain_lists_every_study_that_shares_a_key_of_the_order_and_shows_the_conflict(
    conflict: Service, key: str
) -> None:
    answer = conflict.command("explain", key)
    assert answer.returncode == 0
    assert "2 studies have this key" in answer.stdout
    assert "CONFLICT" in answer.stdout
    assert "PATTWO  (0010,0020)" in answer.stdout
    assert "PATONE / HOSP  PID-3.1" in answer.stdout
    assert "DIFFERS" in answer.stdout


def test_explain_can_hide_what_a_patient_could_be_recognised_by(conflict: Service) -> None:
    for arguments in (["--redact"], ["--redact", "--json"]):
        shown = conflict.command("explain", f"{ROOT}.2", *arguments).stdout
        assert "patient-differs" in shown
        shown += conflict.command("explain", f"{ROOT}.1", *arguments).stdout
        for secret in ("PATONE", "PATTWO", "Onename", "Twoname", "SHARED1", "1970", "F-1", "P-1"):
            assert secret not in shown


def test_explain_shows_a_value_as_it_is_whatever_marks_it_holds(service: Service, engine: Engine) -> None:
    service.start()
    engine.hl7(orm(1, patient="PAT[/b]1", accession="A1"))
    engine.dicom(ct(1, study=f"{ROOT}.1", patient="PAT[/b]1", accession="A1"))
    engine.collect(at_least("study.matched", 1))
    answer = service.command("explain", "PAT[/b]1")
    assert answer.returncode == 0, answer.stderr
    assert "PAT[/b]1 / HOSP  PID-3.1" in answer.stdout


def test_explain_of_an_unknown_key_finds_nothing(conflict: Service) -> None:
    assert conflict.command("explain", "UNKNOWN-KEY").returncode == 1
