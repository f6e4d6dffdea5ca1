"""What a real engine emitted, read by the bridge: the same facts in every form, or a warning that names the cause."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bridge.config import load_channels
from bridge.core.errors import Invalid
from bridge.core.model import Fact, Instance
from bridge.core.ports import Inbound
from bridge.formats.reading import Reading, contents, read
from tests.conftest import REPOSITORY
from tests.mirth.engine import Channel, MirthEngine

SAMPLES = REPOSITORY.parent / "shared" / "reference" / "mirth"
CHANNELS = {channel.name: channel for channel in load_channels(REPOSITORY / "channels")}
FORMS = {
    "part10.dcm": "application/dicom",
    "base64.txt": "application/dicom",
    "header.b64.txt": "application/dicom",
    "nostep.part10.dcm": "application/dicom",
    "dicom.xml": "application/dicom+mirth-xml",
    "noattach.dicom.xml": "application/dicom+mirth-xml",
    "nostep.dicom.xml": "application/dicom+mirth-xml",
}
OBJECTS = sorted(path.name for path in (SAMPLES / "dicom").glob("*")) if SAMPLES.is_dir() else []
WRITTEN_ANEW = "? in place of letters: an engine has written the object anew and lost them"
NOT_AN_OBJECT = "JPEGLSNearLossless_08"  # belongs to no study
ATTACHMENT = "an ${ATTACH:} token in the text: the engine did not put an attachment back"

pytestmark = pytest.mark.skipif(not OBJECTS, reason=f"the engine's samples are not in {SAMPLES}")


def found(channel: str, file: Path, content_type: str | None = None) -> tuple[list[Fact], str]:
    """The facts in a file, and all warnings; what is refused raises Invalid."""
    facts, warnings = [], []
    inbound = Inbound(channel, file.read_bytes(), content_type=content_type)
    for content in contents(inbound, CHANNELS[channel].source.data_type):
        reading = read(content, CHANNELS[channel])
        assert isinstance(reading, Reading), reading
        facts += reading.facts
        warnings += [*content.warnings, *reading.warnings]
    return facts, "; ".join(warnings)


def trimmed(fact: Fact) -> Instance:
    """Without the blanks around Instance Number, which the engine takes away in XML."""
    assert isinstance(fact, Instance)
    number = fact.instance_number
    return replace(fact, instance_number=replace(number, raw=number.raw and number.raw.strip()))


def without_names(instance: Instance) -> Instance:
    patient = replace(instance.statement.patient, names=())
    return replace(instance, statement=replace(instance.statement, patient=patient), warnings=())


@pytest.mark.parametrize("name", OBJECTS)
def test_every_form_of_an_object_says_the_same_or_the_bridge_names_the_fault_of_the_engine(name: str) -> None:
    folder = SAMPLES / "dicom" / name
    files = [(folder / form, content_type) for form, content_type in FORMS.items() if (folder / form).exists()]
    if name == NOT_AN_OBJECT:
        for file, content_type in [(folder / "in.dcm", None), *files]:
            with pytest.raises(Invalid, match="dicom-no-study-instance-uid"):
                found("images", file, content_type)
        return
    [sent], _ = found("images", folder / "in.dcm")
    for file, content_type in files:
        [fact], warnings = found("images", file, content_type)
        if WRITTEN_ANEW in warnings:
            assert not file.name.startswith("nostep")
            assert without_names(trimmed(fact)) == without_names(trimmed(sent)), file.name
        else:
            assert trimmed(fact) == trimmed(sent), file.name


def test_the_faults_are_those_that_were_measured() -> None:
    damaged = {
        file.parent.name
        for file in (SAMPLES / "dicom").glob("*/*")
        if file.name in FORMS and file.parent.name != NOT_AN_OBJECT
        if WRITTEN_ANEW in found("images", file, FORMS[file.name])[1]
    }
    assert damaged == {"chrH31", "chrKoreanMulti"}


@pytest.mark.parametrize("name", ["orm_cr", "orm_lf", "orm_crlf", "orm_cr_notrail", "orm_latin1", "oru_cr", "adt_cr"])
def test_a_message_says_the_same_as_it_came_as_it_was_sent_and_in_xml(name: str) -> None:
    sent, warnings = found("orders", SAMPLES / "hl7" / "as_sent" / f"{name}.hl7")
    if name == "orm_latin1":  # a listener that was set to another encoding
        assert "U+FFFD in the text: an earlier system lost characters" in warnings
    else:
        assert found("orders", SAMPLES / "hl7" / "in" / f"{name}.hl7")[0] == sent
    assert found("orders", SAMPLES / "hl7" / "xml" / f"{name}.xml", "text/xml")[0] == sent


def test_what_an_attachment_handler_took_out_is_missed_by_name() -> None:
    facts, warnings = found("orders", SAMPLES / "hl7" / "as_sent" / "oru_pdf.ATTACH-token.hl7")
    assert ATTACHMENT in warnings
    whole, warnings = found("orders", SAMPLES / "hl7" / "as_sent" / "oru_pdf.reattached.hl7")
    assert ATTACHMENT not in warnings
    assert facts == whole


def test_what_is_no_hl7_is_refused() -> None:
    with pytest.raises(Invalid, match="hl7-no-msh"):
        found("orders", SAMPLES / "hl7" / "as_sent" / "nomsh.hl7")


# The snippets for an author's own transformers, on what the engine made of a message


def test_the_keys_of_an_object_and_its_instance_number_are_kept_for_the_author(java_process: MirthEngine) -> None:
    for name in OBJECTS:
        file = SAMPLES / "dicom" / name / "nostep.dicom.xml"
        if not file.exists():
            continue
        [instance], _ = found("images", file, "text/xml")
        assert isinstance(instance, Instance)
        done = java_process.run(Channel("dicom-header-in"), "bridgeKeysOfDicom(msg); return;", xml=file.read_text())
        assert done["channelMap"].get("instanceNumber") == instance.instance_number.raw
        assert done["channelMap"]["studyInstanceUid"] == instance.statement.study_instance_uid
        assert done["channelMap"]["sopInstanceUid"] == instance.sop_instance_uid


def test_the_keys_of_an_order_are_kept_for_the_author(java_process: MirthEngine) -> None:
    text = (SAMPLES / "hl7" / "xml" / "orm_cr.xml").read_text()
    done = java_process.run(Channel("hl7-in"), "bridgeKeysOfHl7(msg); return;", xml=text)
    assert done["channelMap"] == {
        "patientId": "PAT001",
        "placerOrderNumber": "PLC123",
        "fillerOrderNumber": "FIL456",
        "accessionNumber": "ACC789",
        "requestedProcedureId": "",
        "studyInstanceUid": "1.2.840.113619.2.55.3.604688.1",
    }
