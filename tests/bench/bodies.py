"""The messages that are measured: pairs of an ORM^O01 and a CT object that belong together, each pair another patient's."""

from collections.abc import Iterator
from io import BytesIO

from pydicom import dcmread
from pydicom.data import get_testdata_file

# Every identifier of the templates holds this number, and each pair has its own of the same length in its place.
_NUMBER = 1_000_000_000
_ROOT = f"1.2.826.0.1.3680043.10.999.{_NUMBER}"
STUDY_UID, SOP_INSTANCE_UID = f"{_ROOT}.1", f"{_ROOT}.3"
_SERIES_UID = f"{_ROOT}.2"
_PATIENT_ID, _ACCESSION_NUMBER = f"P{_NUMBER}", f"A{_NUMBER}"

_ORDER = "".join(
    f"{segment}\r"
    for segment in (
        rf"MSH|^~\&|RIS|MAIN|BRIDGE|MAIN|20261123083000+0100||ORM^O01^ORM_O01|C{_NUMBER}|P|2.3.1||||||ASCII",
        f"PID|1||{_PATIENT_ID}^^^HOSP^MR||Doe^Jane^Alexandra^^Mrs||19700101|F||2106-3^White^HL70005|12 Long Lane^Apt 4"
        f"^Springfield^IL^62701^USA^H||^PRN^PH^^1^217^5550142|^WPN^PH^^1^217^5550199|en|M|CHR|V{_NUMBER}^^^HOSP^VN",
        f"PV1|1|O|RAD^^^MAIN^^^^^Radiology outpatient clinic||||4711^Referrer^Rita^^^Dr^MD|4711^Referrer^Rita^^^Dr^MD"
        f"||RAD|||||||||V{_NUMBER}^^^HOSP^VN",
        f"ORC|NW|O{_NUMBER}^HIS|F{_NUMBER}^RIS||SC||1^^^20261123090000^^R||20261123083000|0815^Clerk^Carl"
        "||4711^Referrer^Rita^^^Dr^MD|RAD^^^MAIN|^WPN^PH^^1^217^5550123",
        f"OBR|1|O{_NUMBER}^HIS|F{_NUMBER}^RIS|CTABD^CT abdomen with contrast^L|||||||||Suspected appendicitis, fever "
        f"since two days||||4711^Referrer^Rita^^^Dr^MD||{_ACCESSION_NUMBER}|RP{_NUMBER}|SPS{_NUMBER}||||CT"
        "|||1^^^20261123090000^^R||||^Abdominal pain",
        f"ZDS|{STUDY_UID}^MAIN^Application^DICOM",
    )
).encode("ascii")


def pairs(count: int) -> tuple[list[bytes], list[bytes]]:
    """So many orders (about 1 KB each), and as many CT_small.dcm (39 KB each): the same place, the same study."""
    return list(_numbered(_ORDER, count)), list(_numbered(_ct_small(), count))


def numbered(template: str, index: int) -> str:
    """An identifier of the pair at `index`."""
    return template.replace(str(_NUMBER), str(_NUMBER + index))


def _numbered(template: bytes, count: int) -> Iterator[bytes]:
    pieces = template.split(b"%d" % _NUMBER)
    return (b"%d".__mod__(_NUMBER + index).join(pieces) for index in range(count))


def _ct_small() -> bytes:
    """pydicom's CT_small.dcm, pixels and all, with the template's identifiers."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = SOP_INSTANCE_UID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY_UID, _SERIES_UID
    dataset.AccessionNumber, dataset.PatientID = _ACCESSION_NUMBER, _PATIENT_ID
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = "Doe^Jane", "19700101", "F"
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()
