"""Incidents: what changed, whom it hit, what to give back."""
