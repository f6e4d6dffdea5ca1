"""The standard's names of DICOM attributes (PS3.6), for people."""

from pydicom.datadict import dictionary_description


def attribute_name(where: str) -> str | None:
    """`Accession Number` for `00400275[1].00080050`: the name of the last tag, None where PS3.6 has none."""
    try:
        return dictionary_description(int(where.rpartition(".")[2][:8], 16))
    except KeyError:
        return None
