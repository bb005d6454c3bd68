"""Tenants of one deployment: registry, settings, shared engines."""
