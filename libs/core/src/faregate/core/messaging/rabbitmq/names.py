"""Names of queues on the broker.

A tenant that shares the broker with others has queues of its own: `acme.feature_usage_queue`. Everything else, such as the names
in dead letters and metrics, is without the prefix.
"""

from dataclasses import dataclass

__all__ = ["QueueNames"]


@dataclass(frozen=True, slots=True)
class QueueNames:
    """The names of one tenant's queues and exchanges; without a tenant they have no prefix."""

    prefix: str = ""

    @staticmethod
    def of(tenant: str | None) -> "QueueNames":
        """Return the names of a tenant."""
        return QueueNames(f"{tenant}." if tenant is not None else "")

    def on_broker(self, name: str) -> str:
        """Return the name on the broker."""
        return f"{self.prefix}{name}"

    def ours(self, name: str) -> str:
        """Return the name without the prefix."""
        return name.removeprefix(self.prefix)
