"""The platform that the libraries of Faregate share; it knows nothing of usage, credits or features."""

from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.settings import Settings, load_settings

__all__ = ["CoreContainer", "Database", "FaregateError", "Settings", "load_settings"]
