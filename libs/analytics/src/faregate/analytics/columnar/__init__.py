"""Columnar copy of the facts: files of closed transaction ranges, and the questions that they answer."""
