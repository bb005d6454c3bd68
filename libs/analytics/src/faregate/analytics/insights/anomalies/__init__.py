"""Unusual periods of spend, errors, latency and tokens."""
