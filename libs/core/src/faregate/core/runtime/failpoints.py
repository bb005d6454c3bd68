"""Failpoints: named places where fault tests inject failures.

They do nothing unless armed. Only code can arm them (`tests/faults` does, in processes that it forks); no setting of a
deployment can.
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
"""In the order in which a message passes them; the last four are those of publishers, outbox relay, heartbeat and sweep."""


def _nothing(_name: str) -> None:
    """Do nothing."""


_armed: frozenset[str] = frozenset()
_strike: Callable[[str], None] = _nothing


def failpoint(name: str) -> None:
    """Pass the failpoint `name`; unarmed, this costs one lookup in an empty set."""
    if _armed and name in _armed:
        _strike(name)


def arm(names: Iterable[str], strike: Callable[[str], None]) -> None:
    """Call `strike` with the name of each of these failpoints when it is passed, from now on; an empty set disarms.

    Raises:
        ValueError: there is no such failpoint.
    """
    global _armed, _strike
    wanted = frozenset(names)
    if unknown := wanted.difference(POINTS):
        raise ValueError(f"unknown failpoints: {sorted(unknown)}; there are {', '.join(POINTS)}")
    _armed, _strike = wanted, strike
