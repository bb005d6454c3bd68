"""The query of `/api/analytics/export`."""

from typing import Annotated

from pydantic import Field

from faregate.analytics.exports.formats import Format
from faregate.gateway.schemas.analytics_query import AnalyticsQuery

__all__ = ["ExportQuery"]


class ExportQuery(AnalyticsQuery):
    """What to export, by the filters of all analytics, and how."""

    format: Format = Format.CSV
    raw: Annotated[bool, Field(description="leave text as it is, also what a spreadsheet would run as a formula")] = (
        False
    )
    bom: Annotated[bool, Field(description="CSV alone: begin with a byte order mark, so that Excel reads UTF-8")] = (
        False
    )
