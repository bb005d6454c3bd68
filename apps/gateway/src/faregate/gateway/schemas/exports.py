"""The query of `/api/analytics/export`."""

from typing import Annotated

from pydantic import Field

from faregate.analytics.exports.formats import Format
from faregate.analytics.filters import Filters, Question, time_range
from faregate.core.clock import IClock
from faregate.core.fields import LooseBody

__all__ = ["ExportQuery"]


class ExportQuery(LooseBody):
    """What to export, by the filters of all analytics. `startDate` is included, `endDate` is not."""

    format: Format = Format.CSV
    raw: Annotated[bool, Field(description="leave text as it is, also what a spreadsheet would run as a formula")] = (
        False
    )
    start: str | None = Field(default=None, alias="startDate")
    end: str | None = Field(default=None, alias="endDate")
    timezone: str = "UTC"
    service: str | None = None
    model: str | None = None
    provider: str | None = None
    feature: str | None = None
    user_id: str | None = Field(default=None, alias="userId")
    organization_id: str | None = Field(default=None, alias="organizationId")
    country: str | None = None
    device: str | None = None
    status: str | None = None

    def question(self, clock: IClock) -> Question:
        """Return what is asked about."""
        named = self.model_dump(exclude={"format", "raw", "start", "end", "timezone"})
        return Question(time_range(self.start, self.end, self.timezone, now=clock.now()), Filters(**named))
