"""Wrapping of provider SDKs."""
