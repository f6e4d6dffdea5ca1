"""Rejection notes: which objects a Key Object Selection Document takes out, in every serialisation."""

import json
from io import BytesIO
from pathlib import Path

import pytest
from dicom_bytes import STUDY, ct, element, item, open_item, open_sequence, part10, sequence
from pydicom import Dataset, dcmread

from bridge.config import load_channels, starter_channels
from bridge.core.errors import Invalid
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import RejectedInstance, RejectionNote
from bridge.formats.dicom import read_instance
from bridge.formats.dicom_json import part10 as from_json
from bridge.formats.dicom_xml import part10 as from_xml
from bridge.inspection import inspect

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
QUALITY = ("113001", "DCM")


def evidence(study: str, *series: list[str]) -> bytes:
    """An item of the evidence: a study, and for each of its series the objects."""
    listed = (
        item(
            sequence(0x00081199, *(item(element(0x00081155, "UI", uid)) for uid in objects)),
            element(0x0020000E, "UI", f"1.9.{number}"),
        )
        for number, objects in enumerate(series)
    )
    return item(sequence(0x00081115, *listed), *([element(0x0020000D, "UI", study)] if study else []))


def title(code: str, scheme: str) -> bytes:
    return item(element(0x00080100, "SH", code), element(0x00080102, "SH", scheme), element(0x00080104, "LO", "words"))


def note(
    *studies: bytes, titles: tuple[tuple[str, str], ...] = (QUALITY,), sop_class: str = KEY_OBJECT_SELECTION
) -> bytes:
    return part10(
        element(0x00080016, "UI", sop_class),
        element(0x00080018, "UI", "1.2.3.4.5"),
        element(0x00080060, "CS", "KO"),
        STUDY,
        sequence(0x0040A043, *(title(*stated) for stated in titles)),
        sequence(0x0040A375, *studies),
    )


LISTED = (evidence("1.2.3", ["1.1", "1.2"], ["1.3"]), evidence("1.2.4", ["1.4"]))
REJECTED = (
    RejectedInstance("1.2.3", "1.1"),
    RejectedInstance("1.2.3", "1.2"),
    RejectedInstance("1.2.3", "1.3"),
    RejectedInstance("1.2.4", "1.4"),
)


@pytest.mark.parametrize("code", ["113001", "113037", "113038", "113039"])
def test_a_rejection_note_rejects_every_object_of_every_series_and_study_that_it_lists(code: str) -> None:
    instance = read_instance(note(*LISTED, titles=((code, "DCM"),)))

    assert instance.rejects == RejectionNote(code, REJECTED)
    assert instance.warnings == ()


@pytest.mark.parametrize(
    "body",
    [
        note(*LISTED, titles=(("113000", "DCM"),)),  # Of Interest
        note(*LISTED, titles=(("113001", "99LOCAL"),)),
        note(*LISTED, titles=()),
        note(*LISTED, sop_class="1.2.840.10008.5.1.4.1.1.88.11"),  # Basic Text SR
        ct(sequence(0x0040A043, title(*QUALITY)), sequence(0x0040A375, *LISTED)),
    ],
    ids=["of interest", "another scheme", "no title", "a report", "an image"],
)
def test_any_other_object_rejects_nothing(body: bytes) -> None:
    instance = read_instance(body)

    assert instance.rejects is None
    assert instance.warnings == ()


@pytest.mark.parametrize("studies", [(), (evidence("1.2.3"),), (evidence("1.2.3", []),), (evidence("1.2.3", [""]),)])
def test_a_note_that_lists_no_object_rejects_nothing_and_says_so(studies: tuple[bytes, ...]) -> None:
    instance = read_instance(note(*studies))

    assert instance.rejects == RejectionNote("113001", ())
    assert instance.warnings == ("(0040,A375): a rejection note that lists no object",)


def test_an_object_that_is_listed_twice_is_rejected_once() -> None:
    assert read_instance(note(*LISTED, *LISTED)).rejects == RejectionNote("113001", REJECTED)


def test_a_study_that_the_note_does_not_name_is_not_guessed() -> None:
    assert read_instance(note(evidence("", ["1.1"]))).rejects == RejectionNote(
        "113001", (RejectedInstance(None, "1.1"),)
    )


def test_an_object_whose_uid_cannot_be_read_is_not_rejected() -> None:
    unreadable = item(sequence(0x00081115, item(sequence(0x00081199, item(element(0x00081155, "UI", "1.\ufffd1"))))))
    instance = read_instance(note(unreadable, *LISTED))

    assert instance.rejects == RejectionNote("113001", REJECTED)
    assert "(0040,A375)[1] > (0008,1115)[1] > (0008,1199)[1] > (0008,1155): characters that" in instance.warnings[0]


def test_other_evidence_and_the_content_of_the_note_reject_nothing() -> None:
    body = note(*LISTED).replace(b"\x40\x00\x75\xa3", b"\x40\x00\x85\xa3")  # Pertinent Other Evidence Sequence

    assert read_instance(body).rejects == RejectionNote("113001", ())


def test_sequences_of_undefined_length_are_read_alike() -> None:
    referenced = open_sequence(0x00081199, open_item(element(0x00081155, "UI", "1.1")))
    study = open_item(open_sequence(0x00081115, open_item(referenced)), element(0x0020000D, "UI", "1.2.3"))
    body = part10(
        element(0x00080016, "UI", KEY_OBJECT_SELECTION),
        element(0x00080018, "UI", "1.2.3.4.5"),
        STUDY,
        open_sequence(0x0040A043, title(*QUALITY)),
        open_sequence(0x0040A375, study),
    )

    assert read_instance(body).rejects == RejectionNote("113001", (RejectedInstance("1.2.3", "1.1"),))


def native_content(data_set: Dataset) -> str:
    """The Native DICOM Model (PS3.19 A.1) of a data set of single values and sequences."""
    content = ""
    for found in data_set:
        items = [f"<Item>{native_content(inner)}</Item>" for inner in found.value] if found.VR == "SQ" else []
        value = "".join(items) if found.VR == "SQ" else f'<Value number="1">{found.value}</Value>'
        content += f'<DicomAttribute tag="{found.tag:08X}" vr="{found.VR}">{value}</DicomAttribute>'
    return content


def mirth_content(data_set: Dataset) -> str:
    """The same as Mirth writes it."""
    content = ""
    for found in data_set:
        items = [f"<item>{mirth_content(inner)}</item>" for inner in found.value] if found.VR == "SQ" else []
        value = "".join(items) if found.VR == "SQ" else found.value
        content += f'<tag{found.tag:08X} len="1" tag="{found.tag:08X}" vr="{found.VR}">{value}</tag{found.tag:08X}>'
    return content


def test_a_note_says_the_same_in_json_and_in_xml() -> None:
    data_set = dcmread(BytesIO(note(*LISTED)))
    written = (
        from_json(json.dumps(data_set.to_json_dict()).encode(), DEFAULT_LIMITS),
        from_xml(f"<NativeDicomModel>{native_content(data_set)}</NativeDicomModel>".encode(), None, DEFAULT_LIMITS),
        from_xml(f"<dicom>{mirth_content(data_set)}</dicom>".encode(), None, DEFAULT_LIMITS),
    )

    for one in written:
        assert read_instance(one.body).rejects == RejectionNote("113001", REJECTED)


def test_inspect_shows_what_a_note_rejects_and_not_among_its_own_identifiers(tmp_path: Path) -> None:
    (tmp_path / "note.dcm").write_bytes(note(*LISTED))
    [message] = inspect(tmp_path / "note.dcm", load_channels(starter_channels()), None, DEFAULT_LIMITS)

    [fact] = message.facts
    assert [one["sopInstanceUID"] for one in fact["rejects"]["instances"]] == ["1.1", "1.2", "1.3", "1.4"]
    assert [one["value"] for one in fact["identifiers"]] == ["1.2.3.4.5", "1.2.3"]


def test_what_a_note_lists_is_bounded_as_all_elements_are_and_may_be_a_large_study() -> None:
    large = note(evidence("1.2.3", [f"1.{number}" for number in range(5000)]))
    rejects = read_instance(large).rejects

    assert rejects is not None
    assert len(rejects.instances) == 5000
    with pytest.raises(Invalid, match="max-elements"):
        read_instance(large, limits=Limits(max_elements=5000))
