"""How the ledger is divided for `verify`: ranges of transfers, about equally many in each."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Range", "split"]

_SIZE = 50_000
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """The transfers after (`first`, `first_seq`) up to and with (`last`, `last_seq`): wallet and number."""

    first: int
    first_seq: int
    last: int
    last_seq: int


def split(sizes: Iterable[tuple[int, int]], *, size: int = _SIZE) -> list[Range]:
    """Return ranges that cover every possible wallet and number, divided where the wallets' `sizes` suggest it.

    Args:
        sizes: wallet and number of its transfers, by wallet; hints only, a wrong one makes ranges uneven and no less whole.
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
