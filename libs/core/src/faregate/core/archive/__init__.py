"""Verified monthly archives of a table."""
