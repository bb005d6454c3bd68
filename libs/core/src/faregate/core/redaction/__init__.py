"""Removal of secrets from records, free fields and texts."""
