"""Demonstrations: a private stack, traffic and tours."""
