"""Prometheus metrics of one worker."""

from collections import Counter as Tally
from collections.abc import Sequence

from faregate.core.errors import FaregateError
from faregate.core.messaging.interfaces import Ack, DeadLetter, Decision, Delivery, RetryLater
from faregate.core.monitoring.gauges import IGauges
from faregate.usage.values import Settled

__all__ = ["WorkerMetrics"]

_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DECISIONS = {Ack: "acknowledged", RetryLater: "retried", DeadLetter: "dead"}


class WorkerMetrics:
    """Counts batches, decisions and settlements of this process; `text` adds the values that are read at each scrape."""

    def __init__(self, sources: Sequence[IGauges] = ()) -> None:
        # imported when a worker is made: commands use the worker's container, and need only the extra cli
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._sources = sources
        self._registry = CollectorRegistry()
        by_queue = {"labelnames": ("queue",), "registry": self._registry}
        self._sizes = Histogram("faregate_batch_messages", "Messages in a batch", buckets=_SIZES, **by_queue)  # type: ignore[arg-type]
        self._seconds = Histogram("faregate_batch_seconds", "Time to handle a batch", buckets=_SECONDS, **by_queue)  # type: ignore[arg-type]
        self._interruptions = Counter("faregate_interruptions", "Times an engine was unavailable", **by_queue)  # type: ignore[arg-type]
        self._messages = Counter(
            "faregate_messages", "Messages decided upon", ("queue", "decision"), registry=self._registry
        )
        self._settlements = Counter("faregate_settlements", "Settlements", ("outcome",), registry=self._registry)
        self._shortfalls = Counter("faregate_shortfalls", "Settlements not covered", registry=self._registry)
        self._missing = Counter("faregate_shortfall_credits", "Credits that nothing covered", registry=self._registry)

    def handled(self, queue: str, decisions: Sequence[tuple[Delivery, Decision]], seconds: float) -> None:
        """Count a batch that was handled and acknowledged."""
        self._sizes.labels(queue).observe(len(decisions))
        self._seconds.labels(queue).observe(seconds)
        for decision, count in Tally(_DECISIONS[type(decision)] for _, decision in decisions).items():
            self._messages.labels(queue, decision).inc(count)

    def interrupted(self, queue: str) -> None:
        """Count that the broker or the database was unavailable."""
        self._interruptions.labels(queue).inc()

    def settled(self, outcomes: Sequence[Settled | Exception]) -> None:
        """Count the outcomes of settlements."""
        for name, count in Tally(map(_outcome, outcomes)).items():
            self._settlements.labels(name).inc(count)
        for outcome in outcomes:
            if isinstance(outcome, Settled) and not outcome.replayed and outcome.shortfall:
                self._shortfalls.inc()
                self._missing.inc(float(outcome.shortfall))

    async def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        from faregate.core.monitoring.prometheus import prometheus_text

        return self.counted() + await prometheus_text(self._sources)

    def counted(self) -> bytes:
        """Return what this process has counted, without reading the engines."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


def _outcome(outcome: Settled | Exception) -> str:
    if isinstance(outcome, Settled):
        return "repeated" if outcome.replayed else "settled"
    return "refused" if isinstance(outcome, FaregateError) else "failed"
