"""Messages and objects that tests make up: few words in, real bytes out."""

from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.10.999"


def orm(
    number: int | str,
    *,
    control: str = "NW",
    status: str = "SC",
    patient: str = "",
    accession: str = "",
    study: str = "",
    time: str = "20261123083000",
    name: str = "Doe^Jane",
    birth_date: str = "19700101",
) -> bytes:
    """An ORM^O01 about filler order F-`number`; what is not stated is left out."""
    segments = [
        f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|{time}||ORM^O01|C{number}-{control}|P|2.3.1",
        f"PID|1||{patient or f'PAT{number}'}^^^HOSP^MR||{name}||{birth_date}|F",
        f"ORC|{control}|P-{number}|F-{number}||{status}",
        f"OBR|1|P-{number}|F-{number}|CTABD^CT abdomen^L||||||||||||||{accession}||||||CT",
    ]
    if study:
        segments.append(f"ZDS|{study}^MAIN^Application^DICOM")
    return "".join(f"{segment}\r" for segment in segments).encode()


def ct(
    number: int | str,
    *,
    study: str,
    patient: str = "",
    accession: str = "",
    instance: int = 1,
    name: str = "Doe^Jane",
    birth_date: str = "19700101",
    **attributes: object,
) -> bytes:
    """A CT object `number` of a study, header only, as a Part 10 file."""
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = f"{ROOT}.3.{number}"
    header.StudyInstanceUID = study
    header.SeriesInstanceUID = f"{study}.1"
    header.Modality = "CT"
    header.PatientID = patient
    header.PatientName = name
    header.PatientBirthDate = birth_date
    header.PatientSex = "F"
    header.AccessionNumber = accession
    header.InstanceNumber = instance
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()
