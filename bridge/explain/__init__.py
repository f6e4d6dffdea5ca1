"""Why a study is linked to an order, or why not, and which studies wait for a person: for people and for programs."""

from bridge.explain.display import as_text
from bridge.explain.found import Explanation, Found, as_json, find

__all__ = ["Explanation", "Found", "as_json", "as_text", "find"]
