"""Sparklines and bars for terminals."""

from collections.abc import Sequence
from decimal import Decimal

__all__ = ["bar", "share_bar", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def sparkline(values: Sequence[Decimal]) -> str:
    """Return one block per value, scaled to the highest; negative values count as 0."""
    most = max(values, default=Decimal(0))
    if most <= 0:
        return _BLOCKS[0] * len(values)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[int(max(value, Decimal(0)) * top / most)] for value in values)


def bar(value: Decimal, most: Decimal, *, width: int = 24) -> str:
    """Return a bar of at most `width` characters, to an eighth of a character; a value above 0 is always visible."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, int(min(value, most) * width * 8 / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def share_bar(percent: Decimal | None, *, width: int = 16) -> str:
    """Return a bar of a share of at most 100 %; None, the share of a limit of 0, is a full bar."""
    return bar(_WHOLE if percent is None else percent, _WHOLE, width=width)


_WHOLE = Decimal(100)
