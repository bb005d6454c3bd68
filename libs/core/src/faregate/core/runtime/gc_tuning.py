"""Garbage collection settings for bulk work.

Creating thousands of objects that stay alive would trigger collections that find nothing.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["collect_seldom", "gc_paused", "raise_gc_thresholds"]

_SELDOM = (50_000, 10, 10)
"""Number of new objects before a collection of the youngest generation: more than a batch of settlements creates."""


def collect_seldom() -> None:
    """Let the cyclic collector run rarely. Before imports: what they create stays, and a fifth of their time went to it.

    For Faregate's own processes only; a host decides about its garbage collection itself.
    """
    gc.set_threshold(*_SELDOM)


def raise_gc_thresholds() -> None:
    """Reduce the work of the cyclic collector: exclude what is loaded by now, and collect the rest rarely.

    For Faregate's own processes only; a host decides about its garbage collection itself.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()


@contextmanager
def gc_paused() -> Generator[None]:
    """Pause the cyclic collector for a short block without `await`; it goes on afterwards if it was on before.

    Each full collection examines all objects of the host; in bulk work it took as long as the work itself.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
