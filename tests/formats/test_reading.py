"""From a message as a source received it to what it says: content types, encodings, batches, arrays, references."""

import base64
import gzip
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydicom import dcmread

from bridge.config import load_channels, starter_channels
from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Fact, Instance, OrderUpdate, Reading
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, mistakes, read
from tests.samples import ROOT, ct, orm

CHANNELS = {channel.name: channel for channel in load_channels(starter_channels())}
XML = b"""<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.9><MSH.9.1>ORM</MSH.9.1><MSH.9.2>O01</MSH.9.2>
</MSH.9></MSH><ORC><ORC.1><ORC.1.1>NW</ORC.1.1></ORC.1><ORC.3><ORC.3.1>F-1</ORC.3.1></ORC.3></ORC></HL7Message>"""


def as_json(body: bytes) -> dict[str, Any]:
    return dcmread(BytesIO(body)).to_json_dict()


def as_mirth_xml(body: bytes) -> bytes:
    """What Mirth makes of an object: one element for each attribute."""
    elements = (
        f'<tag{element.tag:08X} len="{len(str(element.value))}" tag="{element.tag:08X}" vr="{element.VR}">'
        f"{element.value}</tag{element.tag:08X}>"
        for element in dcmread(BytesIO(body))
    )
    return f"<dicom>{''.join(elements)}</dicom>".encode()


OBJECT = ct(1, study=f"{ROOT}.1", patient="PAT1")
JSON = json.dumps(as_json(OBJECT)).encode()


def read_all(channel: str, body: bytes, limits: Limits = DEFAULT_LIMITS, **said: Any) -> list[Fact]:
    """Every fact of every message in it."""
    facts: list[Fact] = []
    for content in contents(Inbound(channel, body, **said), CHANNELS[channel].source.data_type, limits):
        found = read(content, CHANNELS[channel], limits)
        assert isinstance(found, Reading)
        facts += found.facts
    return facts


def filler_of(fact: Fact) -> str:
    assert isinstance(fact, OrderUpdate)
    assert fact.filler_order_number
    return fact.filler_order_number.value


def uid_of(fact: Fact) -> str:
    assert isinstance(fact, Instance)
    return fact.sop_instance_uid


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
    (fact,) = read_all("orders", orm(1), content_type=content_type)
    assert filler_of(fact) == "F-1"


@pytest.mark.parametrize(
    "content_type",
    ["application/hl7-v2+xml", "application/hl7v2+xml", "application/xml", "text/xml", "Text/XML;charset=utf-8", None],
)
def test_each_content_type_of_hl7_xml_is_read_and_so_is_xml_that_nobody_calls_so(content_type: str | None) -> None:
    (fact,) = read_all("orders", XML, content_type=content_type)
    assert filler_of(fact) == "F-1"


@pytest.mark.parametrize(
    "content_type", ["application/dicom", "Application/DICOM;x=y", "application/octet-stream", None]
)
def test_each_content_type_of_part_10_is_read(content_type: str | None) -> None:
    (fact,) = read_all("images", OBJECT, content_type=content_type)
    assert uid_of(fact) == f"{ROOT}.3.1"


@pytest.mark.parametrize("content_type", ["application/dicom+json", "application/json", None])
def test_dicom_json_says_what_the_part_10_file_says(content_type: str | None) -> None:
    (fact,) = read_all("images", JSON, content_type=content_type)
    (same,) = read_all("images", OBJECT)
    assert isinstance(fact, Instance)
    assert isinstance(same, Instance)
    assert (fact.instance_number.raw, fact.instance_number.value) == ("1", 1)
    assert fact == replace(same, transfer_syntax_uid=None, instance_number=fact.instance_number)


@pytest.mark.parametrize(
    "content_type", ["application/dicom+xml", "application/dicom+mirth-xml", "application/xml", "text/xml", None]
)
def test_each_content_type_of_dicom_xml_is_read(content_type: str | None) -> None:
    (fact,) = read_all("images", as_mirth_xml(OBJECT), content_type=content_type)
    assert uid_of(fact) == f"{ROOT}.3.1"


@pytest.mark.parametrize(("channel", "content_type"), [("orders", "image/png"), ("images", "text/plain")])
def test_another_content_type_is_refused(channel: str, content_type: str) -> None:
    with pytest.raises(Invalid, match="unsupported-content-type"):
        read_all(channel, orm(1), content_type=content_type)


def test_gzip_and_base64_are_undone_and_the_name_of_a_character_set_is_tolerated() -> None:
    for channel, body in (("orders", orm(1)), ("images", OBJECT), ("images", JSON), ("orders", XML)):
        plain = read_all(channel, body)
        assert read_all(channel, gzip.compress(body), content_encoding="gzip") == plain
        assert read_all(channel, base64.encodebytes(body), content_encoding="base64") == plain
        assert read_all(channel, body, content_encoding="UTF-8") == plain


def test_base64_that_nobody_states_is_read_with_a_warning() -> None:
    for channel, body in (("orders", orm(1)), ("images", OBJECT)):
        inbound = Inbound(channel, base64.encodebytes(body))
        (content,) = contents(inbound, CHANNELS[channel].source.data_type)
        assert content.body == body
        assert content.message is inbound
        assert content.warnings == ("base64 without content_encoding: decoded",)


@pytest.mark.parametrize(
    ("channel", "body", "stated", "form"),
    [
        ("orders", XML, "application/hl7-v2+er7", "application/hl7-v2+xml"),
        ("orders", orm(1), "text/xml", "application/hl7-v2+er7"),
        ("images", JSON, "application/dicom", "application/dicom+json"),
        ("images", as_mirth_xml(OBJECT), "application/dicom+json", "application/dicom+xml"),
        ("images", OBJECT, "application/dicom+json", "application/dicom"),
    ],
)
def test_a_body_that_is_plainly_something_else_than_stated_is_read_as_what_it_is_with_a_warning(
    channel: str, body: bytes, stated: str, form: str
) -> None:
    assert read_all(channel, body, content_type=stated) == read_all(channel, body)
    (content,) = contents(Inbound(channel, body, content_type=stated), CHANNELS[channel].source.data_type)
    assert content.warnings == (f"content_type: the body is {form}, not what is stated; read as that",)


def test_an_attachment_token_in_the_place_of_a_message_is_refused_with_the_cause() -> None:
    for body in (b"${DICOMMESSAGE}", b"${ATTACH:a:b:c}"):
        with pytest.raises(Invalid, match="unresolved-token"):
            read_all("images", body)


def test_each_message_of_a_batch_is_one_as_its_sender_would_have_sent_it_alone() -> None:
    batch = b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + orm(1) + orm(2) + b"BTS|2\rFTS|1\r"
    outer = Inbound("orders", gzip.compress(batch), content_encoding="gzip", message_id="m", redelivered=True)
    found = contents(outer, CHANNELS["orders"].source.data_type)
    assert [content.body for content in found] == [orm(1), orm(2)]
    for number, content in enumerate(found, 1):
        sent = content.message
        assert (sent.body, sent.content_encoding, sent.content_type) == (content.body, None, "application/hl7-v2+er7")
        assert (sent.message_id, sent.correlation_id, sent.redelivered) == (f"m#{number}", "m", True)
        assert contents(sent, CHANNELS["orders"].source.data_type)[0].body == content.body


def test_each_object_of_a_json_array_is_one() -> None:
    other = json.dumps(as_json(ct(2, study=f"{ROOT}.1"))).encode()
    facts = read_all("images", b"[" + JSON + b"," + other + b"]", content_type="application/dicom+json")
    assert [uid_of(fact) for fact in facts] == [f"{ROOT}.3.1", f"{ROOT}.3.2"]
    assert contents(Inbound("images", b"[]"), CHANNELS["images"].source.data_type) == []


def test_a_file_that_is_referred_to_is_read_like_a_body(tmp_path: Path) -> None:
    limits = Limits(reference_folders=(str(tmp_path),))
    reference = "application/vnd.bridge.reference+json"
    for channel, body in (("orders", orm(1)), ("orders", XML), ("images", OBJECT), ("images", JSON)):
        (tmp_path / "file").write_bytes(body)
        uri = json.dumps({"uri": f"file://{tmp_path}/file"}).encode()
        assert read_all(channel, uri, limits, content_type=reference) == read_all(channel, body)
        with pytest.raises(Invalid, match="reference-not-allowed"):
            read_all(channel, uri, content_type=reference)


def test_of_a_referred_object_that_is_over_the_bound_the_header_is_enough(tmp_path: Path) -> None:
    pixels = b"\xe0\x7f\x10\x00OW\x00\x00" + (100_000).to_bytes(4, "little") + bytes(100_000)
    (tmp_path / "large.dcm").write_bytes(OBJECT + pixels)
    (tmp_path / "large.hl7").write_bytes(orm(1) + b"NTE|1\r" * 1000)
    reference = {"content_type": "application/vnd.bridge.reference+json"}
    object_uri = json.dumps({"uri": f"file://{tmp_path}/large.dcm"}).encode()
    message_uri = json.dumps({"uri": f"file://{tmp_path}/large.hl7"}).encode()
    bounded = Limits(max_message_size=5000, reference_folders=(str(tmp_path),))
    assert read_all("images", object_uri, bounded, **reference) == read_all("images", OBJECT)
    for channel, uri, bound in (("orders", message_uri, 5000), ("images", object_uri, len(OBJECT) - 10)):
        with pytest.raises(Invalid, match="max-message-size"):
            read_all(channel, uri, replace(bounded, max_message_size=bound), **reference)


def test_a_message_over_the_bound_is_refused_with_its_name() -> None:
    body = orm(1)
    assert read_all("orders", body, Limits(max_message_size=len(body)))
    with pytest.raises(Invalid, match="max_message_size") as refusal:
        read_all("orders", body, Limits(max_message_size=len(body) - 1))
    assert refusal.value.code == "max-message-size"
    with pytest.raises(Invalid, match="max-message-size"):
        read_all("orders", b"MSH|" + bytes(DEFAULT_LIMITS.max_message_size))


def test_the_charset_of_the_content_type_holds_before_msh_18() -> None:
    body = orm(1, name="Иванов^Иван").decode().encode("iso8859-5").replace(b"|2.3.1", b"|2.3.1||||||8859/1")
    (fact,) = read_all("orders", body, content_type="application/hl7-v2; charset=ISO-8859-5")
    assert isinstance(fact, OrderUpdate)
    assert fact.patient_names[0].alphabetic == "Иванов^Иван"


def test_a_body_without_bytes_is_refused() -> None:
    for channel in CHANNELS:
        with pytest.raises(Invalid, match="empty"):
            read_all(channel, b"")


def test_a_message_type_that_is_not_read_is_a_mistake_of_the_channel() -> None:
    channel = replace(CHANNELS["orders"], message_types=("ORM^O01", "MDM^T02"))
    [(key, mistake)] = mistakes(channel)
    assert key == ("filter", "message_types")
    assert "MDM^T02" in mistake
