"""The scenario suite: every scenario of the shipped channels, in more sequences than `bridge check` tries."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app import checked_channels
from bridge.config.scenario_files import ExpectedStudy, Scenario, Step, load_scenarios
from bridge.core.errors import ConfigError
from bridge.scenarios import Ended, Stage, differences, failures, played, sequences
from tests.conftest import REPOSITORY

CHANNELS = checked_channels(REPOSITORY / "channels")
SCENARIOS = load_scenarios(REPOSITORY / "channels")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as opened:
        yield opened


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_ends_as_it_has_to_in_every_sequence_and_its_events_say_so(scenario: Scenario, stage: Stage) -> None:
    for number, sequence in enumerate(sequences(scenario, shuffles=12, all_up_to=4)):
        ended = played(scenario, CHANNELS, sequence, stage, at_once=number % 2 == 1)
        for expected in scenario.studies:
            study = ended[expected.study_instance_uid]
            assert list(differences(expected, study, with_events=number == 0)) == [], sequence
            assert study.decision is not None
            assert last_told(study) == (study.decision.verdict, study.decision.orders), sequence


def last_told(study: Ended) -> tuple[str, tuple[str, ...]]:
    """What somebody knows of a study who kept the newest event about it; without any it waits for its order."""
    verdict, orders = "pending", ()
    for event in sorted(study.told, key=lambda event: int(event["sequence"])):
        if event["type"].split(".")[3] == "study":
            verdict = event["data"]["correlation"]["verdict"]
            orders = tuple(order["id"] for order in event["data"]["orders"])
    return verdict, orders


def test_the_suite_has_each_combination_that_is_a_patient_safety_conflict() -> None:
    assert len(SCENARIOS) >= 70
    names = {scenario.name.partition("-")[0] for scenario in SCENARIOS}
    assert {f"c{number}" for number in range(1, 11)} <= names


def test_every_expectation_says_by_which_rule() -> None:
    for scenario in SCENARIOS:
        for expected in scenario.studies:
            assert expected.why.startswith(("DESIGN ", "DOMAIN ", "Issue ")), scenario.name


ORDER = r"""
description = "An order and its image."

[[steps]]
message = '''
MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20260105080000||ORM^O01|M0|P|2.3.1
PID|||4711^^^HOSP||Doe^Jane||19700101|F
ORC|NW|P-1|F-1||SC
OBR|1|P-1|F-1|CTABD^CT abdomen^L||||||||||||||A-1||||||CT
'''

[[steps]]
object = { SOPInstanceUID = "1.2.3.1.1.1", StudyInstanceUID = "1.2.3.1", PatientID = "4711", AccessionNumber = "A-1" }

[[studies]]
study_instance_uid = "1.2.3.1"
verdict            = "matched"
orders             = ["F-1"]
why                = "DESIGN 4.2"
"""


def write(place: Path, text: str, name: str = "order-and-image") -> Path:
    """A channels folder whose only scenario is this."""
    folder = place / "scenarios" / name
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(text)
    return place


def test_a_scenario_that_ends_otherwise_is_one_line_with_what_is_and_what_should_be(tmp_path: Path) -> None:
    text = ORDER.replace('"matched"', '"pending"\nreason = "no-order"').replace('orders             = ["F-1"]', "")
    [scenario] = load_scenarios(write(tmp_path, text))
    assert failures([scenario], CHANNELS) == [
        "scenario order-and-image: steps 1, 2: 1.2.3.1: verdict: matched, should be pending; "
        "1.2.3.1: reason: none, should be no-order; 1.2.3.1: orders: F-1, should be none"
    ]


def test_a_scenario_without_the_study_that_it_expects_fails(tmp_path: Path) -> None:
    text = ORDER.replace('study_instance_uid = "1.2.3.1"', 'study_instance_uid = "1.2.3.2"')
    [scenario] = load_scenarios(write(tmp_path, text))
    assert failures([scenario], CHANNELS) == ["scenario order-and-image: steps 1, 2: 1.2.3.2: there is no such study"]


def test_a_message_that_is_rejected_fails_its_scenario(tmp_path: Path) -> None:
    [scenario] = load_scenarios(write(tmp_path, ORDER.replace("OBR|1|P-1", "ZZZ|1|P-1").replace("ORC|NW", "ZZZ|NW")))
    assert "a message is rejected: hl7-no-order" in failures([scenario], CHANNELS)[0]


def test_what_a_person_decides_must_be_possible(tmp_path: Path) -> None:
    text = '[[steps]]\nlink = { study = "1.2.3.9", order = "F-1", user = "ada", reason = "seen" }\n\n[[studies]]'
    [scenario] = load_scenarios(write(tmp_path, ORDER.replace("[[studies]]", text)))
    assert "there is no such study" in failures([scenario], CHANNELS)[0]


def test_the_mistakes_of_all_scenario_files_are_reported_with_their_places(tmp_path: Path) -> None:
    write(tmp_path, ORDER.replace("description", "descripton"), "one")
    write(tmp_path, ORDER.replace("object =", 'advance = "61s"\nobject ='), "two")
    write(tmp_path, ORDER.replace('"matched"', '"linked"'), "three")
    with pytest.raises(ConfigError) as raised:
        load_scenarios(tmp_path)
    lines = "\n".join(raised.value.mistakes)
    assert "one/scenario.toml:2: descripton: unknown key; did you mean description?" in lines
    assert "two/scenario.toml:12: steps.1: a step is one of message, object" in lines
    assert re.search(r"three/scenario\.toml:\d+: studies\.0\.verdict:", lines)


def test_an_object_is_written_with_keywords_of_attributes(tmp_path: Path) -> None:
    [scenario] = load_scenarios(write(tmp_path, ORDER.replace("AccessionNumber =", "AccesionNumber =")))
    assert "'AccesionNumber' is neither the keyword nor the tag" in failures([scenario], CHANNELS)[0]


def test_a_scenario_tries_other_sequences_unless_somebody_or_the_clock_acts(tmp_path: Path) -> None:
    [scenario] = load_scenarios(write(tmp_path / "any", ORDER))
    assert sequences(scenario, shuffles=3) == [(0, 1), (1, 0)]
    text = ORDER.replace("[[studies]]", '[[steps]]\nadvance = "61s"\n\n[[studies]]')
    [scenario] = load_scenarios(write(tmp_path / "clock", text))
    assert sequences(scenario, shuffles=3) == [(0, 1, 2)]


PAGE = (REPOSITORY / "docs" / "channels.md").read_text().partition("## Scenarios")[2].partition("\n## ")[0]


@pytest.mark.parametrize("part", [Scenario, Step, ExpectedStudy])
def test_every_key_of_a_scenario_file_is_explained(part: type[Scenario | Step | ExpectedStudy]) -> None:
    cells = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `")]
    assert part.model_fields.keys() - {"folder"} <= {key for cell in cells for key in re.findall("`([a-z_]+)`", cell)}


def test_the_scenario_of_the_documentation_ends_as_it_says(tmp_path: Path) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    [scenario] = load_scenarios(write(tmp_path, text))
    assert failures([scenario], CHANNELS) == []
