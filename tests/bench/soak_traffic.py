"""What the soak publishes: a hospital's steady mix, half HL7 and half objects, every examination with its own numbers.

Everything is written from templates, as whoever publishes must cost next to nothing. There is no merge of patients in
it: merges are kept for ever (docs/decisions/0017), so a database that stays as large as it is cannot take them.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from itertools import count
from typing import NamedTuple

from pydicom import dcmread

from tests.bench.bodies import Examination, object_body, order_body

_SAMPLE = Examination(1_618_033_988, 2_718_281_828, date(1911, 2, 3), date(2001, 2, 3))
_FIRST = 2_000_000_000  # number; all have ten digits
_BLOCK = 20  # examinations, with which come _OTHERS
_HL7, _PART10, _JSON = "application/hl7-v2+er7", "application/dicom", "application/dicom+json"

# In a block, one examination each: no order ever comes, none of its objects does.
_WITHOUT_ORDER, _WITHOUT_OBJECTS = 3, 5
_SENT_TWICE = {7, 11}  # orders
_PATIENT_UPDATED = {2, 8, 14}
_FILTERED = 5

_PID = "PID|1||P%d^^^HOSP^MR||Doe^Jane^Alexandra^^Mrs||%s|F\r"
_ADT = "MSH|^~\\&|ADT|MAIN|BRIDGE|MAIN|%s083000+0100||%s|C%dA|P|2.5.1\rEVN||%s083000+0100\r" + _PID


class Sending(NamedTuple):
    """One message, and what the ledger says of it."""

    status: str  # TRANSFORMED, FILTERED, ERROR, DUPLICATE
    key: str  # for the broker
    content_type: str
    body: bytes


def traffic(day: date) -> Iterator[Sending]:
    """Messages without end, the same ones each time; `day` is that of all examinations.

    A block is 60 messages: 19 orders of which two come twice, 3 patient updates, 5 messages of a type that is filtered,
    and one that is no HL7; 28 objects of which one comes twice, and one that cannot be read.
    """
    objects = _object_templates(day)
    for block in count():
        first = _FIRST + block * _BLOCK
        for place in range(_BLOCK):
            one = _examination(first + place, day)
            order = [Sending("TRANSFORMED", "hl7.ORM.O01", _HL7, order_body(one))]
            if place in _SENT_TWICE:
                order += [order[0]._replace(status="DUPLICATE")]
            if place in _PATIENT_UPDATED:
                order += [_adt(one, "ADT^A08", "TRANSFORMED")]
            images = [_object(objects[place % len(objects)], one, which) for which in range(3, 4 + place % 2)]
            images += [images[0]._replace(status="DUPLICATE")] if place == 0 else []
            order = [] if place == _WITHOUT_ORDER else order
            images = [] if place == _WITHOUT_OBJECTS else images
            yield from (order + images if place % 3 else images + order)
        for place in range(_FILTERED):
            yield _adt(_examination(first + place, day), "ADT^A60", "FILTERED")
        yield Sending("ERROR", "hl7.ORM.O01", _HL7, b"no message %d" % first)
        yield Sending("ERROR", "dicom.CT", _JSON, b'{"0020000D": %d' % first)


def _examination(number: int, day: date) -> Examination:
    patient = 1_000_000_000 + number * 387_420_489 % 1_000_000_000
    return Examination(number, patient, date(1930, 1, 1) + timedelta(days=number * 7919 % 32_000), day)


def _adt(one: Examination, message_type: str, status: str) -> Sending:
    day = f"{one.day:%Y%m%d}"
    said = _ADT % (day, message_type, one.number, day, one.patient, f"{one.birth_date:%Y%m%d}")
    return Sending(status, f"hl7.{message_type.replace('^', '.')}", _HL7, said.encode())


def _object(template: tuple[str, bytes], one: Examination, which: int) -> Sending:
    content_type, body = template
    said = {
        b"number": one.number,
        b"patient": one.patient,
        b"birthdate": f"{one.birth_date:%Y%m%d}".encode(),
        b"which": which,
    }
    return Sending("TRANSFORMED", "dicom.CT", content_type, body % said)


def _object_templates(day: date) -> list[tuple[str, bytes]]:
    """The header of CT_small.dcm as a Part 10 file and in the DICOM JSON Model; `which` is the object of its study."""
    header = dcmread(BytesIO(object_body(_SAMPLE._replace(day=day))), stop_before_pixels=True)
    header.InstanceNumber = 12345673
    file = BytesIO()
    header.save_as(file)
    return [(_PART10, _with_gaps(file.getvalue())), (_JSON, _with_gaps(header.to_json().encode()))]


def _with_gaps(body: bytes) -> bytes:
    gaps = {
        f"{_SAMPLE.number}.3": b"%(number)d.%(which)d",  # SOP Instance UID
        f"{_SAMPLE.number}": b"%(number)d",
        f"{_SAMPLE.patient}": b"%(patient)d",
        f"{_SAMPLE.birth_date:%Y%m%d}": b"%(birthdate)s",
        "12345673": b"1234567%(which)d",
    }
    body = body.replace(b"%", b"%%")
    for text, gap in gaps.items():
        body = body.replace(text.encode(), gap)
    return body
