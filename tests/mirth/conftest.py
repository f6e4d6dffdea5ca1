"""What the tests of the kit share: one Java process for all."""

from collections.abc import Iterator

import pytest

from tests.mirth.engine import MirthEngine


@pytest.fixture(scope="session")
def java_process() -> Iterator[MirthEngine]:
    with MirthEngine() as engine:
        yield engine


@pytest.fixture
def mirth(java_process: MirthEngine, amqp_url: str) -> Iterator[MirthEngine]:
    """An engine that nothing has happened in."""
    java_process.begin(bridgeAmqpUri=amqp_url)
    yield java_process
    java_process.begin()
