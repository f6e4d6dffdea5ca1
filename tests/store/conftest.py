"""What the tests of the store share: one store on each kind of database."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from bridge.store.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with the current schema and nothing in it."""
    with closing(Store(database_url)) as made:
        made.migrate()
        yield made
