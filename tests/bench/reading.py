"""Measures reading alone, in one process, against the libraries of the field: ratios of the same bytes in one run.

The bridge's own time is that of everything from the body to facts; what the libraries do is less: they parse.
"""

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from statistics import median

import hl7
import hl7apy.parser
import hl7kit
from bodies import latest, object_body, order_body
from pydicom import dcmread

from bridge.config import load_channels, starter_channels
from bridge.core.channel import DataType
from bridge.core.ports import Inbound
from bridge.formats.reading import contents, read

_ROUND_SECONDS = 0.2  # of each program in each round


@dataclass
class Reading:
    """Seconds that each program takes for one body, round by round."""

    body_bytes: int
    seconds: dict[str, list[float]]

    def ratio(self, other: str) -> float:
        """How many times as long as the bridge another takes, the median of the rounds."""
        return median(theirs / ours for theirs, ours in zip(self.seconds[other], self.seconds["bridge"], strict=True))


def measure_reading(rounds: int) -> dict[str, Reading]:
    """A six-segment ORM^O01, and the header of CT_small.dcm."""
    order, ct = order_body(latest(0)), object_body(latest(0))
    text = order.decode()
    return {
        "ORM^O01 of six segments": _measure(
            len(order),
            {
                "bridge": _bridge(DataType.HL7V2, order),
                "hl7apy parse_message": lambda: hl7apy.parser.parse_message(text),
                "python-hl7 parse": lambda: hl7.parse(text),
                "hl7kit parse": lambda: hl7kit.parse(text),
            },
            rounds,
        ),
        "header of CT_small.dcm": _measure(
            len(ct),
            {
                "bridge": _bridge(DataType.DICOM, ct),
                "pydicom dcmread": lambda: dcmread(BytesIO(ct), stop_before_pixels=True),
            },
            rounds,
        ),
    }


def _bridge(data_type: DataType, body: bytes) -> Callable[[], object]:
    [channel] = [one for one in load_channels(starter_channels()) if one.source.data_type is data_type]
    inbound = Inbound(channel.name, body)
    return lambda: [read(content, channel) for content in contents(inbound, data_type)]


def _measure(body_bytes: int, programs: dict[str, Callable[[], object]], rounds: int) -> Reading:
    timers = {name: timeit.Timer(program) for name, program in programs.items()}
    counts = {name: max(1, int(_ROUND_SECONDS / min(timer.repeat(3, 1)))) for name, timer in timers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, timer in timers.items():
            seconds[name].append(timer.timeit(counts[name]) / counts[name])
    return Reading(body_bytes, seconds)
