"""What the bridge understood of the messages in a file: the answer to `bridge inspect`. It shows patient data."""

from bridge.inspection.display import as_text
from bridge.inspection.facts import Inspected, as_json, hidden, inspect

__all__ = ["Inspected", "as_json", "as_text", "hidden", "inspect"]
