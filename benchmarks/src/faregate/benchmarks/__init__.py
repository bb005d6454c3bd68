"""Benchmarks, each figure beside its limit. Not part of the wheel."""
