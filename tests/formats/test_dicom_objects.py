"""Every kind of object is read, made by pydicom in each encoding: what linking and the events need comes out."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import NamedTuple

import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from bridge.core.model import Identifier, Issuer, Request, Stated
from bridge.formats.dicom import read_instance

PIXELS = b"\1\2" * 8


def data_set(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def coded(value: str, scheme: str, meaning: str) -> Sequence[Dataset]:
    return [data_set(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def request(**attributes: object) -> Dataset:
    return data_set(
        StudyInstanceUID="1.2.7",
        AccessionNumber="A1005",
        IssuerOfAccessionNumberSequence=[data_set(LocalNamespaceEntityID="RIS")],
        RequestedProcedureID="RP1",
        **attributes,
    )


def enhanced_ct() -> Dataset:
    frames = [
        data_set(
            FrameContentSequence=[data_set(DimensionIndexValues=[1, frame], FrameAcquisitionNumber=frame)],
            PlanePositionSequence=[data_set(ImagePositionPatient=[0, 0, frame])],
        )
        for frame in range(1, 41)
    ]
    return data_set(
        SOPClassUID=uid.EnhancedCTImageStorage,
        Modality="CT",
        NumberOfFrames=40,
        RequestAttributesSequence=[request(ScheduledProcedureStepID="SPS1")],
        SharedFunctionalGroupsSequence=[data_set(PixelMeasuresSequence=[data_set(PixelSpacing=[0.5, 0.5])])],
        PerFrameFunctionalGroupsSequence=frames,
        PixelData=PIXELS,
    )


def structured_report() -> Dataset:
    finding = data_set(
        RelationshipType="CONTAINS",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=coded("121070", "DCM", "Findings"),
        ContentSequence=[data_set(RelationshipType="CONTAINS", ValueType="TEXT", TextValue="AccessionNumber X9\\Y")],
    )
    return data_set(
        SOPClassUID=uid.EnhancedSRStorage,
        Modality="SR",
        ValueType="CONTAINER",
        ReferencedRequestSequence=[
            request(PlacerOrderNumberImagingServiceRequest="P1", FillerOrderNumberImagingServiceRequest="F1"),
            request(FillerOrderNumberImagingServiceRequest="F2"),
        ],
        ContentSequence=[finding],
    )


def key_object_selection() -> Dataset:
    referenced = data_set(
        StudyInstanceUID="1.2.99",
        ReferencedSeriesSequence=[
            data_set(
                SeriesInstanceUID="1.2.99.1",
                ReferencedSOPSequence=[data_set(ReferencedSOPClassUID="1.2.3", ReferencedSOPInstanceUID="1.2.99.1.1")],
            )
        ],
    )
    return data_set(
        SOPClassUID=uid.KeyObjectSelectionDocumentStorage,
        Modality="KO",
        ReferencedRequestSequence=[request()],
        CurrentRequestedProcedureEvidenceSequence=[referenced],
        ConceptNameCodeSequence=coded("113000", "DCM", "Of Interest"),
    )


def rt_plan() -> Dataset:
    beam = data_set(BeamNumber=1, ControlPointSequence=[data_set(ControlPointIndex=0, NominalBeamEnergy=6)])
    return data_set(SOPClassUID=uid.RTPlanStorage, Modality="RTPLAN", BeamSequence=[beam])


def rt_structure_set() -> Dataset:
    contour = data_set(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=2, ContourData=[0, 0, 1, 1, 1, 1])
    return data_set(
        SOPClassUID=uid.RTStructureSetStorage,
        Modality="RTSTRUCT",
        ROIContourSequence=[data_set(ContourSequence=[contour])],
    )


def rt_dose() -> Dataset:
    return data_set(
        SOPClassUID=uid.RTDoseStorage,
        Modality="RTDOSE",
        NumberOfFrames=3,
        GridFrameOffsetVector=[0, 1, 2],
        PixelData=PIXELS,
    )


def ecg() -> Dataset:
    channel = data_set(ChannelSourceSequence=coded("2:1", "MDC", "Lead I"), WaveformBitsStored=16)
    group = data_set(
        NumberOfWaveformChannels=1,
        ChannelDefinitionSequence=[channel],
        WaveformBitsAllocated=16,
        WaveformData=b"\1\2" * 100,
    )
    return data_set(SOPClassUID=uid.TwelveLeadECGWaveformStorage, Modality="ECG", WaveformSequence=[group])


def presentation_state() -> Dataset:
    text = data_set(BoundingBoxAnnotationUnits="PIXEL", UnformattedTextValue="see here")
    return data_set(
        SOPClassUID=uid.GrayscaleSoftcopyPresentationStateStorage,
        Modality="PR",
        ReferencedSeriesSequence=[data_set(SeriesInstanceUID="1.2.98")],
        GraphicAnnotationSequence=[data_set(GraphicLayer="A", TextObjectSequence=[text])],
    )


def encapsulated_pdf() -> Dataset:
    return data_set(
        SOPClassUID=uid.EncapsulatedPDFStorage,
        Modality="DOC",
        MIMETypeOfEncapsulatedDocument="application/pdf",
        EncapsulatedDocument=b"%PDF-1.7" * 1000,
    )


def segmentation() -> Dataset:
    return data_set(
        SOPClassUID=uid.SegmentationStorage,
        Modality="SEG",
        NumberOfFrames=2,
        SegmentSequence=[data_set(SegmentNumber=1, SegmentLabel="Liver", SegmentAlgorithmType="AUTOMATIC")],
        PerFrameFunctionalGroupsSequence=[
            data_set(SegmentIdentificationSequence=[data_set(ReferencedSegmentNumber=1)]) for _ in range(2)
        ],
        PixelData=PIXELS,
    )


def whole_slide() -> Dataset:
    return data_set(
        SOPClassUID=uid.VLWholeSlideMicroscopyImageStorage,
        Modality="SM",
        NumberOfFrames=100_000,
        ContainerIdentifier="S-1",
        SpecimenDescriptionSequence=[data_set(SpecimenIdentifier="S-1-A", SpecimenUID="1.2.97")],
        TotalPixelMatrixColumns=100_000,
        OpticalPathSequence=[data_set(OpticalPathIdentifier="1", ICCProfile=b"\0" * 3000)],
        PixelData=PIXELS,
    )


def private_object() -> Dataset:
    made = data_set(SOPClassUID="1.2.840.113619.4.27", Modality="CT")
    made.private_block(0x0009, "VENDOR", create=True).add_new(0x01, "SQ", [data_set(AccessionNumber="B2")])
    return made


class Kind(NamedTuple):
    """What makes an object, and what has to come out. `requests`: each item's place, and what it says besides."""

    make: Callable[[], Dataset]
    name: str | None
    modality: str
    instance_number_type: str | None
    frames: int | None = None
    requests: tuple[tuple[str, dict[str, str]], ...] = ()


KINDS = [
    Kind(enhanced_ct, "Enhanced CT Image Storage", "CT", "1", 40, (("00400275[1].", {"00400009": "SPS1"}),)),
    Kind(
        structured_report,
        "Enhanced SR Storage",
        "SR",
        "1",
        requests=(("0040A370[1].", {"00402016": "P1", "00402017": "F1"}), ("0040A370[2].", {"00402017": "F2"})),
    ),
    Kind(
        key_object_selection,
        "Key Object Selection Document Storage",
        "KO",
        "1",
        requests=(("0040A370[1].", {}),),
    ),
    Kind(rt_plan, "RT Plan Storage", "RTPLAN", "3"),
    Kind(rt_structure_set, "RT Structure Set Storage", "RTSTRUCT", "3"),
    Kind(rt_dose, "RT Dose Storage", "RTDOSE", "3", 3),
    Kind(ecg, "12-lead ECG Waveform Storage", "ECG", "1"),
    Kind(presentation_state, "Grayscale Softcopy Presentation State Storage", "PR", "1"),
    Kind(encapsulated_pdf, "Encapsulated PDF Storage", "DOC", "1"),
    Kind(segmentation, "Segmentation Storage", "SEG", "1", 2),
    Kind(whole_slide, "VL Whole Slide Microscopy Image Storage", "SM", "1", 100_000),
    Kind(private_object, None, "CT", None),
]


def written(made: Dataset, transfer_syntax: str, *, undefined: bool) -> bytes:
    """A Part 10 file as pydicom writes it, its sequences and items with stated or undefined lengths."""
    made.update(
        data_set(
            SOPInstanceUID="1.2.3.4.5",
            StudyInstanceUID="1.2.3",
            SeriesInstanceUID="1.2.3.4",
            AccessionNumber="A1005",
            PatientID="4711",
            PatientName="Doe^Jane",
            SeriesNumber=7,
            InstanceNumber="12",
        )
    )
    if "PixelData" in made:
        made["PixelData"].VR = "OW"
        made.BitsAllocated = 16
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.UID(transfer_syntax)
    if undefined:
        _open(made)
    file = BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _open(made: Dataset) -> None:
    made.is_undefined_length_sequence_item = True
    for element in made:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for inside in element.value:
                _open(inside)


def expected_requests(kind: Kind) -> tuple[Request, ...]:
    requests = []
    for place, more in kind.requests:
        stated = {tag: Stated(value, place + tag) for tag, value in more.items()}
        numbers = {tag: Identifier(value, place + tag) for tag, value in more.items()}
        requests.append(
            Request(
                study_instance_uid=Stated("1.2.7", f"{place}0020000D"),
                accession_number=Identifier("A1005", f"{place}00080050", Issuer("RIS")),
                requested_procedure_id=Stated("RP1", f"{place}00401001"),
                scheduled_procedure_step_id=stated.get("00400009"),
                placer_order_number=numbers.get("00402016"),
                filler_order_number=numbers.get("00402017"),
            )
        )
    return tuple(requests)


@pytest.mark.parametrize("undefined", [False, True], ids=["stated-lengths", "undefined-lengths"])
@pytest.mark.parametrize(
    "transfer_syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ],
    ids=["implicit", "explicit", "big-endian", "deflated"],
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.make.__name__)
def test_each_kind_of_object_is_read(kind: Kind, transfer_syntax: str, undefined: bool) -> None:
    instance = read_instance(written(kind.make(), transfer_syntax, undefined=undefined))

    assert (instance.sop_class_name, instance.statement.modality) == (kind.name, kind.modality)
    assert (instance.series_number, instance.number_of_frames) == (7, kind.frames)
    assert instance.instance_number.value == 12
    assert instance.instance_number.requirement.type == kind.instance_number_type
    assert instance.statement.study_instance_uid == "1.2.3"
    assert instance.statement.accession_number == Identifier("A1005", "00080050")
    assert instance.statement.requests == expected_requests(kind)
    assert instance.statement.patient.identifiers == (Identifier("4711", "00100020"),)
    assert instance.dicom["00200013"] == {"vr": "IS", "Value": [12]}
    assert instance.warnings == ()
