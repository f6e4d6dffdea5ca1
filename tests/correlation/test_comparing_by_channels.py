"""What a channel says about comparing the numbers of its objects: which are keys, and what a missing issuer equals."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from bridge.app import checked_channels
from bridge.core.ports import Inbound
from tests.desk import CHANNELS, Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1.1"
STRICT = "strict_issuers = true"
NO_ACCESSION = 'rules = ["study-instance-uid", "filler-order-number"]'
ORDER = hl7(orm(1, accession="A1", patient="PAT1"))  # PAT1^^^HOSP

Made = Callable[[str], Desk]


@pytest.fixture
def desk(tmp_path: Path) -> Made:
    """A site with a channel `other` beside `images` that says this of `[correlation]`; each call is a new database."""
    numbers = iter(range(1000))

    def made(said: str) -> Desk:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        (folder / "other.toml").write_text(
            f'[source]\ndata_type = "DICOM"\nqueue = "other"\nbindings = ["other.#"]\n[correlation]\n{said}\n'
        )
        [other] = checked_channels(folder)
        return Desk(folder, [*CHANNELS, other])

    return made


def other(body: bytes) -> Inbound:
    return Inbound("other", body)


def image(number: int, *, name: str = "", patient: str = "PAT1") -> bytes:
    return ct(number, study=STUDY, patient=patient, accession="A1", name=name)


def end(desk: Made, said: str, *messages: Inbound) -> tuple[str, str | None]:
    """The verdict that every sequence of these messages comes to."""
    found = set()
    for sequence in permutations(messages):
        site = desk(said)
        site.receive(*sequence)
        found.add(site.verdict(STUDY))
        site.close()
    [verdict] = found
    return verdict


def test_for_objects_of_a_strict_channel_a_patient_s_number_without_issuer_proves_nothing(desk: Made) -> None:
    assert end(desk, STRICT, ORDER, dicom(image(1))) == ("matched", None)
    assert end(desk, STRICT, ORDER, other(image(1))) == ("ambiguous", "patient-unverified")
    assert end(desk, STRICT, ORDER, other(image(1, name="Doe^Jane"))) == ("matched", None)


def test_a_patient_s_number_that_differs_differs_for_a_strict_channel_as_well(desk: Made) -> None:
    assert end(desk, STRICT, ORDER, other(image(1, name="Doe^Jane", patient="PAT2"))) == ("conflict", "patient-differs")


def test_one_object_of_a_strict_channel_is_enough_whichever_came_first(desk: Made) -> None:
    messages = (ORDER, dicom(image(1)), dicom(image(2)), other(image(3)))
    assert end(desk, STRICT, *messages) == ("ambiguous", "patient-unverified")


def test_a_number_that_is_no_key_of_a_channel_s_objects_links_none_of_them(desk: Made) -> None:
    assert end(desk, NO_ACCESSION, ORDER, other(image(1))) == ("pending", "no-order")
    assert end(desk, NO_ACCESSION, ORDER, other(image(1)), dicom(image(2))) == ("matched", None)


def test_a_number_that_is_no_key_does_not_differ_either(desk: Made) -> None:
    site = desk(NO_ACCESSION)
    site.receive(hl7(orm(1, study=STUDY, accession="A2", patient="PAT1")), other(image(1)))
    decision = site.study(STUDY).decision
    assert decision is not None
    assert (decision.verdict, decision.warnings) == ("matched", ())


def test_numbers_in_request_attributes_are_no_keys_either(desk: Made) -> None:
    item = Dataset()
    item.AccessionNumber = "A1"
    body = ct(1, study=STUDY, patient="PAT1", RequestAttributesSequence=[item])
    assert end(desk, NO_ACCESSION, ORDER, dicom(body)) == ("matched", None)
    assert end(desk, NO_ACCESSION, ORDER, other(body)) == ("pending", "no-order")
