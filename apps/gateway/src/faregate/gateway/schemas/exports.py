"""The query of `/api/analytics/export`."""

from typing import Annotated

from pydantic import Field

from faregate.analytics.exports.formats import Format
from faregate.gateway.schemas.analytics_query import AnalyticsQuery

__all__ = ["ExportQuery"]


class ExportQuery(AnalyticsQuery):
    """The filters of analytics, and the form of the export."""

    format: Format = Format.CSV
    raw: Annotated[bool, Field(description="leave text unchanged, even if a spreadsheet would run it as a formula")] = (
        False
    )
    bom: Annotated[bool, Field(description="only for CSV: begin with a byte order mark, so that Excel reads UTF-8")] = (
        False
    )
