"""All libraries of Faregate wired together, for hosts and applications."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.host.container import FaregateContainer
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["FaregateContainer"],
        },
    )

__all__ = ["FaregateContainer"]
