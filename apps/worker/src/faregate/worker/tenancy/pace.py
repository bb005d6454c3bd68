"""How often the scheduled jobs of each tenant are looked at.

Those of a tenant that has just been busy every second; those of the others in turn, a few each second, so that hundreds of idle
tenants cost little. No answer waits for a job: holds and grants expire by the clock, and answers add what is not summed yet.
"""

from collections.abc import Sequence

from faregate.core.clock import Deadline

__all__ = ["JobPace"]

_BUSY_SECONDS = 60.0
_IDLE_AT_ONCE = 5


class JobPace:
    """Chooses, once a second, the tenants whose jobs are looked at."""

    def __init__(self, *, idle_at_once: int = _IDLE_AT_ONCE) -> None:
        self._idle_at_once = idle_at_once
        self._busy: dict[str, Deadline] = {}
        self._last = ""

    def was_busy(self, key: str) -> None:
        """Note that a tenant has had something to do."""
        self._busy[key] = Deadline(_BUSY_SECONDS)

    def due(self, keys: Sequence[str]) -> list[str]:
        """Return those of `keys`, which are sorted, whose turn it is."""
        self._busy = {key: until for key, until in self._busy.items() if not until.passed}
        idle = [key for key in keys if key not in self._busy]
        behind = [key for key in idle if key > self._last]
        chosen = (behind + idle)[: min(self._idle_at_once, len(idle))]
        self._last = chosen[-1] if chosen else ""
        return [key for key in keys if key in self._busy] + chosen
