"""Scores of insights on public data: M4, NAB, CDNOW."""

import csv
import gzip
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from faregate.analytics.insights.anomalies.detector import (
    DAILY_CYCLES,
    WEEKLY_CYCLES,
    Season,
    deviations,
    first_of_each,
)
from faregate.analytics.insights.customers.lifetime_model import LifetimeModel, Repeats, fit_lifetimes
from faregate.analytics.insights.forecasting.back_test import bands_of, tested
from faregate.analytics.insights.forecasting.methods import methods_for
from faregate.analytics.insights.numeric import as_vector

__all__ = [
    "KEPT",
    "M4_KINDS",
    "ForecastScore",
    "LabelledSeries",
    "M4Series",
    "fit_cdnow",
    "kept_m4",
    "kept_nab",
    "m4_score",
    "nab_points",
    "nab_score",
    "public_m4",
]

KEPT = Path(__file__).parents[4] / "tests" / "data" / "insights"
"""In a checkout: the public data that is kept with the tests."""


@dataclass(frozen=True, slots=True)
class M4Kind:
    """One set of M4: the seasons that are tried, the horizon, and the step of its naive forecast."""

    seasons: tuple[int, ...]
    horizon: int
    naive: int


M4_KINDS = {"Hourly": M4Kind((24, 168), 48, 24), "Weekly": M4Kind((), 13, 1)}
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class M4Series:
    """One series of M4."""

    known: Sequence[float]
    came: Sequence[float]


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """MASE and that of the seasonal-naive forecast; the fractions of test values within 80 % and 95 % intervals."""

    series: int
    mase: float
    naive: float
    within80: float
    within95: float


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """One series of NAB: seconds per step, labelled windows (first and last place), values."""

    name: str
    step_seconds: int
    windows: Sequence[tuple[int, int]]
    values: Sequence[float]


def kept_m4(kind: str) -> list[M4Series]:
    """Return the kept series of one set of M4."""
    rows = csv.reader(_lines(f"m4_{kind.lower()}.csv.gz"))
    return [M4Series(_floats(known.split()), _floats(came.split())) for _, known, came in rows]


def public_m4(directory: Path, kind: str) -> list[M4Series]:
    """Return all series of one set of M4, from the files that M4 publishes."""
    known, came = (_public(directory / f"{kind}-{part}.csv") for part in ("train", "test"))
    return [M4Series(values, came[name]) for name, values in known.items()]


def m4_score(kind: str, series: Sequence[M4Series]) -> ForecastScore:
    """Return the score of the forecasts of `series`; each method is chosen by its back-test alone."""
    found = [_forecast(M4_KINDS[kind], each) for each in series]
    return ForecastScore(len(found), *(fmean(column) for column in zip(*found, strict=True)))


def kept_nab() -> list[LabelledSeries]:
    """Return all series of NAB."""
    rows = [line.rstrip("\n").split(",") for line in _lines("nab.csv.gz")]
    return [
        LabelledSeries(name, int(step), [_window(each) for each in windows.split()], _floats(values.split()))
        for name, step, windows, values in rows
    ]


def nab_score(series: Sequence[LabelledSeries]) -> float:
    """Return the score of NAB's standard profile, from 0 (nothing found) to 100; below 0 for many false reports."""
    windows = sum(len(each.windows) for each in series)
    points = sum(nab_points(each, _reports(each)) for each in series)
    return 100 * (points + windows) / (2 * windows)


def nab_points(series: LabelledSeries, reports: Sequence[int]) -> float:
    """Return NAB's points for the places that a detector reports: early ones in a window count most."""
    count = len(series.values)
    silent = min(math.floor(0.15 * count), 750)
    best = {window: -1.0 for window in series.windows if window[1] >= silent}
    points = 0.0
    for place in (each for each in reports if each >= silent):
        inside = next((window for window in series.windows if window[0] <= place <= window[1]), None)
        if inside is None:
            points += 0.11 * _outside(series.windows, place)
        else:
            position = -(inside[1] - place + 1) / (inside[1] - inside[0] + 1)
            best[inside] = max(best[inside], _sigmoid(position) / _sigmoid(-1.0))
    return points + sum(best.values())


def fit_cdnow() -> LifetimeModel:
    """Return the model of the CDNOW sample."""
    rows = list(csv.DictReader(_lines("cdnow.csv.gz")))
    return fit_lifetimes(Repeats(*(_floats([row[name] for row in rows]) for name in ("frequency", "recency", "age"))))


def _forecast(kind: M4Kind, series: M4Series) -> tuple[float, float, float, float]:
    known, horizon = as_vector(series.known[-_MOST_VALUES:]), kind.horizon
    best = tested(known, methods_for(known, kind.seasons), horizon)[0]
    expected, bands = best.method.run(known, horizon), bands_of(best.errors)
    steps = [abs(after - before) for before, after in zip(series.known, series.known[kind.naive :], strict=False)]
    naive = [series.known[len(series.known) - kind.naive + step % kind.naive] for step in range(horizon)]
    errors = [abs(actual - float(said)) for actual, said in zip(series.came, expected, strict=True)]
    naive_errors = [abs(actual - said) for actual, said in zip(series.came, naive, strict=True)]
    return (
        fmean(errors) / fmean(steps),
        fmean(naive_errors) / fmean(steps),
        fmean(error <= float(width) for error, width in zip(errors, bands.narrow, strict=True)),
        fmean(error <= float(width) for error, width in zip(errors, bands.wide, strict=True)),
    )


def _reports(series: LabelledSeries) -> Sequence[int]:
    """Return the places that the detector reports, with the setting of anomalies and the seasons that the step allows."""
    seasons: list[Season] = []
    for seconds, (cycles, least) in ((86_400, DAILY_CYCLES), (604_800, WEEKLY_CYCLES)):
        period = round(seconds / series.step_seconds)
        if period >= 8 and period * least <= len(series.values):
            seasons.append(Season(period, cycles, least))
    return first_of_each(deviations(as_vector(series.values), seasons).score)


def _outside(windows: Sequence[tuple[int, int]], place: int) -> float:
    before = [window for window in windows if window[1] < place]
    if not before:
        return -1.0
    first, last = before[-1]
    return _sigmoid((place - last) / (last - first))


def _sigmoid(position: float) -> float:
    """Return NAB's scaled sigmoid: 1 far before the end of a window, 0 at it, -1 far behind it."""
    return -1.0 if position > 3.0 else 2 / (1 + math.exp(5 * position)) - 1


def _lines(name: str) -> Iterator[str]:
    with gzip.open(KEPT / name, "rt") as file:
        yield from file


def _public(path: Path) -> dict[str, list[float]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: _floats([value for value in row[1:] if value]) for row in rows}


def _floats(values: Sequence[str]) -> list[float]:
    return [float(value) for value in values]


def _window(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)
