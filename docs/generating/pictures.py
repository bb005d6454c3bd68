"""Pictures of the documentation as SVG, readable in light and dark mode and without scripts or fonts from elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["architecture_picture", "settlement_picture"]

_STYLE = """\
<style>
  .ground { fill: #ffffff } .line { stroke: #55606b; fill: none; stroke-width: 1.5 } .head { fill: #55606b }
  .box { fill: #f1f5f9; stroke: #94a3b8; stroke-width: 1.2 } .store { fill: #e3f2ed; stroke: #5b9a86; stroke-width: 1.2 }
  .app { fill: #e8eefc; stroke: #7b93d6; stroke-width: 1.2 } .note { fill: #fdf3d8; stroke: #c9a544; stroke-width: 1 }
  text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1e293b; font-size: 15px }
  .title { font-weight: 600 } .small { font-size: 14px; fill: #475569 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #171b22 } .line { stroke: #9aa7b5 } .head { fill: #9aa7b5 }
    .box { fill: #232a34; stroke: #4b5868 } .store { fill: #1d322c; stroke: #4a8471 }
    .app { fill: #222c44; stroke: #5870b4 } .note { fill: #3a3320; stroke: #8f7838 }
    text { fill: #e5e9ee } .small { fill: #aab6c3 }
  }
</style>
<defs><marker id="to" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">
<path class="head" d="M0 0 10 5 0 10z"/></marker></defs>"""


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "box"

    def drawn(self) -> Iterator[str]:
        yield f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6"/>'
        yield _text(self.x + 12, self.y + 22, self.title, "title")
        for number, line in enumerate(self.lines):
            yield _text(self.x + 12, self.y + 41 + 17 * number, line, "small")


_APPLICATIONS, _HOST, _UPPER, _ENGINES = 52, 172, 270, 598
_BOXES = (
    _Box(20, _APPLICATIONS, 180, 78, "Your services", ("any language: HTTP,", "AMQP, client"), "app"),
    _Box(220, _APPLICATIONS, 180, 78, "gateway", ("HTTP, keys, tokens,", "limits, audit"), "app"),
    _Box(420, _APPLICATIONS, 190, 78, "worker", ("queues, scheduled jobs,", "webhooks"), "app"),
    _Box(630, _APPLICATIONS, 110, 78, "cli", ("faregate …",), "app"),
    _Box(760, _APPLICATIONS, 180, 78, "Your application", ("imports the libraries", "into its process"), "app"),
    _Box(220, _HOST, 520, 60, "host", ("Faregate: all libraries for an application",)),
    _Box(760, _HOST, 180, 60, "alembic", ("migrations of hosts",)),
    _Box(
        220,
        _UPPER,
        720,
        60,
        "analytics",
        ("questions, sums by period, quotas and alerts, exports, the story of one use",),
    ),
    _Box(220, _UPPER + 82, 480, 60, "usage", ("features, strategies, prices, charging rules, usage events",)),
    _Box(720, _UPPER + 82, 220, 60, "feature_log", ("redacted log of requests",)),
    _Box(220, _UPPER + 164, 480, 60, "credit", ("wallets, grants, holds, ledger, verify",)),
    _Box(20, _UPPER + 82, 180, 60, "integrations", ("LiteLLM, LangChain, …",)),
    _Box(20, _UPPER + 164, 180, 60, "client", ("no database",)),
    _Box(220, _UPPER + 246, 720, 60, "core", ("settings, database, messages, schedule, keys, redaction, webhooks",)),
    _Box(20, _ENGINES, 400, 60, "wire", ("ids, exact JSON, money, prices, provider usage",)),
    _Box(440, _ENGINES, 260, 60, "PostgreSQL", ("embedded, or your own",), "store"),
    _Box(720, _ENGINES, 220, 60, "RabbitMQ", ("optional",), "store"),
)
_ARROWS = (
    ((200, _APPLICATIONS + 39), (218, _APPLICATIONS + 39)),
    ((110, _APPLICATIONS + 80), (110, _UPPER + 80)),
    ((110, _UPPER + 144), (110, _UPPER + 162)),
    *(((x, _APPLICATIONS + 80), (x, _HOST - 2)) for x in (310, 515, 685, 850)),
    ((850, _HOST + 62), (850, _UPPER - 2)),
    ((580, _HOST + 62), (580, _UPPER - 2)),
    *(((x, _UPPER + 62), (x, _UPPER + 80)) for x in (460, 830)),
    ((460, _UPPER + 144), (460, _UPPER + 162)),
    ((460, _UPPER + 226), (460, _UPPER + 244)),
    ((830, _UPPER + 144), (830, _UPPER + 244)),
    ((110, _UPPER + 226), (110, _ENGINES - 2)),
    *(((x, _UPPER + 308), (x, _ENGINES - 2)) for x in (320, 570, 830)),
)


def architecture_picture() -> str:
    """Return processes, libraries and engines; arrows point to what is used."""
    parts = [_text(20, 32, "Applications", "small"), _text(20, _HOST + 36, "Libraries", "small")]
    parts += [part for box in _BOXES for part in box.drawn()]
    parts += [_arrow(*start, *end) for start, end in _ARROWS]
    return _svg(960, _ENGINES + 80, parts, "Faregate: applications on libraries on PostgreSQL and RabbitMQ")


_NAMES = ("publisher", "queue", "worker", "PostgreSQL")
_STEPS: Sequence[tuple[int, int, str] | str] = (
    (0, 1, "publish (persistent, mandatory)"),
    (1, 0, "confirmed: stored"),
    (1, 2, "a batch of up to 250 messages"),
    "taken",
    (2, 3, "begin; read charges and owners"),
    "priced",
    (2, 3, "lock wallets in ascending order"),
    (2, 3, "write charges, transfers, wallets"),
    (2, 3, "write lines, events, webhooks"),
    "written",
    (2, 3, "commit"),
    "committed",
    "handled: each message has its decision",
    (2, 1, "copies to retry or set aside"),
    (1, 2, "confirmed"),
    "copied",
    (2, 1, "one acknowledgement per batch"),
    "acknowledging, acknowledged",
)
_COLUMN, _ROW, _FIRST = 275, 38, 100


def settlement_picture() -> str:
    """Return the life of one settlement message; the yellow notes are the named crash points."""
    bottom = _FIRST + _ROW * len(_STEPS)
    centres = [90 + _COLUMN * number for number in range(len(_NAMES))]
    parts: list[str] = []
    for x, name in zip(centres, _NAMES, strict=True):
        parts.append(f'<path class="line" d="M{x} 62V{bottom}" stroke-dasharray="3 4"/>')
        parts.append(f'<rect class="app" x="{x - 65}" y="24" width="130" height="36" rx="6"/>')
        parts.append(_text(x, 47, name, "title", anchor="middle"))
    for number, step in enumerate(_STEPS):
        y = _FIRST + _ROW * number
        if isinstance(step, str):
            width = 24 + round(7.9 * len(step))
            parts.append(
                f'<rect class="note" x="{centres[2] - width // 2}" y="{y - 20}" width="{width}" height="26" rx="4"/>'
            )
            parts.append(_text(centres[2], y - 2, step, anchor="middle"))
            continue
        start, end, words = step
        towards = 1 if end > start else -1
        parts.append(_arrow(centres[start] + 4 * towards, y, centres[end] - 4 * towards, y))
        parts.append(_text((centres[start] + centres[end]) // 2, y - 7, words, "small", anchor="middle"))
    return _svg(1005, bottom + 20, parts, "The life of one settlement message")


def _text(x: int, y: int, words: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    return f'<path class="line" d="M{x} {y}L{to_x} {to_y}" marker-end="url(#to)"/>'


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="8"/>'
    return "\n".join([opening, f"<title>{escape(title)}</title>", _STYLE, ground, *parts, "</svg>", ""])
