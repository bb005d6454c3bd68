"""Benchmarks, each figure with its limit. Not part of the wheel."""
