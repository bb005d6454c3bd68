"""Queries over raw usage events."""
