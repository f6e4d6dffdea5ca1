"""From a message as a source received it to what it says: content types and character sets."""

import pytest

from bridge.config import load_channels, starter_channels
from bridge.core.errors import Invalid
from bridge.core.model import Instance, OrderMessage
from bridge.core.ports import Inbound
from bridge.formats.reading import Fact, read
from tests.samples import ROOT, ct, orm

CHANNELS = {channel.name: channel for channel in load_channels(starter_channels())}


def read_as(channel: str, body: bytes, content_type: str | None, encoding: str | None = None) -> Fact:
    return read(Inbound(channel, body, content_type=content_type, content_encoding=encoding), CHANNELS[channel])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/hl7-v2",
        "application/hl7-v2+er7",
        "x-application/hl7-v2+er7",
        "text/plain",
        "TEXT/Plain; charset=UTF-8; format=flowed",
        "application/octet-stream",
        "",
        None,
    ],
)
def test_each_content_type_of_er7_is_read(content_type: str | None) -> None:
    assert isinstance(read_as("orders", orm(1), content_type), OrderMessage)


@pytest.mark.parametrize(
    "content_type", ["application/dicom", "Application/DICOM;x=y", "application/octet-stream", None]
)
def test_each_content_type_of_part_10_is_read(content_type: str | None) -> None:
    assert isinstance(read_as("images", ct(1, study=f"{ROOT}.1"), content_type), Instance)


@pytest.mark.parametrize(("channel", "content_type"), [("orders", "image/png"), ("images", "text/plain")])
def test_another_content_type_is_refused_by_name_of_the_channel(channel: str, content_type: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_as(channel, orm(1), content_type)
    assert refusal.value.code == "unsupported-content-type"
    assert channel in refusal.value.reason


def test_a_character_set_in_content_encoding_is_tolerated_and_a_compression_is_not() -> None:
    assert isinstance(read_as("orders", orm(1), None, "UTF-8"), OrderMessage)
    with pytest.raises(Invalid, match="unsupported-content-encoding"):
        read_as("orders", orm(1), None, "gzip")


def test_the_charset_of_the_content_type_holds_before_msh_18() -> None:
    body = orm(1, name="Иванов^Иван").decode().encode("iso8859-5").replace(b"|2.3.1", b"|2.3.1||||||8859/1")
    fact = read_as("orders", body, "application/hl7-v2; charset=ISO-8859-5")
    assert isinstance(fact, OrderMessage)
    assert fact.updates[0].patient_names[0].alphabetic == "Иванов^Иван"  # type: ignore[index, union-attr]


def test_a_body_without_bytes_is_refused() -> None:
    for channel in CHANNELS:
        with pytest.raises(Invalid, match="empty"):
            read_as(channel, b"", None)
