"""Queries of `/api/analytics/export` and `/api/analytics/focus`."""

from typing import Annotated

from pydantic import Field

from faregate.analytics.exports.formats import Format
from faregate.analytics.focus.columns import FocusVersion
from faregate.core.values.fields import LooseBody, Moment
from faregate.gateway.schemas.analytics_query import AnalyticsQuery

__all__ = ["ExportQuery", "FocusQuery"]


class ExportQuery(AnalyticsQuery):
    """The filters of analytics, and the form of the export."""

    format: Format = Format.CSV
    raw: Annotated[bool, Field(description="leave text unchanged, even if a spreadsheet would run it as a formula")] = (
        False
    )
    bom: Annotated[bool, Field(description="only for CSV: begin with a byte order mark, so that Excel reads UTF-8")] = (
        False
    )


class FocusQuery(LooseBody):
    """The range in which uses were settled; `from` is included, `to` is excluded."""

    since: Moment = Field(alias="from")
    until: Moment = Field(alias="to")
    version: FocusVersion = FocusVersion.V1_2
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=10_000, description="highest number of rows")] = 10_000
