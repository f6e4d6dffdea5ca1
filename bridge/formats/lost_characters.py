"""What is left of characters that an earlier system lost: one rule for HL7 and DICOM, whose values are compared."""

LOST = "\ufffd"
"""What stands for such a character. Two identifiers with it are not known to be the same."""


def are_all_question_marks(name: str) -> bool:
    """Whether a name has `?` in the place of all letters, as an engine writes what its character set does not have."""
    return "?" in name and not name.strip(" ?^")


def is_lost(name: str) -> bool:
    """Whether a name cannot be used: it would contradict the patient's own, or agree with another's."""
    return LOST in name or are_all_question_marks(name)
