"""Capacity: measured cost of an event, growth, days until a disk is full."""
