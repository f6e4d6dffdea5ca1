"""What can go wrong, as the rest of the program tells it apart.

BridgeError
├── Invalid       this input can never be read: its code and reason go to the dead-letter queue
├── Unavailable   a broker or database does not answer: try later
│   └── Refused   it answers, and does not let us in: at the start a mistake of the settings
└── ConfigError   settings, a channel file, a schema or an existing queue is not what it has to be
"""

from typing import TypeAlias

Key: TypeAlias = tuple[str | int, ...]  # of a settings or channel file: ("transformer", "sender", 0, "when")
Mistake: TypeAlias = tuple[Key, str]  # a key, and what is wrong about it


class BridgeError(Exception):
    """Anything that the bridge itself reports."""


class Invalid(BridgeError):
    """Bad input.

    `code` is stable and kebab-case; `reason` names the place (segment, field, tag, byte) and never holds a
    field's value: it is logged, shown and published.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Unavailable(BridgeError):
    """Nothing is wrong with the input; what we depend on does not answer."""


class Refused(Unavailable):
    """What we depend on answers and lets nobody in: a mistake at the start, to be waited for once it was right."""


class ConfigError(BridgeError):
    """One or more mistakes in settings, channels or the environment, one line each."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes
