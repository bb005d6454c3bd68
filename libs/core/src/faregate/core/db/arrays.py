"""Arrays as parameters of the driver."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

__all__ = ["Array", "array_parameter"]

_WORTHWHILE = 8
"""Number of values from which wrapping them costs less than it saves."""


class Array:
    """Values of one array parameter, which the driver reads twice: for nested arrays among them, then to encode them.

    The first pass asks two abstract base classes about each value, which takes longer than encoding it. It only needs the
    length of an array without nested ones, so that it is shown no values. A driver that read once would send an array that
    is shorter than it says, which PostgreSQL refuses.
    """

    __slots__ = ("_examined", "_values")

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._examined = False

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        if self._examined:
            return iter(self._values)
        self._examined = True
        return iter(())


def array_parameter(value: Any) -> Any:
    """Return a list without nested lists as an `Array`, and any other parameter as it is."""
    if type(value) is not list:
        return value
    values = cast("list[Any]", value)
    return Array(values) if len(values) >= _WORTHWHILE and not isinstance(values[0], list) else values
