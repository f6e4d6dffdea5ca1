"""Scenario files: what a site receives, in which sequence, and how each study has to end (docs/channels.md)."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bridge.config.settings import Settings
from bridge.config.stated import Duration, mistakes, toml
from bridge.core.decision import Verdict
from bridge.core.errors import ConfigError

_KINDS = ("message", "object", "advance", "restart", "link", "unlink", "unmerge")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PersonLinks(_Part):
    """What a person decides about a study and an order, or about a study and every order; `undo` takes it back."""

    study: str
    order: str | None = None
    user: str
    reason: str
    undo: bool = False


class PersonUnmerges(_Part):
    """What a person decides about two patient identifiers, each VALUE or VALUE^ISSUER; `undo` takes it back."""

    prior: str
    patient: str
    user: str
    reason: str
    undo: bool = False


class Step(_Part):
    """Exactly one thing that happens; `channel` and `headers` are of a message or an object.

    `message` is a whole HL7 message, or the name of a file as in a channel's examples. `object` holds the attributes of
    a DICOM object by keyword. `advance` moves the clock that runs while the source is connected.
    """

    message: str | None = None
    object: dict[str, Any] | None = None
    advance: Duration | None = None
    restart: Annotated[bool, Field(strict=True)] = False
    link: PersonLinks | None = None
    unlink: PersonLinks | None = None
    unmerge: PersonUnmerges | None = None
    channel: str | None = None
    headers: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_one_thing(self) -> "Step":
        if len(self.model_fields_set.intersection(_KINDS)) != 1:
            raise ValueError(f"a step is one of {', '.join(_KINDS)}")
        if self.link and self.link.order is None and not self.link.undo:
            raise ValueError("link: name the order")
        return self

    @property
    def is_received(self) -> bool:
        """Whether it comes from outside, rather than from a person or a clock."""
        return self.message is not None or self.object is not None


class StudyEnd(_Part):
    """How a study has to end. What is None is not compared; lists of codes and orders are in any sequence."""

    study_instance_uid: str
    verdict: Verdict
    reason: str | None = None
    rule: str | None = None
    orders: tuple[str, ...] = ()
    candidates: tuple[str, ...] | None = None
    contradictions: tuple[str, ...] | None = None
    warnings: tuple[str, ...] | None = None
    events: tuple[str, ...] | None = None


class ExpectedStudy(StudyEnd):
    """How a study has to end, and why."""

    why: str


class Scenario(_Part):
    """One folder of `scenarios`. `every_object` is what all objects have in common; `settings` differ from the default.

    `any_order`: the end must be the same in any sequence; None is yes, where nothing but messages and objects comes.
    """

    folder: Path
    description: str
    settings: Settings = Settings.model_validate({})
    every_object: dict[str, Any] = {}
    any_order: bool | None = None
    steps: tuple[Step, ...] = Field(min_length=1)
    studies: tuple[ExpectedStudy, ...] = Field(min_length=1)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def holds_in_any_order(self) -> bool:
        return all(step.is_received for step in self.steps) if self.any_order is None else self.any_order


def load_scenarios(place: Path) -> list[Scenario]:
    """The scenarios of a channels folder: `scenarios/NAME/scenario.toml`, by name.

    Raises:
        ConfigError: every mistake in every file, one line each.
    """
    scenarios: list[Scenario] = []
    found: list[str] = []
    for file in sorted(place.glob("scenarios/*/scenario.toml")):
        try:
            body = file.read_bytes()
            scenarios.append(Scenario.model_validate({**toml(body, str(file)), "folder": file.parent}))
        except ValidationError as error:
            models = (Scenario, Step, ExpectedStudy, PersonLinks, PersonUnmerges)
            found += mistakes(error, str(file), models, body.decode())
        except ConfigError as error:
            found += error.mistakes
    if found:
        raise ConfigError(*found)
    return scenarios
