"""Prometheus metrics of a worker for many tenants."""

from faregate.worker.tenancy.holding import Holding

__all__ = ["TenantsMetrics"]


class TenantsMetrics:
    """What the worker has counted for the tenants in its memory. The labels are keys of tenants, never what a caller sends."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding

    async def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        from faregate.core.monitoring.prometheus import by_tenant

        return by_tenant({held.tenant.key: held.metrics.counted() for held in self._holding.held})
