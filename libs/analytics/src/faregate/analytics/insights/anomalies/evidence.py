"""Evidence of an anomaly. Pure."""

from faregate.analytics.insights.anomalies.values import Suspect
from faregate.analytics.insights.anomalies.watch import LEAST_REQUESTS
from faregate.analytics.insights.series import Series
from faregate.analytics.insights.values import Evidence

__all__ = ["evidence_of_suspect"]


def evidence_of_suspect(suspect: Suspect, values: Series, note: str | None) -> Evidence:
    """Return how an anomaly was found in the hours of its series, since their first use.

    Args:
        note: what was archived and could not be read, if anything.
    """
    known = values.since_first_use()
    return Evidence(
        method="the hour and the mean of four hours against the median of the same hour in past weeks or days where the series "
        "repeats, else of the last 300 hours",
        sample=len(known.periods),
        sampled="hours",
        start=known.periods[0],
        end=suspect.end,
        uncertainty="further from the usual than 99.5 % of the past was, times 1.15; no probability is known for a single report",
        limits=(
            "the parts are what changed with it, which need not be its cause",
            f"hours with fewer than {LEAST_REQUESTS} requests have no rate, latency or tokens per request",
            *([note] if note is not None else []),
        ),
    )
