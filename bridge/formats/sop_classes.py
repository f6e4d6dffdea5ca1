"""What is known about SOP classes: their names, and which type each requires Instance Number (0020,0013) to be."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pydicom.config import IGNORE
from pydicom.uid import UID


class _SopClass(NamedTuple):
    instance_number_type: str | None
    name: str


def instance_number_type(sop_class_uid: str | None) -> str | None:
    """`1`, `2` or `3` (PS3.5 7.4), as the strictest of the SOP class's mandatory modules asks; None when unknown."""
    sop_class = _sop_classes().get(sop_class_uid) if sop_class_uid else None
    return sop_class.instance_number_type if sop_class else None


def sop_class_name(sop_class_uid: str | None) -> str | None:
    """The name in PS3.6 A, such as `CT Image Storage`; None when unknown."""
    if not sop_class_uid:
        return None
    name = UID(sop_class_uid, validation_mode=IGNORE).name
    if name != sop_class_uid:
        return name
    sop_class = _sop_classes().get(sop_class_uid)  # some are newer than pydicom
    return sop_class.name if sop_class else None


@cache
def _sop_classes() -> dict[str, _SopClass]:
    table = files("bridge.formats").joinpath("instance_number_by_sop_class.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return {uid: _SopClass(None if type_ == "-" else type_, name) for uid, type_, _module, name in rows}
