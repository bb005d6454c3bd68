"""Answers to questions, from sums where they are kept."""
