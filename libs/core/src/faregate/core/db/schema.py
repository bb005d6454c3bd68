"""The name of our schema; apart from the models, so that who only runs SQL does not load them."""

__all__ = ["SCHEMA"]

SCHEMA = "faregate"
"""The schema that SQL in this project names; `Database` puts the configured one in its place."""
