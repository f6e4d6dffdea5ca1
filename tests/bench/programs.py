"""What is measured: both kinds of messages, what each must lead to, and the programs that work on them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afternoon import EVENT
from bodies import (
    Examination,
    json_body,
    large_body,
    latest,
    object_body,
    order_body,
    sop_instance_uid,
    study_uid,
)
from runs import EXCHANGE, Key, Load, Program, swallow

from bridge.amqp import Publication, properties
from bridge.config import load_channels
from bridge.core.channel import Channel, DataType
from bridge.localbroker import LocalBroker

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
EVENT_TYPE = "io.github.hl7dicombridge.{}.v1"


@dataclass(frozen=True)
class Kind:
    """Messages of one kind, orders or objects; each meets the other half of its pair, which is known already."""

    name: str
    channel: Channel
    messages: Sequence[Publication]
    owed: Sequence[Sequence[Key]]  # by message: its study is linked, its object is enriched


def shipped_channels() -> list[Channel]:
    return load_channels(_REPOSITORY / "channels")


def both_kinds(examinations: Sequence[Examination]) -> tuple[Kind, Kind]:
    """The orders and the objects of these."""
    orders = [order_body(one) for one in examinations]
    objects = [object_body(one) for one in examinations]
    owed = _owed(examinations)
    return (
        kind_of(DataType.HL7V2, "orders", "hl7.ORM.O01", "application/hl7-v2+er7", orders, owed),
        kind_of(DataType.DICOM, "objects", "dicom.CT", "application/dicom", objects, owed),
    )


def other_objects(examinations: Sequence[Examination]) -> tuple[Kind, Kind]:
    """The headers of the objects as DICOM JSON; and, of every fourth examination, objects of 512 KB."""
    headers, some = [json_body(one) for one in examinations], examinations[::4]
    larger = [large_body(one) for one in some]
    return (
        kind_of(DataType.DICOM, "DICOM JSON", "dicom.CT", "application/dicom+json", headers, _owed(examinations)),
        kind_of(DataType.DICOM, "512 KB objects", "dicom.CT", "application/dicom", larger, _owed(some)),
    )


def _owed(examinations: Sequence[Examination]) -> list[list[Key]]:
    return [
        [
            (EVENT_TYPE.format("study.matched"), study_uid(one)),
            (EVENT_TYPE.format("instance.enriched"), sop_instance_uid(one)),
        ]
        for one in examinations
    ]


def pairs(each: int) -> tuple[Kind, Kind, Kind, Kind]:
    """So many orders, as many objects, and the other halves: the objects of these orders and the orders of these."""
    orders, waiting = both_kinds([latest(index) for index in range(each)])
    known, objects = both_kinds([latest(each + index) for index in range(each)])
    return orders, objects, waiting, known


def kind_of(
    data_type: DataType,
    name: str,
    key: str,
    content_type: str,
    bodies: Sequence[bytes],
    owed: Sequence[Sequence[Key]],
) -> Kind:
    """These bodies as messages of the shipped channel of their type."""
    [channel] = [one for one in shipped_channels() if one.source.data_type is data_type]
    messages = []
    for number, body in enumerate(bodies):
        message_id = f"{name}-{number}-{owed[number][0][1]}" if owed else f"{name}-{number}"
        stated = properties(content_type=content_type, message_id=message_id)
        messages.append(Publication(channel.source.exchange, key, body, stated, key=message_id))
    return Kind(name, channel, messages, owed)


def limit(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    """(a), and what it owes: each message again."""
    source = kind.channel.source
    folder.mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("limit.py"))
    command = [sys.executable, script, url, source.queue, EXCHANGE, str(source.prefetch)]
    owed = [[("", message.key)] for message in kind.messages]
    return Program(command, dict(os.environ), folder, source.queue), Load(kind.messages, owed)


def afternoon(url: str, kind: Kind, folder: Path) -> tuple[Program, Load]:
    """(b), with its database in `folder`, and what it owes: one event for each pair."""
    folder.mkdir(exist_ok=True)
    script = str(Path(__file__).with_name("afternoon.py"))
    command = [sys.executable, script, url, kind.channel.source.queue, EXCHANGE, str(folder / "afternoon.db")]
    owed = [[(EVENT, uid)] for _, (_, uid) in kind.owed]
    return Program(command, dict(os.environ), folder, kind.channel.source.queue), Load(kind.messages, owed)


def bridge(url: str, kind: Kind, folder: Path, database: str = "") -> tuple[Program, Load]:
    """(c), the service as it is shipped, with its database in `folder` or at a URL, and what it owes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")} | {
        "BRIDGE_AMQP_URL": url,
        "BRIDGE_DATABASE_URL": database or f"sqlite:///{folder / 'bridge.db'}",
        "BRIDGE_CHANNELS": str(_REPOSITORY / "channels"),
        "BRIDGE_SITE": "bench",
    }
    command = [sys.executable, "-m", "bridge", "run"]
    return Program(command, environment, folder, kind.channel.source.queue), Load(kind.messages, kind.owed)


def take_in(node: LocalBroker, kind: Kind, folder: Path, database: str = "") -> None:
    """Lets the bridge make a database of messages, or add them to it, unmeasured."""
    folder.mkdir(exist_ok=True)
    program, load = bridge(node.url, kind, folder, database)
    swallow(node, program, load.messages)


def take_in_by_afternoon(node: LocalBroker, kind: Kind, folder: Path) -> None:
    """The same by (b)."""
    program, load = afternoon(node.url, kind, folder)
    swallow(node, program, load.messages)
