"""Reading of settings from the environment, and the texts of their errors."""

import os
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from faregate.core.errors import ConfigurationError
from faregate.core.settings.model import Settings
from faregate.core.settings.names import all_names, configures, misspelt, unknown, variable_name, variable_names

__all__ = ["environment_without_settings", "ignored_names", "isolated_settings", "load_settings"]


class _IsolatedSettings(Settings):
    """Settings that ignore environment variables."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` take precedence over it.

    Raises:
        ConfigurationError: one line per wrong variable, each with the problem, the value, the meaning and an example; a value that
            may hold a secret (a URL, a key) is not repeated. An unknown variable whose name is a likely misspelling of a known one
            is an error, too, and so is an override that is not a setting.
    """
    _check_names(overrides)
    slips = [f"{name}: there is no such setting; did you mean {meant}?" for name, meant in misspelt(os.environ)]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError("\n".join(dict.fromkeys([*_lines(error), *slips]))) from None
    except SettingsError as error:
        raise ConfigurationError("\n".join([_unreadable(str(error)), *slips])) from None
    if slips:
        raise ConfigurationError("\n".join(slips))
    return settings


def isolated_settings(**values: Any) -> Settings:
    """Return settings made of `values` and the defaults; the environment is ignored.

    For demos and benchmarks that create their own database: the caller's deployment is not touched.

    Raises:
        ConfigurationError: as `load_settings`.
    """
    _check_names(values)
    try:
        return _IsolatedSettings(**values)
    except ValidationError as error:
        raise ConfigurationError("\n".join(dict.fromkeys(_lines(error)))) from None


def environment_without_settings() -> dict[str, str]:
    """Return the environment without the variables that configure Faregate or a PostgreSQL client, for isolated processes."""
    ours = all_names()
    return {name: value for name, value in os.environ.items() if not configures(name.upper(), ours)}


def ignored_names() -> list[str]:
    """Return the variables of the environment that have the prefix, a value, and no setting."""
    return unknown(os.environ)


def _check_names(values: Mapping[str, Any]) -> None:
    unknown = [_unknown(name) for name in values if name not in Settings.model_fields]
    if unknown:
        raise ConfigurationError("\n".join(unknown))


def _unknown(name: str) -> str:
    close = get_close_matches(name, Settings.model_fields, n=1)
    return f"{name} is no setting" + (f"; did you mean {close[0]}?" if close else "")


def _lines(error: ValidationError) -> list[str]:
    return [_line(problem) for problem in error.errors()]


def _line(problem: ErrorDetails) -> str:
    location, text = str(problem["loc"][0]), problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = isinstance(value, str | int | float | Decimal) and not _may_be_secret(location)
    return _explain(location, f"{text}, not {str(value)[:_SHOWN]!r}" if shown else text)


_SHOWN = 60
"""Longest part of a wrong value that is repeated."""


def _may_be_secret(location: str) -> bool:
    field = _field_of(location)
    return field.endswith(_SECRET_ENDINGS) or "SecretStr" in str(Settings.model_fields[field].annotation)


_SECRET_ENDINGS = ("_url", "_endpoint")
"""URLs may hold passwords and tokens."""


def _unreadable(problem: str) -> str:
    """Explain pydantic-settings' error about a value that is not JSON, without repeating the value."""
    field = next((name for name in Settings.model_fields if f'"{name}"' in problem), "")
    return _explain(field, "must be a JSON array") if field else problem


def _explain(location: str, problem: str) -> str:
    field = _field_of(location)
    known = Settings.model_fields[field]
    example = (known.examples or [""])[0]
    return f"{variable_name(field)}: {problem} — {known.description}, e.g. {variable_name(field)}={example}"


def _field_of(location: str) -> str:
    return next((name for name in Settings.model_fields if location in {name, *variable_names(name)}), location)
