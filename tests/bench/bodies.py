"""The messages that are measured: orders and CT objects in pairs, each examination with numbers of its own."""

from datetime import date, timedelta
from functools import cache
from io import BytesIO
from typing import NamedTuple

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import UID


class Examination(NamedTuple):
    """What tells an order, and the object that it led to, from all others. Both numbers have ten digits."""

    number: int  # in every identifier but the patient's
    patient: int
    birth_date: date
    day: date


# What the templates are written with. Nothing else in them looks like one of these.
_SAMPLE = Examination(1_000_000_000, 7_777_777_777, date(1911, 2, 3), date(2026, 11, 23))
_FIRST_OF_TODAY = 1_500_000_000
_A_DAY = 1000  # orders

_ROOT = f"1.2.826.0.1.3680043.10.999.{_SAMPLE.number}"
_STUDY_UID, _SERIES_UID, _SOP_INSTANCE_UID = f"{_ROOT}.1", f"{_ROOT}.2", f"{_ROOT}.3"
_NUMBER, _PATIENT_ID, _ACCESSION_NUMBER = _SAMPLE.number, f"P{_SAMPLE.patient}", f"A{_SAMPLE.number}"
_BIRTH_DATE, _DAY = f"{_SAMPLE.birth_date:%Y%m%d}", f"{_SAMPLE.day:%Y%m%d}"

_ORDER = (
    f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|{_DAY}083000+0100||ORM^O01^ORM_O01|C{_NUMBER}|P|2.3.1||||||ASCII\r"
    f"PID|1||{_PATIENT_ID}^^^HOSP^MR||Doe^Jane^Alexandra^^Mrs||{_BIRTH_DATE}|F||2106-3^White^HL70005|12 Long Lane^Apt 4"
    f"^Springfield^IL^62701^USA^H||^PRN^PH^^1^217^5550142|^WPN^PH^^1^217^5550199|en|M|CHR|V{_NUMBER}^^^HOSP^VN\r"
    "PV1|1|O|RAD^^^MAIN^^^^^Radiology outpatient clinic||||4711^Referrer^Rita^^^Dr^MD|4711^Referrer^Rita^^^Dr^MD||RAD"
    f"|||||||||V{_NUMBER}^^^HOSP^VN\r"
    f"ORC|NW|O{_NUMBER}^HIS|F{_NUMBER}^RIS||SC||1^^^{_DAY}090000^^R||{_DAY}083000|0815^Clerk^Carl||4711^Referrer"
    "^Rita^^^Dr^MD|RAD^^^MAIN|^WPN^PH^^1^217^5550123\r"
    f"OBR|1|O{_NUMBER}^HIS|F{_NUMBER}^RIS|CTABD^CT abdomen with contrast^L|||||||||Suspected appendicitis, fever since "
    f"two days|||4711^Referrer^Rita^^^Dr^MD||{_ACCESSION_NUMBER}|RP{_NUMBER}|SPS{_NUMBER}||||CT|||1^^^{_DAY}090000^^R"
    "||||^Abdominal pain\r"
    f"ZDS|{_STUDY_UID}^MAIN^Application^DICOM\r"
)


def latest(index: int) -> Examination:
    """One of today's; each is another patient's, and none of them was here before."""
    return _examination(_FIRST_OF_TODAY + index, 50_000_000 + index, _SAMPLE.day)


def earlier(index: int) -> Examination:
    """One of the days before, counted back from the last: a thousand a day, and two of three patients came twice."""
    person, day = index // 5 * 3 + index % 3, _SAMPLE.day - timedelta(days=1 + index // _A_DAY)
    return _examination(_FIRST_OF_TODAY - 1 - index, person, day)


def _examination(number: int, person: int, day: date) -> Examination:
    """Orders are numbered as they come; the patients who come one after the other have any number."""
    patient = 1_000_000_000 + person * 387_420_489 % 1_000_000_000
    return Examination(number, patient, date(1930, 1, 1) + timedelta(days=person * 7919 % 32_000), day)


def order_body(examination: Examination) -> bytes:
    """An order of about 1 KB, of six segments."""
    return (_order() % marks(examination)).encode()


def object_body(examination: Examination) -> bytes:
    """CT_small.dcm (39 KB), of the study that the order asks for."""
    return (_object() % marks(examination)).encode("latin-1")


def json_body(examination: Examination) -> bytes:
    """The header of the same object in the DICOM JSON Model (7 KB)."""
    return (_json() % marks(examination)).encode()


def large_body(examination: Examination) -> bytes:
    """The same header before 512 KB of pixels."""
    return (_large() % marks(examination)).encode("latin-1")


def one_of_many(examination: Examination, number: int) -> bytes:
    """One of up to 90,000 objects of a study: the same header, without pixels (5 KB)."""
    body = (_slice() % marks(examination)).encode("latin-1")
    return body.replace(_FIRST_SLICE.encode(), f".3.{_FIRST + number}".encode())


def uid_of_many(examination: Examination, number: int) -> str:
    return f"{sop_instance_uid(examination)}.{_FIRST + number}"


def study_uid(examination: Examination) -> str:
    return _STUDY_UID.replace(str(_NUMBER), str(examination.number))


def sop_instance_uid(examination: Examination) -> str:
    return _SOP_INSTANCE_UID.replace(str(_NUMBER), str(examination.number))


def marks(examination: Examination) -> dict[str, str]:
    """What fills the gaps of a template; as long in one examination as in another."""
    birth_date, day = examination.birth_date.isoformat(), examination.day.isoformat()
    return {
        "number": str(examination.number),
        "patient": str(examination.patient),
        "birth-date": birth_date,
        "birthdate": birth_date.replace("-", ""),
        "day": day,
        "yyyymmdd": day.replace("-", ""),
    }


def template(text: str) -> str:
    """What stands in a text of the sample examination, with gaps for what any other has instead (`%` fills them)."""
    text = text.replace("%", "%%")
    for name, value in marks(_SAMPLE).items():
        text = text.replace(value, f"%({name})s")
    return text


def sample_order() -> bytes:
    """The order that templates are made from."""
    return _ORDER.encode()


@cache
def _order() -> str:
    return template(_ORDER)


_FIRST = 10_000
_FIRST_SLICE = f".3.{_FIRST}"


@cache
def _object() -> str:
    return _in_part10(_dataset())


@cache
def _json() -> str:
    dataset = _dataset()
    del dataset.PixelData
    return template(dataset.to_json())


@cache
def _large() -> str:
    dataset = _dataset()
    dataset.Rows = dataset.Columns = 512
    dataset.PixelData = bytes(512 * 512 * 2)
    return _in_part10(dataset)


@cache
def _slice() -> str:
    dataset = _dataset()
    del dataset.PixelData
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(_SOP_INSTANCE_UID + f".{_FIRST}")
    return _in_part10(dataset)


def _in_part10(dataset: FileDataset) -> str:
    file = BytesIO()
    dataset.save_as(file)
    return template(file.getvalue().decode("latin-1"))


def _dataset() -> FileDataset:
    """pydicom's CT_small.dcm, pixels and all, with the sample's identifiers."""
    dataset = dcmread(str(get_testdata_file("CT_small.dcm")))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(_SOP_INSTANCE_UID)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _STUDY_UID, _SERIES_UID
    dataset.AccessionNumber, dataset.PatientID, dataset.StudyDate = _ACCESSION_NUMBER, _PATIENT_ID, _DAY
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = "Doe^Jane", _BIRTH_DATE, "F"
    for prefix, other in zip("XY", dataset.OtherPatientIDsSequence, strict=True):
        other.PatientID = f"{prefix}{_SAMPLE.patient}"
    return dataset
