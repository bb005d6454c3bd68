"""Frameworks that are imported only if their extra is installed."""

from importlib import import_module
from types import ModuleType

from faregate.core.errors import MissingExtraError

__all__ = ["framework"]


def framework(module: str, extra: str) -> ModuleType:
    """Import a module of a framework.

    Raises:
        MissingExtraError: the framework is not installed; the text holds the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # the framework is there, and lacks something itself
        raise MissingExtraError(f"faregate.integrations.{extra.replace('-', '_')}", extra) from None
