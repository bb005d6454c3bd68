"""Bar charts as SVG, and as PNG for mails.

The picture has no background and no letters: it is readable on white and on black, and its labels are text beside it, which every
mail program shows in its own colours.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from faregate.core.errors import MissingExtraError

__all__ = ["bars_png", "bars_svg"]

WIDTH, HEIGHT = 1104, 280
"""Twice the size at which mails show it, for sharp screens."""

_BAR, _LINE = "#4f7be8", "#8893a7"
_FOOT, _TOP = HEIGHT - 4, 8


def bars_svg(values: Sequence[int]) -> str:
    """Return a bar for each value, the highest as high as the picture; negative sums, which corrections can leave, have none."""
    highest = max([*values, 1])
    step = WIDTH / max(len(values), 1)
    width, radius = max(step * 0.72, 1), min(step * 0.12, 6)
    lines = [_rule(_TOP + (_FOOT - _TOP) * part / 4, "0.35") for part in range(4)]
    bars = [
        f'<rect x="{at * step + (step - width) / 2:.2f}" y="{_FOOT - height:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'rx="{radius:.2f}" fill="{_BAR}"/>'
        for at, value in enumerate(values)
        if (height := max(value, 0) / highest * (_FOOT - _TOP)) > 0
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"{''.join(lines)}{''.join(bars)}{_rule(_FOOT, '0.9')}</svg>"
    )


def bars_png(values: Sequence[int]) -> bytes:
    """Return the same as PNG.

    Raises:
        MissingExtraError: the renderer is not installed.
    """
    try:
        resvg: Any = import_module("resvg_py")
    except ImportError:
        raise MissingExtraError("A report as mail", "reports") from None
    made: bytes = resvg.svg_to_bytes(svg_string=bars_svg(values), skip_system_fonts=True)
    return bytes(made)


def _rule(y: float, opacity: str) -> str:
    return (
        f'<line x1="0" y1="{y:.2f}" x2="{WIDTH}" y2="{y:.2f}" stroke="{_LINE}" stroke-width="2" opacity="{opacity}"/>'
    )
