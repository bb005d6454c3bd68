"""State of the read replica for readiness checks and metrics."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from faregate.core.db.database import Database
from faregate.core.db.replica import Replica
from faregate.core.errors import EngineUnavailableError
from faregate.core.monitoring.gauges import Gauge

__all__ = ["ReplicaGauges", "replica_checks"]


def replica_checks(database: Database) -> Mapping[str, Callable[[], Awaitable[str]]]:
    """Return the check of the replica by name; none without a replica. It never fails: the primary answers meanwhile."""
    replica = database.replica
    return {} if replica is None else {"replica": lambda: _checked(replica)}


async def _checked(replica: Replica) -> str:
    try:
        state = await replica.state()
    except EngineUnavailableError as error:
        return f"the primary answers instead: {error.public_detail}"
    if not state.is_standby:
        return "no standby: FAREGATE_READ_DATABASE_URL leads to a server that takes writes"
    if state.lag_seconds is None:
        return "a standby that has replayed no commit yet"
    return f"a standby; its last replayed commit is {state.lag_seconds} s old"


class ReplicaGauges:
    """Reads how far the replica is behind."""

    def __init__(self, database: Database) -> None:
        self._replica = database.replica

    async def gauges(self) -> Sequence[Gauge]:
        """Return the gauges; none without a replica."""
        if self._replica is None:
            return ()
        try:
            state = await self._replica.state()
        except EngineUnavailableError:
            return [Gauge("faregate_replica_up", _UP, 0)]
        up = Gauge("faregate_replica_up", _UP, 1)
        if state.lag_seconds is None:
            return [up]
        return [up, Gauge("faregate_replica_lag_seconds", _LAG, state.lag_seconds)]


_UP = "Whether the read replica answers"
_LAG = "Age of the last commit that the read replica has replayed: how far it is behind at most"
