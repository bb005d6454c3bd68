"""Dotted names of code as pages write them, looked up."""

import importlib.util
from typing import Any

from faregate.core.errors import MissingExtraError

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
        except MissingExtraError:  # an adapter of a framework that has an environment of its own
            assert end == len(words), f"{path}: only the module is known here"
            return importlib.util.find_spec(path)
        for word in words[end:]:
            fields = getattr(found, "__dataclass_fields__", {})
            assert hasattr(found, word) or word in fields, f"{path}: {found} has no {word}"
            found = getattr(found, word, None)
        return found
    raise AssertionError(f"{path} is no module")
