"""Saved views: named questions of the dashboard."""
