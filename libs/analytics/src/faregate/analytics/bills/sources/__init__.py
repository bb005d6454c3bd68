"""Readers of provider exports, one module a provider. Pure."""
