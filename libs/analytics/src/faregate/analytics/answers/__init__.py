"""Answers of analytics, from rollups and facts."""
