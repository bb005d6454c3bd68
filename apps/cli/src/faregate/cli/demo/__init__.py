"""Demonstrations: a private deployment, its traffic, and tours."""
