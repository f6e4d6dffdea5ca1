"""Messages about patients whose every value is unmistakable, in all the ways in which a message can be good or bad.

Each value of an order and of an object is also put where it does not belong: what cannot be read must not be quoted.
"""

import base64
import gzip
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from msgspec.structs import replace
from pydicom import dcmread
from pydicom.dataset import Dataset

from bridge.core.ports import Inbound
from tests.samples import ROOT, adt, ct, oru, rejection_note, siu

# No two letters or digits of these stand like this in anything else that a run writes.
NAME, GIVEN = "Zyxwvutsky", "Qponmlija"
NUMBER, OTHER_NUMBER, STRANGERS_NUMBER = "PN7391648", "PN7391655", "PN7391662"
BIRTH_DATE, ISO_BIRTH_DATE = "19230417", "1923-04-17"
ACCESSION, ORDER, VISIT, STREET = "ACX5582913", "ORQ6617402", "VNX4409126", "Unterfoehringer Weg 88"
CLINICAL, REPORT, MISPLACED = "suspected yersiniosis", "tularemia confirmed", "Misplacedquux"
SECRETS = (
    *(NAME, GIVEN, NUMBER, OTHER_NUMBER, STRANGERS_NUMBER, BIRTH_DATE, ISO_BIRTH_DATE),
    *(ACCESSION, ORDER, VISIT, STREET, CLINICAL, REPORT, MISPLACED),
)

_HL7, _DICOM = "application/hl7-v2+er7", "application/dicom"
_STUDY = f"{ROOT}.1.7391"
_ORDER = (
    f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|20261123083000||ORM^O01|C1|P|2.3.1||||||UNICODE UTF-8\r"
    f"PID|1||{NUMBER}^^^HOSP^MR||{NAME}^{GIVEN}||{BIRTH_DATE}|F|||{STREET}|||||||{VISIT}\r"
    f"PV1|1|O|RAD|||||||||||||||||{VISIT}\r"
    f"ORC|NW|P{ORDER}|F{ORDER}||SC||||20261123083000\r"
    f"OBR|1|P{ORDER}|F{ORDER}|CTABD^CT abdomen^L|||||||||{CLINICAL}|||||{ACCESSION}|RP1|SPS1||||CT\r"
    f"ZDS|{_STUDY}^MAIN^Application^DICOM\r"
)


def messages() -> list[Inbound]:
    """All of them, each of its own."""
    found = [*_good(), *_contradictory(), *_unreadable(), *_misplaced_in_hl7(), *_misplaced_in_dicom()]
    return [replace(one, message_id=f"engine/{number}/1") for number, one in enumerate(found)]


def _object(number: int, **stated: str) -> bytes:
    said: dict[str, Any] = {"study": _STUDY, "patient": NUMBER, "accession": ACCESSION, "name": f"{NAME}^{GIVEN}"}
    return ct(number, birth_date=BIRTH_DATE, OtherPatientNames=GIVEN, PatientAddress=STREET, **said | stated)


def _good() -> Iterator[Inbound]:
    yield Inbound("orders", _ORDER.encode(), _HL7)
    for number in range(3):
        yield Inbound("images", _object(number), _DICOM)
    patient = f"{NUMBER}^^^HOSP^MR"
    said = {"name": f"{NAME}^{GIVEN}", "birth_date": BIRTH_DATE}
    yield Inbound("orders", adt("A08", patient, **said), _HL7)
    merge = adt("A40", patient, prior=f"{OTHER_NUMBER}^^^HOSP^MR", **said)
    yield Inbound("orders", merge.replace(b"A40" + OTHER_NUMBER.encode(), b"A40"), _HL7)  # in its MSH-10
    yield Inbound("orders", oru(ORDER, "F", patient=NUMBER).replace(b"the text of the report", REPORT.encode()), _HL7)
    yield Inbound("orders", siu("S12", ORDER).replace(b"Doe^Jane", NAME.encode()), _HL7)
    yield Inbound("images", rejection_note(7, study=_STUDY, rejects=(2,), patient=NUMBER), _DICOM)


def _contradictory() -> Iterator[Inbound]:
    """Another patient under the same numbers, one header in two versions, and an order that says two things."""
    yield Inbound("images", _object(10, study=f"{_STUDY}.8", patient=STRANGERS_NUMBER, name=f"{GIVEN}^{NAME}"), _DICOM)
    yield Inbound("images", _object(1, accession=f"{ACCESSION}9"), _DICOM)
    yield Inbound("images", _object(11, study=f"{_STUDY}.2", patient=""), _DICOM)
    yield Inbound("orders", _ORDER.replace("\rZDS", f"\rIPC|{ACCESSION}9|RP2|{_STUDY}.9|SPS2|CT\rZDS").encode(), _HL7)
    yield Inbound("orders", _ORDER.replace("ORM^O01", "OMI^O23").replace("|NW|", f"|{MISPLACED}|").encode(), _HL7)


def _unreadable() -> Iterator[Inbound]:
    order, image = _ORDER.encode(), _object(20)
    pid, end = order.index(b"PID"), order.index(b"OBR")
    yield Inbound("orders", order[pid:], _HL7)
    yield Inbound("orders", order[:end].replace(b"\rORC", b"\rXRC"), _HL7)
    yield Inbound("orders", order.replace(b"\rORC", b"\rORC " + NAME.encode()), _HL7)
    yield Inbound("orders", order.replace(b"PV1|", b"PID|2||" + OTHER_NUMBER.encode() + b"\rPV1|"), _HL7)
    yield Inbound("orders", order.replace(b"UNICODE UTF-8", NAME.encode()), _HL7)
    yield Inbound("orders", order.replace(NAME.encode(), NAME.encode() + b"\xff\xfe"), _HL7)
    yield Inbound("orders", b"<HL7Message><PID><PID.5>" + NAME.encode() + b"</PID.6>", "text/xml")
    yield Inbound("orders", b"<patient name='" + NAME.encode() + b"'/>", "text/xml")
    yield Inbound("orders", order, "application/pdf")
    yield Inbound("orders", order, _HL7, "gzip")
    yield Inbound("orders", gzip.compress(order)[:-9], _HL7, "gzip")
    yield Inbound("orders", base64.b64encode(order)[:-3], _HL7, "base64")
    yield Inbound("orders", order, _HL7, MISPLACED)
    yield Inbound("orders", b'{"uri": "file:///' + NAME.encode() + b'/1"}', "application/vnd.bridge.reference+json")
    yield Inbound("images", image[: image.index(NAME.encode()) + 4], _DICOM)
    yield Inbound("images", NAME.encode() * 40, _DICOM)
    yield Inbound(
        "images", b'{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "' + NAME.encode(), "application/dicom+json"
    )
    yield Inbound("images", b'{"00100010": "' + NAME.encode() + b'"}', "application/dicom+json")
    yield Inbound("images", b"<NativeDicomModel><" + NAME.encode() + b"/></NativeDicomModel>", "text/xml")


def _misplaced_in_hl7() -> Iterator[Inbound]:
    """Another order for each of its fields, with a name where that field is."""
    other = _ORDER.replace(ORDER, f"{ORDER}0").replace(ACCESSION, f"{ACCESSION}0").replace(_STUDY, f"{_STUDY}.3")
    lines = other.split("\r")
    for number, line in enumerate(lines):
        fields = line.split("|")
        for place in range(2 if number == 0 else 1, len(fields)):
            if fields[place].startswith(ROOT):  # a UID names a study everywhere
                continue
            misplaced = "|".join([*fields[:place], MISPLACED, *fields[place + 1 :]])
            yield Inbound("orders", "\r".join([*lines[:number], misplaced, *lines[number + 1 :]]).encode(), _HL7)


def _misplaced_in_dicom() -> Iterator[Inbound]:
    """An object of another study for each of its elements, with a name where that element is, whatever its VR says."""
    image = _object(30, study=f"{_STUDY}.3", accession=f"{ACCESSION}0")
    for element in dcmread(BytesIO(image)):
        if element.VR == "UI":  # it names an object everywhere
            continue
        dataset: Dataset = dcmread(BytesIO(image))
        dataset.add_new(element.tag, "LT", MISPLACED)  # as long as none of the others
        file = BytesIO()
        dataset.save_as(file)
        body = file.getvalue()
        at = body.index(MISPLACED.encode()) - 4
        yield Inbound("images", body[:at] + element.VR.encode() + body[at + 2 :], _DICOM)
