"""All libraries of Faregate together, for host applications."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.host.container import FaregateContainer
    from faregate.host.facade import Faregate
    from faregate.host.memory.fake import FakeFaregate, SyncFakeFaregate
    from faregate.host.sync_facade import SyncFaregate
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["FaregateContainer"],
            "facade": ["Faregate"],
            "memory.fake": ["FakeFaregate", "SyncFakeFaregate"],
            "sync_facade": ["SyncFaregate"],
        },
    )

__all__ = ["FakeFaregate", "Faregate", "FaregateContainer", "SyncFakeFaregate", "SyncFaregate"]
