"""`docs/correlation.md` is what a site agrees to: its tables say what the code has, no code more and none less."""

import re
from pathlib import Path

from bridge.core.decision import (
    CONTRADICTIONS,
    HINTS,
    OVERRIDDEN,
    PERSON,
    REASONS,
    STUDY_CONTRADICTIONS,
    SUGGESTIONS,
    WARNINGS,
    Verdict,
)
from bridge.core.rules import DERIVED_MODALITIES, RULES

PAGE = (Path(__file__).parents[2] / "docs" / "correlation.md").read_text()


def table(heading: str, first_cell: str) -> list[list[str]]:
    """The rows of the table of a section that begins with this cell, cell by cell without backticks."""
    section = re.split(r"^#+ ", PAGE.partition(f" {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    lines = section.partition(f"| {first_cell} |")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines, (heading, first_cell)
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def column(rows: list[list[str]], number: int = 0) -> list[str]:
    return [row[number] for row in rows]


def test_every_rule_that_links_stands_in_sequence_with_its_strength_and_both_sides() -> None:
    rows = table("Keys", "strength")

    assert [row[:2] for row in rows if row[0].isdigit()] == [[str(rule.strength), rule.name] for rule in RULES]
    assert [row[0] for row in rows if not row[0].isdigit()] == ["narrows only", "suggests only"]
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_verdict_is_explained() -> None:
    assert column(table("The verdict", "verdict")) == list(Verdict)


def test_every_reason_stands_with_its_verdict_and_what_can_be_done() -> None:
    rows = table("Reasons", "reason")

    assert [row[:2] for row in rows if row[1] != "conflict"] == [
        [reason, verdict]
        for verdict, reasons in REASONS.items()
        for reason in reasons
        if verdict is not Verdict.CONFLICT
    ]
    assert column([row for row in rows if row[1] == "conflict"]) == list(REASONS[Verdict.CONFLICT])
    assert all(len(row) == 4 and all(row) for row in rows)


def test_every_reason_stands_in_the_steps_that_lead_to_the_verdict() -> None:
    steps = PAGE.partition("## The verdict\n")[2].partition("| verdict |")[0]
    named = set(re.findall(r"`([a-z-]+)`", steps)) - {*Verdict}

    assert named == {reason for reasons in REASONS.values() for reason in reasons} - {*CONTRADICTIONS}


def test_every_contradiction_stands_with_what_it_forbids_the_gravest_first() -> None:
    rows = table("Contradictions", "code")

    assert [row[:2] for row in rows] == [
        *([code, "the order"] for code in CONTRADICTIONS),
        *([code, "any"] for code in STUDY_CONTRADICTIONS),
    ]


def test_every_warning_is_explained_and_no_other() -> None:
    rows = table("Warnings", "code")

    assert column(rows) == list(WARNINGS)
    assert all(len(row) == 3 and all(row) for row in rows)


def test_whatever_a_person_can_override_has_a_warning() -> None:
    overridable = {*CONTRADICTIONS, *STUDY_CONTRADICTIONS} - {"unlinked-by-person", "incorrect-worklist-entry"}

    assert {code.removeprefix("overridden-") for code in OVERRIDDEN} == overridable


def test_every_suggestion_and_hint_is_explained_and_no_other() -> None:
    assert column(table("Suggestions", "code")) == list(SUGGESTIONS)
    assert column(table("Contradictions", "hint")) == list(HINTS)


def test_every_key_of_the_evidence_is_named() -> None:
    named = [key.strip("` ") for cell in column(table("Evidence", "key")) for key in cell.split(",")]

    assert named == [*(rule.name for rule in RULES), PERSON, "patient-id", "patient-name", "birth-date", "sex"]


def test_the_modalities_that_say_nothing_about_what_was_acquired_are_listed() -> None:
    [listed] = re.findall(r"Objects of the modalities (.*?) say nothing", PAGE, re.DOTALL)

    assert set(re.findall(r"[A-Z]+", listed)) == DERIVED_MODALITIES


def test_every_rule_of_the_first_table_leads_to_where_it_is_explained() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \| \[[^\]]+\]\(#([a-z-]+)\) \|$", PAGE, re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert [int(number) for number, _, _ in rows] == list(range(1, 12))
    assert {anchor for _, _, anchor in rows} <= anchors
