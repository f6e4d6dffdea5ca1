"""Plays the examples of channels that state events or ends of studies, with all channels of their folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge import app
from bridge.config.scenario_files import ExpectedStudy, Scenario, Step
from bridge.core.channel import Channel, Example
from bridge.core.errors import BridgeError
from bridge.core.events import event_name
from bridge.core.ports import Outbound
from bridge.examples import failure
from bridge.scenarios.checking import otherwise, sequences
from bridge.scenarios.playing import Stage, published

_EVERY_SEQUENCE_OF = 4  # messages


def failures_of_examples(channels: Sequence[Channel]) -> list[str]:
    """For each example that does not come out as stated, what is and what should be."""
    wanted = [(channel, one) for channel in channels for one in channel.examples if one.events or one.studies]
    if not wanted:
        return []
    with Stage() as stage:
        return [
            failure(channel, example, found)
            for channel, example in wanted
            if (found := [*_differences(channel, example, stage)])
        ]


def _differences(channel: Channel, example: Example, stage: Stage) -> Iterator[str]:
    beside = [one for one in app.checked_channels(Path(channel.folder)) if one.name != channel.name]
    scenario = _scenario(channel, example)
    channels = [channel, *beside]  # the first for its data type receives what the example holds
    tried = sequences(scenario, shuffles=0, all_up_to=_EVERY_SEQUENCE_OF)
    if example.studies and (said := otherwise(scenario, channels, tried, stage)):
        yield said
    if example.events:
        site = app.site_of(scenario.settings, channels, stage.store)
        quiet = Step.model_validate({"advance": f"{round(site.settles_after(channel.name))}s"})
        try:
            told = published(scenario.model_copy(update={"steps": (*scenario.steps, quiet)}), channels, stage)
        except BridgeError as error:
            yield str(error)
            return
        for expected in example.events:
            yield from _unlike(expected, told)


def _scenario(channel: Channel, example: Example) -> Scenario:
    named = [example.message] if example.message is not None else example.files
    return Scenario.model_construct(
        folder=Path(channel.folder),
        description=example.name,
        steps=tuple(Step(message=one, headers=dict(example.headers)) for one in named),
        studies=tuple(ExpectedStudy(**study, why=example.name) for study in example.studies),
    )


def _unlike(expected: Mapping[str, Any], told: Sequence[Outbound]) -> Iterator[str]:
    """What of an expected event was published otherwise; nothing where one of the published is as stated."""
    name, destination = expected["type"], expected.get("destination")
    same = [
        one for one in told if event_name(one.type) == name and (destination is None or one.destination == destination)
    ]
    if not same:
        where = f" to {destination}" if destination else ""
        names = ", ".join(dict.fromkeys(event_name(one.type) for one in told)) or "none at all"
        yield f"no event {name}{where} is published, but {names}"
        return
    yield from (f"{name}: {said}" for said in min(([*_of_event(expected, one)] for one in same), key=len))


def _of_event(expected: Mapping[str, Any], event: Outbound) -> Iterator[str]:
    key = expected.get("routing_key")
    if key not in (None, event.routing_key, *event.copies):
        yield f"routing_key is {event.routing_key}, should be {key}"
    yield from _of_values(expected.get("data", {}), json.loads(event.body)["data"], "data")


def _of_values(expected: Any, found: Any, place: str) -> Iterator[str]:
    """Where what is stated does not stand in a JSON value; "" is null."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, one in expected.items():
            yield from _of_values(one, found.get(name), f"{place}.{name}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from _of_values(one, other, f"{place}.{number}")
    elif expected != found and (expected, found) != ("", None):
        is_so, should_be = (json.dumps(one, ensure_ascii=False) for one in (found, expected))
        yield f"{place} is {is_so}, should be {should_be}"
