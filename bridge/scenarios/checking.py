"""Compares how scenarios end with how they have to end.

Where a scenario holds in any order, its steps also come in other sequences, all of which must end alike.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import permutations
from typing import Any

from bridge.config.scenario_files import Scenario, StudyEnd
from bridge.core.channel import Channel
from bridge.core.decision import Finding
from bridge.core.errors import BridgeError
from bridge.scenarios.playing import Ended, Stage, played


def failures(scenarios: Iterable[Scenario], channels: Sequence[Channel], *, shuffles: int = 1) -> list[str]:
    """One line for each scenario that ends otherwise than it has to: what is, and what should be.

    Every other sequence comes as one batch.
    """
    with Stage() as stage:
        return [line for one in scenarios if (line := _failure(one, channels, shuffles, stage))]


def _failure(scenario: Scenario, channels: Sequence[Channel], shuffles: int, stage: Stage) -> str | None:
    said = otherwise(scenario, channels, sequences(scenario, shuffles=shuffles), stage)
    return f"scenario {scenario.name}: {said}" if said else None


def otherwise(
    scenario: Scenario, channels: Sequence[Channel], tried: Sequence[Sequence[int]], stage: Stage
) -> str | None:
    """The first of these sequences in which a study ends otherwise than it has to: what is, and what should be."""
    for number, sequence in enumerate(tried):
        try:
            ended = played(scenario, channels, sequence, stage, at_once=number % 2 == 1)
        except BridgeError as error:
            found = [str(error)]
        else:
            found = [
                f"{expected.study_instance_uid}: {difference}"
                for expected in scenario.studies
                for difference in differences(expected, ended[expected.study_instance_uid], with_events=number == 0)
            ]
        if found:
            steps = ", ".join(str(index + 1) for index in sequence)
            return f"steps {steps}: {'; '.join(found)}"
    return None


def sequences(scenario: Scenario, *, shuffles: int, all_up_to: int = 0) -> list[tuple[int, ...]]:
    """The sequences to try, by the indexes of the steps: as written, and where any holds reversed and shuffled too.

    Of a scenario with `all_up_to` steps or fewer, all there are.
    """
    written = tuple(range(len(scenario.steps)))
    if not scenario.holds_in_any_order:
        return [written]
    if len(written) <= all_up_to:
        return list(permutations(written))
    return list(dict.fromkeys([written, written[::-1], *(_shuffled(written, seed) for seed in range(shuffles))]))


def _shuffled(indexes: Sequence[int], seed: int) -> tuple[int, ...]:
    """The same on every machine, so that a failure can be repeated."""
    return tuple(sorted(indexes, key=lambda index: sha256(f"{seed}.{index}".encode()).digest()))


def differences(expected: StudyEnd, ended: Ended, *, with_events: bool) -> Iterator[str]:
    """What is other than expected, each with both."""
    decision = ended.decision
    if decision is None:
        yield "there is no such study"
        return
    pairs: list[tuple[str, Any, Any]] = [
        ("verdict", decision.verdict, expected.verdict),
        ("reason", decision.reason, expected.reason),
        ("orders", ended.orders, _sorted(expected.orders)),
    ]
    if expected.rule is not None:
        pairs.append(("rule", decision.rule, expected.rule))
    if expected.candidates is not None:
        pairs.append(("candidates", ended.candidates, _sorted(expected.candidates)))
    if expected.contradictions is not None:
        pairs.append(("contradictions", _codes(decision.contradictions), _sorted(expected.contradictions)))
    if expected.warnings is not None:
        pairs.append(("warnings", _codes(decision.warnings), _sorted(expected.warnings)))
    if with_events and expected.events is not None:
        pairs.append(("events", ended.events, expected.events))
    for what, is_so, should_be in pairs:
        if is_so != should_be:
            yield f"{what}: {_written(is_so)}, should be {_written(should_be)}"


def _sorted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(words))


def _codes(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(sorted({finding.code for finding in findings}))


def _written(value: Any) -> str:
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value or "none")
