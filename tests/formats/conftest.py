"""What the tests of formats share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.formats.reading import mistakes


@pytest.fixture
def channel(tmp_path: Path) -> Callable[[str], Channel]:
    """The channel `north` of a channel file's text, in which nothing is wrong."""

    def loaded(text: str) -> Channel:
        (tmp_path / "north.toml").write_text(text)
        [found] = load_channels(tmp_path)
        assert not list(mistakes(found))
        return found

    return loaded
