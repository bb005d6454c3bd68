"""Chunks of the bit sets that count distinct users."""

__all__ = ["CHUNK_BITS"]

CHUNK_BITS = 2048
"""Users per row of a bit set: the subject with number n is bit n % CHUNK_BITS of chunk n / CHUNK_BITS."""
