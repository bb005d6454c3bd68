"""Checks of arguments that Python itself takes without complaint."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.wire import exact_json

__all__ = ["check_list", "check_moment", "storable"]


def check_list(given: object, *, param: str) -> None:
    """Raise `InvalidError` if a text was given where several names are expected: each letter would count as a name."""
    if isinstance(given, str):
        raise InvalidError(f"{param} must be a list of names, such as [{given!r}], not one text", param=param)


def check_moment(given: object, *, param: str) -> None:
    """Raise `InvalidError` unless a moment is None or a `datetime` with a time zone."""
    if given is None or (isinstance(given, datetime) and given.tzinfo is not None):
        return
    raise InvalidError(
        f"{param} must be a datetime with a time zone, such as datetime.now(UTC), not {given!r}", param=param
    )


def storable(metadata: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return metadata as it can be stored: a NUL is replaced by U+FFFD, as over HTTP.

    Raises:
        InvalidError: it is no mapping, or holds what JSON cannot hold, such as NaN, a set or an unpaired surrogate.
        MalformedError: it is nested too deep.
    """
    if metadata is None:
        return None
    if not isinstance(cast("object", metadata), Mapping):
        raise InvalidError(f"metadata must be a mapping of names to values, not {metadata!r}", param="metadata")
    try:
        text = exact_json.dumps(metadata).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"metadata cannot be written as JSON: {error}", param="metadata") from None
    return cast("Mapping[str, Any]", exact_json.checked(dict(metadata), text, mend=True))
