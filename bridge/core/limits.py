"""What one message may make the bridge read: over a bound it is refused with the bound's name, before it costs more."""

from bridge.core.errors import Invalid
from bridge.core.struct import Value

_MEBIBYTE = 1024 * 1024


class Limits(Value):
    """Each bound is a setting of its name. Sizes are bytes."""

    max_message_size: int = 128 * _MEBIBYTE  # as received, or of a file that is referred to
    max_inflated_size: int = 128 * _MEBIBYTE  # of what is compressed, when inflated
    max_field_size: int = 4 * _MEBIBYTE  # one HL7 field, or one DICOM value of those that are used
    max_segments: int = 20_000  # of one HL7 message
    max_fields: int = 200_000  # of one HL7 message, repetitions included
    max_repetitions: int = (
        1_000  # of one HL7 field, but in OBX; items of a DICOM sequence that names a patient or request
    )
    max_elements: int = 1_000_000  # of one DICOM header, those in sequences included; of one XML document
    max_nesting: int = 32  # sequences within sequences
    max_orders: int = 500  # requested procedures, reports, patients or appointments in one HL7 message
    max_messages: int = 10_000  # in one batch, or objects in one array
    reference_folders: tuple[str, ...] = ()  # files that a message refers to are read only from below these

    def exceeded(self, bound: str) -> Invalid:
        """The error of an input that is over this bound: its code is the bound's name."""
        return Invalid(bound.replace("_", "-"), f"over the bound {bound} of {getattr(self, bound)}")


DEFAULT_LIMITS = Limits()
