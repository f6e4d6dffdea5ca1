"""Measures a late order: one study of thousands of objects that wait, then the order that links them all.

Against it stands publishing as many bodies of the same size, with nothing to decide and nothing to store.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bodies import Examination, latest, one_of_many, order_body, study_uid, uid_of_many
from pika import BlockingConnection, URLParameters
from programs import EVENT_TYPE, bridge, kind_of, take_in
from runs import EXCHANGE, confirmed, drain

from bridge.amqp import Publication, properties
from bridge.core.channel import DataType
from bridge.localbroker import LocalBroker

_SAMPLES = "bench.samples"  # a queue of one event, to see how large they are


@dataclass
class LateOrder:
    """What was measured of one study, round by round."""

    objects: int
    event_bytes: int = 0
    seconds: list[float] = field(default_factory=list)  # from the subscription until the last event is published
    bare_seconds: list[float] = field(default_factory=list)
    peak_memory: list[int] = field(default_factory=list)

    def ratio(self) -> float:
        return median(ours / bare for ours, bare in zip(self.seconds, self.bare_seconds, strict=True))


def measure_late_order(
    node: LocalBroker, folder: Path, objects: int, rounds: int, say: Callable[[str], None]
) -> LateOrder:
    """Every round has a fresh copy of the database in which the objects wait."""
    folder.mkdir()
    examination = latest(0)
    bodies = [one_of_many(examination, number) for number in range(objects)]
    take_in(node, kind_of(DataType.DICOM, "slices", "dicom.CT", "application/dicom", bodies, []), folder / "known")
    say(f"a study of {objects:,} objects waits")
    order = kind_of(
        DataType.HL7V2,
        "late order",
        "hl7.ORM.O01",
        "application/hl7-v2+er7",
        [order_body(examination)],
        [_owed(examination, objects)],
    )
    found = LateOrder(objects)
    with BlockingConnection(URLParameters(node.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(_SAMPLES, arguments={"x-max-length": 1})
        channel.queue_bind(_SAMPLES, EXCHANGE, "instance.enriched.#")
        for number in range(rounds):
            shutil.rmtree(folder / "run", ignore_errors=True)
            shutil.copytree(folder / "known", folder / "run")
            drained = drain(node, *bridge(node.url, order, folder / "run"))
            _, _, sample = channel.basic_get(_SAMPLES, auto_ack=True)
            found.event_bytes = len(sample or b"")
            found.seconds.append(1 / drained.per_second)
            found.bare_seconds.append(_publish(node, objects, found.event_bytes))
            found.peak_memory.append(drained.peak_memory)
            say(f"round {number + 1} of {rounds}: {found.seconds[-1]:.2f} s, bare {found.bare_seconds[-1]:.2f} s")
        channel.queue_delete(_SAMPLES)
    return found


def _owed(examination: Examination, objects: int) -> list[tuple[str, str]]:
    enriched = EVENT_TYPE.format("instance.enriched")
    linked = (EVENT_TYPE.format("study.matched"), study_uid(examination))
    return [linked, *((enriched, uid_of_many(examination, number)) for number in range(objects))]


def _publish(node: LocalBroker, count: int, size: int) -> float:
    """Seconds for so many bodies of this size, with all confirms awaited together; a queue takes them."""
    body, stated = bytes(size), properties(content_type="application/json")
    messages = [Publication(EXCHANGE, "instance.enriched.CT", body, stated, key=str(n)) for n in range(count)]
    with BlockingConnection(URLParameters(node.url)) as connection:
        channel = connection.channel()
        sink = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(sink, EXCHANGE, "#")
        began = time.monotonic()
        confirmed(node, messages)
        return time.monotonic() - began
