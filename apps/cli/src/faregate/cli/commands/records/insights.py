"""`faregate insights`: forecasts, run-outs, anomalies, cohorts, churn, segments, upsell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from faregate.analytics.insights.anomalies.values import AnomalyMeasure, AnomalyScope, Verdict
from faregate.analytics.insights.forecasting.values import ForecastUnit
from faregate.cli.commands.records.insight_money import add_money
from faregate.cli.commands.records.insight_operations import add_operations
from faregate.cli.shared.analytics_options import About, Shape, tell
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.evidence import tell_insight, tell_people
from faregate.cli.shared.options import Output, decimal_of
from faregate.cli.shared.output import print_done
from faregate.cli.shared.session import actor, with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.analytics.insights.anomalies.values import Anomaly
    from faregate.analytics.insights.forecasting.service import ForecastAmount
    from faregate.analytics.insights.values import Insight
    from faregate.worker.container import WorkerContainer

__all__ = ["insights"]

insights = App(
    name="insights",
    help="Forecasts, run-out dates, anomalies, and insights about users and money, each with its evidence.",
)
segment = App(name="segment", help="Declare segments of users.")
insights.command(segment)
add_money(insights)
add_operations(insights)

_ABOUT = About()
_Of = Annotated[str, Parameter(help="requests, tokens, credits or cost.")]
_Limit = Annotated[int, Parameter(help="Number of users.")]
_OPERATORS = (">=", "<=", ">", "<", "=")


@insights.command
def forecast(
    of: _Of = "credits",
    *,
    by: Annotated[ForecastUnit, Parameter(help="hour, day, week or month.")] = "day",
    horizon: Annotated[int | None, Parameter(help="Number of periods.")] = None,
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Forecast the running period and those after it, with intervals and the back-test; exit 1 with too little history."""
    amount = _amount(of)

    async def work(lib: WorkerContainer) -> Insight:
        return await lib.forecasts().forecast(about.question(), of=amount, unit=by, horizon=horizon)

    found = with_library(work)
    points: Sequence[Mapping[str, Any]] = found.result.answer.get("points", ())
    columns = ["period", "expected", "low80", "high80", "low95", "high95"]
    return tell_insight(
        output, f"{of} by {by}", columns, [[point[name] for name in columns] for point in points], found
    )


@insights.command(name="run-outs")
@audited("analytics.run_outs", apart=True)
def run_outs(
    *,
    timezone: str = "UTC",
    owner: Annotated[str | None, Parameter(help="Only this user, or org:<id>.")] = None,
    limit: _Limit = 100,
    output: Shape = "table",
) -> int:
    """List the wallets and quotas by the date on which they run out; exit 1 if there is too little history."""
    found = with_library(lambda lib: lib.run_outs().run_outs(timezone, owner_id=owner, limit=limit))
    columns = ["about", "runs_out_at", "earliest_at", "latest_at", "refilled_at", "notes"]
    return tell_people(output, "Run-out dates", columns, found)


@insights.command
@audited("analytics.anomalies", apart=True)
def anomalies(
    *,
    check: Annotated[bool, Parameter(help="Look for new ones first, and send their alerts.")] = False,
    scope: AnomalyScope | None = None,
    measure: AnomalyMeasure | None = None,
    unjudged: Annotated[bool, Parameter(help="Only those without a verdict.")] = False,
    limit: Annotated[int, Parameter(help="Number of anomalies.")] = 100,
    output: Shape = "table",
) -> None:
    """List unusual hours, the latest first, with what was usual and why."""
    from faregate.analytics.insights.anomalies.repository import AnomalyFilter

    wanted = AnomalyFilter(scope, measure, unjudged=unjudged, limit=limit)

    async def work(lib: WorkerContainer) -> Sequence[Anomaly]:
        if check:
            await lib.anomalies().check()
            await lib.insight_jobs().deliver()
        return await lib.anomalies().anomalies(wanted)

    columns = ["id", "found at", "what", "user", "verdict"]
    rows = [
        (str(one.id), one.found_at, one.reason["sentence"], one.user_id, one.verdict.value if one.verdict else None)
        for one in with_library(work)
    ]
    tell(output, "Anomalies", columns, rows)


@insights.command
@audited("analytics.judge_anomaly", target=("anomaly_id",))
def judge(anomaly_id: UUID, verdict: Verdict, *, output: Output = "table") -> None:
    """Say whether it is an anomaly; what is like one that is none, or less, is not reported again."""
    judged = with_library(lambda lib: lib.anomalies().judge(anomaly_id, verdict, actor=actor(None)))
    print_done(f"{judged.id}: {verdict.value}", {"id": judged.id, "verdict": verdict}, output)


@insights.command
def cohorts(
    *,
    by: Annotated[Literal["week", "month"], Parameter(help="week or month.")] = "week",
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Show the users by the period of their first use, and which fraction was active in each period after it."""
    found = with_library(lambda lib: lib.customers().cohorts(about.question(), by))
    columns = ["period", "users", "activated", "retention"]
    cohorts: Sequence[Mapping[str, Any]] = found.result.answer["cohorts"]
    rows = [
        [each["period"], each["users"], each["activated"], " ".join(f"{rate:.0%}" for rate in each["retention"])]
        for each in cohorts
    ]
    return tell_insight(output, f"Cohorts by {by}", columns, rows, found)


@insights.command
def adoption(*, about: About = _ABOUT, output: Shape = "table") -> int:
    """Show which fraction of the recent users used each feature."""
    found = with_library(lambda lib: lib.customers().adoption(about.question()))
    columns = ["feature", "users", "rate", "rate_before", "repeated"]
    features: Sequence[Mapping[str, Any]] = found.result.answer.get("features", ())
    return tell_insight(output, "Adoption", columns, [[each[name] for name in columns] for each in features], found)


@insights.command
@audited("analytics.churn", apart=True)
def churn(*, limit: _Limit = 20, about: About = _ABOUT, output: Shape = "table") -> int:
    """List the users by the chance that they are gone, the highest first, and why."""
    found = with_library(lambda lib: lib.customers().churn(about.question(), limit=limit))
    return tell_people(output, "Churn risk", ["risk", "expected_days", "active_days", "last_at", "reasons"], found)


@insights.command
@audited("analytics.segments", apart=True)
def segments(*, limit: _Limit = 20, about: About = _ABOUT, output: Shape = "table") -> int:
    """List the users with their segments, the most credits first."""
    found = with_library(lambda lib: lib.customers().segments(about.question(), limit=limit))
    columns = ["segment", "recency", "frequency", "money", "credits", "declared"]
    return tell_people(output, "Segments", columns, found)


@insights.command
@audited("analytics.upsell", apart=True)
def upsell(*, limit: _Limit = 20, about: About = _ABOUT, output: Shape = "table") -> int:
    """List the users that may want another plan, and why."""
    found = with_library(lambda lib: lib.customers().upsell(about.question(), limit=limit))
    return tell_people(output, "Upsell", ["plan", "best", "credits", "growth", "reasons"], found)


@insights.command
def make(*, output: Output = "table") -> None:
    """Make all scheduled insights now, as the worker does every night and every hour."""

    async def work(lib: WorkerContainer) -> None:
        from faregate.analytics.insights.numeric import require_extra

        require_extra()
        await lib.insight_jobs().anew()
        await lib.operations_jobs().watch()
        await lib.operations_jobs().daily()

    with_library(work)
    print_done("made", {"made": True}, output)


@segment.command(name="set")
@audited("analytics.put_rule", target=("name",))
def set_segment(name: str, *condition: str, output: Output = "table") -> None:
    """Declare a segment: `faregate insights segment set vip 'credits>=100' 'days_since_last<=14'`."""
    from faregate.analytics.insights.customers.segment_rules import Condition, SegmentRule

    rule = SegmentRule(name, tuple(Condition(*_parsed(text)) for text in condition))
    with_library(lambda lib: lib.customers().put_rule(rule))
    print_done(f"{name}: {' and '.join(condition)}", {"name": name, "conditions": condition}, output)


@segment.command(name="list")
def list_segments(*, output: Shape = "table") -> None:
    """List the declared segments."""
    rules = with_library(lambda lib: lib.customers().rules())
    rows = [(r.name, " and ".join(f"{c.field}{c.op}{c.value:f}" for c in r.conditions)) for r in rules]
    tell(output, "Declared segments", ["name", "conditions"], rows)


@segment.command(name="remove")
@audited("analytics.delete_rule", target=("name",))
def remove_segment(name: str, *, output: Output = "table") -> None:
    """Delete a declared segment."""
    with_library(lambda lib: lib.customers().remove_rule(name))
    print_done(f"{name} is deleted", {"name": name}, output)


def _parsed(text: str) -> tuple[str, str, Any]:
    for op in _OPERATORS:
        field, found, value = text.partition(op)
        if found:
            return field.strip(), op, decimal_of(value.strip(), param="condition")
    raise InvalidError(f"{text!r} is not a condition such as credits>=100", param="condition")


def _amount(of: str) -> ForecastAmount:
    if of not in {"requests", "tokens", "credits", "cost"}:
        raise InvalidError("of must be requests, tokens, credits or cost", param="of")
    return of  # type: ignore[return-value]
