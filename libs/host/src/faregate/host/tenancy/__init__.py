"""Containers of the tenants of one process."""
