"""Answers from raw usage events."""
