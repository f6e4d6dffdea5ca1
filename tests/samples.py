"""Messages and objects that tests make up: few words in, real bytes out."""

from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

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


def adt(
    trigger: str,
    patient: str,
    *,
    prior: str = "",
    name: str = "Doe^Jane",
    birth_date: str = "19700101",
    time: str = "20261123084500",
) -> bytes:
    """An ADT about `patient` (VALUE or VALUE^^^ISSUER^TYPE, several with ~); `prior` is MRG-1."""
    segments = [
        f"MSH|^~\\&|HIS|MAIN|BRIDGE|MAIN|{time}||ADT^{trigger}|A{time}{trigger}{prior}|P|2.3.1",
        f"EVN|{trigger}|{time}",
        f"PID|1||{patient}||{name}||{birth_date}|F",
    ]
    if prior:
        segments.append(f"MRG|{prior}")
    return "".join(f"{segment}\r" for segment in segments).encode()


def oru(
    number: int | str, status: str, *, patient: str = "", accession: str = "", time: str = "20261123120000"
) -> bytes:
    """The status of the report of filler order F-`number`."""
    segments = [
        f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|{time}||ORU^R01|R{number}{status}|P|2.3.1",
        f"PID|1||{patient or f'PAT{number}'}^^^HOSP^MR||Doe^Jane||19700101|F",
        f"OBR|1||F-{number}|CTABD^CT abdomen^L||||||||||||||{accession}||||{time}|||{status}",
        "OBX|1|TX|GDT^Report||the text of the report||||||F",
    ]
    return "".join(f"{segment}\r" for segment in segments).encode()


def siu(trigger: str, number: int | str, *, start: str = "20261124100000", time: str = "20261123090000") -> bytes:
    """An appointment for filler order F-`number`."""
    segments = [
        f"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|{time}||SIU^{trigger}|S{number}{trigger}{time}|P|2.4",
        f"SCH|AP{number}||||||||||^^^{start}|||||||||||||||P-{number}|F-{number}",
        f"PID|1||PAT{number}^^^HOSP^MR||Doe^Jane||19700101|F",
    ]
    return "".join(f"{segment}\r" for segment in segments).encode()


def rejection_note(
    number: int | str, *, study: str, rejects: tuple[int | str, ...], code: str = "113001", patient: str = ""
) -> bytes:
    """A Key Object Selection that rejects the objects `rejects` of `ct`, as a Part 10 file."""
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = code, "DCM", "Rejected"
    instances = []
    for rejected in rejects:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = CTImageStorage, f"{ROOT}.3.{rejected}"
        instances.append(one)
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{study}.1", instances
    evidence = Dataset()
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = study, [series]
    return ct(
        number,
        study=study,
        patient=patient,
        SOPClassUID=KeyObjectSelectionDocumentStorage,
        SeriesInstanceUID=f"{study}.9",
        Modality="KO",
        ConceptNameCodeSequence=[title],
        CurrentRequestedProcedureEvidenceSequence=[evidence],
    )


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
