"""Scores of insights on public data, beside those of others. `faregate bench insights` prints them."""

from collections.abc import Sequence

import pytest

from faregate.benchmarks.insight_scores import (
    LabelledSeries,
    fit_cdnow,
    kept_m4,
    kept_nab,
    m4_score,
    nab_points,
    nab_score,
)


@pytest.mark.parametrize("kind", ["Hourly", "Weekly"])
def test_forecasts_of_m4_are_better_than_seasonal_naive_and_their_intervals_hold(kind: str) -> None:
    score = m4_score(kind, kept_m4(kind)[::3])

    assert score.mase < score.naive
    assert 0.68 <= score.within80 <= 0.92  # of ten series; all of them are within 0.75 and 0.85


def test_one_setting_scores_above_skyline_on_nab() -> None:
    assert nab_score(kept_nab()) > 58.2


SERIES = LabelledSeries("made", 300, [(400, 499)], [0.0] * 1000)


@pytest.mark.parametrize(
    ("reports", "points"),
    [([], -1.0), ([400], 1.0), ([499], 0.035), ([450, 460], 0.861), ([400, 300], 0.89), ([400, 100], 1.0), ([400, 999], 0.89)],
)  # fmt: skip
def test_points_are_those_of_the_benchmark(reports: Sequence[int], points: float) -> None:
    """The first report in a window counts, the earlier the more; one outside costs 0.11; the first 15 % cost nothing."""
    assert nab_points(SERIES, reports) == pytest.approx(points, abs=0.01)


def test_the_churn_model_reproduces_the_published_fit_on_cdnow() -> None:
    model = fit_cdnow()

    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.001)
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)
