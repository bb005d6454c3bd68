"""Garbage collection around bulk work: making thousands of objects that all live on is no reason to look for garbage."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["gc_paused", "raise_gc_thresholds"]

_SELDOM = (50_000, 10, 10)
"""New objects in hand before the collector looks at them: more than a batch of settlements makes."""


def raise_gc_thresholds() -> None:
    """Spare a process of ours the cyclic collector: what is loaded by now is never looked at again, the rest seldom.

    Not for a host's process, whose garbage is its own affair.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)


@contextmanager
def gc_paused() -> Generator[None]:
    """Pause the cyclic collector for a short block without `await`; it goes on afterwards if it was on before.

    Each full collection looks at everything that the host keeps; in bulk work it took as long as the work itself.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
