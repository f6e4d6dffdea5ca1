"""What one message of a channel may make the bridge read, where the channel states it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bridge.app import checked_channels
from tests.desk import Desk, dicom
from tests.samples import ROOT, ct

STUDY = f"{ROOT}.1.1"
SOURCE = '[source]\ndata_type = "DICOM"\nqueue = "q"\nbindings = ["#"]\n'
REFERENCE = "application/vnd.bridge.reference+json"

Made = Callable[[str], Desk]


@pytest.fixture
def desk(tmp_path: Path) -> Made:
    def made(text: str) -> Desk:
        (tmp_path / "images.toml").write_text(SOURCE + text)
        return Desk(tmp_path, checked_channels(tmp_path))

    return made


def code_of_last(desk: Desk) -> str | None:
    event = desk.events[-1]["data"]
    code: str | None = event.get("code")
    return code


def test_a_larger_message_than_the_channel_allows_is_rejected(desk: Made) -> None:
    site = desk('max_size = "2 KiB"\n')
    site.receive(dicom(ct(1, study=STUDY)))
    site.receive(dicom(ct(2, study=STUDY, ImageComments="x" * 4000)))
    assert site.names() == ["instance.pending", "message.rejected"]
    assert code_of_last(site) == "max-message-size"


def test_references_of_a_channel_point_below_its_own_folders_alone(desk: Made, tmp_path: Path) -> None:
    for folder in ("spool", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ct.dcm").write_bytes(ct(1, study=STUDY))
    site = desk('references = ["spool"]\n')
    for folder in ("spool", "other"):
        uri = json.dumps({"uri": f"file://{tmp_path}/{folder}/ct.dcm"}).encode()
        site.receive(dicom(uri, content_type=REFERENCE))
    assert site.names() == ["instance.pending", "message.rejected"]
    assert code_of_last(site) == "reference-not-allowed"


def test_sequences_are_nested_no_deeper_than_the_channel_allows(desk: Made) -> None:
    inner = Dataset()
    for _ in range(3):
        outer = Dataset()
        outer.RequestAttributesSequence = Sequence([inner])
        inner = outer
    body = ct(1, study=STUDY, RequestAttributesSequence=inner.RequestAttributesSequence)
    site = desk("max_nesting = 1\n")
    site.receive(dicom(body))
    assert code_of_last(site) == "max-nesting"
    roomy = desk("max_nesting = 5\n")
    roomy.receive(dicom(body))
    assert roomy.names() == ["instance.pending"]
