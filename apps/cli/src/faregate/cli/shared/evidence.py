"""Output of insights with their evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from faregate.cli.shared.analytics_options import Shape, tell
from faregate.cli.shared.output import errors

if TYPE_CHECKING:
    from faregate.analytics.insights.values import Insight

__all__ = ["tell_insight", "tell_people"]


def tell_people(output: Shape, title: str, columns: Sequence[str], found: Insight) -> int:
    """Print what was found about each user, with the evidence; return 1 if there was too little data for any."""
    rows = [[each.user_id, *(_plain(each.facts.get(name), output) for name in columns)] for each in found.result.people]
    return tell_insight(output, title, ["user", *columns], rows, found)


def _plain(value: Any, output: Shape) -> Any:
    if output != "json" and isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in cast("Mapping[str, Any]", value).items())
    if output == "json" or not isinstance(value, list):
        return value
    return "; ".join(map(str, cast("list[Any]", value)))


def tell_insight(
    output: Shape, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], found: Insight
) -> int:
    """Print rows with their evidence; return 1 if there was too little data for any."""
    evidence = found.result.evidence
    if output == "json":
        from dataclasses import asdict

        tell(output, title, columns, rows, enough=found.result.enough, made_at=found.made_at, evidence=asdict(evidence))
    else:
        tell(output, title, columns, rows)
        errors.print(
            f"Method: {evidence.method}. Sample: {evidence.sample} {evidence.sampled}, until {evidence.end:%Y-%m-%d}."
        )
        errors.print(f"Uncertainty: {evidence.uncertainty}.")
        for limit in evidence.limits:
            errors.print(f"Limit: {limit}.")
    return 0 if found.result.enough else 1
