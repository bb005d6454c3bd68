"""Engines that all tenants of a process share."""

from faregate.core.container import shared_broker
from faregate.core.messaging.wake_ups import WakeUps
from faregate.host.container import FaregateContainer

__all__ = ["SharedEngines"]


class SharedEngines:
    """The notifications and the connections to RabbitMQ of a process; the pool of the database is that of `deployment`.

    Whoever makes them closes them, after the containers of all tenants.
    """

    def __init__(self, deployment: FaregateContainer) -> None:
        self.wake_ups = WakeUps(deployment.database())
        self.broker = shared_broker(deployment.settings(), deployment.clock())

    async def close(self) -> None:
        """Close all connections. Safe to repeat."""
        await self.wake_ups.close()
        if self.broker is not None:
            await self.broker.close()
