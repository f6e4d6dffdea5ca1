"""From a channel file's rules for values and a message's bytes to identifiers as they are compared."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from bridge.config import load_channels
from bridge.core.channel import Channel
from bridge.core.limits import DEFAULT_LIMITS
from bridge.core.model import Filtered, Identifier, Instance, Issuer, OrderUpdate, Reading
from bridge.core.ports import Inbound
from bridge.examples import failures
from bridge.formats.reading import contents, read
from bridge.inspection import inspect
from tests.samples import ROOT, ct, orm

ORDERS = """
[source]
data_type = "HL7V2"
queue = "orders"
bindings = ["hl7.#"]

[transformer]
placeholders = ["tbd"]

[transformer.issuers]
patient_id = "HOSP"
accession_number = "RIS&1.2.3&ISO"

[transformer.normalise]
accession_number = ["upper"]

# The RIS of the north site puts its mark and leading zeros before accession numbers.
[[transformer.sender]]
when      = { sending_application = "RADIMS", sending_facility = "NORTH" }
issuers   = { patient_id = "NORTH", accession_number = "" }
normalise = { accession_number = ["upper", "strip_prefix:N-", "strip_leading_zeros"] }
"""
IMAGES = """
[source]
data_type = "DICOM"
queue = "images"
bindings = ["dicom.#"]

[transformer.issuers]
patient_id = "HOSP"

[[transformer.sender]]
when    = { calling_ae_title = "US_ER_2" }
issuers = { patient_id = "NORTH" }

[[transformer.sender]]
when      = { station_name = "US2" }
normalise = { accession_number = ["strip_prefix:N-"], patient_id = ["strip_suffix:/X"] }
"""


def said(channel: Channel, body: bytes, **stated: Any) -> list[Reading | Filtered]:
    inbound = Inbound(channel.name, body, **stated)
    return [read(content, channel) for content in contents(inbound, channel.source.data_type)]


def order(channel: Channel, body: bytes) -> OrderUpdate:
    [reading] = said(channel, body)
    assert isinstance(reading, Reading)
    [fact] = reading.facts
    assert isinstance(fact, OrderUpdate)
    return fact


def test_the_rules_of_the_channel_and_of_the_sender_are_applied_to_an_order(channel: Callable[[str], Channel]) -> None:
    body = orm(1, patient="7", accession="n-0048213").replace(b"^^^HOSP^MR", b"")
    usual = order(channel(ORDERS), body)
    north = order(channel(ORDERS), body.replace(b"|RIS|MAIN|", b"|RADIMS|NORTH|"))

    assert usual.accession_numbers == (Identifier("N-0048213", "OBR-18", Issuer("RIS", "1.2.3", "ISO")),)
    assert usual.patient_identifiers == (Identifier("7", "PID-3.1", Issuer("HOSP")),)
    assert north.accession_numbers == (Identifier("48213", "OBR-18"),)
    assert north.patient_identifiers == (Identifier("7", "PID-3.1", Issuer("NORTH")),)


@pytest.mark.parametrize("serialisation", ["part 10", "json"])
def test_objects_have_their_sender_in_the_transport_or_the_header(
    channel: Callable[[str], Channel], serialisation: str
) -> None:
    def patient_and_accession(station: str, **headers: str) -> tuple[Identifier | None, ...]:
        body = ct(1, study=f"{ROOT}.1", patient="7/X", accession="N-1", StationName=station)
        if serialisation == "json":
            body = json.dumps(dcmread(BytesIO(body)).to_json_dict()).encode()
        [reading] = said(channel(IMAGES), body, headers=headers)
        assert isinstance(reading, Reading)
        [fact] = reading.facts
        assert isinstance(fact, Instance)
        return (*fact.statement.patient.identifiers, fact.statement.accession_number)

    hosp, north = Issuer("HOSP"), Issuer("NORTH")
    assert patient_and_accession("CT01") == (Identifier("7/X", "00100020", hosp), Identifier("N-1", "00080050"))
    assert patient_and_accession("US2") == (Identifier("7", "00100020", hosp), Identifier("1", "00080050"))
    assert patient_and_accession("US2", **{"calling-aet": "US_ER_2"})[0] == Identifier("7", "00100020", north)
    assert patient_and_accession("CT01", **{"calling-aet": "US_ER_2"})[0] == Identifier("7/X", "00100020", north)


def test_each_object_of_an_array_has_the_sender_of_its_message(channel: Callable[[str], Channel]) -> None:
    objects = [ct(n, study=f"{ROOT}.1", patient="7") for n in (1, 2)]
    body = json.dumps([dcmread(BytesIO(one)).to_json_dict() for one in objects]).encode()

    readings = said(channel(IMAGES), body, headers={"calling-aet": "US_ER_2"})

    assert [one.facts[0].statement.patient.identifiers[0].issuer for one in readings] == [Issuer("NORTH")] * 2


def test_a_merge_of_which_one_side_is_no_value_is_not_read_and_says_so(channel: Callable[[str], Channel]) -> None:
    merge = "MSH|^~\\&|ADT|MAIN|||20260102||ADT^A40|1|P|2.5\rPID|1||7\rMRG|TBD\r"
    [reading] = said(channel(ORDERS), merge.encode())

    assert isinstance(reading, Reading)
    assert [type(fact).__name__ for fact in reading.facts] == ["PatientUpdate"]
    assert reading.warnings == ("by the channel's rules no identifier of a patient is a value: not read",)


def test_a_patient_of_whom_no_identifier_is_a_value_is_filtered_with_the_reason(
    channel: Callable[[str], Channel],
) -> None:
    update = "MSH|^~\\&|ADT|MAIN|||20260102||ADT^A08|1|P|2.5\rPID|1||TBD~tbd\r"

    assert said(channel(ORDERS), update.encode()) == [
        Filtered("by the channel's rules no identifier of its patient is a value")
    ]


def test_without_rules_a_channel_has_none_and_a_fact_is_what_was_read(channel: Callable[[str], Channel]) -> None:
    plain = channel(ORDERS.partition("[transformer]")[0])

    assert plain.normalisation is None
    assert order(plain, orm(1, accession="n-1 ")).accession_numbers == (Identifier("n-1", "OBR-18"),)


def test_inspect_and_the_examples_read_with_the_rules(tmp_path: Path) -> None:
    (tmp_path / "tbd.hl7").write_bytes(b"MSH|^~\\&|ADT|MAIN|||20260102||ADT^A08|1|P|2.5\rPID|1||TBD\r")
    (tmp_path / "order.hl7").write_bytes(orm(1, accession="a1"))
    (tmp_path / "north.toml").write_text(
        ORDERS + '[[examples]]\nname = "nobody"\nfile = "tbd.hl7"\noutcome = "FILTERED"\n'
    )
    channels = load_channels(tmp_path)

    [message] = inspect(tmp_path / "order.hl7", channels, None, DEFAULT_LIMITS)
    [shown] = [one for one in message.facts[0]["identifiers"] if one["path"] == "OBR-18"]
    assert (shown["value"], shown["issuer"]["namespaceID"]) == ("A1", "RIS")
    assert failures(channels[0]) == []
