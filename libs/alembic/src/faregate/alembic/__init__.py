"""Faregate's migrations within the Alembic environment of a host."""

from faregate.alembic.filter import include_name
from faregate.alembic.upgrade import upgrade_on

__all__ = ["include_name", "upgrade_on"]
