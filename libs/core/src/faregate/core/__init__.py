"""Platform of the libraries.

It knows nothing of usage, credits or features.
"""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.core.container import CoreContainer
    from faregate.core.db.database import Database
    from faregate.core.errors import FaregateError
    from faregate.core.settings import Settings, load_settings
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["CoreContainer"],
            "db.database": ["Database"],
            "errors": ["FaregateError"],
            "settings": ["Settings", "load_settings"],
        },
    )

__all__ = ["CoreContainer", "Database", "FaregateError", "Settings", "load_settings"]
