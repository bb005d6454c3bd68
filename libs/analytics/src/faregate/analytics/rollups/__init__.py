"""Sums of usage events: how they are kept and read."""
