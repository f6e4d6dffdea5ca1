"""Reads the header of a DICOM object (PS3.10 file or bare data set) into an `Instance`; pixels are never looked at.

An identifier is given as it stands or not at all: never shortened, never one of several, never guessed. What is odd
about the header is read as well as it can be, with a warning.
"""

from collections.abc import Sequence
from functools import lru_cache

from bridge.core.channel import DEFAULT_ATTRIBUTES
from bridge.core.errors import Invalid
from bridge.core.instance_number import InstanceNumber, parse_instance_number
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Identifier, Instance, Issuer, Patient, Request, Stated, Statement
from bridge.formats.dicom_charsets import unknown_character_set
from bridge.formats.dicom_elements import DataSet, tag_name
from bridge.formats.dicom_part10 import read_part10
from bridge.formats.dicom_rejections import (
    CONCEPT_NAME_CODE_SEQUENCE,
    CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
    rejection_note,
)
from bridge.formats.dicom_values import (
    NEEDED_FOR_JSON,
    json_model,
    moment_in_utc,
    person_names,
    text,
    text_field,
    texts,
    whole_date,
)
from bridge.formats.lost_characters import LOST
from bridge.formats.selection import Selection, selection
from bridge.formats.sop_classes import instance_number_type, sop_class_name

_USUAL = selection(*DEFAULT_ATTRIBUTES)
_WHITE_SPACE = b" \0\t\n\v\f\r"
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

# The tags that are read of the data set itself; all else is passed over.
_READ = frozenset(
    (
        _MEDIA_STORAGE_SOP_CLASS_UID := 0x00020002,
        _TRANSFER_SYNTAX_UID := 0x00020010,
        _SPECIFIC_CHARACTER_SET := 0x00080005,
        _SOP_CLASS_UID := 0x00080016,
        _SOP_INSTANCE_UID := 0x00080018,
        _STUDY_DATE := 0x00080020,
        _ACCESSION_NUMBER := 0x00080050,
        _ISSUER_OF_ACCESSION_NUMBER_SEQUENCE := 0x00080051,
        _MODALITY := 0x00080060,
        _TIMEZONE_OFFSET_FROM_UTC := 0x00080201,
        _STATION_NAME := 0x00081010,
        _PATIENT_NAME := 0x00100010,
        _PATIENT_ID := 0x00100020,
        _ISSUER_OF_PATIENT_ID := 0x00100021,
        _ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE := 0x00100024,
        _PATIENT_BIRTH_DATE := 0x00100030,
        _PATIENT_SEX := 0x00100040,
        _OTHER_PATIENT_IDS := 0x00101000,  # retired
        _OTHER_PATIENT_IDS_SEQUENCE := 0x00101002,
        _PATIENT_IDENTITY_REMOVED := 0x00120062,
        _STUDY_INSTANCE_UID := 0x0020000D,
        _SERIES_INSTANCE_UID := 0x0020000E,
        _SERIES_NUMBER := 0x00200011,
        _INSTANCE_NUMBER := 0x00200013,
        _NUMBER_OF_FRAMES := 0x00280008,
        _ORDER_PLACER_IDENTIFIER_SEQUENCE := 0x00400026,
        _ORDER_FILLER_IDENTIFIER_SEQUENCE := 0x00400027,
        _REQUEST_ATTRIBUTES_SEQUENCE := 0x00400275,
        _PLACER_ORDER_NUMBER := 0x00402016,
        _FILLER_ORDER_NUMBER := 0x00402017,
        CONCEPT_NAME_CODE_SEQUENCE,
        _REFERENCED_REQUEST_SEQUENCE := 0x0040A370,
        CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
        _ORIGINAL_ATTRIBUTES_SEQUENCE := 0x04000561,
    )
)
# Those that are read only in the items of sequences.
_SCHEDULED_PROCEDURE_STEP_ID = 0x00400009
_LOCAL_NAMESPACE_ENTITY_ID = 0x00400031
_UNIVERSAL_ENTITY_ID = 0x00400032
_UNIVERSAL_ENTITY_ID_TYPE = 0x00400033
_IDENTIFIER_TYPE_CODE = 0x00400035
_REQUESTED_PROCEDURE_ID = 0x00401001
_ATTRIBUTE_MODIFICATION_DATE_TIME = 0x04000562


def read_instance(
    body: bytes,
    *,
    attributes: Selection = _USUAL,
    limits: Limits = DEFAULT_LIMITS,
    whole: bool = True,
) -> Instance:
    """What the header of one DICOM object says.

    `attributes` are those kept for `Instance.dicom`, but for binary values.
    `whole` is false where `body` is the beginning of a file that is larger: then it has to reach the pixel data.

    Raises Invalid: `dicom-not-dicom`, `dicom-truncated` (before the pixel data), `dicom-malformed`,
    `dicom-media-directory` (a DICOMDIR), `dicom-no-sop-instance-uid`, `dicom-no-study-instance-uid`; over a limit
    `max-inflated-size`, `max-elements`, `max-nesting`, `max-field-size`.
    """
    kept, wanted = _tags(attributes)
    meta, header = read_part10(body, limits, wanted, whole=whole)
    if attributes.is_open:
        kept = tuple(sorted(tag for tag in header.elements if tag in attributes))
    sop_class_uid = text(header, _SOP_CLASS_UID)
    if _MEDIA_STORAGE_DIRECTORY in (sop_class_uid, text(meta, _MEDIA_STORAGE_SOP_CLASS_UID)):
        raise Invalid("dicom-media-directory", "a DICOMDIR lists objects and is none itself")
    if unknown_character_set(header.character_sets):
        header.warn(_SPECIFIC_CHARACTER_SET, "not a known character set; ISO 8859-1 or UTF-8 is read")
    series_instance_uid = _stated(header, _SERIES_INSTANCE_UID)
    return Instance(
        sop_instance_uid=_required_uid(header, _SOP_INSTANCE_UID, "sop-instance-uid"),
        sop_class_uid=sop_class_uid,
        sop_class_name=sop_class_name(sop_class_uid),
        series_instance_uid=series_instance_uid.value if series_instance_uid else None,
        transfer_syntax_uid=text(meta, _TRANSFER_SYNTAX_UID),
        series_number=_integer(header, _SERIES_NUMBER),
        number_of_frames=_integer(header, _NUMBER_OF_FRAMES),
        instance_number=_instance_number(header, sop_class_uid),
        statement=_statement(header),
        dicom=json_model(header, kept),
        attributes_modified_at=_modified_at(header),
        rejects=rejection_note(header, sop_class_uid),
        station_name=text(header, _STATION_NAME),
        warnings=header.warnings,
    )


@lru_cache(maxsize=64)
def _tags(attributes: Selection) -> tuple[tuple[int, ...], frozenset[int] | None]:
    """The tags to keep, as far as they are named, and all those to find; None where that is every one."""
    return tuple(sorted(attributes.tags)), None if attributes.is_open else attributes.tags | _READ | NEEDED_FOR_JSON


_LONGEST_MODALITY = 64  # characters, though a code string has 16


def _required_uid(header: DataSet, tag: int, name: str) -> str:
    """A type 1 UID of the object itself. File Meta Information is no substitute: tools leave old ones there."""
    uid = text(header, tag)
    if uid is None:
        raise Invalid(f"dicom-no-{name}", f"{tag_name(tag)} is absent, empty or too long for a UID")
    if "\\" in uid:
        raise Invalid(f"dicom-no-{name}", f"{tag_name(tag)} has several values")
    if LOST in uid:
        raise Invalid(f"dicom-no-{name}", f"{tag_name(tag)} has characters that cannot be read")
    return uid


def _instance_number(header: DataSet, sop_class_uid: str | None) -> InstanceNumber:
    element = header.elements.get(_INSTANCE_NUMBER)
    vr = element.vr if element and element.vr else "IS"
    return parse_instance_number(header.raw(_INSTANCE_NUMBER), instance_number_type(sop_class_uid), vr)


def _integer(header: DataSet, tag: int) -> int | None:
    """The value of any IS element by the same strict rules, None where it is no integer."""
    integer = parse_instance_number(text_field(header, tag), None)
    if integer.status == "invalid":
        header.warn(tag, "no integer; left out")
    return integer.value


def _statement(header: DataSet) -> Statement:
    modalities = texts(header, _MODALITY)
    if len(modalities) > 1:
        header.warn(_MODALITY, "several values where one is allowed; the first is taken")
    modality = modalities[0] if modalities else None
    if modality and len(modality) > _LONGEST_MODALITY:
        header.warn(_MODALITY, f"longer than {_LONGEST_MODALITY} characters; not used")
        modality = None
    return Statement(
        study_instance_uid=_required_uid(header, _STUDY_INSTANCE_UID, "study-instance-uid"),
        accession_number=_accession_number(header),
        requests=_requests(header),
        patient=_patient(header),
        patient_identity_removed=_patient_identity_removed(header),
        modality=modality,
        study_date=whole_date(header, _STUDY_DATE),
    )


def _patient_identity_removed(header: DataSet) -> bool:
    """Whether the study must not be linked: what is not known to be NO may be YES."""
    if not header.raw(_PATIENT_IDENTITY_REMOVED):
        return False
    raw = text_field(header, _PATIENT_IDENTITY_REMOVED)
    stated = None if raw is None else raw.strip(_WHITE_SPACE).upper()
    if stated in (b"", b"NO"):
        return False
    if stated != b"YES":
        header.warn(_PATIENT_IDENTITY_REMOVED, "neither YES nor NO; taken as YES")
    return True


def _patient(header: DataSet) -> Patient:
    identifiers = [_patient_identifier(header)]
    identifiers += [_patient_identifier(other) for other in header.items(_OTHER_PATIENT_IDS_SEQUENCE, few=True)]
    for number, value in enumerate(texts(header, _OTHER_PATIENT_IDS), start=1):
        if value and _readable(header, _OTHER_PATIENT_IDS, value):
            identifiers.append(Identifier(value, f"{header.where(_OTHER_PATIENT_IDS)}[{number}]"))
    sex = (text(header, _PATIENT_SEX) or "").upper()
    return Patient(
        identifiers=tuple(identifier for identifier in identifiers if identifier),
        names=person_names(header, _PATIENT_NAME),
        birth_date=whole_date(header, _PATIENT_BIRTH_DATE),
        sex=sex if sex in ("F", "M", "O") else None,
    )


def _patient_identifier(data_set: DataSet) -> Identifier | None:
    namespace = text(data_set, _ISSUER_OF_PATIENT_ID)
    stated = [
        (_issuer(namespace, qualifiers), text(qualifiers, _IDENTIFIER_TYPE_CODE))
        for qualifiers in data_set.items(_ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE)
    ]
    return _identifier(data_set, _PATIENT_ID, stated or [(_issuer(namespace, None), None)])


def _accession_number(data_set: DataSet) -> Identifier | None:
    return _issued(data_set, _ACCESSION_NUMBER, _ISSUER_OF_ACCESSION_NUMBER_SEQUENCE)


def _issued(data_set: DataSet, tag: int, issuer_tag: int) -> Identifier | None:
    """An identifier whose issuer is an HL7v2 Hierarchic Designator (PS3.3 10.17) beside it."""
    stated = [
        (_issuer(text(designator, _LOCAL_NAMESPACE_ENTITY_ID), designator), None)
        for designator in data_set.items(issuer_tag)
    ]
    return _identifier(data_set, tag, stated or [(None, None)])


def _issuer(namespace_id: str | None, designator: DataSet | None) -> Issuer | None:
    """The issuer that a namespace and an item of a designator sequence name, None when they name none."""
    universal_id = text(designator, _UNIVERSAL_ENTITY_ID) if designator else None
    universal_id_type = text(designator, _UNIVERSAL_ENTITY_ID_TYPE) if designator else None
    if namespace_id is None and universal_id is None:
        return None
    return Issuer(namespace_id, universal_id, universal_id_type)


def _identifier(data_set: DataSet, tag: int, stated: Sequence[tuple[Issuer | None, str | None]]) -> Identifier | None:
    """An identifier with its issuer and type code; `stated` are those of each item that may be about them."""
    value = text(data_set, tag)
    issuer, type_code = stated[0]
    if value is not None and any(other != stated[0] for other in stated):
        data_set.warn(tag, "not used, as its issuer is stated in several ways")
        return None
    issued = (issuer.namespace_id, issuer.universal_id) if issuer else ()
    if value is None or not _readable(data_set, tag, value, *issued, type_code):
        return None
    return Identifier(value, data_set.where(tag), issuer, type_code)


def _stated(data_set: DataSet, tag: int) -> Stated | None:
    value = text(data_set, tag)
    return Stated(value, data_set.where(tag)) if value and _readable(data_set, tag, value) else None


def _readable(data_set: DataSet, tag: int, *parts: str | None) -> bool:
    """Whether an identifier, its issuer included, lost no character: two that did would be equal, and are not."""
    if any(LOST in part for part in parts if part):
        data_set.warn(tag, "not used, as it or its issuer cannot be read in full")
        return False
    return True


def _requests(header: DataSet) -> tuple[Request, ...]:
    """Each item of both request sequences, then the order numbers that some systems write beside them."""
    requests = [
        _request(item)
        for sequence in (_REQUEST_ATTRIBUTES_SEQUENCE, _REFERENCED_REQUEST_SEQUENCE)
        for item in header.items(sequence, few=True)
    ]
    requests.append(
        Request(
            placer_order_number=_issued(header, _PLACER_ORDER_NUMBER, _ORDER_PLACER_IDENTIFIER_SEQUENCE),
            filler_order_number=_issued(header, _FILLER_ORDER_NUMBER, _ORDER_FILLER_IDENTIFIER_SEQUENCE),
        )
    )
    return tuple(request for request in requests if request != Request())


def _request(item: DataSet) -> Request:
    return Request(
        study_instance_uid=_stated(item, _STUDY_INSTANCE_UID),
        accession_number=_accession_number(item),
        requested_procedure_id=_stated(item, _REQUESTED_PROCEDURE_ID),
        scheduled_procedure_step_id=_stated(item, _SCHEDULED_PROCEDURE_STEP_ID),
        placer_order_number=_issued(item, _PLACER_ORDER_NUMBER, _ORDER_PLACER_IDENTIFIER_SEQUENCE),
        filler_order_number=_issued(item, _FILLER_ORDER_NUMBER, _ORDER_FILLER_IDENTIFIER_SEQUENCE),
    )


def _modified_at(header: DataSet) -> str | None:
    """The latest Attribute Modification DateTime of the Original Attributes Sequence (PS3.3 C.12.1.1.9)."""
    offset = text(header, _TIMEZONE_OFFSET_FROM_UTC)
    moments = [
        moment_in_utc(item, _ATTRIBUTE_MODIFICATION_DATE_TIME, offset)
        for item in header.items(_ORIGINAL_ATTRIBUTES_SEQUENCE)
    ]
    return max((moment for moment in moments if moment), default=None)
