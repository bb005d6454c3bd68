"""Typed settings; the only package that reads the environment."""

from faregate.core.settings.model import PREFIX, Settings
from faregate.core.settings.names import variable_name, variable_names
from faregate.core.settings.reading import environment_without_settings, isolated_settings, load_settings

__all__ = [
    "PREFIX",
    "Settings",
    "environment_without_settings",
    "isolated_settings",
    "load_settings",
    "variable_name",
    "variable_names",
]
