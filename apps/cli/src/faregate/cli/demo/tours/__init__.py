"""Guided tours: real work on a private database, shown step by step."""
