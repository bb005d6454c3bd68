"""Columnar copy of the facts, and the questions that it answers."""
