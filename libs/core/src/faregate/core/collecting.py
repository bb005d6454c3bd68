"""Garbage collection around bulk work: making thousands of objects that all live on is no reason to look for garbage."""

import gc
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["collection_paused"]


@contextmanager
def collection_paused() -> Generator[None]:
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
