"""Prometheus metrics of requests.

Routes are labelled by their templates, so that no id becomes a label.
"""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from faregate.core.db.database import Database
from faregate.core.monitoring.gauges import IGauges
from faregate.core.monitoring.prometheus import prometheus_text
from faregate.gateway.http.rate_limits import RateLimiter
from faregate.usage.values import Settled

__all__ = ["GatewayMetrics"]

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    """The metrics of one process, or of all processes that share `PROMETHEUS_MULTIPROC_DIR`."""

    def __init__(self, limiter: RateLimiter, database: Database, sources: Sequence[IGauges] = ()) -> None:
        self._sources = sources
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter(
            "faregate_http_requests", "Requests answered", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "faregate_http_request_seconds", "Time to answer", labels, registry=self._registry, buckets=_BUCKETS
        )
        self._running = Gauge(
            "faregate_http_requests_running",
            "Requests in flight",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._settlements = Counter("faregate_settlements", "Settlements", ("outcome",), registry=self._registry)
        self._shortfalls = Counter("faregate_shortfalls", "Settlements not covered", registry=self._registry)
        self._missing = Counter("faregate_shortfall_credits", "Credits that nothing covered", registry=self._registry)
        self._payments = Counter(
            "faregate_payment_events", "Events of payments received", ("receipt",), registry=self._registry
        )
        self._lookups = Counter(
            "faregate_cache_lookups",
            "Questions that memory answered (hit) or the database (miss)",
            ("cache", "result"),
            registry=self._registry,
        )
        self._of_route = lru_cache(maxsize=None)(self._find_of_route)
        self._registry.register(_Limits(limiter))
        database.cache_metrics.listen(self._look)
        self._reads = Counter(
            "faregate_replica_reads",
            "Reads that are declared for a replica, by the server that answered",
            ("answered_by", "why"),
            registry=self._registry,
        )
        if database.replica is not None:
            database.replica.metrics.listen(self._read)

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
        self._settlements.labels("repeated" if settled.replayed else "settled").inc()
        if settled.shortfall and not settled.replayed:
            self._shortfalls.inc()
            self._missing.inc(float(settled.shortfall))

    def payment_event(self, receipt: str) -> None:
        """Count an event of the payment provider by what became of it."""
        self._payments.labels(receipt).inc()

    def _find_of_route(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)

    def _look(self, name: str, hit: bool) -> None:
        self._lookups.labels(name, "hit" if hit else "miss").inc()

    def _read(self, answered_by: str, why: str) -> None:
        self._reads.labels(answered_by, why).inc()

    async def text(self) -> bytes:
        """Return all metrics in Prometheus' text format, with the number of waiting messages of each queue."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + await prometheus_text(self._sources)


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
