"""Prometheus metrics of requests.

Routes are labelled by their templates, so that no id becomes a label.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from faregate.core.db.database import Database
from faregate.core.monitoring.gauges import IGauges
from faregate.core.monitoring.prometheus import by_tenant, prometheus_text
from faregate.gateway.http.rate_limits import RateLimiter
from faregate.usage.values import Settled

__all__ = ["GatewayMetrics", "counting"]

M = TypeVar("M", Counter, Gauge)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    """The metrics of one process, or of all processes that share `PROMETHEUS_MULTIPROC_DIR`.

    Those of a tenant have its key as a label, because the processes' common files know no other difference.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        database: Database,
        sources: Sequence[IGauges] = (),
        *,
        tenant: str | None = None,
    ) -> None:
        self._sources = sources
        self._tenant = tenant
        self._registry = CollectorRegistry()
        self._of = ("tenant",) if tenant is not None else ()
        self._is = (tenant,) if tenant is not None else ()
        labels = (*self._of, "method", "route")
        self._requests = Counter(
            "faregate_http_requests", "Requests answered", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "faregate_http_request_seconds", "Time to answer", labels, registry=self._registry, buckets=_BUCKETS
        )
        self._running = self._own(
            Gauge(
                "faregate_http_requests_running",
                "Requests in flight",
                self._of,
                registry=self._registry,
                multiprocess_mode="livesum",
            )
        )
        self._settlements = self._counter("faregate_settlements", "Settlements", "outcome")
        self._shortfalls = self._own(self._counter("faregate_shortfalls", "Settlements not covered"))
        self._missing = self._own(self._counter("faregate_shortfall_credits", "Credits that nothing covered"))
        self._payments = self._counter("faregate_payment_events", "Events of payments received", "receipt")
        self._lookups = self._counter(
            "faregate_cache_lookups",
            "Questions that memory or the columnar copy answered (hit), or the database (miss)",
            "cache",
            "result",
        )
        self._of_route = lru_cache(maxsize=None)(self._find_of_route)
        self._registry.register(_Limits(limiter))
        database.cache_metrics.listen(self._look)
        self._reads = self._counter(
            "faregate_replica_reads",
            "Reads that are declared for a replica, by the server that answered",
            "answered_by",
            "why",
        )
        if database.replica is not None:
            database.replica.metrics.listen(self._read)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, (*self._of, *labels), registry=self._registry)

    def _own(self, metric: M) -> M:
        """Return a metric that has no other label than the tenant."""
        return metric.labels(*self._is) if self._is else metric

    def begin(self) -> None:
        """Count a request at its start."""
        self._running.inc()

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request at its end."""
        self._running.dec()
        counted, timed = self._of_route(method, route, status)
        counted.inc()
        timed.observe(seconds)

    def settled(self, settled: Settled) -> None:
        """Count a settlement that was answered; refusals are counted by their status."""
        self._settlements.labels(*self._is, "repeated" if settled.replayed else "settled").inc()
        if settled.shortfall and not settled.replayed:
            self._shortfalls.inc()
            self._missing.inc(float(settled.shortfall))

    def payment_event(self, receipt: str) -> None:
        """Count an event of the payment provider by what became of it."""
        self._payments.labels(*self._is, receipt).inc()

    def _find_of_route(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        labels = (*self._is, method, route)
        return self._requests.labels(*labels, str(status)), self._seconds.labels(*labels)

    def _look(self, name: str, hit: bool) -> None:
        self._lookups.labels(*self._is, name, "hit" if hit else "miss").inc()

    def _read(self, answered_by: str, why: str) -> None:
        self._reads.labels(*self._is, answered_by, why).inc()

    async def text(self) -> bytes:
        """Return all metrics in Prometheus' text format, with the number of waiting messages of each queue."""
        gauges = await prometheus_text(self._sources)
        if self._tenant is None:
            return generate_latest(counting(self._registry)) + gauges
        return by_tenant({self._tenant: generate_latest(counting(self._registry)) + gauges})

    def counted(self) -> bytes:
        """Return what this process has counted, without reading the database."""
        return generate_latest(self._registry)


def counting(registry: CollectorRegistry) -> CollectorRegistry:
    """Return the counters to show: those of `registry`, or those of all processes that share `PROMETHEUS_MULTIPROC_DIR`."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return registry
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared


class _Limits(Collector):
    """The counters that the rate limiter keeps."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily("faregate_rate_limited", "Requests refused by a rate or concurrency limit")
        refused.add_metric([], self._limiter.refused)
        yield refused
        uncounted = GaugeMetricFamily("faregate_rate_limit_uncounted", "Reads let pass while Redis was away")
        uncounted.add_metric([], self._limiter.uncounted)
        yield uncounted
