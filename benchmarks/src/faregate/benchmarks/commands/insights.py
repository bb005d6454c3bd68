"""`faregate bench insights`: scores of insights beside those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from faregate.cli.shared.output import console, print_table
from faregate.core.runtime import event_loop

__all__ = ["insights"]

_PAPER = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
_M4_OTHERS = {"Hourly": "AutoARIMA 1.03, AutoTBATS 1.49, AutoETS 1.61, Theta 2.39"}
"""MASE of others, as `experiments/mfles` of statsforecast prints them; for Weekly it scales by the season, which M4 does not."""

_LEAST_NAB, _LOW, _HIGH = 55.0, 0.75, 0.85


def insights(
    *,
    m4: Annotated[
        Path | None, Parameter(help="Directory with the files of M4; without it, a sample is scored.")
    ] = None,
    events: Annotated[int, Parameter(help="Instead, time each insight over this number of events.")] = 0,
) -> int:
    """Score forecasts on M4, anomalies on NAB, and the churn model on CDNOW; exit 1 if a score misses its limit."""
    if events:
        return 0 if event_loop.run(_timed(events)) else 1
    results = [_forecasts(m4), _anomalies(), _lifetimes()]
    return 0 if all(results) else 1


async def _timed(count: int) -> bool:
    from faregate.benchmarks.insight_times import DAYS, LIMIT_MAKE_MS, LIMIT_READ_MS, time_insights

    times = await time_insights(count)
    rows = [
        (each.name, f"{each.make_ms:,.0f}", f"{LIMIT_MAKE_MS:,}", f"{each.read_ms:.1f}", str(LIMIT_READ_MS))
        for each in times.insights
    ]
    columns = ["insight", "made in ms", "limit", "read in ms", "limit"]
    print_table(f"Insights over {count:,} events of {DAYS} days", columns, rows)
    console.print(
        f"Median of a settlement: {times.settled_alone_ms:.1f} ms, and {times.settled_beside_ms:.1f} ms beside another process "
        "that makes all insights"
    )
    return all(each.make_ms <= LIMIT_MAKE_MS and each.read_ms <= LIMIT_READ_MS for each in times.insights)


def _forecasts(m4: Path | None) -> bool:
    from faregate.benchmarks.insight_scores import M4_KINDS, kept_m4, m4_score, public_m4

    scores = {kind: m4_score(kind, public_m4(m4, kind) if m4 is not None else kept_m4(kind)) for kind in M4_KINDS}
    columns = ["set", "series", "MASE", "seasonal naive", "within 80 %", "within 95 %", "others, all series"]
    rows = [
        (
            kind,
            s.series,
            *(f"{each:.3f}" for each in (s.mase, s.naive, s.within80, s.within95)),
            _M4_OTHERS.get(kind, ""),
        )
        for kind, s in scores.items()
    ]
    print_table("Forecasts on M4; limits: MASE below seasonal naive, 75 to 85 % within 80 % intervals", columns, rows)
    return all(s.mase < s.naive and _LOW <= s.within80 <= _HIGH for s in scores.values())


def _anomalies() -> bool:
    from faregate.benchmarks.insight_scores import kept_nab, nab_score

    score = nab_score(kept_nab())
    others = (("ARTime", 74.9), ("Skyline", 58.2), ("RCF", 51.7), ("ADVec", 47.1), ("Windowed Gaussian", 39.6))
    rows = sorted([("Faregate, one setting", score), *others], key=lambda row: -row[1])
    print_table(
        f"Anomalies on NAB, standard profile, 58 series; limit: {_LEAST_NAB:g}",
        ["detector", "score"],
        [(name, f"{value:.1f}") for name, value in rows],
    )
    return score >= _LEAST_NAB


def _lifetimes() -> bool:
    from faregate.benchmarks.insight_scores import fit_cdnow

    model = fit_cdnow()
    fitted = {name: getattr(model, name) for name in _PAPER}
    rows = [(name, f"{value:.3f}", f"{_PAPER[name]:.3f}") for name, value in fitted.items()]
    print_table("BG/NBD on CDNOW, 2,357 customers; limit: the published fit to 3 digits", ["", "here", "paper"], rows)
    console.print(f"log likelihood {model.log_likelihood:.1f}, published -9582.4")
    return all(abs(value - _PAPER[name]) <= 0.001 for name, value in fitted.items())
