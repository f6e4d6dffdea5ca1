"""The readers as the fuzzer calls them: with any bytes, and with what must hold of every answer."""

from collections.abc import Callable

from bridge.core.channel import READ_MESSAGES, Channel, DataType, Destination, Source
from bridge.core.errors import Invalid
from bridge.core.instance_number import parse_instance_number
from bridge.core.limits import Limits
from bridge.core.ports import Inbound
from bridge.core.struct import encode
from bridge.formats.reading import contents, read

LIMITS = Limits(max_inflated_size=8 * 1024 * 1024)


def channel(data_type: DataType) -> Channel:
    source = Source(data_type, "", "", (), 1, 1, "ISO-8859-1", "UTC")
    return Channel("fuzz", "", source, READ_MESSAGES, (Destination(),), "")


def reader(data_type: DataType, content_type: str) -> Callable[[bytes], None]:
    """Everything that happens to a message between the queue and the store."""
    by = channel(data_type)

    def fuzzed(body: bytes) -> None:
        try:
            opened = contents(Inbound("fuzz", body, content_type), data_type, LIMITS)
        except Invalid:
            return
        for content in opened:
            try:
                encode(read(content, by, LIMITS))
            except Invalid as error:
                error.reason.encode()

    return fuzzed


def instance_number(body: bytes) -> None:
    number = parse_instance_number(body, None)
    assert (number.value is not None) == (number.status == "valid")
    encode(number)


READERS: dict[str, Callable[[bytes], None]] = {
    "hl7": reader(DataType.HL7V2, "application/hl7-v2"),
    "dicom": reader(DataType.DICOM, "application/dicom"),
    "instance_number": instance_number,
    "hl7_xml": reader(DataType.HL7V2, "application/hl7-v2+xml"),
    "dicom_xml": reader(DataType.DICOM, "application/dicom+xml"),
    "dicom_json": reader(DataType.DICOM, "application/dicom+json"),
}
