"""Totals as a check on what was read."""

from collections.abc import Collection, Mapping

__all__ = ["balanced"]


def balanced(
    counts: Mapping[str, int], total: int | None, *, also: Collection[int] = ()
) -> tuple[dict[str, int], bool]:
    """Return the counts so that they add up to the reported total, and whether they did not before.

    What is missing is added as output, the dearer direction. Counts beyond the total stay as they are.

    Args:
        also: other sums that the total may be, such as the one without cached tokens.
    """
    read = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    if not total or total == read or total in also:
        return dict(counts), False
    missing = max(0, total - read)
    return {**counts, **({"output_tokens": counts.get("output_tokens", 0) + missing} if missing else {})}, True
