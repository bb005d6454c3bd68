"""Capacity: measured cost of a request, growth, days until full."""
