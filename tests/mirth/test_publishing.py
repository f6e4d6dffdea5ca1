"""The channels that publish, against a real broker and the real bridge."""

import base64
from collections.abc import Iterator

import pytest

from bridge.core.errors import ConfigError
from tests.conftest import Service
from tests.mirth.engine import Channel, MirthEngine
from tests.samples import ROOT, ct, orm


@pytest.fixture
def mirth(amqp_url: str) -> Iterator[MirthEngine]:
    with MirthEngine(bridgeAmqpUri=amqp_url) as engine:
        yield engine


def test_first(mirth: MirthEngine, service: Service) -> None:
    service.start()
    print(mirth.run(Channel("hl7-in"), "deploy"), mirth.logged)
    print(mirth.send(Channel("hl7-in"), orm(1).decode()))
    print(mirth.send(Channel("hl7-in"), orm(1).decode()))
    print(service.status())
