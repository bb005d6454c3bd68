"""Dotted names of code as pages write them, looked up."""

import importlib
from typing import Any

__all__ = ["resolved"]


def resolved(path: str) -> Any:
    """Import the longest module of `path` and return what the rest of it names there.

    Raises:
        AssertionError: no part of it is a module, or the module has no such name.
    """
    words = path.split(".")
    for end in range(len(words), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:end]))
        except ModuleNotFoundError:
            continue
        for word in words[end:]:
            fields = getattr(found, "__dataclass_fields__", {})
            assert hasattr(found, word) or word in fields, f"{path}: {found} has no {word}"
            found = getattr(found, word, None)
        return found
    raise AssertionError(f"{path} is no module")
