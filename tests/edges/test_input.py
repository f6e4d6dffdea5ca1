"""What engines send besides plain ER7 and Part 10, and what attackers do, over a real broker."""

import base64
import gzip
import json
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.conftest import Engine, Service, at_least, name_of
from tests.formats.dicom_bytes import element, part10
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1"
REFERENCE = "application/vnd.bridge.reference+json"
XML_ORDER = b"""<HL7Message><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.9><MSH.9.1>ORM</MSH.9.1><MSH.9.2>O01
</MSH.9.2></MSH.9></MSH><PID><PID.3><PID.3.1>P2</PID.3.1></PID.3></PID><ORC><ORC.1><ORC.1.1>NW</ORC.1.1></ORC.1><ORC.3><ORC.3.1>
F-2</ORC.3.1></ORC.3></ORC><ZDS><ZDS.1><ZDS.1.1>%b.2</ZDS.1.1></ZDS.1></ZDS></HL7Message>""" % STUDY.encode()


def test_an_order_and_its_objects_are_joined_whatever_they_are_written_in(
    service: Service, engine: Engine, tmp_path: Path
) -> None:
    service.environment["BRIDGE_REFERENCE_FOLDERS"] = str(tmp_path)
    service.start()
    bodies = [ct(number, study=STUDY, patient="PAT1") for number in range(7)]
    as_json = [dcmread(BytesIO(body)).to_json_dict() for body in bodies]
    (tmp_path / "spooled.dcm").write_bytes(bodies[5])
    engine.hl7(orm(1, study=STUDY))
    engine.dicom(gzip.compress(bodies[0]), content_encoding="gzip")
    engine.dicom(base64.encodebytes(bodies[1]), content_encoding="base64")
    engine.dicom(json.dumps(as_json[2]).encode(), content_type="application/dicom+json")
    engine.dicom(json.dumps(as_json[3:5]).encode(), content_type="application/dicom+json; charset=utf-8")
    engine.dicom(json.dumps({"uri": f"file://{tmp_path}/spooled.dcm"}).encode(), content_type=REFERENCE)
    engine.dicom(bodies[6][132:], content_type="application/octet-stream")
    events = engine.collect(at_least("instance.enriched", 7))
    numbers = [event["data"]["instance"]["instanceNumber"] for event in events if name_of(event) == "instance.enriched"]
    assert {(number["value"], number["status"]) for number in numbers} == {(1, "valid")}

    engine.hl7(XML_ORDER, content_type="application/hl7-v2+xml")
    engine.dicom(
        f'<dicom><tag00080016 tag="00080016" vr="UI">1.2.840.10008.5.1.4.1.1.2</tag00080016>'
        f'<tag00080018 tag="00080018" vr="UI">{ROOT}.9</tag00080018>'
        f'<tag00100020 tag="00100020" vr="LO">P2</tag00100020>'
        f'<tag0020000D tag="0020000D" vr="UI">{STUDY}.2</tag0020000D></dicom>'.encode(),
        content_type="application/dicom+mirth-xml",
    )
    engine.collect(at_least("instance.enriched", 8))
    assert service.status()["messages"] == {"TRANSFORMED": 10, "FILTERED": 0, "ERROR": 0, "DUPLICATE": 0}


def test_of_a_batch_only_the_bad_message_is_dead_lettered_alone_and_readable_again(
    service: Service, engine: Engine
) -> None:
    service.start()
    bad = b"MSH|^~\\&|RIS|MAIN|||20261123||ORM^O01|C9|P|2.3.1\rNTE|1||no order\r"
    batch = b"FHS|^~\\&|RIS\rBHS|^~\\&|RIS\r" + orm(1, study=STUDY) + bad + orm(2) + b"BTS|3\rFTS|1\r"
    engine.hl7(gzip.compress(batch), content_encoding="gzip", message_id="c/1/0")
    engine.dicom(ct(1, study=STUDY, patient="PAT1"))
    engine.collect(at_least("instance.enriched", 1))
    engine.collect(at_least("message.rejected", 1))
    assert service.stop() == 0
    [(properties, body)] = engine.dead_letters()
    assert body == bad
    assert (properties.content_type, properties.content_encoding) == ("application/hl7-v2+er7", None)
    assert properties.headers["bridge-error"] == "hl7-no-order"
    assert service.status()["messages"] == {"TRANSFORMED": 3, "FILTERED": 0, "ERROR": 1, "DUPLICATE": 0}


def billion_laughs() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{levels}]><HL7Message>&l9;</HL7Message>'.encode()


def gzip_bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(1024)), packer.flush()])


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner
    return part10(element(0x00080018, "UI", b"1.2.3"), inner)


HOSTILE: list[tuple[str, str, bytes, dict[str, Any]]] = [
    ("hl7", "xml-doctype", billion_laughs(), {"content_type": "application/hl7-v2+xml"}),
    (
        "hl7",
        "xml-doctype",
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><HL7Message><MSH>&e;</MSH></HL7Message>',
        {"content_type": "text/xml"},
    ),
    (
        "dicom",
        "xml-doctype",
        b'<!DOCTYPE dicom SYSTEM "http://127.0.0.1:9/x.dtd"><dicom/>',
        {"content_type": "application/dicom+xml"},
    ),
    ("dicom", "max-inflated-size", gzip_bomb(), {"content_encoding": "gzip"}),
    ("hl7", "base64-malformed", b"TVNI?fF5+*", {"content_encoding": "base64"}),
    ("dicom", "max-nesting", nested(10_000), {}),
    ("dicom", "max-nesting", b'{"00400275":{"vr":"SQ","Value":[' * 10_000, {"content_type": "application/dicom+json"}),
    ("hl7", "max-field-size", orm(1).replace(b"Doe", b"x" * 5_000_000), {}),
    ("hl7", "reference-not-allowed", b'{"uri": "file:///etc/passwd"}', {"content_type": REFERENCE}),
    ("dicom", "reference-not-allowed", b'{"uri": "file://{spool}/link"}', {"content_type": REFERENCE}),
    ("dicom", "reference-not-allowed", b'{"uri": "file://{spool}/../../etc/passwd"}', {"content_type": REFERENCE}),
]


def test_each_attack_is_refused_for_its_reason_and_the_next_message_is_read(
    service: Service, engine: Engine, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "link").symlink_to("/etc/passwd")
    service.environment["BRIDGE_REFERENCE_FOLDERS"] = str(spool)
    service.start()
    for kind, _, body, stated in HOSTILE:
        getattr(engine, kind)(body.replace(b"{spool}", str(spool).encode()), **stated)
    engine.hl7(orm(1, study=STUDY))
    engine.dicom(ct(1, study=STUDY, patient="PAT1"))
    engine.collect(at_least("message.rejected", len(HOSTILE)))
    engine.collect(at_least("instance.enriched", 1))
    assert service.stop() == 0
    letters = engine.dead_letters()
    codes = sorted(properties.headers["bridge-error"] for properties, _ in letters)
    assert codes == sorted(code for _, code, _, _ in HOSTILE)
    told = "".join([*service.log, *(str(properties.headers) for properties, _ in letters), str(engine.events)])
    assert "root:" not in told
    assert {body.replace(b"{spool}", str(spool).encode()) for _, _, body, _ in HOSTILE} == {body for _, body in letters}


@pytest.mark.parametrize("bound", ["BRIDGE_MAX_MESSAGE_SIZE", "BRIDGE_MAX_FIELDS"])
def test_a_bound_of_the_settings_holds_in_the_service(service: Service, engine: Engine, bound: str) -> None:
    service.environment[bound] = "20"
    service.start()
    engine.hl7(orm(1))
    [event] = engine.collect(at_least("message.rejected", 1))
    assert event["data"]["code"] == bound.removeprefix("BRIDGE_").lower().replace("_", "-")
