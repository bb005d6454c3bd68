"""Connections to the gateway and the broker."""
