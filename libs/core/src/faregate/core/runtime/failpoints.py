"""Named places at which a fault test may strike; at all other times they do nothing.

Only code can arm them (`tests/faults` does, in processes that it forks): no setting of a deployment can.
"""

from collections.abc import Callable, Iterable

__all__ = ["POINTS", "arm", "failpoint"]

POINTS = (
    "taken",
    "priced",
    "written",
    "committed",
    "handled",
    "copied",
    "acknowledging",
    "acknowledged",
    "publishing",
    "published",
    "relayed",
    "beating",
    "sweeping",
)
"""In the order of a message's life; the last four are those of publishers, outbox relay, heartbeat and sweep."""


def _nothing(_name: str) -> None:
    """Strike at nothing."""


_armed: frozenset[str] = frozenset()
_strike: Callable[[str], None] = _nothing


def failpoint(name: str) -> None:
    """Pass the place called `name`; costs one look at an empty set."""
    if _armed and name in _armed:
        _strike(name)


def arm(names: Iterable[str], strike: Callable[[str], None]) -> None:
    """Have `strike` called with the name of each of these places that is passed from now on; none disarms.

    Raises:
        ValueError: there is no such place.
    """
    global _armed, _strike
    wanted = frozenset(names)
    if unknown := wanted.difference(POINTS):
        raise ValueError(f"unknown failpoints: {sorted(unknown)}; there are {', '.join(POINTS)}")
    _armed, _strike = wanted, strike
