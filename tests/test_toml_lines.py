"""The line of a file in which a key stands."""

import tomllib

import pytest

from bridge.config.toml_lines import line_of
from bridge.core.errors import Key

TEXT = """\
name = "x"            # 1
[source]
queue = "q"
"quoted.key" = 1
[ transformer . issuers ]   # 5
patient_id = "HOSP"
[[transformer.sender]]
when = { station_name = "A" }
[transformer.sender.normalise]
patient_id = [        # 10
  "trim",
  "upper",
]
[[transformer.sender]]
when.station_name = "B"  # 15
[[examples]]
message = '''
MSH|^~\\&|a = b
[not.a.table]
file = "no key"
'''
name = "behind it"    # 22
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 1),
        (("source",), 2),
        (("source", "queue"), 3),
        (("source", "quoted.key"), 4),
        (("source", "absent"), 2),  # the nearest around it
        (("transformer", "issuers", "patient_id"), 6),
        (("transformer", "sender", 0, "when", "station_name"), 8),
        (("transformer", "sender", 0, "normalise", "patient_id", 1), 10),
        (("transformer", "sender", 1, "when", "station_name"), 15),
        (("transformer", "sender", 1, "order"), 14),
        (("examples", 0, "message"), 17),
        (("examples", 0, "name"), 22),
        (("examples", 0, "file"), 16),
        (("not", "a", "table"), None),
        (("absent",), None),
        ((), None),
    ],
)
def test_a_key_is_found_where_it_is_written(key: Key, line: int | None) -> None:
    tomllib.loads(TEXT)
    assert line_of(TEXT, key) == line
