"""Numeric libraries of the extra `insights`, loaded at the first use."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from faregate.core.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float64]

__all__ = [
    "as_vector",
    "bounded_minimum",
    "damped_trend",
    "is_installed",
    "least",
    "require_extra",
    "rolling_median",
    "rolling_quantile",
    "seasonal_part",
    "smoothed",
    "special_functions",
]

_MODULES = ("numpy", "pandas", "scipy", "statsmodels")


def is_installed() -> bool:
    """Return whether the extra `insights` is installed; loads none of it."""
    return all(importlib.util.find_spec(name) is not None for name in _MODULES)


def require_extra() -> None:
    """Raise `MissingExtraError` unless the extra `insights` is installed."""
    if not is_installed():
        raise MissingExtraError("Insights", "insights")


def as_vector(values: Sequence[Any]) -> Vector:
    """Return numbers (also `Decimal`) as a vector of floats. Insights estimate; no amount that is booked passes through here."""
    import numpy as np

    return np.array([float(value) for value in values], dtype=np.float64)


def smoothed(values: Vector, alpha: float) -> Vector:
    """Return the exponentially smoothed level after each value, starting at the first value."""
    filtered, _ = _module("scipy.signal").lfilter(
        [alpha], [1.0, alpha - 1.0], values, zi=[(1.0 - alpha) * float(values[0])]
    )
    return cast("Vector", filtered)


def bounded_minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where `function` is least between two bounds."""
    found = _module("scipy.optimize").minimize_scalar(
        function, bounds=(low, high), method="bounded", options={"xatol": 1e-3}
    )
    return float(found.x)


def least(function: Callable[[Vector], float], start: Sequence[float]) -> tuple[Vector, float]:
    """Return where a function of several variables is least, by the Nelder-Mead method from `start`, and its value there."""
    options = {"maxiter": 800, "maxfev": 800, "xatol": 1e-6, "fatol": 1e-10}
    found = _module("scipy.optimize").minimize(function, list(start), method="Nelder-Mead", options=options)
    return cast("Vector", found.x), float(found.fun)


def seasonal_part(values: Vector, period: int) -> Vector:
    """Return the seasonal component of `values` by STL."""
    jump = max(1, period // 8)  # between these points the smoother is interpolated
    fit = _module("statsmodels.tsa.seasonal").STL(
        values, period=period, seasonal=11, trend_jump=jump, low_pass_jump=jump
    )
    return cast("Vector", fit.fit().seasonal)


def rolling_median(values: Vector, window: int, least: int) -> Vector:
    """Return the median of up to `window` values before each value; unknown with fewer than `least`."""
    return rolling_quantile(values, window, least, 0.5)


def rolling_quantile(values: Vector, window: int, least: int, quantile: float) -> Vector:
    """Return a quantile of up to `window` values before each value; unknown with fewer than `least`."""
    before = _module("pandas").Series(values).shift(1).rolling(window, min_periods=least)
    return cast("Vector", before.quantile(quantile).to_numpy())


def damped_trend(values: Vector, horizon: int) -> Vector:
    """Return the forecast of exponential smoothing with an additive damped trend: ETS(A,Ad,N)."""
    import warnings

    model = _module("statsmodels.tsa.holtwinters").ExponentialSmoothing
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence: a poor fit loses the back-test
        fitted = model(values, trend="add", damped_trend=True, initialization_method="heuristic").fit()
        return cast("Vector", fitted.forecast(horizon))


def special_functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the logarithm of the gamma function and Gauss's hypergeometric function, both on vectors."""
    special = _module("scipy.special")
    return special.gammaln, special.hyp2f1


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("Insights", "insights") from error
