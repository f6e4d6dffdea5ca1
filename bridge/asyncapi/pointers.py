"""References inside the document: JSON Pointers in URI fragments (RFC 6901, 6)."""

from urllib.parse import quote

Reference = dict[str, str]


def reference(*keys: str) -> Reference:
    """What stands under these keys, one below the other."""
    return {"$ref": "#" + "".join(f"/{quote(key.replace('~', '~0').replace('/', '~1'), safe='~')}" for key in keys)}
