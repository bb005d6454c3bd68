"""Streamed XLSX workbooks: a sheet of rows, a sheet about them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.sheets import BOLD, cell, column_letters, text_cell
from faregate.analytics.exports.zipping import ZipStream
from faregate.wire import exact_json

__all__ = ["workbook"]

_WIDTHS = {Kind.MOMENT: 22, Kind.TEXT: 20, Kind.JSON: 40}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>
<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>
<Override PartName="/xl/worksheets/sheet2.xml" ContentType="{_TYPE}.worksheet+xml"/>
</Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>
</Relationships>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">
<bookViews><workbookView/></bookViews>
<sheets><sheet name="rows" sheetId="1" r:id="rId1"/><sheet name="about" sheetId="2" r:id="rId2"/></sheets>
</workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="{_OFFICE}/worksheet" Target="worksheets/sheet2.xml"/>
<Relationship Id="rId3" Type="{_OFFICE}/styles" Target="styles.xml"/>
</Relationships>""",
    "xl/styles.xml": f"""<styleSheet xmlns="{_MAIN}">
<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss.000"/></numFmts>
<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>
<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>
<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>
<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>
<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>
<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>
<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>
</styleSheet>""",
}
_SHEET_END = b"</sheetData></worksheet>"


async def workbook(
    columns: Sequence[Column], rows: AsyncGenerator[bytes], about: Callable[[], Awaitable[Mapping[str, Any]]]
) -> AsyncGenerator[bytes]:
    """Yield a workbook of `rows` (the XML of `row_sql`), whose second sheet holds `about`.

    `about` is called after the last row. Compression runs in a thread and releases the interpreter lock.
    """
    book = ZipStream()
    head = b"".join(book.member(name, (_XML + part).encode()) for name, part in _PARTS.items())
    yield head + book.begin("xl/worksheets/sheet1.xml") + book.add(_rows_begin(columns))
    async with aclosing(rows):
        async for chunk in rows:
            if packed := await asyncio.to_thread(book.add, chunk):
                yield packed
    yield book.add(_SHEET_END) + book.end()
    yield book.member("xl/worksheets/sheet2.xml", _about_sheet(await about())) + book.finish()


def _rows_begin(columns: Sequence[Column]) -> bytes:
    widths = [_WIDTHS.get(column.kind, 14) for column in columns]
    pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    names = [text_cell(f"{column_letters(at)}1", column.name, style=BOLD) for at, column in enumerate(columns)]
    return (_sheet_begin(widths, f'tabSelected="1" workbookViewId="0">{pane}') + _row(1, names)).encode()


def _about_sheet(facts: Mapping[str, Any]) -> bytes:
    rows = [
        _row(at, [text_cell(f"A{at}", name, style=BOLD), cell(f"B{at}", _plain(value))])
        for at, (name, value) in enumerate(facts.items(), 1)
    ]
    return (_sheet_begin([30, 30], 'workbookViewId="0">') + "".join(rows)).encode() + _SHEET_END


def _sheet_begin(widths: Sequence[int], view: str) -> str:
    cols = [f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>' for at, width in enumerate(widths, 1)]
    views = f"<sheetViews><sheetView {view}</sheetView></sheetViews>"
    return f'{_XML}<worksheet xmlns="{_MAIN}">{views}<cols>{"".join(cols)}</cols><sheetData>'


def _row(number: int, cells: Sequence[str]) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def _plain(value: Any) -> Any:
    return exact_json.dumps(value).decode() if isinstance(value, Mapping | list | tuple) else value
