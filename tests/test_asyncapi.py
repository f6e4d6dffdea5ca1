"""The AsyncAPI document: valid by AsyncAPI's own schema, true of what the code publishes, and without a credential."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest

from bridge import __version__
from bridge.amqp import Confirmation, Publication, Publisher
from bridge.amqp.publisher import OUR_HEADERS
from bridge.app import checked_channels, topology_of
from bridge.asyncapi import document
from bridge.config import Settings, starter_channels
from bridge.core.events import EVENTS
from bridge.core.publishing import outbound
from bridge.destinations.rabbitmq import destination
from bridge.schema import event_schema
from bridge.sources.rabbitmq import KEPT_HEADERS
from tests.conftest import REPOSITORY
from tests.core.test_events import BODIES, as_json, made

STARTER = checked_channels(starter_channels())
OFFICIAL = jsonschema.Draft7Validator(json.loads((REPOSITORY / "tests/schemas/asyncapi-3.0.0.json").read_text()))
SECRET = "s3cr3t"  # noqa: S105 (of nobody)
SIBLING = """
[source]
data_type = "HL7V2"
exchange  = "other in"
queue     = "q/1 {x}"
bindings  = ["hl7.#", "adt.*"]
"""
WARDS = """
[source]
data_type = "DICOM"
queue     = "wards"
bindings  = ["ward.*.*.dicom.#"]

[[destinations]]
exchange = "a/b~c {d} é"
events   = ["study.ready", "instance.*"]
"""

SEVERAL = """
[source]
data_type = "DICOM"
queue     = "images"
bindings  = ["dicom.#"]

[[destinations]]

[[destinations]]
name        = "modality"
routing_key = "ai.{modality}"
events      = ["study.ready"]

[[destinations]]
name        = "foreign"
exchange    = "ai"
declare     = false
routing_key = "study"
events      = ["study.settled"]
"""


@pytest.fixture(name="shipped")
def of_the_shipped_channels() -> dict[str, Any]:
    return document(Settings(), STARTER)


@pytest.fixture(name="odd")
def of_channels_with_names_that_pointers_have_to_escape(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "north & south ~1.toml").write_text(SIBLING)
    (tmp_path / "wards.toml").write_text(WARDS)
    return document(Settings(site="north"), checked_channels(tmp_path))


@pytest.fixture(name="either", params=["shipped", "odd"])
def _either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def references(stated: Any) -> Iterator[str]:
    if isinstance(stated, dict):
        yield from [stated["$ref"]] if "$ref" in stated else []
        stated = list(stated.values())
    if isinstance(stated, list):
        for one in stated:
            yield from references(one)


def resolved(whole: dict[str, Any], reference: str) -> Any:
    """What a reference of the document leads to (RFC 6901, 4 and 6)."""
    assert reference.startswith("#/"), reference
    found: Any = whole
    for key in unquote(reference.removeprefix("#/")).split("/"):
        found = found[key.replace("~1", "/").replace("~0", "~")]
    return found


def channels_with(whole: dict[str, Any], kind: str) -> dict[str, Any]:
    """Channels that are a queue or a routingKey, by name of queue or exchange."""
    part = {"queue": "queue", "routingKey": "exchange"}[kind]
    bound = {name: channel["bindings"]["amqp"] for name, channel in whole["channels"].items()}
    return {name: amqp[part] for name, amqp in bound.items() if amqp["is"] == kind}


def sent(whole: dict[str, Any], channel: str) -> list[str]:
    """The events that a channel of ours publishes."""
    found = [one for name, one in whole["operations"].items() if name.startswith(f"send.{channel}.events.")]
    return [
        resolved(whole, resolved(whole, ref)["$ref"])["title"] for one in found for ref in references(one["messages"])
    ]


# The document as such


def test_the_document_is_valid_by_the_schema_of_asyncapi(either: dict[str, Any]) -> None:
    OFFICIAL.validate(either)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("channels", "in.orders", "bindings", "amqp", "is"), "nonsense"),
        (("channels", "queue.orders", "bindings", "amqp", "exchange"), {}),
        (("operations", "send.dead", "action"), "publish"),
        (("servers", "broker", "host"), None),
        (("components", "schemas", "Issuer", "type"), "nonsense"),
        (("components", "messages", "study.ready", "payloads"), {}),
    ],
)
def test_the_schema_of_asyncapi_sees_a_mistake(shipped: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    broken = copy.deepcopy(shipped)
    *path, last = place
    resolved(broken, "#/" + "/".join(path))[last] = value
    assert not OFFICIAL.is_valid(broken)


def test_every_reference_leads_to_something_in_the_document(either: dict[str, Any]) -> None:
    found = set(references(either))
    assert len(found) > 80
    for reference in found:
        assert resolved(either, reference) is not None


def test_an_operation_names_messages_of_its_own_channel(either: dict[str, Any]) -> None:
    for operation in either["operations"].values():
        messages = list(references(operation["messages"]))
        assert messages
        assert len(messages) == len(set(messages))
        assert all(one.startswith(operation["channel"]["$ref"] + "/messages/") for one in messages)


def test_every_parameter_of_an_address_is_there_and_no_other(either: dict[str, Any]) -> None:
    for channel in either["channels"].values():
        if channel["bindings"]["amqp"]["is"] == "routingKey":
            assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])


def test_it_says_which_program_and_which_site_it_is_about(odd: dict[str, Any]) -> None:
    assert odd["id"] == "urn:hl7-dicom-bridge:north"  # the source of every event
    assert (odd["info"]["version"], odd["info"]["license"]["name"]) == (__version__, "Apache-2.0")


# The broker, and who logs in


def run(folder: Path, url: str) -> "subprocess.CompletedProcess[str]":
    others = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "bridge", "asyncapi"],
        env=others | {"BRIDGE_AMQP_URL": url},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_the_broker_and_never_who_logs_in(tmp_path: Path) -> None:
    answer = run(
        tmp_path, f"amqps://scanner:{SECRET}%2F@rabbit.example/%2Fradio%20logy?heartbeat=7&cacertfile=/{SECRET}"
    )
    assert answer.returncode == 0, answer.stderr
    for hidden in (SECRET, "scanner", "@", "heartbeat"):
        assert hidden not in answer.stdout + answer.stderr
    whole = json.loads(answer.stdout)
    OFFICIAL.validate(whole)
    broker = whole["servers"]["broker"]
    assert (broker["protocol"], broker["host"], broker["pathname"]) == (
        "amqps",
        "rabbit.example:5671",
        "/%2Fradio%20logy",
    )
    bound = [*channels_with(whole, "queue").values(), *channels_with(whole, "routingKey").values()]
    assert {one["vhost"] for one in bound} == {"/radio logy"}


@pytest.mark.parametrize("sign", ["/", "?", "#", "@1/", "1/", "[/", "]"])
def test_a_password_that_is_not_encoded_is_refused_and_not_taken_for_a_host(tmp_path: Path, sign: str) -> None:
    answer = run(tmp_path, f"amqp://scanner:{sign}{SECRET}{sign}{SECRET}@rabbit.example/")
    assert answer.returncode == 78 or json.loads(answer.stdout)["servers"]["broker"]["host"] == "rabbit.example:5672"
    assert SECRET not in answer.stdout + answer.stderr
    assert "scanner" not in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("amqp://guest:guest@localhost:5672/%2F", "localhost:5672", "/%2F"),
        ("AMQP://rabbit", "rabbit:5672", "/%2F"),
        ("amqp://rabbit/", "rabbit:5672", "/%2F"),
        ("amqps://rabbit?heartbeat=5", "rabbit:5671", "/%2F"),
        ("amqps://u:p@[::1]:1/site", "[::1]:1", "/site"),
    ],
)
def test_the_broker_is_the_one_that_the_bridge_connects_to(url: str, host: str, path: str) -> None:
    broker = document(Settings.model_validate({"amqp_url": url}), STARTER)["servers"]["broker"]
    assert (broker["host"], broker["pathname"]) == (host, path)


# What comes in


def test_every_exchange_queue_and_binding_is_what_the_bridge_declares(odd: dict[str, Any], tmp_path: Path) -> None:
    topology = topology_of(checked_channels(tmp_path))
    queues, exchanges = channels_with(odd, "queue"), channels_with(odd, "routingKey")
    assert {one["name"] for one in queues.values()} == {"bridge.dead", *(one.name for one in topology.sources)}
    assert {one["name"] for one in exchanges.values()} == {
        "bridge.dead",
        "bridge.events",
        "other in",
        "bridge.in",
        "a/b~c {d} é",
    }
    assert all(one["durable"] for one in (*queues.values(), *exchanges.values()))
    assert {one["type"] for one in exchanges.values()} == {"topic"}
    for entry in (one for name, one in odd["channels"].items() if name.startswith("in.")):
        queue = resolved(odd, entry["x-queue"]["$ref"])
        [source] = [one for one in topology.sources if one.name == queue["address"]]
        assert entry["bindings"]["amqp"]["exchange"]["name"] == source.exchange
        assert tuple(entry["x-binding-keys"]) == source.bindings
        assert queue["x-arguments"]["x-queue-type"] == "quorum"


def test_the_address_of_an_entry_is_its_binding_key_for_senders(shipped: dict[str, Any], odd: dict[str, Any]) -> None:
    assert shipped["channels"]["in.orders"]["address"] == "hl7.{words}"
    assert odd["channels"]["in.wards"]["address"] == "ward.{word}.{word2}.dicom.{words3}"
    several = odd["channels"]["in.north & south ~1"]
    assert several["address"] == "{routingKey}"
    assert "hl7.#, adt.*" in several["parameters"]["routingKey"]["description"]


@pytest.mark.parametrize(("data_type", "channel"), [("HL7V2", "orders"), ("DICOM", "images")])
def test_the_content_types_are_those_of_the_conformance_statement(
    shipped: dict[str, Any], data_type: str, channel: str
) -> None:
    table = (REPOSITORY / "docs/conformance.md").read_text().partition("| data type | `content_type`")[2]
    rows = [line.split(" | ") for line in table.partition("\n\n")[0].splitlines() if "|---" not in line]
    stated = {
        name
        for first, cell, *_ in rows[1:]
        if first.strip("| `") in (data_type, "both")
        for name in [*re.findall(r"`([^`]+)`", cell), *(["none"] if "none" in cell else [])]
    }
    entry = shipped["channels"][f"in.{channel}"]
    messages = [resolved(shipped, reference) for reference in references(entry["messages"])]
    assert {one.get("contentType", "none") for one in messages} == stated
    assert len(messages) == len(stated)
    assert all(set(one["headers"]["properties"]) == set(KEPT_HEADERS) for one in messages)


def test_a_dead_letter_has_the_headers_of_the_bridge(shipped: dict[str, Any]) -> None:
    headers = shipped["components"]["messages"]["dead-letter"]["headers"]
    assert set(headers["required"]) == OUR_HEADERS
    assert set(headers["properties"]) == OUR_HEADERS | set(KEPT_HEADERS)
    assert shipped["channels"]["dead"]["parameters"]["queue"]["enum"] == ["bridge.dicom", "bridge.hl7"]


# What goes out


def test_every_event_is_a_message_and_no_other(shipped: dict[str, Any]) -> None:
    [out] = [channel for name, channel in shipped["channels"].items() if name.startswith("events.")]
    assert out["address"] == "{entity}.{fact}.{modality}"
    assert {name.split(".")[0] for name in EVENTS} == set(out["parameters"]["entity"]["enum"])
    assert {name.split(".")[1] for name in EVENTS} == set(out["parameters"]["fact"]["enum"])
    assert list(out["messages"]) == list(EVENTS)


def test_events_leave_as_the_channel_files_say(shipped: dict[str, Any], odd: dict[str, Any]) -> None:
    assert sent(shipped, "images") == list(EVENTS)
    assert sent(shipped, "orders") == ["message.rejected"]
    assert set(sent(odd, "wards")) == {"study.ready", *(name for name in EVENTS if name.startswith("instance."))}
    assert set(odd["channels"]["events.a/b~c {d} é"]["messages"]) == set(sent(odd, "wards"))


def test_an_event_about_objects_never_leaves_through_a_channel_of_hl7(odd: dict[str, Any]) -> None:
    assert sent(odd, "north & south ~1") == ["message.rejected"]  # though its file lets all events out


def test_every_destination_of_a_channel_is_there_with_its_own_routing_key(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text(SEVERAL)
    whole = document(Settings(), checked_channels(tmp_path))
    OFFICIAL.validate(whole)
    found = {name: one for name, one in whole["channels"].items() if name.startswith("events.")}
    assert {name: (one["address"], list(one["parameters"])) for name, one in found.items()} == {
        "events.bridge.events": ("{entity}.{fact}.{modality}", ["entity", "fact", "modality"]),
        "events.bridge.events:ai.{modality}": ("ai.{modality}", ["modality"]),
        "events.ai:study": ("study", []),
    }
    assert sent(whole, "images") == [*EVENTS, "study.ready", "study.settled"]
    assert found["events.ai:study"]["bindings"]["amqp"]["exchange"] == {"name": "ai", "vhost": "/"}


class Recorder(Publisher):
    """Takes what would be published."""

    def __init__(self) -> None:
        self.taken: list[Publication] = []

    def submit(self, publications: Any, done: Callable[[list[Confirmation]], None]) -> None:
        self.taken += publications
        done([Confirmation.CONFIRMED for _ in publications])


@pytest.mark.parametrize(("name", "data"), BODIES, ids=[name for name, _ in BODIES])
def test_a_published_event_is_as_its_message_says(shipped: dict[str, Any], name: str, data: Any) -> None:
    recorder = Recorder()
    event = outbound(
        made(name, data), "images", "events", ["a.b.CT", "a.b.MR"], correlation_id="c", traceparent="00-1-2-01"
    )
    destination(recorder, {"images": {"events": "bridge.events"}})([event])
    [published] = recorder.taken

    message = resolved(shipped, f"#/components/messages/{name}")
    assert message["contentType"] == published.properties.content_type
    assert message["bindings"]["amqp"]["messageType"] == published.properties.type

    headers = {**(published.properties.headers or {})}
    jsonschema.Draft7Validator(message["headers"]).validate(headers)
    assert set(headers) == set(message["headers"]["properties"])
    [trait] = [resolved(shipped, one["$ref"]) for one in message["traits"]]
    stated = {key: value for key, value in vars(published.properties).items() if value is not None and key != "headers"}
    assert set(trait["x-amqp-properties"]) == set(stated)
    jsonschema.Draft7Validator({"properties": trait["x-amqp-properties"]}).validate(stated)

    described = {"$ref": message["payload"]["$ref"], "components": shipped["components"]}
    said = json.loads(published.body)
    for dialect in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
        dialect(described).validate(said)
        assert not dialect(described).is_valid(said | {"type": "another"})
        assert not dialect(described).is_valid(said | {"data": {}})
    inner = as_json(made(name, data))
    inner["data"]["channel"] = 1
    assert not jsonschema.Draft7Validator(described).is_valid(inner)


def test_the_schemas_use_only_what_draft_07_and_2020_12_read_alike(shipped: dict[str, Any]) -> None:
    alike = {"title", "description", "type", "const", "enum", "format", "properties", "required", "items", "anyOf"}

    def keywords(schema: Any) -> Iterator[str]:
        if "$ref" in schema:
            assert list(schema) == ["$ref"]  # draft 07 does not look at what stands beside it
            return
        yield from schema
        for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
            yield from keywords(inner)
        if "items" in schema:
            assert isinstance(schema["items"], dict)  # a list means something else in 2020-12
            yield from keywords(schema["items"])

    for schema in shipped["components"]["schemas"].values():
        assert set(keywords(schema)) <= alike


def test_the_schemas_say_what_bridge_schema_says(shipped: dict[str, Any]) -> None:
    text = json.dumps(shipped["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    embedded = json.loads(text)
    for name in EVENTS:
        shapes = dict(event_schema(name)["$defs"])
        envelope = shapes.pop(event_schema(name)["$ref"].removeprefix("#/$defs/"))
        assert embedded[f"{name}.v1"] == {"title": name, **envelope}
        assert {shape: embedded[shape] for shape in shapes} == shapes
