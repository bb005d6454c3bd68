"""Sheet rows as XLSX XML. Pure.

A cell of XLSX is a double: a number of more than 15 digits is written as text, so that no digit is lost. Text is an inline
string, never a formula nor a link; text longer than a cell (32,767 characters) is cut, and ends with `…`. Characters that
XML cannot hold are written as in Excel, `_x0001_`, and text that looks like that is escaped with `_x005F_`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from faregate.analytics.exports.columns import Column, Kind

__all__ = ["BOLD", "MOMENT", "cell", "column_letters", "row_sql", "text_cell"]

BOLD, MOMENT = 1, 2
"""Styles of cells: indexes into the styles of the workbook."""

_CELL_LIMIT = 32_767
_EXACT_DIGITS = 15
_EPOCH_DAY = 25_569
_DAY_SECONDS = 86_400
_SPACE = " \t\n\r"
_CONTROLS = [*range(1, 32), 0xFFFE, 0xFFFF]
_MASKS = {code: f"&#{code};" if code in {9, 10, 13} else f"_x{code:04X}_" for code in [0, *_CONTROLS]}
_LOOKS_MASKED = "_(?=x[0-9A-Fa-f]{4}_)"
_ODD = r"[\u0001-\u001f\ufffe\uffff]|" + _LOOKS_MASKED


def column_letters(position: int) -> str:
    """Return the name of a column: A for 0, Z for 25, AA for 26."""
    letters = ""
    while position >= 0:
        letters = chr(ord("A") + position % 26) + letters
        position = position // 26 - 1
    return letters


def cell(reference: str, value: Any) -> str:
    """Return the cell of a value: times and exact numbers as such, everything else as text; an empty text for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        days = (value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / _DAY_SECONDS + _EPOCH_DAY
        return f'<c r="{reference}" s="{MOMENT}"><v>{repr(days).removesuffix(".0")}</v></c>'
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        plain = _plain(Decimal(value))
        return f'<c r="{reference}"><v>{plain}</v></c>' if _is_exact(plain) else text_cell(reference, plain)
    return text_cell(reference, str(value))


def text_cell(reference: str, text: str, *, style: int = 0) -> str:
    """Return the cell of a text."""
    cut = text if len(text) <= _CELL_LIMIT else text[: _CELL_LIMIT - 1] + "…"
    space = ' xml:space="preserve"' if cut != cut.strip(_SPACE) else ""
    masked = re.sub(_LOOKS_MASKED, "_x005F_", escape(cut)).translate(_MASKS)
    look = f' s="{style}"' if style else ""
    return f'<c r="{reference}"{look} t="inlineStr"><is><t{space}>{masked}</t></is></c>'


def row_sql(columns: Sequence[Column], body: str) -> str:
    """Return the statement that yields each row, from the second row of the sheet on, as one line of XML.

    Values become text once (`v`), then cells (`w`); only rows with characters that XML cannot hold are escaped.
    """
    values = ", ".join(f"{_value(column)} as {column.name}" for column in columns)
    cells = " || ".join(_cell(column_letters(place), column) for place, column in enumerate(columns))
    texts = ", ".join(f"v.{column.name}" for column in columns if column.kind in {Kind.TEXT, Kind.JSON})
    return f"""
    select case when w.texts ~ '{_ODD}' then {_masked("w.xml")} else w.xml end from (
      select '<row r="' || v.sheet_row || '">' || {cells} || '</row>' as xml, concat({texts or "''"}) as texts
      from (select (row_number() over () + 1)::text as sheet_row, {values} {body}) v
    ) w
    """  # noqa: S608


def _plain(value: Decimal) -> str:
    """Return all digits of `value`, without exponent and without trailing zeros of the fraction."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_exact(plain: str) -> bool:
    """Whether a double represents a number exactly, up to fifteen digits."""
    return not plain.strip("-.0123456789") and len(re.sub("[-.]", "", plain).strip("0")) <= _EXACT_DIGITS


def _value(column: Column) -> str:
    if column.kind is Kind.MOMENT:
        return f"(extract(epoch from {column.sql})::float8 / {_DAY_SECONDS} + {_EPOCH_DAY})::text"
    if column.kind.is_decimal:
        return f"trim_scale({column.sql})::text"
    return f"({column.sql})::text"


def _cell(place: str, column: Column) -> str:
    value, begin = f"v.{column.name}", f"""'<c r="{place}' || v.sheet_row || '"'"""
    if column.kind is Kind.MOMENT:
        return f"""coalesce({begin} || ' s="{MOMENT}"><v>' || {value} || '</v></c>', '')"""
    if column.kind in {Kind.TEXT, Kind.JSON}:
        return f"coalesce({begin} || {_string(value)}, '')"
    return (
        f"coalesce({begin} || case when {_exact(value)} then '><v>' || {value} || '</v></c>' "
        f"else ' t=\"inlineStr\"><is><t>' || {value} || '</t></is></c>' end, '')"
    )


def _exact(value: str) -> str:
    digits = f"length(btrim(translate({value}, '-.', ''), '0'))"
    few = f"(length({value}) <= {_EXACT_DIGITS} or {digits} <= {_EXACT_DIGITS})"
    return f"{few} and translate({value}, '-.0123456789', '') = ''"


def _string(value: str) -> str:
    long = f"octet_length({value}) > {_CELL_LIMIT} and length({value}) > {_CELL_LIMIT}"
    cut = f"case when {long} then left({value}, {_CELL_LIMIT - 1}) || '…' else {value} end"
    space = f"""case when {value} = btrim({value}, E' \\t\\n\\r') then '' else ' xml:space="preserve"' end"""
    escaped = f"replace(replace(replace({cut}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
    return f"""' t="inlineStr"><is><t' || {space} || '>' || {escaped} || '</t></is></c>'"""


def _masked(xml: str) -> str:
    masked = f"regexp_replace({xml}, '{_LOOKS_MASKED}', '_x005F_', 'g')"
    for code in _CONTROLS:
        masked = f"replace({masked}, chr({code}), '{_MASKS[code]}')"
    return masked
