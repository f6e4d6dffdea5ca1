"""The rights on the broker that `docs/operations.md` lists are enough; what is refused is named, or waited for."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bridge.amqp import declare
from bridge.app import topology_of
from bridge.config import load_channels
from bridge.localbroker import LocalBroker
from tests.conftest import REPOSITORY, Engine, Service, at_least
from tests.samples import ROOT, ct

USER = "restricted"


class Rights(NamedTuple):
    """Regular expressions, as `rabbitmqctl set_permissions` takes them."""

    configure: str
    write: str
    read: str


def documented(who: str) -> Rights:
    """The row of the table that is about `who`."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith(f"| {who} | `^")]
    return Rights(*re.findall(r"`(\^[^`]*\$)`", row.replace(r"\|", "|")))


@pytest.fixture
def restricted(service: Service, broker: LocalBroker) -> Iterator[Service]:
    """The service with a login that may nothing yet."""
    broker.control("add_user", USER, "word")
    service.environment["BRIDGE_AMQP_URL"] = broker.url.replace("guest:guest", f"{USER}:word")
    yield service
    broker.control("delete_user", USER)


def works(service: Service, engine: Engine) -> None:
    """Messages are read, dead letters are written, events are published."""
    service.start()
    engine.hl7(b"garbage")
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    engine.collect(at_least("message.rejected", 1))
    engine.collect(at_least("instance.pending", 1))
    assert service.stop() == 0
    assert len(engine.dead_letters()) == 1


def test_the_documented_rights_are_enough(restricted: Service, broker: LocalBroker, engine: Engine) -> None:
    broker.control("set_permissions", USER, *documented("the service"))
    works(restricted, engine)


def test_where_the_owner_declares_fewer_rights_are_enough(
    restricted: Service, broker: LocalBroker, engine: Engine
) -> None:
    declare(broker.url, topology_of(load_channels(REPOSITORY / "channels")), create=True)
    restricted.environment["BRIDGE_AMQP_DECLARE"] = "check"
    broker.control("set_permissions", USER, *documented("the service with `BRIDGE_AMQP_DECLARE=check`"))
    works(restricted, engine)


def test_without_the_right_to_declare_it_says_what_is_refused(restricted: Service, broker: LocalBroker) -> None:
    broker.control("set_permissions", USER, "^$", *documented("the service")[1:])
    answer = restricted.command("run")
    assert answer.returncode == 78
    assert "exchange bridge.in: the broker says 403 ACCESS_REFUSED" in answer.stderr


def test_without_the_right_to_publish_events_they_wait_for_it(
    restricted: Service, broker: LocalBroker, engine: Engine
) -> None:
    rights = documented("the service")
    broker.control("set_permissions", USER, *rights._replace(write=rights.write.replace("events|", "")))
    restricted.start()
    engine.dicom(ct(1, study=f"{ROOT}.1"))
    restricted.wait_for("amqp channel ended")
    broker.control("set_permissions", USER, *rights)
    engine.collect(at_least("instance.pending", 1))
    assert restricted.stop() == 0
