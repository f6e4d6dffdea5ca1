"""An integration channel: where messages come from, which are accepted, and where the events go."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from bridge.core.events import Retrieve
from bridge.core.filtering import Filter
from bridge.core.limits import Limits
from bridge.core.model import Fact, Instance
from bridge.core.normalisation import Normalisation
from bridge.core.struct import Value

# What an event of an instance carries of the header unless the channel says otherwise.
DEFAULT_ATTRIBUTES = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "StudyTime",
    "AccessionNumber",
    "Modality",
    "Manufacturer",
    "StationName",
    "StudyDescription",
    "SeriesDescription",
    "PatientID",
    "IssuerOfPatientID",
    "BodyPartExamined",
    "SliceThickness",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "RequestAttributesSequence",
)

EVERY_EVENT = ("instance.*", "study.*", "message.rejected")

# The HL7 v2 messages that are read, all of which a channel accepts unless it says otherwise.
ORDER_MESSAGES = ("ORM^O01", "OMI^O23", "OMG^O19")
PATIENT_MESSAGES = tuple(
    f"ADT^{trigger}"
    for trigger in ("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A28", "A31")
)
IDENTITY_MESSAGES = tuple(f"ADT^{trigger}" for trigger in ("A18", "A24", "A34", "A36", "A37", "A40", "A47"))
REPORT_MESSAGES = ("ORU^R01",)
SCHEDULING_MESSAGES = tuple(f"SIU^{trigger}" for trigger in ("S12", "S13", "S14", "S15", "S26"))
READ_MESSAGES = ORDER_MESSAGES + PATIENT_MESSAGES + IDENTITY_MESSAGES + REPORT_MESSAGES + SCHEDULING_MESSAGES


class DataType(StrEnum):
    """Mirth's names of the data types that a channel can carry."""

    HL7V2 = "HL7V2"
    DICOM = "DICOM"


# What a site's own Python makes of one fact of a message with these AMQP headers; None leaves it out.
Change = Callable[[Fact, Mapping[str, str]], Fact | None]


class Source(Value):
    """The RabbitMQ queue that a channel reads from, and how it reads what comes."""

    data_type: DataType
    exchange: str
    queue: str
    bindings: tuple[str, ...]
    prefetch: int
    batch: int  # most messages of a transaction
    charset: str  # of HL7 messages that declare none
    timezone: str  # of HL7 times that state none (IANA name)
    bounds: Mapping[str, Any] = {}  # of `Limits`, those that are others than the settings'

    def within(self, limits: Limits) -> Limits:
        """What one message of this source may make the bridge read."""
        return replace(limits, **self.bounds) if self.bounds else limits


class Destination(Value):
    """An exchange that a channel's events go to: which of them, under which routing key, and how much they say.

    A channel of which nothing is known any more has the defaults.
    """

    name: str = ""
    exchange: str = "bridge.events"
    declare: bool = True  # False: somebody else's exchange, which has to be there
    routing_key: str = "{entity}.{fact}.{modality}"
    events: tuple[str, ...] = EVERY_EVENT  # names with * for a word: instance.*, study.matched
    filter: Filter = Filter()  # what it asks of the objects that an event is about
    attributes: tuple[str, ...] = DEFAULT_ATTRIBUTES  # keywords, tags or groups that an event of an instance carries
    private: bool = False  # whether it carries all private ones, too
    compact_orders: bool = False

    def wants(self, event: str) -> bool:
        """Whether events of this name (`instance.pending`) go there."""
        return any(covers(pattern, event) for pattern in self.events)


class RetrieveTemplate(Value):
    """Where consumers get an object: a URL with `{StudyInstanceUID}` and its like, and the AE title of the archive."""

    url: str | None = None
    ae_title: str | None = None

    def of(self, instance: Instance) -> Retrieve:
        """For one object. No URL where it has not all that the template names."""
        values = {
            "StudyInstanceUID": instance.statement.study_instance_uid,
            "SeriesInstanceUID": instance.series_instance_uid,
            "SOPInstanceUID": instance.sop_instance_uid,
        }
        stated = {name: quote(value, safe="") for name, value in values.items() if value}
        try:
            url = self.url.format_map(stated) if self.url else None
        except KeyError:
            url = None
        return Retrieve(url=url, ae_title=self.ae_title)


class Example(Value):
    """A message and what the channel must make of it: the channel's unit test, run by `bridge check`."""

    name: str
    message: str | None  # an HL7 message as it stands in the channel file; None: they are in files
    files: tuple[str, ...]  # beside the channel file, or pydicom:NAME for one that the pydicom package ships
    headers: Mapping[str, str]  # of AMQP, such as calling-aet
    outcome: str  # TRANSFORMED, FILTERED or ERROR
    code: str | None  # of an ERROR
    reason: str | None  # why it is FILTERED or an ERROR
    orders: tuple[Mapping[str, Any], ...] | None  # what is read of each requested procedure, by the file's keys
    events: tuple[Mapping[str, Any], ...]  # that are published, with what must stand in them
    studies: tuple[Mapping[str, Any], ...]  # how they end, in the words of scenarios


class Channel(Value):
    """One file of the channels folder."""

    name: str
    description: str
    source: Source
    message_types: tuple[str, ...]
    destinations: tuple[Destination, ...]
    folder: str
    examples: tuple[Example, ...] = ()
    filter: Filter = Filter()
    normalisation: Normalisation | None = None  # None: nothing is said about values
    settle_after: float | None = None  # seconds; None: that of the settings
    hold_for: float | None = None  # seconds; None: that of the settings
    strict_issuers: bool = False  # of its objects' studies, as in `Policy`; where the site's are strict, all are
    no_keys: frozenset[str] = frozenset()  # names of the rules by which its objects' numbers are no keys
    change: Change | None = None  # the site's own Python
    retrieve: RetrieveTemplate | None = None


def covers(pattern: str, event: str) -> bool:
    """Whether a pattern of a channel file (`instance.*`, `study.matched`) means this event."""
    return pattern == event or (pattern.endswith(".*") and event.startswith(pattern[:-1]))
