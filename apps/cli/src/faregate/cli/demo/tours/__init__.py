"""Guided tours on a private database."""
