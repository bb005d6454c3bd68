"""A misspelt keyword is refused by Python itself: public callables take no `**options`."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from faregate.client import CreditsClient, SyncCreditsClient
from faregate.core.errors import ConfigurationError
from faregate.core.settings import load_settings

_STATEMENT = "parameters of a statement; the driver names those that are missing"
NAMED_BY_OTHERS = {
    **dict.fromkeys(
        [
            *(
                f"faregate.core.archive.archives.Archives.{name}"
                for name in ("amend", "amend_all", "move", "select_all")
            ),
            "faregate.core.db.database.Database.rows",
            "faregate.usage.events.repository.EventRepository.correct",
        ],
        _STATEMENT,
    ),
    **dict.fromkeys(
        [
            f"faregate.client.wrapping.entry_points.{kind}.{name}"
            for kind in ("AsyncEntryPoint", "SyncEntryPoint")
            for name in ("post", "process_response")
        ],
        "the keywords of an SDK's own method, which refuses others",
    ),
    "faregate.analytics.insights.asking.ask_of": "what identifies a kept result, by the names that each insight has",
    "faregate.core.clock.FixedClock.advance": "the arguments of timedelta, which refuses others",
    "faregate.wire.errors.FaregateError": "facts of an error, for its answer",
    **dict.fromkeys(
        [
            f"faregate.core.db.guarded_commits.GuardedConnection.{name}"
            for name in ("copy_to_table", "copy_records_to_table")
        ],
        "the options of asyncpg's own method, which refuses others",
    ),
    "faregate.core.db.migrate.run_alembic": "the options of an Alembic command, which refuses others",
    "faregate.core.db.migrate.run_on": "the options of an Alembic command, which refuses others",
    **dict.fromkeys(
        [
            "faregate.host.facade.Faregate",
            "faregate.host.sync_facade.SyncFaregate",
            "faregate.host.memory.fake.FakeFaregate",
            "faregate.host.memory.fake.SyncFakeFaregate",
        ],
        "names of settings, checked",
    ),
    **dict.fromkeys(
        [
            "faregate.host.features.Features.define",
            "faregate.host.features.feature_of",
            "faregate.host.sync_parts.SyncFeatures.define",
        ],
        "fields of a feature's document, which refuses others",
    ),
    "faregate.host.memory.database.MemoryDatabase.rows": _STATEMENT,
    "faregate.core.settings.reading.isolated_settings": "names of settings, checked",
    "faregate.core.settings.reading.load_settings": "names of settings, checked",
}
LIBRARIES = ("core", "credit", "usage", "feature_log", "analytics", "client", "wire", "host")


def _modules() -> Iterator[ModuleType]:
    for library in LIBRARIES:
        package = importlib.import_module(f"faregate.{library}")
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in found.name:
                yield importlib.import_module(found.name)


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Everything that a module offers and defines: functions, classes, and the public methods of these."""
    for name in getattr(module, "__all__", ()):
        offered = getattr(module, name)
        if getattr(offered, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(offered):
            yield f"{module.__name__}.{name}", offered
        if inspect.isclass(offered):
            for method, function in vars(offered).items():
                made_by_us = getattr(function, "__module__", None) == module.__name__
                if inspect.isfunction(function) and made_by_us and (method == "__init__" or not method.startswith("_")):
                    yield f"{module.__name__}.{name}{'' if method == '__init__' else f'.{method}'}", function


def _swallows(function: Any) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def test_no_public_callable_takes_whatever_it_is_given() -> None:
    seen = {name: function for module in _modules() for name, function in _public(module)}
    swallowing = {name for name, function in seen.items() if _swallows(function)}

    assert len(seen) > 500
    assert swallowing == set(NAMED_BY_OTHERS)


def test_a_misspelt_option_is_named() -> None:
    with pytest.raises(TypeError, match="'usage'"):
        CreditsClient("http://here", "fg_key").settle_via_api("chat", user_id="ada", usage_key="k", usage=[])  # type: ignore[call-arg, unused-coroutine]  # pyright: ignore[reportCallIssue, reportUnusedCoroutine]
    with pytest.raises(TypeError, match="'metdata'"):
        SyncCreditsClient("http://here", "fg_key").record_usage("chat", user_id="ada", metdata={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_an_override_that_is_no_setting_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="margin_percnt is no setting; did you mean margin_percent"):
        load_settings(margin_percnt=30)
