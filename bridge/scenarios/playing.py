"""Plays scenarios: messages in, verdicts and events out, through the real intake and a database of their own."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bridge import app, person
from bridge.config.scenario_files import PersonLinks, PersonUnmerges, Scenario, Step
from bridge.core.channel import Channel, DataType
from bridge.core.decision import Decision
from bridge.core.errors import BridgeError
from bridge.core.events import event_name
from bridge.core.model import Identifier
from bridge.core.orders import Order
from bridge.core.ports import Inbound, Outbound
from bridge.core.struct import Value, encode
from bridge.deadlines import Deadlines
from bridge.examples import data_type_of, example_file
from bridge.formats.dicom_values import attribute_tag
from bridge.formats.reading import Form
from bridge.intake import Intake
from bridge.store.store import Store

_BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Ended(Value):
    """A study in the end, in the words of `ExpectedStudy`; `told` are its events as they were published."""

    decision: Decision | None
    orders: tuple[str, ...]
    candidates: tuple[str, ...]
    told: tuple[dict[str, Any], ...]

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(event_name(event["type"]) for event in self.told)


class Stage:
    """A database that each play finds empty; SQLAlchemy keeps what it has compiled for it. Use it as a context."""

    def __enter__(self) -> "Stage":
        self._folder = TemporaryDirectory()
        self._file = Path(self._folder.name) / "bridge.db"
        self.store = Store(f"sqlite:///{self._file}", durable=False)
        self.store.migrate()
        self.store.close()
        self._empty = self._file.read_bytes()
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
        self._folder.cleanup()

    def clear(self) -> None:
        """Takes everything out of the database."""
        self.store.close()
        self._file.write_bytes(self._empty)


def played(
    scenario: Scenario, channels: Sequence[Channel], sequence: Sequence[int], stage: Stage, *, at_once: bool = False
) -> dict[str, Ended]:
    """How each expected study ends when the steps, by their indexes, come in this sequence.

    `at_once`: all messages are one batch, unless something else comes between them.

    Raises:
        BridgeError: a message is rejected, a person's decision is not possible, or the scenario has mistakes.
    """
    own = scenario.folder / "channels"
    stage.clear()
    play = _Play(scenario, app.checked_channels(own) if own.is_dir() else channels, stage.store)
    steps = [scenario.steps[index] for index in sequence]
    if at_once and all(step.is_received for step in steps):
        play.receive(steps)
    else:
        for step in steps:
            play.step(step)
    return play.ended()


def published(scenario: Scenario, channels: Sequence[Channel], stage: Stage) -> list[Outbound]:
    """Every event that is owed when the steps come as they are written. Raises BridgeError as `played`."""
    stage.clear()
    play = _Play(scenario, channels, stage.store)
    for step in scenario.steps:
        play.step(step)
    return play.events


class _Play:
    """One scenario in one sequence, with clocks of its own."""

    def __init__(self, scenario: Scenario, channels: Sequence[Channel], store: Store) -> None:
        self._scenario = scenario
        self._channels = channels
        self._store = store
        self._site = app.site_of(scenario.settings, channels, store)
        self.events: list[Outbound] = []
        self._steps = 0
        self._connected = timedelta()
        self._start()

    def _start(self) -> None:
        """As the service starts: all that it knows is in the database."""
        limits = self._scenario.settings.limits
        self._deadlines = Deadlines(
            self._store, self._site, self._now, self._clock, lambda: True, self._owe, longest_step=float("inf")
        )
        self._deadlines.tick()
        self._intake = Intake(self._store, self._site, self._now, self._owe, limits, self._deadlines.clock)

    def _now(self) -> str:
        at = _BEGIN + self._connected + timedelta(seconds=self._steps)
        return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _clock(self) -> float:
        return self._connected.total_seconds()

    def _owe(self, events: Sequence[Outbound]) -> None:
        self.events += events

    def step(self, step: Step) -> None:
        self._steps += 1
        if step.is_received:
            self.receive([step])
        elif step.advance is not None:
            self._connected += step.advance
            while self._deadlines.tick():
                pass
        elif step.restart:
            self._store.close()
            self._start()
        elif step.unmerge:
            self._unmerge(step.unmerge)
        elif step.link:
            self._decide(step.link, unlink=False)
        elif step.unlink:
            self._decide(step.unlink, unlink=True)

    def receive(self, steps: Sequence[Step]) -> None:
        outcomes = self._intake.receive([self._inbound(step) for step in steps])
        for rejection in (one for outcome in outcomes for one in outcome.rejections):
            raise BridgeError(f"a message is rejected: {rejection.code}: {rejection.reason}")

    def _inbound(self, step: Step) -> Inbound:
        """An object is sent as DICOM JSON; a message or file as a sender sends it who states nothing."""
        if step.object is not None:
            body = encode(dicom_json({**self._scenario.every_object, **step.object}))
            return Inbound(self._through(step, DataType.DICOM), body, Form.DICOM_JSON, headers=step.headers)
        text = (step.message or "").lstrip()
        if text.startswith("MSH"):
            body = text.replace("\n", "\r").encode()
            return Inbound(self._through(step, DataType.HL7V2), body, headers=step.headers)
        file = example_file(str(self._scenario.folder), text)
        try:
            return Inbound(self._through(step, data_type_of(text)), file.read_bytes(), headers=step.headers)
        except OSError as error:
            raise BridgeError(f"{text}: {error.strerror}") from None

    def _through(self, step: Step, data_type: DataType) -> str:
        """The channel that a step names, else the first for what it brings."""
        for channel in self._channels:
            if channel.name == step.channel or (step.channel is None and channel.source.data_type is data_type):
                return channel.name
        raise BridgeError(f"there is no channel {step.channel or f'of data type {data_type}'}")

    def _decide(self, said: PersonLinks, *, unlink: bool) -> None:
        who = person.Person(said.user, said.reason, self._now())
        if said.undo:
            decided = person.undo(self._store, self._site, who, said.study, said.order)
        elif unlink:
            decided = person.unlink(self._store, self._site, who, said.study, said.order)
        else:
            decided = person.link(self._store, self._site, who, said.study, said.order or "", confirmed=person.ANYTHING)
        self._owe(decided.events)

    def _unmerge(self, said: PersonUnmerges) -> None:
        who = person.Person(said.user, said.reason, self._now())
        self._owe(person.unmerge(self._store, self._site, who, said.prior, said.patient, undone=said.undo))

    def ended(self) -> dict[str, Ended]:
        """Each expected study as it is now."""
        found = {}
        with self._store.read() as db:
            for uid, study in db.studies([one.study_instance_uid for one in self._scenario.studies]).items():
                decision = study.decision
                candidates = [one.order for one in decision.candidates] if decision else []
                found[uid] = Ended(
                    decision,
                    orders=_names(db.orders(decision.orders if decision else ())),
                    candidates=_names(db.orders(candidates)),
                    told=tuple(json.loads(one.body) for one in self.events if one.headers["partitionkey"] == uid),
                )
        return found


def _names(orders: Mapping[str, Order]) -> tuple[str, ...]:
    return tuple(sorted(order_name(order) for order in orders.values()))


def order_name(order: Order) -> str:
    """How scenarios call an order: its filler order number, else the placer's, else the accession number.

    With its issuer and requested procedure ID where it has them: `F-1`, `F-1^RIS`, `F-1/RP1`.
    """
    numbers: list[Identifier | None] = [order.filler_order_number, order.placer_order_number, *order.accession_numbers]
    number = next((one for one in numbers if one), None)
    issuer = number.issuer if number else None
    name = (number.value if number else "") + (f"^{issuer.namespace_id or issuer.universal_id}" if issuer else "")
    return f"{name}/{order.requested_procedure_id.value}" if order.requested_procedure_id else name


def dicom_json(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The DICOM JSON Model (PS3.18 F.2) of attributes by keyword, sequences as lists of their items.

    Raises:
        ConfigError: one of them is no attribute.
    """
    return {f"{attribute_tag(name):08X}": {"Value": _values(stated)} for name, stated in attributes.items()}


def _values(stated: Any) -> list[Any]:
    return [
        dicom_json(one) if isinstance(one, dict) else one for one in (stated if isinstance(stated, list) else [stated])
    ]
