"""Comparison of counts with the reported total."""

from collections.abc import Collection, Mapping

__all__ = ["balanced"]


def balanced(
    counts: Mapping[str, int], total: int | None, *, also: Collection[int] = ()
) -> tuple[dict[str, int], bool]:
    """Return the counts completed to the reported total, and whether they differed from it.

    Missing tokens are added as output, the more expensive direction. Counts above the total are not changed.

    Args:
        also: other sums that the total may equal, such as the one without cached tokens.
    """
    read = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    if not total or total == read or total in also:
        return dict(counts), False
    missing = max(0, total - read)
    return {**counts, **({"output_tokens": counts.get("output_tokens", 0) + missing} if missing else {})}, True
