"""Name of the database schema.

Separate from the models, so that code that only runs SQL does not load them.
"""

__all__ = ["SCHEMA"]

SCHEMA = "faregate"
"""The schema name in the SQL of this project; `Database` replaces it by the configured one."""
