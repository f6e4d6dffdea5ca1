"""The messages that are measured: orders and CT objects in pairs, each pair of another patient."""

from io import BytesIO

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

# Every identifier of the templates holds this number; each pair has its own, of the same length, in its place.
_NUMBER = 1_000_000_000
_ROOT = f"1.2.826.0.1.3680043.10.999.{_NUMBER}"
STUDY_UID, _SERIES_UID, SOP_INSTANCE_UID = f"{_ROOT}.1", f"{_ROOT}.2", f"{_ROOT}.3"
_PATIENT_ID, _ACCESSION_NUMBER = f"P{_NUMBER}", f"A{_NUMBER}"

_ORDER = (
    f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|20261123083000+0100||ORM^O01^ORM_O01|C{_NUMBER}|P|2.3.1||||||ASCII\r"
    f"PID|1||{_PATIENT_ID}^^^HOSP^MR||Doe^Jane^Alexandra^^Mrs||19700101|F||2106-3^White^HL70005|12 Long Lane^Apt 4"
    f"^Springfield^IL^62701^USA^H||^PRN^PH^^1^217^5550142|^WPN^PH^^1^217^5550199|en|M|CHR|V{_NUMBER}^^^HOSP^VN\r"
    "PV1|1|O|RAD^^^MAIN^^^^^Radiology outpatient clinic||||4711^Referrer^Rita^^^Dr^MD|4711^Referrer^Rita^^^Dr^MD||RAD"
    f"|||||||||V{_NUMBER}^^^HOSP^VN\r"
    f"ORC|NW|O{_NUMBER}^HIS|F{_NUMBER}^RIS||SC||1^^^20261123090000^^R||20261123083000|0815^Clerk^Carl||4711^Referrer"
    "^Rita^^^Dr^MD|RAD^^^MAIN|^WPN^PH^^1^217^5550123\r"
    f"OBR|1|O{_NUMBER}^HIS|F{_NUMBER}^RIS|CTABD^CT abdomen with contrast^L|||||||||Suspected appendicitis, fever since "
    f"two days|||4711^Referrer^Rita^^^Dr^MD||{_ACCESSION_NUMBER}|RP{_NUMBER}|SPS{_NUMBER}||||CT|||1^^^20261123090000^^R"
    "||||^Abdominal pain\r"
    f"ZDS|{STUDY_UID}^MAIN^Application^DICOM\r"
)


def pairs(count: int) -> tuple[list[bytes], list[bytes]]:
    """So many orders of about 1 KB, and the CT_small.dcm (39 KB) of the study that each of them orders."""
    return _numbered_bodies(_ORDER.encode(), count), _numbered_bodies(_ct_small(), count)


def numbered(identifier: str, index: int) -> str:
    """The identifier of the template as the pair at `index` has it."""
    return identifier.replace(str(_NUMBER), str(_NUMBER + index))


def _numbered_bodies(template: bytes, count: int) -> list[bytes]:
    pieces = template.split(str(_NUMBER).encode())
    return [str(_NUMBER + index).encode().join(pieces) for index in range(count)]


def _ct_small() -> bytes:
    """pydicom's CT_small.dcm, pixels and all, with the template's identifiers."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(SOP_INSTANCE_UID)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY_UID, _SERIES_UID
    dataset.AccessionNumber, dataset.PatientID = _ACCESSION_NUMBER, _PATIENT_ID
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = "Doe^Jane", "19700101", "F"
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()
