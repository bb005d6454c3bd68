"""Paths to fields of a foreign event. Pure.

A path is names joined by dots. Attributes of OpenTelemetry have dots in their names, so at each object the longest name that
the object has is taken first: `attributes.gen_ai.request.model` needs no quotes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from faregate.core.errors import InvalidError

__all__ = ["FieldPath"]

_PARTS_LIMIT = 16
_FORM = re.compile(r"(?:\$\.)?[^\s.\x00]+(?:\.[^\s.\x00]+)*")
_LENGTH_LIMIT = 300


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path, parsed once; `$.` at its beginning is accepted and means nothing.

    Raises:
        InvalidError: the text is not a path.
    """

    text: str
    _ways: Sequence[Sequence[tuple[str, int]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > _LENGTH_LIMIT or not _FORM.fullmatch(self.text):
            raise InvalidError(f"{self.text[:50]!r} is not a path; join names by dots, such as data.model")
        parts = self.text.removeprefix("$.").split(".")
        if len(parts) > _PARTS_LIMIT:
            raise InvalidError(f"{self.text[:50]!r} has more than {_PARTS_LIMIT} names; name a field nearer to the top")
        ends = range(len(parts), 0, -1)
        ways = [[(".".join(parts[at:end]), end) for end in ends if end > at] for at in range(len(parts))]
        object.__setattr__(self, "_ways", ways)

    def value_in(self, fields: Any) -> Any:
        """Return the value at the path; None if there is none."""
        return self._value(fields, 0)

    def _value(self, fields: Any, at: int) -> Any:
        if at == len(self._ways):
            return fields
        if isinstance(fields, dict):  # the plain ones first: a check for any mapping takes ten times as long
            return self._value_in_object(cast("dict[str, Any]", fields), at)
        if isinstance(fields, list):
            return self._value_in_list(cast("list[Any]", fields), at)
        return self._value_in_object(cast("Mapping[str, Any]", fields), at) if isinstance(fields, Mapping) else None

    def _value_in_object(self, fields: Mapping[str, Any], at: int) -> Any:
        whole = len(self._ways)
        for name, end in self._ways[at]:
            inner = fields.get(name)
            if inner is not None and (value := inner if end == whole else self._value(inner, end)) is not None:
                return value
        return None

    def _value_in_list(self, items: list[Any], at: int) -> Any:
        name, end = self._ways[at][-1]
        if not name.isascii() or not name.isdecimal() or len(name) > 6 or int(name) >= len(items):
            return None
        return self._value(items[int(name)], end)
