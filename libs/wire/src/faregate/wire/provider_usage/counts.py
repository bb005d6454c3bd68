"""Accumulator of counts in the canonical form."""

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from math import isfinite
from typing import Any, cast

from faregate.wire.provider_usage.balance import balanced

__all__ = ["COUNT_LIMIT", "Counts", "Json", "UnreadableUsageError", "either_case", "first", "part"]

Json = Mapping[str, Any]

COUNT_LIMIT = 10**9
"""Maximum of one count."""


class UnreadableUsageError(ValueError):
    """A count of a known usage format is not a whole number from 0 to 10⁹.

    Attributes:
        name: the canonical name of the count.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} must be a whole number from 0 to 10⁹")
        self.name = name


class Counts:
    """Sums of counts by canonical name, without zeros.

    Attributes:
        contradicted: the reported total, if it differs from the sum of the counts; missing tokens were added as output.
        missing: how many tokens were added.
        reported: some number was reported, even 0.
    """

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.contradicted: int | None = None
        self.missing = 0
        self.reported = False

    def get(self, name: str) -> int:
        """Return the sum of a count so far."""
        return self.values.get(name, 0)

    def add(self, name: str, value: Any) -> None:
        """Add a reported number; None counts as nothing.

        Raises:
            UnreadableUsageError: it is not a whole number from 0 to 10⁹.
        """
        number = _whole(value, name)
        self.reported = self.reported or value is not None
        if number:
            self.values[name] = self.values.get(name, 0) + number

    def at_least(self, name: str, value: Any) -> None:
        """Raise a sum to a reported number that may include the numbers added before."""
        if value is not None:
            self.add(name, max(0, _whole(value, name) - self.get(name)))

    def expect(self, total: Any, *, without: Sequence[int] = ()) -> None:
        """Compare the counts with the reported total.

        Args:
            without: parts that a provider may exclude from its total.
        """
        self.reported = self.reported or total is not None
        total_tokens = _whole(total, "total_tokens")
        read = self.get("input_tokens") + self.get("output_tokens")
        self.values, differs = balanced(self.values, total_tokens, also=[read - part for part in without])
        if differs:
            self.contradicted, self.missing = total_tokens, max(0, total_tokens - read)

    def add_started(self, name: str, value: Any) -> None:
        """Add a reported duration, rounded up to whole units."""
        if isinstance(value, float | Decimal) and isfinite(value):
            value = int(Decimal(str(value)).to_integral_value(ROUND_CEILING))
        self.add(name, value)


def _whole(value: Any, name: str) -> int:
    if value is None:
        return 0
    if isinstance(value, float | Decimal) and isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_LIMIT:
        raise UnreadableUsageError(name)
    return value


def part(usage: Json, *names: str) -> Json:
    """Return the objects of these names merged into one; values that are not objects are ignored."""
    found: dict[str, Any] = {}
    for name in names:
        value = usage.get(name)
        if isinstance(value, Mapping):
            found.update(cast("Json", value))
    return found


def first(usage: Json, *names: str) -> Any:
    """Return the first of these values that is not None."""
    return next((usage[name] for name in names if usage.get(name) is not None), None)


def either_case(usage: Json) -> Callable[[str], Any]:
    """Return a getter for fields in camelCase, as an API writes them, or snake_case, as its SDK's objects do."""

    def get(name: str) -> Any:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        return first(usage, name, snake)

    return get
