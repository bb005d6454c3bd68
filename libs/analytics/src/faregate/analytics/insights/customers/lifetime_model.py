"""BG/NBD model of repeat use (Fader, Hardie, Lee 2005). Pure.

While alive, a user comes back at a personal rate; after each time the user may stop for good, with a personal chance. Rates are
gamma distributed over users (r, alpha), chances beta distributed (a, b).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from faregate.analytics.insights.numeric import as_vector, least, special_functions

if TYPE_CHECKING:
    from faregate.analytics.insights.numeric import Vector

__all__ = ["LifetimeModel", "Repeats", "fit_lifetimes"]

_START = (0.0, 0.0, 0.0, 0.0)
_NEAR_ONE = 1e-6
_BOUNDS = (-15.0, 15.0)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Repeat times of users: how many, the age at the last one, and the age now, in one unit of time."""

    frequency: Sequence[float]
    recency: Sequence[float]
    age: Sequence[float]


@dataclass(frozen=True, slots=True)
class LifetimeModel:
    """A fitted model, in the unit of time of its `Repeats`."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    def chance_alive(self, repeats: Repeats) -> Vector:
        """Return the probability of each user to come back at all; 1 for users without a repeat, of whom nothing is known."""
        import numpy as np

        x, recency, age = _vectors(repeats)
        odds = np.exp(
            (self.r + x) * np.log((self.alpha + age) / (self.alpha + recency))
            + np.log(self.a / (self.b + np.maximum(x, 1) - 1))
        )
        return np.where(x == 0, 1.0, 1.0 / (1.0 + odds))

    def expected_repeats(self, repeats: Repeats, ahead: float) -> Vector:
        """Return how many times each user is expected to come back in the next `ahead` units of time."""
        import numpy as np

        x, _recency, age = _vectors(repeats)
        _, hyp2f1 = special_functions()
        a = self.a if abs(self.a - 1) > _NEAR_ONE else 1 + _NEAR_ONE  # the formula divides by a - 1
        with np.errstate(all="ignore"):
            shape = hyp2f1(self.r + x, self.b + x, a + self.b + x - 1, ahead / (self.alpha + age + ahead))
            left = 1 - shape * ((self.alpha + age) / (self.alpha + age + ahead)) ** (self.r + x)
            count = (a + self.b + x - 1) / (a - 1) * left
        at_own_rate = (
            (self.r + x) / (self.alpha + age) * ahead
        )  # what nobody exceeds, and the limit if nobody ever stops
        usable = np.isfinite(count) & (count >= 0) & (count <= at_own_rate)
        expected: Vector = np.where(usable, count, at_own_rate) * self.chance_alive(repeats)
        return expected


def fit_lifetimes(repeats: Repeats) -> LifetimeModel:
    """Return the model of greatest likelihood. Equal users are counted, not repeated."""
    import numpy as np

    rows, counts = np.unique(np.column_stack(_vectors(repeats)), axis=0, return_counts=True)
    x, recency, age = rows.T
    scale = 10.0 / float(age.max())

    def loss(parameters: Vector) -> float:
        return -float(counts @ _log_likelihood(parameters, x, recency * scale, age * scale)) / float(counts.sum())

    best, value = least(loss, _START)
    r, alpha, a, b = (float(each) for each in np.exp(np.clip(best, *_BOUNDS)))
    likelihood = -value * float(counts.sum()) + float((counts * x).sum()) * float(np.log(scale))
    return LifetimeModel(r, alpha / scale, a, b, likelihood)


def _log_likelihood(parameters: Vector, x: Vector, recency: Vector, age: Vector) -> Vector:
    import numpy as np

    r, alpha, a, b = np.exp(np.clip(parameters, *_BOUNDS))
    log_gamma, _ = special_functions()
    common = log_gamma(r + x) - log_gamma(r) + r * np.log(alpha)
    chance = log_gamma(a + b) + log_gamma(b + x) - log_gamma(b) - log_gamma(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    gone = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
    survived = cast("Vector", np.where(x > 0, cast("Vector", np.logaddexp(alive, gone)), alive))
    return cast("Vector", common + chance + survived)


def _vectors(repeats: Repeats) -> tuple[Vector, Vector, Vector]:
    return as_vector(repeats.frequency), as_vector(repeats.recency), as_vector(repeats.age)
