"""What a hospital publishes during a chaos run: whole days as engines write them, repeated, and what is unreadable.

No object comes twice with different headers and without (0400,0562), the one place where arrival decides: so the same
messages end in the same verdicts however often a run is disturbed.
"""

import base64
import gzip
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from random import Random

import msgspec
from msgspec.structs import replace
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from bridge.config import load_channels
from bridge.core.errors import Invalid
from bridge.core.ports import Inbound
from bridge.formats.reading import contents
from bridge.intake import message_id
from tests.conftest import REPOSITORY
from tests.days import rendering
from tests.days.hospital import day
from tests.days.messages import Message, PersonLink, PersonUnmerge

CHANNELS = {channel.name: channel for channel in load_channels(REPOSITORY / "channels")}

_FIRST_PREFIX = 2_000_000  # of a day's identifiers, seven digits
_DAYS = (1, 2, 5, 10, 60)  # of one burst
_REMEMBERED = 300  # messages that may come again much later


@dataclass(frozen=True)
class Sending:
    """One message as it is published, and the rows of the ledger that it becomes."""

    inbound: Inbound
    rows: tuple[str, ...]

    @classmethod
    def of(cls, inbound: Inbound) -> "Sending":
        channel = inbound.channel
        try:
            held = contents(inbound, CHANNELS[channel].source.data_type)
        except Invalid:
            return cls(inbound, (message_id(channel, inbound.body),))
        return cls(inbound, tuple(message_id(channel, content.body) for content in held))


def bursts(seed: int) -> Iterator[list[Sending]]:
    """Messages that are published one right after the other, without end; the same ones for the same seed."""
    r = Random(seed)
    prefixes, numbers = map(str, count(_FIRST_PREFIX)), count(1)
    earlier: list[Inbound] = []
    while True:
        lanes = [_written(day(r), next(prefixes), r) for _ in range(r.choice(_DAYS))]
        messages = [replace(one, message_id=f"engine/{next(numbers)}/1") for one in _interleaved(lanes, r)]
        messages = _batched(messages, r)
        messages += [_unreadable(next(numbers), r) for _ in range(r.randint(0, 1 + len(lanes) // 3))]
        messages += [_again(r.choice(earlier), next(numbers), r) for _ in range(len(messages) // 25) if earlier]
        messages += [_again(one, next(numbers), r) for one in messages if r.random() < 0.06]
        _mix(messages, r)
        earlier = (earlier + r.sample(messages, min(10, len(messages))))[-_REMEMBERED:]
        yield [Sending.of(one) for one in messages]


def _interleaved(lanes: Sequence[Sequence[Inbound]], r: Random) -> list[Inbound]:
    """Each day in its sequence, between the others."""
    order = [lane for lane, messages in enumerate(lanes) for _ in messages]
    r.shuffle(order)
    left = [iter(lane) for lane in lanes]
    return [next(left[lane]) for lane in order]


def _mix(messages: list[Inbound], r: Random) -> None:
    """Lets some messages come at another moment of the burst."""
    for _ in range(len(messages) // 5):
        messages.insert(r.randrange(len(messages)), messages.pop(r.randrange(len(messages))))


def _again(message: Inbound, number: int, r: Random) -> Inbound:
    """The same message, half of the times under another `message_id`, as an engine's own retry or its user's."""
    return message if r.random() < 0.5 else replace(message, message_id=f"engine/{number}/1")


def _batched(messages: list[Inbound], r: Random) -> list[Inbound]:
    """Now and then two plain HL7 messages in one body."""
    found: list[Inbound] = []
    for one in messages:
        before = found[-1] if found else None
        if before and _is_plain_hl7(before) and _is_plain_hl7(one) and r.random() < 0.05:
            found[-1] = replace(before, body=before.body + one.body)
        else:
            found.append(one)
    return found


def _is_plain_hl7(message: Inbound) -> bool:
    return message.channel == "orders" and message.body.startswith(b"MSH") and message.content_encoding is None


# How engines write


def _written(messages: Sequence[Message], prefix: str, r: Random) -> list[Inbound]:
    """One day; the same message is written in one form only."""
    written = {}
    for message in messages:
        if message not in written and not isinstance(message, PersonLink | PersonUnmerge):
            plain = rendering.inbound(message, prefix)
            forms = _OBJECT_FORMS if plain.channel == "images" else _HL7_FORMS
            written[message] = r.choices(list(forms), list(forms.values()))[0](plain)
    return [written[message] for message in messages if message in written]


def _as_it_is(plain: Inbound) -> Inbound:
    return plain


def _with_lf(plain: Inbound) -> Inbound:
    return replace(plain, body=plain.body.replace(b"\r", b"\n"), content_type="text/plain; charset=utf-8")


def _in_mllp(plain: Inbound) -> Inbound:
    return replace(plain, body=b"\x0b" + plain.body + b"\x1c\r", content_type="x-application/hl7-v2+er7")


def _in_base64(plain: Inbound) -> Inbound:
    return replace(plain, body=base64.encodebytes(plain.body), content_encoding="base64")


def _in_gzip(plain: Inbound) -> Inbound:
    return replace(plain, body=gzip.compress(plain.body, mtime=0), content_encoding="gzip")


def _file(plain: Inbound) -> Inbound:
    return replace(plain, body=part10(plain.body), content_type="application/dicom")


def _file_with_pixels(plain: Inbound) -> Inbound:
    return replace(_file(plain), body=part10(plain.body, pixels=256 * 256))


_HL7_FORMS: dict[Callable[[Inbound], Inbound], int] = {
    _as_it_is: 6,
    _with_lf: 1,
    _in_mllp: 1,
    _in_base64: 1,
    _in_gzip: 1,
}
_OBJECT_FORMS: dict[Callable[[Inbound], Inbound], int] = {
    _as_it_is: 3,
    _in_gzip: 1,
    _file: 4,
    _file_with_pixels: 1,
    lambda plain: _in_gzip(_file(plain)): 1,
    lambda plain: _in_base64(_file(plain)): 1,
}


def part10(model: bytes, pixels: int = 0) -> bytes:
    """An object in the DICOM JSON Model as the file that pydicom writes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the days' values are not all what pydicom likes
        header = Dataset.from_json(msgspec.json.decode(model))
        header.SpecificCharacterSet = "ISO_IR 192"
        if pixels:
            header.BitsAllocated, header.PixelData = 16, bytes(2 * pixels)
            header["PixelData"].VR = "OW"
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = BytesIO()
        header.save_as(file, enforce_file_format=True)
    return file.getvalue()


# What is not read


def _unreadable(number: int, r: Random) -> Inbound:
    """A message that is rejected, or filtered; each is one of its own."""
    made = r.choice(_UNREADABLE)
    return replace(made(str(number).encode()), message_id=f"engine/{number}/1")


_MSH = b"MSH|^~\\&|RIS|MAIN|BRIDGE|MAIN|20261123083000||%s|%s|P|2.5.1\r"
_HL7, _DICOM = "application/hl7-v2+er7", "application/dicom"
_UNREADABLE: tuple[Callable[[bytes], Inbound], ...] = (
    lambda n: Inbound("orders", b"garbage " + n, _HL7),
    lambda n: Inbound("orders", b"${message.encodedData}" + n, _HL7),
    lambda n: Inbound("orders", _MSH % (b"ORM^O01", n), _HL7),
    lambda n: Inbound("orders", _MSH % (b"ADT^A08", n), _HL7),
    lambda n: Inbound("orders", b"%PDF-1.7 " + n, "application/pdf"),
    lambda n: Inbound("orders", b"\x1f\x8b\x08 cut off " + n, _HL7, "gzip"),
    lambda n: Inbound("orders", _MSH % (b"ACK^O01", n) + b"MSA|AA|" + n + b"\r", _HL7),
    lambda n: Inbound("images", b"not an object " + n, _DICOM),
    lambda n: Inbound("images", bytes(128) + b"DICM" + n, _DICOM),
    lambda n: Inbound("images", b'{"00080018": ' + n, "application/dicom+json"),
)
