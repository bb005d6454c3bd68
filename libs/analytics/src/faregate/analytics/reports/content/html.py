"""HTML part of a report's mail: MJML, rendered and inlined.

MJML makes the nested tables that Outlook needs; colours for dark mode are rules that stay in the head, for the programs that read
them. Everything from outside is escaped.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from importlib import import_module
from typing import Any

from faregate.analytics.reports.content.page import ReportChart, ReportPage, ReportTable, Tile
from faregate.core.errors import MissingExtraError

__all__ = ["CHART", "html_of"]

CHART = "chart.png"
"""The name of the chart's image, to which the mail refers as `cid:chart.png`."""

_INK, _SOFT, _LINE, _GROUND, _CARD, _BRAND = "#1b2330", "#5a6474", "#dde2ea", "#f2f4f8", "#ffffff", "#2453c9"
_FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_DARK = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  body, .ground, .ground > table, .ground td { background-color: #10141c !important; }
  .card, .card > table, .card td { background-color: #181e29 !important; }
  .card td.tile { background-color: #222a38 !important; }
  .ink, .ink div, .ink td, .ink th, .ink h1, .ink h2 { color: #e8ecf4 !important; }
  .soft, .soft div, .soft td, .ink .soft, .ink th { color: #a4aec0 !important; }
  .line, .line td, .line th { border-color: #313a4b !important; }
  .brand, .brand a, a.brand, .ink a { color: #8ab0ff !important; }
  .button td, .button a, .button p { background-color: #8ab0ff !important; color: #0b1530 !important; }
}
[data-ogsc] .ink div, [data-ogsc] .ink td { color: #e8ecf4 !important; }
@media only screen and (max-width: 479px) { .wide { display: none !important; } .number { font-size: 18px !important; } }
"""
_INLINED = f"""
.tile {{ background-color: {_GROUND}; border-radius: 8px; }}
.number {{ font-size: 24px; font-weight: 600; line-height: 30px; white-space: nowrap; }}
.soft {{ color: {_SOFT}; }}
"""


def html_of(page: ReportPage, *, footer: str, unsubscribe: str | None, link: str | None) -> str:
    """Return the document.

    Raises:
        MissingExtraError: the renderer is not installed.
    """
    mjml = "".join(_mjml(page, footer, unsubscribe, link))
    try:
        mrml: Any = import_module("mrml")
    except ImportError:
        raise MissingExtraError("A report as mail", "reports") from None
    rendered: str = mrml.to_html(mjml, render_options=_options()).content
    inlined: str = _inliner().inline(rendered)
    return inlined


@cache
def _options() -> Any:
    """Return options that load no fonts from other servers."""
    mrml: Any = import_module("mrml")
    return mrml.RenderOptions(disable_comments=False, fonts={})


@cache
def _inliner() -> Any:
    try:
        css_inline: Any = import_module("css_inline")
    except ImportError:
        raise MissingExtraError("A report as mail", "reports") from None
    return css_inline.CSSInliner(extra_css=_INLINED, keep_style_tags=True, keep_at_rules=True)


def _mjml(page: ReportPage, footer: str, unsubscribe: str | None, link: str | None) -> Iterator[str]:
    yield (
        f'<mjml lang="en"><mj-head><mj-title>{escape(page.title)}: {escape(page.about)}</mj-title>'
        f"<mj-preview>{escape(page.headline)}</mj-preview>"
        '<mj-raw><meta name="color-scheme" content="light dark"/>'
        '<meta name="supported-color-schemes" content="light dark"/></mj-raw>'
        f'<mj-attributes><mj-all font-family="{_FONT}"/>'
        f'<mj-text font-size="15px" line-height="22px" color="{_INK}" padding="0 24px"/>'
        f'<mj-table font-size="14px" line-height="20px" color="{_INK}" padding="0 24px"/>'
        f'<mj-section background-color="{_CARD}" padding="0"/></mj-attributes><mj-style>{_DARK}</mj-style></mj-head>'
        f'<mj-body background-color="{_GROUND}" width="600px" css-class="ground">'
    )
    yield _section(_spacer(16), css="ground", background=_GROUND)
    yield _section(_head(page), css="card line", more='border-radius="10px 10px 0 0"')
    yield _section(_tiles(page.tiles, page.compared), css="card")
    yield _section("".join(_chart(page.chart)), css="card")
    for table in page.tables:
        yield _section(_table(table), css="card")
    yield _section(_end(page.notes, link), css="card", more='border-radius="0 0 10px 10px"')
    yield _section(_footer(footer, unsubscribe), css="ground", background=_GROUND)
    yield "</mj-body></mjml>"


def _section(content: str, *, css: str, background: str = _CARD, more: str = "") -> str:
    return f'<mj-section css-class="{css}" background-color="{background}" {more}><mj-column>{content}</mj-column></mj-section>'


def _spacer(height: int) -> str:
    return f'<mj-spacer height="{height}px"/>'


def _head(page: ReportPage) -> str:
    return (
        f'<mj-text css-class="ink" padding="24px 24px 0"><h1 style="font-size:22px;line-height:28px;margin:0;">'
        f"{escape(page.title)}</h1></mj-text>"
        f'<mj-text css-class="ink" font-size="16px" padding="4px 24px 0">{escape(page.about)}</mj-text>'
        f'<mj-text css-class="soft" color="{_SOFT}" padding="0 24px 16px">{escape(page.span)}</mj-text>'
    )


def _tiles(tiles: Sequence[Tile], compared: str) -> str:
    rows = [tiles[at : at + 2] for at in range(0, len(tiles), 2)]
    body = "".join(
        f"<tr>{''.join(_tile(tile, left=place == 0) for place, tile in enumerate(row))}</tr>" for row in rows
    )
    return (
        f'<mj-table css-class="ink" role="presentation" table-layout="fixed" padding="0 16px">{body}</mj-table>'
        f'<mj-text css-class="soft" color="{_SOFT}" font-size="13px" padding="4px 24px 20px">{escape(compared)}.</mj-text>'
    )


def _tile(tile: Tile, *, left: bool) -> str:
    side = "padding:4px 4px 4px 8px;" if left else "padding:4px 8px 4px 4px;"
    return (
        f'<td width="50%" valign="top" style="{side}"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'border="0"><tr><td class="tile" bgcolor="{_GROUND}" style="padding:10px 14px;"><div class="soft" '
        f'style="font-size:13px;">{escape(tile.label)}</div><div class="number">{escape(tile.value)}</div>'
        f'<div class="soft" style="font-size:13px;">{escape(tile.change)}</div></td></tr></table></td>'
    )


def _chart(chart: ReportChart) -> Iterator[str]:
    yield _heading(chart.title)
    yield (
        f'<mj-text css-class="soft" color="{_SOFT}" font-size="13px" padding="0 24px 8px">{escape(chart.summary)}</mj-text>'
    )
    if any(chart.values):
        alternative = escape(f"{chart.title}. {chart.summary}", quote=True)
        yield f'<mj-image src="cid:{CHART}" alt="{alternative}" width="552px" padding="0 24px"/>'
        yield f'<mj-table css-class="soft" role="presentation" table-layout="fixed" font-size="12px" color="{_SOFT}">'
        yield f"<tr>{''.join(_tick_cells(chart))}</tr></mj-table>"
    yield _spacer(20)


def _tick_cells(chart: ReportChart) -> Iterator[str]:
    """Yield a cell for each label, as wide as the bars up to the next label."""
    bars = len(chart.values)
    ends = [*[place for place, _ in chart.ticks][1:], bars]
    centred = "center" if len(chart.ticks) == bars else "left"
    for (place, label), end in zip(chart.ticks, ends, strict=True):
        width = round((end - place) / bars * 100, 2)
        yield f'<td align="{centred}" width="{width}%" style="font-size:11px;white-space:nowrap;">{_tick(label)}</td>'


def _tick(label: str) -> str:
    """Return a label; on a phone only its first word."""
    first, _, rest = label.partition(" ")
    return f'{escape(first)}<span class="wide"> {escape(rest)}</span>' if rest else escape(first)


def _heading(text: str) -> str:
    return (
        f'<mj-text css-class="ink" padding="0 24px 2px"><h2 style="font-size:16px;line-height:24px;margin:0;">'
        f"{escape(text)}</h2></mj-text>"
    )


def _table(table: ReportTable) -> str:
    head = ""
    if table.columns[0] == "":
        head = f"<tr>{''.join(_cell(name, place, head=True) for place, name in enumerate(table.columns))}</tr>"
    body = "".join(
        f"<tr>{''.join(_cell(cell, place, strong=at in table.strong) for place, cell in enumerate(row))}</tr>"
        for at, row in enumerate(table.rows)
    )
    notes = "".join(
        f'<mj-text css-class="soft" color="{_SOFT}" font-size="13px" padding="4px 24px 0">{escape(note)}</mj-text>'
        for note in table.notes
    )
    return f'{_heading(table.title)}<mj-table css-class="ink line">{head}{body}</mj-table>{notes}{_spacer(20)}'


def _cell(text: str, place: int, *, head: bool = False, strong: bool = False) -> str:
    """Return a cell: text to the left, numbers to the right; shares of numbers are not shown on a phone."""
    tag, align = ("th" if head else "td"), ("left" if place == 0 else "right")
    weight = "600" if strong else "400"
    color = f"color:{_SOFT};" if head else ""
    wrap = "word-break:break-word;" if place == 0 else "white-space:nowrap;"
    wide = ' class="wide"' if place == 3 else ""
    scope = ' scope="col"' if head else ""
    return (
        f'<{tag}{wide}{scope} align="{align}" style="padding:6px 0 6px {0 if place == 0 else 10}px;text-align:{align};{color}'
        f'font-weight:{weight};border-bottom:1px solid {_LINE};{wrap}">{escape(text)}</{tag}>'
    )


def _end(notes: Sequence[str], link: str | None) -> str:
    button = (
        f'<mj-button css-class="button" align="left" background-color="{_BRAND}" color="#ffffff" border-radius="6px" '
        f'font-size="15px" inner-padding="10px 18px" padding="0 24px 16px" href="{escape(link, quote=True)}">'
        "Open the dashboard</mj-button>"
        if link is not None
        else ""
    )
    said = "<br/>".join(escape(note) for note in notes)
    return f'{button}<mj-text css-class="soft" color="{_SOFT}" font-size="13px" padding="0 24px 24px">{said}</mj-text>'


def _footer(footer: str, unsubscribe: str | None) -> str:
    link = (
        f'<br/><a class="brand" style="color:{_BRAND};" href="{escape(unsubscribe, quote=True)}">Unsubscribe</a>'
        if unsubscribe is not None
        else ""
    )
    return (
        f'<mj-text css-class="soft brand" color="{_SOFT}" font-size="12px" line-height="18px" padding="16px 24px 24px">'
        f"{escape(footer)}{link}</mj-text>"
    )
