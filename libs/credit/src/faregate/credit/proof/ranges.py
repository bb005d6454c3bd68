"""Ranges of about equally many transfers, for parallel verification."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Range", "split"]

_SIZE = 50_000
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """The transfers after (`first`, `first_seq`) up to and including (`last`, `last_seq`): wallet id and sequence number."""

    first: int
    first_seq: int
    last: int
    last_seq: int


def split(sizes: Iterable[tuple[int, int]], *, size: int = _SIZE) -> list[Range]:
    """Return ranges that cover every possible wallet id and sequence number, divided according to `sizes`.

    Args:
        sizes: wallet id and number of its transfers, in order of the ids. These are hints: wrong ones make the ranges uneven
            but never incomplete.
    """
    cuts: list[tuple[int, int]] = []
    filled = 0
    for wallet_id, count in sizes:
        seq = size - filled
        while seq <= count:
            cuts.append((wallet_id, seq))
            seq += size
        filled = (filled + max(count, 0)) % size
    edges = [(_LOWEST, 0), *cuts, (_HIGHEST, _HIGHEST)]
    return [Range(*first, *last) for first, last in pairwise(edges)]
