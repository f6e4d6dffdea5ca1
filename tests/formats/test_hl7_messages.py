"""Which HL7 v2 messages are read, and what becomes of every other one."""

import pytest

from bridge.core.channel import READ_MESSAGES
from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import Filtered, PersonName
from bridge.formats.hl7 import parse
from bridge.formats.hl7_messages import read_message
from tests.formats.er7 import answer, header, read, segment

PID = segment("PID", f3="1CT1^^^HOSP", f5="Doe^Jane")
OTHER_PID = segment("PID", f3="2MR1^^^HOSP", f5="Roe^Richard")
ORC = "ORC|NW|P1|F1"

LINES = {
    **dict.fromkeys(READ_MESSAGES, (PID,)),
    **dict.fromkeys(("ORM^O01", "OMG^O19", "OMI^O23", "ORU^R01"), (PID, ORC)),
    **dict.fromkeys(("ADT^A18", "ADT^A34", "ADT^A36", "ADT^A40", "ADT^A47"), (PID, "MRG|OLD")),
    **dict.fromkeys(("ADT^A24", "ADT^A37"), (PID, OTHER_PID)),
    **dict.fromkeys(("SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S26"), ("SCH|1", PID)),
}


@pytest.mark.parametrize("message_type", READ_MESSAGES)
def test_each_message_type_gives_facts_that_name_their_message(message_type: str) -> None:
    found = read(header(message_type), *LINES[message_type])
    assert found.facts
    assert {fact.source.message_type for fact in found.facts} == {message_type}
    assert {fact.source.message_control_id for fact in found.facts} == {"C1"}
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("message_type", "lines", "read_as"),
    [
        ("ORM", (ORC,), "ORM^O01"),
        ("OMI", (ORC,), "OMI^O23"),
        ("OMG^", (ORC,), "OMG^O19"),
        ("ORU", (ORC,), "ORU^R01"),
        ("ORM^O01^X", (ORC,), "ORM^O01"),
        ("ADT", ("EVN|A08", PID), "ADT^A08"),
        ("ADT^", ("EVN|A40", PID, "MRG|OLD"), "ADT^A40"),
    ],
)
def test_a_message_type_without_trigger_event_has_that_of_evn_1_or_the_only_one(
    message_type: str, lines: tuple[str, ...], read_as: str
) -> None:
    assert read(header(message_type), *lines).facts[0].source.message_type == read_as


@pytest.mark.parametrize(
    ("message_type", "reason"),
    [
        ("MDM^T02^MDM_T02", "message type MDM^T02 is not accepted by this channel"),
        ("ADT^A45", "message type ADT^A45 is not accepted by this channel"),
        ("Doe^Jane", "message type in MSH-9, which is malformed, is not accepted by this channel"),
        ("ACK", "an acknowledgement"),
        ("ACK^R01^ACK", "an acknowledgement"),
    ],
)
def test_a_message_of_another_type_is_filtered_with_the_reason(message_type: str, reason: str) -> None:
    assert answer(header(message_type)) == Filtered(reason)


@pytest.mark.parametrize("message_type", ["ADT", "SIU^", "ORM_O01", "ORM^O1", "ORM&O01", ""])
def test_a_message_of_a_type_that_is_read_is_never_filtered_for_a_damaged_msh_9(message_type: str) -> None:
    with pytest.raises(Invalid, match="hl7-no-message-type"):
        read(header(message_type), PID, ORC)


def test_a_message_type_in_small_letters_is_read() -> None:
    assert read(header("orm^o01"), PID, ORC).facts[0].source.message_type == "ORM^O01"


@pytest.mark.parametrize("segment", ["ADD|more", "DSC|next"])
def test_a_part_of_a_longer_message_is_refused_as_its_last_value_may_be_cut(segment: str) -> None:
    with pytest.raises(Invalid, match="hl7-continued"):
        read(header(), PID, ORC, "ZDS|1.2.840", segment)


def test_the_channel_says_which_types_it_accepts() -> None:
    message = parse("\r".join((header(), PID, ORC)).encode())
    refused = read_message(message, channel="hl7", accepted={"OMI^O23"})
    assert refused == Filtered("message type ORM^O01 is not accepted by this channel")
    unknown = read_message(parse(header("MDM^T02").encode()), channel="hl7", accepted={"MDM^T02"})
    assert unknown == Filtered("message type MDM^T02 says nothing that is read")


@pytest.mark.parametrize("message_type", ["", '""', "^A08"])
def test_a_message_without_a_type_is_refused(message_type: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(header(message_type), PID, ORC)
    assert refused.value.code == "hl7-no-message-type"


def test_a_warning_that_several_segments_give_is_said_once() -> None:
    patient = segment("PID", f3="1CT1", f7="about 1950")
    assert read(header("ORU^R01"), patient, "OBR|1", "OBR|2").warnings == ("PID-7: not a date",)


def test_the_channels_character_set_holds_where_the_message_names_none() -> None:
    body = "\r".join((r"MSH|^~\&|RIS||||20260102||ADT^A08", "PID|1||1||Łódź")).encode("iso8859-2")
    found = read_message(parse(body, "ISO-8859-2"), channel="hl7")
    assert found.facts[0].patient_names == (PersonName("Łódź"),)


def test_a_patient_who_would_be_stored_too_often_is_refused() -> None:
    """A message of 2 MB may not become one of 800 MB in the store."""
    huge = segment("PID", f3="~".join(f"{number}^^^HOSP" for number in range(15_000)), f5="Doe^Jane")
    orders = [line for number in range(400) for line in (f"ORC|NW|P{number}|F{number}", f"OBR|1|P{number}|F{number}")]
    limits = Limits(max_repetitions=15_000)
    assert len(read(header(), huge, *orders[:20], limits=limits).facts) == 10
    with pytest.raises(Invalid, match="max_inflated_size"):
        read(header(), huge, *orders, limits=limits)
