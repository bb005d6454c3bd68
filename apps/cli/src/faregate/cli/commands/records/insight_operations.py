"""`faregate insights`: objectives, incidents and their refunds, capacity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter

from faregate.analytics.insights.operations.incidents.values import GiveBack, GiveBackRule
from faregate.analytics.insights.operations.objectives.values import Indicator, ObjectiveScope, ObjectiveSpec
from faregate.cli.shared.analytics_options import About, Shape, tell
from faregate.cli.shared.auditing import audited
from faregate.cli.shared.evidence import tell_insight, tell_people
from faregate.cli.shared.options import Actor, Output, Reason, decimal_of
from faregate.cli.shared.output import console, errors, print_done
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError

if TYPE_CHECKING:
    from faregate.analytics.insights.operations.incidents.refunds import RefundedUse
    from faregate.analytics.insights.operations.objectives.values import ObjectiveStatus
    from faregate.worker.container import WorkerContainer

__all__ = ["add_operations"]

_ABOUT = About()
_SIZE = re.compile(r"(\d+)\s*([KMGT]i?)?B?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
objective = App(name="objective", help="Declare service-level objectives.")


def add_operations(insights: App) -> None:
    """Add the commands about operations to `faregate insights`."""
    for command in (objectives, incident, refund_incident, capacity):
        insights.command(command)
    insights.command(objective)


@objective.command(name="set")
@audited("objectives.put_objective", target=("name",))
def set_objective(
    name: str,
    indicator: Indicator,
    target_percent: Annotated[str, Parameter(help="Part of the requests that must be good, such as 99.9.")],
    *,
    scope: ObjectiveScope = ObjectiveScope.TOTAL,
    value: Annotated[str | None, Parameter(help="The service, feature or model.")] = None,
    threshold_ms: Annotated[int | None, Parameter(help="Of latency: the longest time of a good request.")] = None,
    window_days: Annotated[int, Parameter(help="Length of the rolling window.")] = 30,
    active: bool = True,
    output: Output = "table",
) -> None:
    """Declare an objective: `faregate insights objective set up availability 99.9`."""
    target = decimal_of(target_percent, param="target_percent")
    spec = ObjectiveSpec(name, indicator, target, scope, value, threshold_ms, window_days, active)
    with_library(lambda lib: lib.objectives().put(spec))
    facts = {"name": name, "target_percent": target, "window_days": window_days}
    print_done(f"{name}: {target:f} % of {window_days} days", facts, output)


@objective.command(name="remove")
@audited("objectives.delete_objective", target=("name",))
def remove_objective(name: str, *, output: Output = "table") -> None:
    """Delete an objective and its alerts."""
    with_library(lambda lib: lib.objectives().remove(name))
    print_done(f"{name} is deleted", {"name": name}, output)


def objectives(
    *,
    check: Annotated[bool, Parameter(help="Measure them first, and send the alerts that are due.")] = False,
    output: Shape = "table",
) -> None:
    """List the service-level objectives with their error budgets and the rules that burn too fast."""

    async def work(lib: WorkerContainer) -> Sequence[ObjectiveStatus]:
        if check:
            await lib.operations_jobs().watch()
        return await lib.objectives().objectives()

    columns = ["name", "about", "target", "good", "total", "bad", "budget used", "burning", "checked at"]
    tell(output, "Objectives", columns, [_objective_row(each) for each in with_library(work)])


@audited("analytics.incident", apart=True)
def incident(
    *,
    give_back: Annotated[GiveBackRule, Parameter(help="Which charged uses to give back.")] = GiveBackRule.FAILED,
    slower_than_ms: Annotated[int | None, Parameter(help="For --give-back slow.")] = None,
    limit: Annotated[int, Parameter(help="Number of users.")] = 20,
    about: About = _ABOUT,
    output: Shape = "table",
) -> int:
    """Show what changed in a span of time (`--from`, `--to`), whom it hit, and what to give back."""
    if about.start is None or about.end is None:
        raise InvalidError("--from and --to are required: an incident has a beginning and an end", param="from")
    rule = GiveBack(give_back, slower_than_ms)
    found = with_library(lambda lib: lib.incidents().incident(about.question(), rule, limit=limit))
    if output == "table" and found.result.enough:
        for sentence in found.result.answer["sentences"]:
            console.print(sentence)
        prepared = found.result.answer["give_back"]
        console.print(
            f"to give back: {prepared['credits']} credits for {prepared['uses']} uses: "
            f"faregate insights refund-incident {found.id} --reason …"
        )
    return tell_people(output, f"Incident {found.id}", ["failed", "give_back"], found)


@audited("analytics.refund_incident", target=("incident_id",), when="confirm", apart=True)
def refund_incident(
    incident_id: UUID,
    *,
    reason: Reason,
    confirm: Annotated[bool, Parameter(help="Refund; without it only show what would be refunded.")] = False,
    actor: Actor = None,
    output: Shape = "table",
) -> int:
    """Give back the uses that an incident lists, each once; exit 1 if some were refunded otherwise meanwhile."""
    who = actor_of(actor)

    async def work(lib: WorkerContainer) -> list[RefundedUse]:
        refunds = lib.incident_refunds()
        carry_out = refunds.refund if confirm else refunds.rehearse
        done: list[RefundedUse] = []
        first: int | None = 1
        while first is not None:
            part = await carry_out(incident_id, actor=who, reason=reason, first=first)
            done += part.uses
            first = part.next
        return done

    uses = with_library(work)
    title = "Refunded" if confirm else "Would be refunded; --confirm refunds"
    tell(output, title, ["user", "usage key", "credits", "problem"], [_use_row(use) for use in uses])
    return 1 if any(use.problem is not None for use in uses) else 0


def capacity(
    *,
    limit: Annotated[str | None, Parameter(help="Size at which the database is full, such as 200GB or 64GiB.")] = None,
    timezone: str = "UTC",
    output: Shape = "table",
) -> int:
    """Show what a request costs the database, and when it reaches a limit; exit 1 with too few requests."""
    from faregate.analytics.insights.operations.capacity.growth import full_dates

    size = bytes_of(limit) if limit is not None else None
    found = with_library(lambda lib: lib.capacity().capacity(timezone))
    answer = found.result.answer
    names = ("bytes", "own_bytes", "requests", "bytes_per_request", "rows_per_request", "active_ms_per_request", "pace")
    rows = [(name, answer.get(name)) for name in names if answer]
    full = full_dates(answer, size) if size is not None else None
    if full is not None:
        rows += [(name, getattr(full, name)) for name in ("expected_at", "earliest_at", "latest_at", "days_left")]
    elif size is not None and answer:
        errors.print("When the limit is reached is not known: there is no forecast.")
    return tell_insight(output, "Capacity", ["", "value"] if output == "table" else ["name", "value"], rows, found)


def bytes_of(text: str) -> int:
    """Return a size such as `200GB` (10⁹) or `64GiB` (2³⁰) in bytes, or raise `InvalidError`."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise InvalidError(f"{text!r} is not a size; write it as 200GB or 64GiB", param="limit")
    unit = (found[2] or "").lower()
    return int(int(found[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit.rstrip("i")])


def _objective_row(status: ObjectiveStatus) -> Sequence[object]:
    spec, answer = status.objective.spec, status.answer
    burning = ", ".join(alert.rule for alert in status.alerts if alert.ended_at is None)
    good = "failed" if spec.indicator is Indicator.AVAILABILITY else f"over {spec.threshold_ms} ms"
    about = f"{spec.about}, {good}"
    measured = (answer.get(name) for name in ("good_percent", "total", "bad", "used"))
    return [spec.name, about, spec.target_percent, *measured, burning or None, status.checked_at]


def _use_row(use: RefundedUse) -> Sequence[object]:
    return [use.user_id, use.usage_key, use.credits, use.problem]
