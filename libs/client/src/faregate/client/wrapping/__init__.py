"""Wrapped provider SDKs."""
