"""Loader of hosts' strategies: by setting, or by entry points."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from faregate.core.errors import ConfigurationError
from faregate.usage.interfaces import IFeatureStrategy

__all__ = ["ENTRY_POINTS", "host_strategies"]

ENTRY_POINTS = "faregate.strategies"
"""The group of entry points: the name of each is the strategy's, its value `package.module:attribute`."""

_SETTING = "FAREGATE_STRATEGIES"
_EXAMPLE = f"e.g. {_SETTING}=translate=shop.pricing:TranslateStrategy"
_METHODS = ("check", "estimate", "price")


def host_strategies(
    setting: str, *, built_in: Iterable[str] = (), installed: Iterable[EntryPoint] | None = None
) -> dict[str, IFeatureStrategy]:
    """Return the strategies that `setting` and the entry points name, made and checked.

    An entry is `name=package.module:attribute`, or `package.module:attribute`, whose name is the attribute's. The attribute
    is a strategy; a class or function that makes one from nothing; or a mapping of names to those.

    Raises:
        ConfigurationError: the first that cannot be used, with where it was named and the fix: its module or attribute is
            missing, it is no strategy, or its name is taken.
    """
    taken = dict.fromkeys(built_in, "a strategy of Faregate")
    found: dict[str, IFeatureStrategy] = {}
    for place, name, path in (*_of_setting(setting), *_of_packages(installed)):
        for key, made in _strategies(place, name, path):
            if key in taken:
                raise ConfigurationError(
                    f"{place}: the name {key!r} of {path!r} is taken by {taken[key]}; choose another, as name={path}"
                )
            taken[key] = f"{place} ({path})"
            found[key] = made
    return found


def _of_setting(setting: str) -> Iterator[tuple[str, str, str]]:
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        name, _, path = entry.rpartition("=")
        module, _, attribute = path.partition(":")
        if not module or not attribute:
            raise ConfigurationError(f"{_SETTING}: {entry!r} is no name=package.module:attribute, {_EXAMPLE}")
        yield _SETTING, name.strip(), path.strip()


def _of_packages(installed: Iterable[EntryPoint] | None) -> Iterator[tuple[str, str, str]]:
    for point in sorted(_of_this_environment() if installed is None else installed, key=lambda one: one.name):
        package = point.dist.name if point.dist is not None else "an installed package"
        yield f"entry point {ENTRY_POINTS} of {package}", point.name, point.value


@cache
def _of_this_environment() -> Sequence[EntryPoint]:
    """Return the entry points of all installed packages, once: the search opens the metadata of every package."""
    return tuple(entry_points(group=ENTRY_POINTS))


def _strategies(place: str, name: str, path: str) -> Iterator[tuple[str, IFeatureStrategy]]:
    loaded = _load(place, path)
    if isinstance(loaded, Mapping):
        for key, one in cast("Mapping[str, object]", loaded).items():
            yield str(key), _made(place, f"{path}[{key!r}]", one)
        return
    yield name or path.rpartition(":")[2].rpartition(".")[2], _made(place, path, loaded)


def _load(place: str, path: str) -> object:
    module_name, _, attribute = path.partition(":")
    try:
        found: object = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name if error.name and not module_name.startswith(error.name) else None
        cause = f", which {module_name!r} imports" if missing else ""
        raise ConfigurationError(
            f"{place}: there is no module {missing or module_name!r}{cause}; install its package beside Faregate, or add its "
            "directory to PYTHONPATH"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"{place}: the module {module_name!r} cannot be imported ({type(error).__name__}: {_line(error)}); mend it"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"{place}: {module_name!r} has no {attribute!r}; name what it holds, {_EXAMPLE}")
        found = getattr(found, part)
    return found


def _made(place: str, path: str, loaded: object) -> IFeatureStrategy:
    """Return the strategy, made by calling `loaded` if that is how one comes by it."""
    one = loaded
    if inspect.isclass(loaded) or (not _is_strategy(loaded) and callable(loaded)):
        one = _called(place, path, cast("Callable[[], object]", loaded))
    if not _is_strategy(one):
        lacks = ", ".join(method for method in _METHODS if not callable(getattr(one, method, None)))
        raise ConfigurationError(
            f"{place}: {path} is a {type(one).__name__}, which lacks {lacks}; give an object or class that implements "
            "IFeatureStrategy"
        )
    return cast("IFeatureStrategy", one)


def _called(place: str, path: str, make: Callable[[], object]) -> object:
    try:
        return make()
    except Exception as error:
        raise ConfigurationError(
            f"{place}: {path} could not be made ({type(error).__name__}: {_line(error)}); it is called with nothing: a "
            "strategy finds the prices in force at `use.prices`"
        ) from error


def _is_strategy(one: object) -> bool:
    return all(callable(getattr(one, method, None)) for method in _METHODS)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
