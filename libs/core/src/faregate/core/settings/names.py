"""Names of the environment variables of the settings."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache

from pydantic import AliasChoices

from faregate.core.settings.model import PREFIX, Settings

__all__ = ["all_names", "configures", "misspelt", "unknown", "variable_name", "variable_names"]


def variable_name(field: str) -> str:
    """Return the environment variable that sets `field`."""
    return variable_names(field)[0]


def variable_names(field: str) -> tuple[str, ...]:
    """Return all environment variables that set `field`, the preferred one first."""
    alias = Settings.model_fields[field].validation_alias
    return tuple(map(str, alias.choices)) if isinstance(alias, AliasChoices) else (PREFIX + field.upper(),)


@cache
def all_names() -> frozenset[str]:
    return frozenset(name for field in Settings.model_fields for name in variable_names(field))


def configures(name: str, ours: frozenset[str]) -> bool:
    return name.startswith((PREFIX, "PG")) or name in ours


def misspelt(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return the unknown names that are likely misspellings of known ones; other programs may use the prefix for variables of
    their own.
    """
    known = {name.removeprefix(PREFIX): name for name in all_names() if name.startswith(PREFIX)}
    for name in unknown(environment):
        near = get_close_matches(name.upper().removeprefix(PREFIX), known, n=1, cutoff=_SLIP)
        if near:
            yield name, known[near[0]]


def unknown(environment: Mapping[str, str]) -> list[str]:
    """Return the names with the prefix that are no setting, and have a value."""
    known = all_names()
    named = (name for name in environment if name.upper().startswith(PREFIX) and environment[name])
    return sorted(name for name in named if name.upper() not in known)


_SLIP = 0.85
"""Similarity from which one name counts as a misspelling of another: they differ in about one letter of seven."""
