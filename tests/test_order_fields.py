"""Each field of an order message, in the event's `orders`: one message of each type with everything filled in."""

from pathlib import Path
from typing import Any

import pytest

from tests.samples import ROOT, ct
from tests.test_intake import Desk, dicom, hl7

RIS = {"namespaceID": "RIS", "universalID": "1.2.3", "universalIDType": "ISO"}
HOSP = {"namespaceID": "HOSP", "universalID": "1.2.9", "universalIDType": "ISO"}
STUDY = f"{ROOT}.1"

HEADER = [
    "PID|1||4711^^^HOSP&1.2.9&ISO^MR~N77^^^NAT^NI||M\\T\\ller^Anna^Bea^Jr^Dr^MD||19610704|F||||||||||ACCT9^^^HOSP",
    "PV1|1|I|W1^101^1||||||||||||||||V99^^^HOSP",
]
PATIENT = {
    "identifiers": [
        {"value": "4711", "issuer": HOSP, "typeCode": "MR"},
        {
            "value": "N77",
            "issuer": {"namespaceID": "NAT", "universalID": None, "universalIDType": None},
            "typeCode": "NI",
        },
    ],
    "name": {"alphabetic": "M&ller^Anna^Bea^Dr^Jr MD", "ideographic": None, "phonetic": None},
    "birthDate": "1961-07-04",
    "sex": "F",
}
PROVIDER = {
    "value": "D12",
    "issuer": HOSP,
    "name": {"alphabetic": "Referrer^Rita^^Dr", "ideographic": None, "phonetic": None},
}
STEP = {
    "scheduledProcedureStepID": "SPS1",
    "modality": "CT",
    "scheduledProcedureStepStartDateTime": "2026-11-24T09:15:00+01:00",
    "scheduledProcedureStepDescription": "CT abdomen local",
    "scheduledProtocolCode": {"code": "CTA", "display": "CT abdomen local", "system": "LOC"},
    "scheduledStationAETitle": [],
    "scheduledStationName": [],
    "scheduledProcedureStepLocation": None,
    "scheduledPerformingPhysicianName": "Perform^Paul",
}
ORDER = {
    "placerOrderNumber": {"value": "P1", "issuer": RIS},
    "fillerOrderNumber": {"value": "F1", "issuer": RIS},
    "accessionNumber": {"value": "A1", "issuer": RIS},
    "requestedProcedureID": "RP1",
    "studyInstanceUID": STUDY,
    "status": "scheduled",
    "modality": "CT",
    "procedure": {"code": "CTABD", "display": "CT abdomen", "system": "L"},
    "priority": "STAT",
    "reason": "Pain | acute",
    "clinicalInformation": "No contrast",
    "orderedAt": "2026-11-23T08:30:00+01:00",
    "patient": PATIENT,
    "visitNumber": "V99",
    "accountNumber": "ACCT9",
    "orderingProvider": PROVIDER,
    "scheduledSteps": [STEP],
}

OBR_4 = "CTABD^CT abdomen^L^CTA^CT abdomen local^LOC"
PERFORMER = "77&Perform&Paul"


def msh(message_type: str, version: str) -> str:
    return f"MSH|^~\\&|RISAPP|MAIN|BRIDGE|MAIN|20261123083000+0100||{message_type}|C1|P|{version}"


def orc(timing: str) -> str:
    provider = "D12^Referrer^Rita^^^Dr^^^HOSP&1.2.9&ISO"
    return f"ORC|NW|P1^RIS^1.2.3^ISO|F1^RIS^1.2.3^ISO||SC||{timing}||20261123083000|||{provider}"


def obr(accession: str, procedure: str, step: str, modality: str) -> str:
    fields = {
        1: "1",
        2: "P1^RIS^1.2.3^ISO",
        3: "F1^RIS^1.2.3^ISO",
        4: OBR_4,
        13: "No contrast",
        18: accession,
        19: procedure,
        20: step,
        24: modality,
        31: "R1^Pain \\F\\ acute^L",
        34: PERFORMER,
    }
    return "OBR|" + "|".join(fields.get(number, "") for number in range(1, 35))


MESSAGES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "ORM^O01": (
        [
            msh("ORM^O01", "2.3.1"),
            *HEADER,
            orc("1^^^20261124091500^^S"),
            obr("A1^RIS^1.2.3^ISO", "RP1", "SPS1", "CT"),
            f"ZDS|{STUDY}^MAIN^Application^DICOM",
        ],
        {},
    ),
    "OMG^O19": (
        [
            msh("OMG^O19^OMG_O19", "2.5.1"),
            *HEADER,
            orc(""),
            "TQ1|1||||||20261124091500||S",
            obr("A1^RIS^1.2.3^ISO", "RP1", "SPS1", "CT"),
            f"ZDS|{STUDY}^MAIN^Application^DICOM",
        ],
        {},
    ),
    "OMI^O23": (
        [
            msh("OMI^O23^OMI_O23", "2.8"),
            *HEADER,
            orc(""),
            "TQ1|1||||||20261124091500||S",
            obr("", "", "", ""),
            f"IPC|A1^RIS^1.2.3^ISO|RP1|{STUDY}|SPS1|CT|CTA^CT abdomen local^LOC|STN1~STN2|ROOM1|AE1~AE2",
        ],
        {
            "scheduledStationAETitle": ["AE1", "AE2"],
            "scheduledStationName": ["STN1", "STN2"],
            "scheduledProcedureStepLocation": "ROOM1",
        },
    ),
}


@pytest.mark.parametrize("message_type", MESSAGES)
def test_each_field_of_the_events_orders_is_the_field_of_the_message(tmp_path: Path, message_type: str) -> None:
    segments, more_of_the_step = MESSAGES[message_type]
    desk = Desk(tmp_path)
    desk.receive(hl7("".join(f"{segment}\r" for segment in segments).encode()))
    desk.receive(dicom(ct(1, study=STUDY, patient="4711", birth_date="19610704", name="M&ller^Anna")))
    [order] = desk.events[-1]["data"]["orders"]
    assert order.pop("id").startswith("o-")
    assert order.pop("source") == {
        "sendingApplication": "RISAPP",
        "sendingFacility": "MAIN",
        "messageType": message_type,
        "messageControlID": "C1",
        "channel": "orders",
    }
    expected = {**ORDER, "scheduledSteps": [{**STEP, **more_of_the_step}], "replaces": None, "parent": None}
    assert list(order) == list(expected), "names and sequence of DESIGN 3.4"
    for field, value in expected.items():
        assert order[field] == value, field
