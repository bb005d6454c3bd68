"""`faregate insights`: returns, savings, what-if calculations, budgets, feedback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.analytics.insights.budgets.values import BudgetScope, BudgetUnit
from faregate.analytics.insights.costs.values import ReturnBy
from faregate.analytics.insights.feedback.values import SatisfactionBy
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.cli.shared.analytics_options import About, Shape, tell
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.evidence import tell_insight, tell_people
from faregate.cli.shared.options import Output, decimal_of
from faregate.cli.shared.output import print_done
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.analytics.insights.budgets.values import BudgetStatus
    from faregate.analytics.insights.costs.scenario import Proposal, ProposedGrant, ProposedMargin, ProposedPrice
    from faregate.analytics.insights.values import Insight
    from faregate.worker.container import WorkerContainer

__all__ = ["add_money"]

_ABOUT = About()
_MONEY = ("credits", "charged", "cost_usd", "return_usd")
budget = App(name="budget", help="Declare budgets of the business, features, models and organisations.")


def add_money(insights: App) -> None:
    """Add the commands about money and satisfaction to `faregate insights`."""
    for command in (returns, savings, what_if, budgets, satisfaction, feedback):
        insights.command(command)
    insights.command(budget)


@audited("analytics.returns", apart=True)
def returns(
    *,
    divided_by: Annotated[
        ReturnBy, Parameter(name="--by", help="feature, plan or user.")
    ] = "feature",  # `by` is a person in audit entries
    limit: Annotated[int, Parameter(help="Number of users.")] = 20,
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Show what each feature, plan or user brought beyond its provider cost in the last 28 days, the lowest first."""
    found = with_library(lambda lib: lib.costs().returns(about.question(), divided_by, limit=limit))
    columns = ["uses", "charged", "revenue_usd", "cost_usd", "return_usd", "rate", "unpriced"]
    if divided_by == "user":
        return tell_people(output, "Return by user", columns, found)
    parts: Sequence[Mapping[str, Any]] = found.result.answer["parts"]
    rows = [[part["name"], *(part[name] for name in columns[:-1]), part["unpriced"]["uses"]] for part in parts]
    return tell_insight(output, f"Return by {divided_by}", [divided_by, *columns], rows, found)


def savings(*, about: About = _ABOUT, output: Shape = "table") -> int:
    """Show what the lines of the last 28 days could have cost, the largest saving first; exit 1 with too few lines."""
    found = with_library(lambda lib: lib.costs().savings(about.question()))
    columns = ["kind", "feature", "model", "to_model", "lines", "cost_usd", "saving_usd", "assumption"]
    hints: Sequence[Mapping[str, Any]] = found.result.answer.get("hints", ())
    return tell_insight(output, "Savings", columns, [[hint[name] for name in columns] for hint in hints], found)


def what_if(
    *,
    margin: Annotated[
        list[str] | None, Parameter(help="PERCENT, or 'PERCENT feature=KEY model=NAME plan=KEY'; can be repeated.")
    ] = None,
    price: Annotated[
        list[str] | None, Parameter(help="'MODEL input_mtok=USD output_mtok=USD'; can be repeated.")
    ] = None,
    grant: Annotated[list[str] | None, Parameter(help="PLAN=CREDITS in a month; can be repeated.")] = None,
    credit_price: Annotated[str | None, Parameter(help="Price of a credit in USD.")] = None,
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Price the settled uses of a range again under other margins, prices or plans; nothing is changed."""
    proposal = _proposal(margin or [], price or [], grant or [], credit_price)
    found = with_library(lambda lib: lib.costs().what_if(about.question(), proposal))
    features: Sequence[Mapping[str, Any]] = found.result.answer.get("features", ())
    rows = [[each["feature"], *_sides(each)] for each in features]
    if features:
        rows.append(["all", *_sides(found.result.answer)])
    columns = ["feature", *(f"{name} {when}" for name in _MONEY for when in ("before", "after"))]
    return tell_insight(output, "What if", columns, rows, found)


def budgets(*, output: Shape = "table") -> None:
    """Show the budgets: used so far, the burn (1 uses it up at the end), and what the period is expected to use."""
    found = with_library(lambda lib: lib.budgets().statuses())
    columns = ["name", "for", "amount", "unit", "period", "used", "percent", "burn", "expected", "low", "high", "level"]
    tell(output, "Budgets", columns, [_budget_row(status) for status in found])


@budget.command(name="set")
@audited("budgets.put_budget", target=("name",))
def set_budget(
    name: str,
    amount: str,
    *,
    unit: Annotated[BudgetUnit, Parameter(help="credits or cost_usd.")] = "credits",
    period: Annotated[QuotaPeriod, Parameter(help="day, week, month, quarter or year.")] = QuotaPeriod.MONTH,
    feature: Annotated[str | None, Parameter(help="Only this feature.")] = None,
    model: Annotated[str | None, Parameter(help="Only this model.")] = None,
    organization: Annotated[str | None, Parameter(help="Only this organisation.")] = None,
    timezone: Annotated[str, Parameter(help="Time zone of the period.")] = "UTC",
    email: Annotated[list[str] | None, Parameter(help="A recipient of alerts; can be repeated.")] = None,
    output: Output = "table",
) -> None:
    """Declare a budget, or change it: `faregate insights budget set chat 10000 --feature ai_chat_v1`."""
    from faregate.analytics.insights.budgets.values import BudgetSpec

    scopes = {BudgetScope.FEATURE: feature, BudgetScope.MODEL: model, BudgetScope.ORGANIZATION: organization}
    given = [(scope, value) for scope, value in scopes.items() if value is not None]
    if len(given) > 1:
        raise InvalidError("give one of feature, model and organization", param="feature")
    scope, value = given[0] if given else (BudgetScope.BUSINESS, None)
    spec = BudgetSpec(
        name, scope, value, unit, decimal_of(amount, param="amount"), period, timezone, emails=tuple(email or ())
    )
    with_library(lambda lib: lib.budgets().put(spec))
    facts = {"name": name, "amount": spec.amount, "unit": unit, "period": period}
    print_done(f"{name}: {spec.amount:f} {unit} each {period}", facts, output)


@budget.command(name="remove")
@audited("budgets.delete_budget", target=("name",))
def remove_budget(name: str, *, output: Output = "table") -> None:
    """Delete a budget and its alerts."""
    with_library(lambda lib: lib.budgets().remove(name))
    print_done(f"{name} is deleted", {"name": name}, output)


def satisfaction(
    *,
    by: Annotated[SatisfactionBy, Parameter(help="feature, model or price.")] = "feature",
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Show the scores of the last 90 days, the least satisfied first, and their rank correlation with cost and latency."""

    async def work(lib: WorkerContainer) -> Insight:
        return await lib.feedback().satisfaction(about.question(), by)

    found = with_library(work)
    answer = found.result.answer
    columns = ["value", "feedback", "users", "score", "low", "high", "unhappy", "sentiment"]
    rows = [[group[name] for name in columns] for group in answer.get("groups", ())]
    code = tell_insight(output, f"Satisfaction by {by}", columns, rows, found)
    if output == "table" and answer:
        shown = ["with", "sample", "value", "low", "high"]
        tell(output, "Rank correlation", shown, [[each[name] for name in shown] for each in answer["correlations"]])
    return code


@audited("feedback.list_feedback", apart=True)
def feedback(
    *,
    feature: Annotated[str | None, Parameter(help="Only this feature.")] = None,
    user: Annotated[str | None, Parameter(help="Only this user.")] = None,
    max_score: Annotated[int | None, Parameter(help="Only scores up to this one.")] = None,
    limit: Annotated[int, Parameter(help="Number of answers.")] = 100,
    output: Shape = "table",
) -> None:
    """List feedback with its redacted texts, the latest first."""
    from faregate.analytics.insights.feedback.values import FeedbackFilter

    wanted = FeedbackFilter(feature, user, most_score=max_score, limit=limit)
    found = with_library(lambda lib: lib.feedback().feedback(wanted))
    columns = ["usage_key", "user", "feature", "score", "tags", "text", "sentiment", "updated_at"]
    rows = [
        (f.usage_key, f.user_id, f.feature_key, f.score, " ".join(f.tags), f.text, f.sentiment, f.updated_at)
        for f in found
    ]
    tell(output, "Feedback", columns, rows)


def _sides(part: Mapping[str, Any]) -> list[Decimal]:
    return [part[when][name] for name in _MONEY for when in ("before", "after")]


def _budget_row(status: BudgetStatus) -> list[Any]:
    spec, outlook = status.budget.spec, status.outlook
    about = spec.scope.value if spec.value is None else f"{spec.scope.value} {spec.value}"
    expected = (outlook.expected, outlook.low, outlook.high) if outlook is not None else (None, None, None)
    level = status.level.value if status.level is not None else None
    used = (spec.amount, spec.unit, spec.period.value, status.used, status.percent, status.burn)
    return [spec.name, about, *used, *expected, level]


def _proposal(
    margins: Sequence[str], prices: Sequence[str], grants: Sequence[str], credit_price: str | None
) -> Proposal:
    from faregate.analytics.insights.costs.scenario import Proposal

    price = decimal_of(credit_price, param="credit_price") if credit_price is not None else None
    if price is not None and price <= 0:
        raise InvalidError("credit_price must be above 0", param="credit_price")
    return Proposal(tuple(map(_margin, margins)), tuple(map(_price, prices)), tuple(map(_grant, grants)), price)


def _margin(text: str) -> ProposedMargin:
    from faregate.analytics.insights.costs.scenario import ProposedMargin

    percent, *named = text.split()
    about = _named(named, param="margin")
    if about.keys() - {"feature", "model", "plan"}:
        raise InvalidError(f"margin must be such as '40 feature=essay plan=small', not {text!r}", param="margin")
    return ProposedMargin(decimal_of(percent, param="margin"), **about)


def _price(text: str) -> ProposedPrice:
    from faregate.analytics.insights.costs.scenario import ProposedPrice

    model, *named = text.split()
    prices = {name: decimal_of(value, param="price") for name, value in _named(named, param="price").items()}
    return ProposedPrice(model, prices)


def _grant(text: str) -> ProposedGrant:
    from faregate.analytics.insights.costs.scenario import ProposedGrant

    ((plan, credits),) = _named([text], param="grant").items()
    return ProposedGrant(plan, decimal_of(credits, param="grant"))


def _named(words: Sequence[str], *, param: str) -> dict[str, str]:
    parts = [word.partition("=") for word in words]
    wrong = next((name for name, found, _ in parts if not found), None)
    if wrong is not None:
        raise InvalidError(f"{wrong!r} must be NAME=VALUE", param=param)
    return {name: value for name, _, value in parts}
