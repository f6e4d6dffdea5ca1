"""Every real patient, merge, result and scheduling message at hand is read, or refused for a reason that it shows."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from bridge.core.channel import (
    IDENTITY_MESSAGES,
    PATIENT_MESSAGES,
    READ_MESSAGES,
    REPORT_MESSAGES,
    SCHEDULING_MESSAGES,
)
from bridge.core.errors import Invalid
from bridge.core.model import Filtered, IdentityChange, OrderUpdate, Reading, Report
from bridge.formats.hl7 import parse
from bridge.formats.hl7_messages import read_message

SHARED = Path(__file__).parents[3] / "shared"
CORPUS = SHARED / "data" / "hl7"
ENGINE = SHARED / "reference" / "mirth" / "hl7"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the real HL7 messages are not in {CORPUS}")


class Sample(NamedTuple):
    name: str
    message_type: str
    body: bytes
    found: Reading | Filtered | Invalid

    def has(self, segment: bytes) -> bool:
        return bool(re.search(rb"[\r\n]\s*" + segment + rb"[^\w\r\n]", self.body))

    @property
    def facts(self) -> tuple[object, ...]:
        return self.found.facts if isinstance(self.found, Reading) else ()


@cache
def samples() -> tuple[Sample, ...]:
    """Each message of the types that are read; those of a batch by themselves."""
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file() and "_LICENSE" not in path.name)
    files += sorted(ENGINE.rglob("*.hl7"))
    return tuple(sample for path in files for sample in of_file(str(path.relative_to(SHARED)), path.read_bytes()))


def of_file(name: str, body: bytes) -> Iterator[Sample]:
    for number, part in enumerate(re.split(rb"[\r\n]\s*(?=MSH\W)", body), 1):
        alone = re.split(rb"[\r\n](?:BTS|FTS)\W", part)[0]
        try:
            message = parse(alone)
        except Invalid:
            continue
        message_type = f"{message.value('MSH-9')}^{message.value('MSH-9.2')}"
        if message_type in READ_MESSAGES:
            try:
                found = read_message(message, channel="hl7")
            except Invalid as invalid:
                found = invalid
            yield Sample(f"{name}[{number}]", message_type, alone, found)


def of_types(*message_types: str) -> list[Sample]:
    """Those of the corpus: the engine's samples are few messages in many forms."""
    found = [sample for sample in samples() if sample.name.startswith("data")]
    return [sample for sample in found if sample.message_type in message_types]


def refused(among: list[Sample]) -> list[Sample]:
    """Those that are refused for what they say, not for letters as delimiters."""
    found = [sample for sample in among if isinstance(sample.found, Invalid)]
    return [sample for sample in found if sample.found.code != "hl7-bad-msh"]


def counts(among: list[Sample]) -> dict[str, int]:
    """How many messages are read and refused with each code, and how many facts of each kind they give."""
    found = Counter(sample.found.code if isinstance(sample.found, Invalid) else "read" for sample in among)
    return dict(found + Counter(type(fact).__name__ for sample in among for fact in sample.facts))


def test_every_real_patient_message_that_names_a_patient_is_read() -> None:
    messages = of_types(*PATIENT_MESSAGES)
    for sample in refused(messages):
        assert not re.search(rb"[\r\n]PID\|[^|]*\|[^|]*\|\w", sample.body), sample.name
    assert counts(messages) == {"read": 239, "PatientUpdate": 240, "hl7-no-patient": 32}


def test_every_real_merge_and_link_that_names_its_patients_is_read() -> None:
    messages = of_types(*IDENTITY_MESSAGES)
    assert not [sample.name for sample in refused(messages) if sample.has(b"PID")]
    assert counts(messages) == {
        "read": 16,
        "PatientUpdate": 20,
        "IdentityChange": 19,
        "hl7-no-patient": 4,
        "hl7-bad-msh": 2,
    }
    kinds = Counter(fact.kind for sample in messages for fact in sample.facts if isinstance(fact, IdentityChange))
    assert kinds == {"merge": 18, "link": 1}
    for sample in messages:
        merges = [fact for fact in sample.facts if isinstance(fact, IdentityChange) and fact.kind == "merge"]
        assert len(merges) == len(re.findall(rb"[\r\n]MRG\|", sample.body)), sample.name


def test_every_real_result_message_with_an_obr_is_read() -> None:
    messages = of_types(*REPORT_MESSAGES)
    assert not [sample.name for sample in refused(messages) if sample.has(b"OBR") or sample.has(b"ORC")]
    assert counts(messages) == {"read": 176, "Report": 268, "hl7-no-order": 28}


def test_every_real_scheduling_message_with_an_sch_is_read() -> None:
    messages = of_types(*SCHEDULING_MESSAGES)
    assert not [sample.name for sample in refused(messages) if sample.has(b"SCH")]
    assert counts(messages) == {"read": 19, "Appointment": 19, "hl7-no-appointment": 2}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (rb"[\r\n]ZDS\|([0-9.]+)", 18),
        (rb"[\r\n]IPC\|[^|]*\|[^|]*\|([0-9.]+)", 1),
        (rb"[\r\n]OBX\|[^|]*\|[^|]*\|113014\^[^|]*\|[^|]*\|([0-9.]+)", 3),
    ],
)
def test_every_real_message_that_states_a_study_instance_uid_gives_it(place: bytes, expected: int) -> None:
    stating = [sample for sample in samples() if re.search(place, sample.body)]
    for sample in stating:
        stated = {uid.decode() for uid in re.findall(place, sample.body)}
        read = {
            uid.value
            for fact in sample.facts
            if isinstance(fact, OrderUpdate | Report)
            for uid in fact.study_instance_uids or ()
        }
        assert stated == read, sample.name
    assert len(stating) == expected


def test_no_real_message_with_a_zds_or_ipc_is_left_out() -> None:
    """The counts above are of all that there are, of whatever message type."""
    files = [*CORPUS.rglob("*"), *ENGINE.rglob("*.hl7")]
    stating = [
        path
        for path in files
        if path.is_file() and re.search(rb"(?m)^(?:ZDS|IPC)\W[^\r\n]*[0-9]", path.read_bytes().replace(b"\r", b"\n"))
    ]
    assert len(stating) == 19
