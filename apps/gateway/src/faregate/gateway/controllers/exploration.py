"""Controller of `/api/analytics/explore` and `/api/analytics/stream`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from starlette.responses import Response, StreamingResponse

from faregate.analytics.answers.exploration import Explorer
from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.exports.formats import Format, file_name
from faregate.analytics.exports.tables import sorted_rows, table_file
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.gateway.controllers.analytics import AnalyticsController
from faregate.gateway.http.event_stream import EVENT_STREAM, event_stream
from faregate.gateway.http.operation import Audit, Call, Controller, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.exploration import (
    ExploreAnswer,
    ExploreFileQuery,
    ExploreQuery,
    StreamAnswer,
    StreamQuery,
    explore_answer,
)
from faregate.gateway.schemas.explore_tables import explore_table
from faregate.gateway.security.auth import IAuthenticator, Scope
from faregate.usage.errors import UnknownMeterError

__all__ = ["ExplorationController"]

_METER = (InvalidError, UnknownMeterError)
_STREAMS = 200
_AT_ONCE = 4


class ExplorationController(Controller):
    """Explorations over HTTP, once or as a stream."""

    def __init__(
        self,
        explorer: Explorer,
        analytics: AnalyticsService,
        dashboards: AnalyticsController,
        authenticator: IAuthenticator,
        clock: IClock,
        credit_price_usd: Decimal,
    ) -> None:
        self._explorer = explorer
        self._analytics = analytics
        self._dashboards = dashboards
        self._authenticator = authenticator
        self._clock = clock
        self._credit_price_usd = credit_price_usd

    async def version(self, arguments: Mapping[str, Any], user_id: str | None) -> str | None:  # noqa: ARG002
        """Return the version of all facts and the minute: the range that is compared grows with the time."""
        version = await self._analytics.version()
        return f"{version}/{self._clock.now():%Y%m%d%H%M}" if version is not None else None

    @operation(
        "GET",
        "/api/analytics/explore",
        scope=Scope.ANALYTICS_READ,
        answer=ExploreAnswer,
        errors=_METER,
        kept="analytics",
        personal=Personal.IDS,
        audit=Audit.PERSONAL,
    )
    async def explore(self, query: ExploreQuery) -> ExploreAnswer:
        """Return an amount by a dimension: totals beside those of the period before, the top values and the rest, each with a
        series.

        The period before has the same elapsed time: a day that is half over is compared with the first half of the day before.
        Slices by model and provider count calls of models, all others count uses.
        """
        question = query.question(now=self._clock.now())
        found = await self._explorer.explore(
            question,
            query.by,
            unit=query.groupBy,
            amount=query.of,
            top=query.top,
            then=query.then,
            compare=query.compare,
        )
        return explore_answer(
            found,
            of=query.of,
            credit_price_usd=self._credit_price_usd,
            archived_before=question.omissions.archived_before,
        )

    @operation(
        "GET",
        "/api/analytics/explore/export",
        scope=Scope.ANALYTICS_READ,
        produces=tuple(kind.media_type for kind in Format),
        errors=(*_METER, MissingExtraError),
        concurrency=_AT_ONCE,
        personal=Personal.IDS,
        audit=Audit.PERSONAL,
    )
    async def export_exploration(self, query: ExploreFileQuery) -> Response:
        """Download a table of `/api/analytics/explore` as csv, xlsx, parquet, json or ndjson.

        The rows are those of the answer to the same question, in the order of `sort`.
        """
        answer = await self.explore(query)
        made = sorted_rows(explore_table(answer, query), query.sort)
        name = file_name(
            f"{query.table}-by-{query.by}",
            query.format,
            start=answer.range.start,
            end=answer.range.end,
            now=self._clock.now(),
        )
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(await table_file(made, query.format), media_type=query.format.media_type, headers=headers)

    @operation(
        "GET",
        "/api/analytics/stream",
        scope=Scope.ANALYTICS_READ,
        produces=(EVENT_STREAM,),
        errors=_METER,
        concurrency=_STREAMS,
        personal=Personal.WORDS,
        audit=Audit.PERSONAL,
    )
    async def stream(self, call: Call, query: StreamQuery) -> StreamingResponse:
        """Receive the answers of `/api/analytics/explore` and `/api/analytics/dashboard` as server-sent events: at once, and again
        when the facts have changed.

        Each event is named `usage`, its `data` is `{"explore": …, "dashboard": …}` in JSON, its id the version of the facts. A
        comment is sent every 15 seconds while nothing changes. The stream ends when the credential ends.
        """
        first = await self._usage(query)  # errors of the query are answered before the stream begins
        headers, address = call.request.headers, call.request.client.host if call.request.client else None

        async def may_continue() -> None:
            await self._authenticator.authenticate(headers, address=address)

        body = event_stream(
            call.request,
            first=first,
            version=self._analytics.version,
            answer=lambda: self._usage(query),
            may_continue=may_continue,
            every=query.every,
            limit=query.events,
        )
        return StreamingResponse(
            body, media_type=EVENT_STREAM, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )

    async def _usage(self, query: StreamQuery) -> StreamAnswer:
        return StreamAnswer(explore=await self.explore(query), dashboard=await self._dashboards.dashboard(query))
