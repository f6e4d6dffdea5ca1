"""Key Object Selection Documents that take objects out: rejection notes (IHE RAD Imaging Object Change Management).

Only what the note lists as its evidence is rejected, never what it could mean beside that.
"""

from collections.abc import Iterator

from bridge.core.model import RejectedInstance, RejectionNote
from bridge.formats.dicom_elements import DataSet
from bridge.formats.dicom_values import text
from bridge.formats.lost_characters import LOST

_KEY_OBJECT_SELECTION_DOCUMENT = "1.2.840.10008.5.1.4.1.1.88.59"
# PS3.16 CID 7010, DCM: quality, patient safety, incorrect worklist entry, data retention policy expired.
_TITLES = frozenset(("113001", "113037", "113038", "113039"))

CONCEPT_NAME_CODE_SEQUENCE = 0x0040A043
CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE = 0x0040A375
_CODE_VALUE = 0x00080100
_CODING_SCHEME_DESIGNATOR = 0x00080102
_REFERENCED_SERIES_SEQUENCE = 0x00081115
_REFERENCED_SOP_INSTANCE_UID = 0x00081155
_REFERENCED_SOP_SEQUENCE = 0x00081199
_STUDY_INSTANCE_UID = 0x0020000D


def rejection_note(header: DataSet, sop_class_uid: str | None) -> RejectionNote | None:
    """The objects that this one rejects, each once and with its study; None where it is no rejection note.

    Raises Invalid as `DataSet.items`.
    """
    if sop_class_uid != _KEY_OBJECT_SELECTION_DOCUMENT:
        return None
    code = next((code for code in _titles(header) if code in _TITLES), None)
    if code is None:
        return None
    instances = tuple(dict.fromkeys(_evidence(header)))
    if not instances:
        header.warn(CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, "a rejection note that lists no object")
    return RejectionNote(code, instances)


def _titles(header: DataSet) -> Iterator[str | None]:
    for title in header.items(CONCEPT_NAME_CODE_SEQUENCE):
        if text(title, _CODING_SCHEME_DESIGNATOR) == "DCM":
            yield text(title, _CODE_VALUE)


def _evidence(header: DataSet) -> Iterator[RejectedInstance]:
    """What the SOP Instance Reference Macro lists (PS3.3 C.17.2.1): studies, their series, their objects."""
    for study in header.items(CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE):
        study_instance_uid = _uid(study, _STUDY_INSTANCE_UID)
        for series in study.items(_REFERENCED_SERIES_SEQUENCE):
            for referenced in series.items(_REFERENCED_SOP_SEQUENCE):
                if sop_instance_uid := _uid(referenced, _REFERENCED_SOP_INSTANCE_UID):
                    yield RejectedInstance(study_instance_uid, sop_instance_uid)


def _uid(data_set: DataSet, tag: int) -> str | None:
    """A UID, None where characters of it were lost, of which `text` warns."""
    uid = text(data_set, tag)
    return None if uid is None or LOST in uid else uid
