"""Gauges in Prometheus' text format (needs the extra gateway or worker)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from faregate.core.errors import FaregateError
from faregate.core.monitoring.gauges import Gauge, IGauges

__all__ = ["by_tenant", "prometheus_text"]

_TENANT = "tenant"


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


def by_tenant(texts: Mapping[str, bytes]) -> bytes:
    """Return the metrics of several tenants as one text, each labelled with its tenant.

    What bears the label of another tenant already, because several processes count in common, is left to that tenant.
    """
    families: dict[str, Metric] = {}
    for tenant, text in texts.items():
        for family in text_string_to_metric_families(text.decode()):
            samples = [s for s in family.samples if s.labels.get(_TENANT, tenant) == tenant]
            kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            kept.samples += [s._replace(labels={_TENANT: tenant, **s.labels}) for s in samples]
    return generate_latest(_registry(families.values()))


class _Families(Collector):
    """Metrics that are known already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _registry(families: Iterable[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(list(families)))
    return registry
