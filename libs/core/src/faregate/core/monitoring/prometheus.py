"""Gauges in Prometheus' text format (needs the extra gateway or worker)."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Gauge as PrometheusGauge

from faregate.core.errors import FaregateError
from faregate.core.monitoring.gauges import Gauge, IGauges

__all__ = ["prometheus_text"]


async def prometheus_text(sources: Sequence[IGauges]) -> bytes:
    """Return the gauges of all `sources`, without those whose engine is unavailable."""
    registry = CollectorRegistry()
    gauges: dict[str, PrometheusGauge] = {}
    for source in sources:
        try:
            found = await source.gauges()
        except FaregateError:
            continue
        for figure in found:
            _set(registry, gauges, figure)
    return generate_latest(registry)


def _set(registry: CollectorRegistry, gauges: dict[str, PrometheusGauge], figure: Gauge) -> None:
    gauge = gauges.get(figure.name)
    if gauge is None:
        gauge = PrometheusGauge(figure.name, figure.description, tuple(figure.labels), registry=registry)
        gauges[figure.name] = gauge
    (gauge.labels(*figure.labels.values()) if figure.labels else gauge).set(float(figure.value))
