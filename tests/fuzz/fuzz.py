"""Feeds a reader with mutated real input, for as long as it is given: python tests/fuzz/fuzz.py READER [SECONDS].

Nothing but Invalid may leave a reader, what it reads can be stored, and no input may cost much time or memory. What is
found is kept in `found`, and read by the test suite from then on (`tests/formats/test_found_by_fuzzing.py`).
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

from tests.fuzz.readers import READERS

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
LARGEST_SEED = 64 * 1024  # bytes; libFuzzer gets slow with more

SEEDS: dict[str, Iterable[str]] = {
    "hl7": ("data/hl7/**/*",),
    "dicom": ("data/dicom/**/*",),
    "instance_number": (),
    "hl7_xml": ("reference/mirth/hl7/xml/*", "reference/mirth/hl7/*.xml"),
    "dicom_xml": ("reference/mirth/dicom/*/*.xml",),
    "dicom_json": (),
}
WRITTEN: dict[str, Iterable[bytes]] = {
    "instance_number": (b"1 ", b"-2147483648", b"+0012", b"1\\2", b"1.5", b"1e3", b"12\x00", b"", b"             "),
    "dicom_json": (
        b'{"00080018":{"vr":"UI","Value":["1.2.3"]},"0020000D":{"vr":"UI","Value":["1.2"]},'
        b'"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},"00200013":{"vr":"IS","Value":[1]},'
        b'"00400275":{"vr":"SQ","Value":[{"00080050":{"vr":"SH","Value":["A1"]}}]},'
        b'"00280010":{"vr":"US","Value":[512]},"00091001":{"vr":"UN","InlineBinary":"AAAA"},'
        b'"00280030":{"vr":"DS","Value":[0.5,"0.5",null]},"7FE00010":{"vr":"OW","BulkDataURI":"x"}}',
    ),
    "hl7_xml": (b"<ORM_O01 xmlns='urn:hl7-org:v2xml'><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2></MSH></ORM_O01>",),
    "dicom_xml": (
        b'<NativeDicomModel><DicomAttribute tag="00100010" vr="PN"><PersonName number="1"><Alphabetic><FamilyName>A'
        b"</FamilyName></Alphabetic></PersonName></DicomAttribute></NativeDicomModel>",
    ),
}


def seeds(name: str, folder: Path) -> None:
    """Fills a folder with what the fuzzer starts from."""
    files = [file for pattern in SEEDS[name] for file in SHARED.glob(pattern)]
    small = [file.read_bytes() for file in files if file.is_file() and file.stat().st_size <= LARGEST_SEED]
    for number, body in enumerate([*small, *WRITTEN.get(name, ())]):
        (folder / f"{number}").write_bytes(body)


def main(name: str, seconds: str = "600") -> None:
    reader: Callable[[bytes], None] = READERS[name]
    atheris.instrument_all()
    with TemporaryDirectory() as corpus:
        seeds(name, Path(corpus))
        arguments = [
            f"-max_total_time={seconds}",
            "-timeout=10",  # seconds for one input
            "-rss_limit_mb=2048",
            "-max_len=100000",
            f"-artifact_prefix={HERE / 'found' / name}-",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *arguments, corpus], reader)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
