"""Revisions of the schema that this code knows."""

from functools import cache
from pathlib import Path

from faregate.core.errors import ConfigurationError

__all__ = ["MIGRATIONS", "head_revision", "known_revisions"]

MIGRATIONS = Path(__file__).parents[1] / "migrations"
"""The directory of Alembic's environment."""


@cache
def known_revisions() -> tuple[str, ...]:
    """Return all revisions, the oldest first.

    Each migration's file is called `<revision>_<what it does>.py`, and each revision follows the one before. So the names are
    enough, and processes need not load Alembic and all migrations when they start.
    """
    return tuple(sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def head_revision() -> str:
    """Return the newest revision."""
    if not known_revisions():
        raise ConfigurationError("this installation of Faregate holds no migrations; reinstall it")
    return known_revisions()[-1]
