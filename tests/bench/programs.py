"""What is measured: both kinds of messages, what each must lead to, and the programs that work on them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bodies import Examination, latest, object_body, order_body, sop_instance_uid, study_uid
from runs import EXCHANGE, Key, Load, Program, swallow

from bridge.amqp import Publication, properties
from bridge.config import load_channels
from bridge.core.channel import Channel, DataType
from bridge.localbroker import LocalBroker

_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_EVENT_TYPE = "io.github.hl7dicombridge.{}.v1"


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
    by_type = {channel.source.data_type: channel for channel in shipped_channels()}
    orders = [order_body(one) for one in examinations]
    objects = [object_body(one) for one in examinations]
    owed = [
        [
            (_EVENT_TYPE.format("study.matched"), study_uid(one)),
            (_EVENT_TYPE.format("instance.enriched"), sop_instance_uid(one)),
        ]
        for one in examinations
    ]
    return (
        _kind("orders", by_type[DataType.HL7V2], "hl7.ORM.O01", "application/hl7-v2+er7", orders, owed),
        _kind("objects", by_type[DataType.DICOM], "dicom.CT", "application/dicom", objects, owed),
    )


def pairs(each: int) -> tuple[Kind, Kind, Kind, Kind]:
    """So many orders, as many objects, and the other halves: the objects of these orders and the orders of these."""
    orders, waiting = both_kinds([latest(index) for index in range(each)])
    known, objects = both_kinds([latest(each + index) for index in range(each)])
    return orders, objects, waiting, known


def _kind(
    name: str, channel: Channel, key: str, content_type: str, bodies: Sequence[bytes], owed: Sequence[Sequence[Key]]
) -> Kind:
    messages = []
    for body, (_, (_, uid)) in zip(bodies, owed, strict=True):
        message_id = f"{name}-{uid}"
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
