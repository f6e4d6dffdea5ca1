"""Finds the function of a site's own Python that a channel names: the only code that a channel file can lead to."""

import importlib
from importlib.metadata import entry_points
from typing import Any, cast

from bridge.core.channel import Change

GROUP = "hl7_dicom_bridge.transformers"  # of the entry points of installed packages


def change(written: Any) -> Change:
    """The function that `package.module:function` or an entry point's name means.

    Raises:
        ValueError: there is none, or it cannot be imported.
    """
    if not isinstance(written, str):
        raise ValueError("write package.module:function, or the name of an installed entry point")
    module, colon, name = written.partition(":")
    installed = entry_points(group=GROUP)
    if not colon and written not in installed.names:
        raise ValueError(f"no entry point of {GROUP} has this name; there are {sorted(installed.names)}")
    try:
        found = getattr(importlib.import_module(module), name) if colon else installed[written].load()
    except Exception as error:  # noqa: BLE001 - somebody else's code runs when it is imported
        raise ValueError(f"it cannot be imported ({type(error).__name__}: {error})") from None
    if not callable(found):
        raise ValueError("this is no function")
    return cast(Change, found)  # what it takes and gives is seen when it is called
