"""Checks of arguments that Python itself takes without complaint."""

from faregate.core.errors import InvalidError

__all__ = ["check_list"]


def check_list(given: object, *, param: str) -> None:
    """Raise `InvalidError` if a text was given where several names are expected: each letter would count as a name."""
    if isinstance(given, str):
        raise InvalidError(f"{param} must be a list of names, such as [{given!r}], not one text", param=param)
