"""Rollups of usage events."""
