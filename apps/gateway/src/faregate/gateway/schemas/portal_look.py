"""Look of the customers' page: title, colours, names, what it hides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from faregate.core.errors import InvalidError
from faregate.gateway.schemas.analytics_query import FilteredQuery

__all__ = ["Kind", "PortalLook"]

Kind = Literal["model", "feature", "meter", "user"]

_CONCEALED_BY: Mapping[str, Kind] = {
    "model": "model",
    "provider": "model",
    "feature": "feature",
    "service": "feature",
    "meter": "meter",
    "userId": "user",
}
"""The filters through which a visitor could find out a name, and the kind of that name."""


@dataclass(frozen=True, slots=True)
class PortalLook:
    """The appearance of the page.

    Attributes:
        hidden: whole kinds (`models`, `features`, `meters`, `users`) and single names (`model:gpt-4o`).
        names: what is shown instead of a name, by the same form of key.
    """

    title: str
    color: str | None
    color_dark: str | None = None
    hidden: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def hidden_kinds(self) -> list[str]:
        """The kinds that are hidden as a whole."""
        return sorted(part for part in self.hidden if ":" not in part)

    def shows(self, kind: Kind) -> bool:
        """Return whether names of this kind are shown at all."""
        return f"{kind}s" not in self.hidden

    def shown(self, kind: Kind, name: str | None) -> str | None:
        """Return the name as the page shows it; None if it is hidden, or there is none."""
        key = f"{kind}:{name}"
        if name is None or not self.shows(kind) or key in self.hidden:
            return None
        return self.names.get(key, name)

    def check_filters(self, query: FilteredQuery) -> None:
        """Refuse a filter by a kind of which something is hidden or renamed: it would tell the name to a visitor who guesses it.

        Raises:
            InvalidError: the query has such a filter.
        """
        for name, kind in _CONCEALED_BY.items():
            if getattr(query, name, None) is not None and self._conceals(kind):
                raise InvalidError(f"{name} must be left out: this page hides or renames {kind}s", param=name)

    def _conceals(self, kind: Kind) -> bool:
        return not self.shows(kind) or any(key.startswith(f"{kind}:") for key in (*self.hidden, *self.names))
