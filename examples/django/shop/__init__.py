"""A translation shop on Django."""
