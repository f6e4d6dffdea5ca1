"""Writes `bridge/formats/instance_number_by_sop_class.tsv` from a derivation of the DICOM module tables.

Run by hand when the derivation changes:

    python tests/generate_instance_number_table.py ../shared/reference/instance_number_by_sop_class.json

The input gives, for each storage SOP class, the modules that hold Instance Number (0020,0013) with their usage and
type; what ends in the table is its effective type and the first mandatory module that asks for it.
"""

import json
import sys
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "bridge" / "formats" / "instance_number_by_sop_class.tsv"

HEADER = """\
# Instance Number (0020,0013): the type each storage SOP class requires, "-" where the class does not have it.
# Where several mandatory modules of an IOD hold an attribute, the strictest type applies (PS3.3 C.1.2.3); "module" is
# the one that decides. Derived from the tables of PS3.3 and PS3.4 (2024b) as highdicom 0.28.2 ships them, confirmed by
# those of innolitics/dicom-standard; names from PS3.6 A.
# Written by tests/generate_instance_number_table.py: change that, not this.
# uid\ttype\tmodule\tname
"""

NEWER_THAN_PYDICOM = {  # and so without a name in the derivation
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
}


def table(derivation: dict[str, Any]) -> str:
    """The text of the table, in the order of the SOP classes' UIDs."""
    rows = sorted(derivation["sop_classes"], key=lambda row: [int(part) for part in row["sop_class_uid"].split(".")])
    return HEADER + "".join("\t".join(_fields(row)) + "\n" for row in rows)


def _fields(row: dict[str, Any]) -> tuple[str, str, str, str]:
    uid = row["sop_class_uid"]
    return uid, row["effective_type"] or "-", _deciding_module(row), row["name"] or NEWER_THAN_PYDICOM[uid]


def _deciding_module(row: dict[str, Any]) -> str:
    return next(
        (
            contribution["module"]
            for contribution in row["contributions"]
            if contribution["usage"] == "M" and contribution["type"] == row["effective_type"]
        ),
        "-",
    )


if __name__ == "__main__":
    TABLE.write_text(table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
