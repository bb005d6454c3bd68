"""Reference page of the Python API: what the packages export, with signatures and the first paragraph of each docstring."""

import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from faregate.host import FaregateContainer

__all__ = ["python_page"]

_LIBRARIES = (
    "host",
    "alembic",
    "usage",
    "credit",
    "feature_log",
    "analytics",
    "client",
    "integrations",
    "wire",
    "core",
)
_HEAD = """\
# Python API

What each package exports: signature, and the first paragraph of the docstring. Prefer `from faregate.usage import Feature` to
an import from the module that defines it: modules below a package may move between releases, and
[Upgrade](../howto/upgrade.md) then lists old and new paths. `faregate.wire` and `faregate.analytics` export nothing themselves;
their modules are listed instead.

Amounts are `Decimal` credits unless a name says `micros` or the docstring says micro-credits (10⁻⁶ credit).
"""
_WIDTH = 110
_QUALIFIED = re.compile(r"\b(?:[a-z_]\w*\.)+([A-Za-z_]\w*)")
_MEMBER = re.compile(r"<(\w+\.\w+): [^<>]*>")
_OBJECT = re.compile(r"<([\w.]+)(?: [^<>]*| object at [^<>]*)?>")


def python_page() -> str:
    """Return the page of all exported names."""
    lines = [_HEAD]
    for library in _LIBRARIES:
        package = importlib.import_module(f"faregate.{library}")
        lines += [f"## `{package.__name__}`", "", _first_paragraph(package), ""]
        if names := getattr(package, "__all__", ()):
            for name in sorted(names):
                lines += [f'<a id="{package.__name__}.{name}"></a>', "", *_entry(name, getattr(package, name))]
        else:
            lines += _modules(package)
        if library == "host":
            lines += _providers()
    return "\n".join(lines).rstrip() + "\n"


def _modules(package: ModuleType) -> Iterator[str]:
    """Yield a table of the modules of a package that exports nothing itself."""
    yield from ("| module | exports | |", "| --- | --- | --- |")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        names = ", ".join(f"`{name}`" for name in sorted(getattr(module, "__all__", ())))
        if names and "personal" not in found.name:
            yield f"| `{found.name.removeprefix('faregate.')}` | {names} | {_cell(_first_paragraph(module))} |"
    yield ""


def _providers() -> Iterator[str]:
    """Yield a table of what a container of a host provides."""
    yield from ("", "#### Providers of `FaregateContainer`", "", "`container.NAME()` returns the object.", "")
    yield from ("| provider | returns | |", "| --- | --- | --- |")
    for name, provider in sorted(FaregateContainer.providers.items()):
        made = getattr(provider, "provides", None)
        if inspect.isclass(made) and made.__module__.startswith("faregate."):
            yield f"| `{name}` | `{made.__module__}.{made.__name__}` | {_cell(_first_paragraph(made))} |"
    yield ""


def _entry(name: str, value: Any) -> Iterator[str]:
    yield from (f"### `{name}`", "")
    if inspect.isclass(value):
        yield from _class(name, value)
    elif callable(value):
        yield from ("```text", _signature(name, value), "```", "", _first_paragraph(value), "")
    else:
        yield from (f"A constant of type `{type(value).__name__}`.", "")


def _class(name: str, value: Any) -> Iterator[str]:
    if issubclass(value, enum.Enum):
        members = ", ".join(f"`{member.name}`" for member in value)
        yield from (_first_paragraph(value), "", f"Members: {members}", "")
        return
    if issubclass(value, BaseException):
        (base, *_) = value.__bases__
        code = getattr(value, "code", None)
        yield from (f"Error, a `{base.__name__}`" + (f"; code `{code}`." if isinstance(code, str) else "."), "")
    elif hasattr(value, "model_fields"):
        yield from ("Its fields are listed on the page of [settings](settings.md).", "")
    elif not getattr(value, "_is_protocol", False) and "containers" not in type(value).__module__:
        yield from ("```text", _signature(name, value), "```", "")
    yield from (_first_paragraph(value), "")
    methods = [(method, function) for method, function in vars(value).items() if _is_public_method(method, function)]
    for method, function in methods:
        about = _cell(_first_paragraph(function))
        yield f"* `{_one_line(method, function)}`" + (f": {about}" if about else "")
    if methods:
        yield ""


def _is_public_method(name: str, function: Any) -> bool:
    return inspect.isfunction(getattr(function, "__func__", function)) and not name.startswith("_")


def _signature(name: str, value: Any) -> str:
    """Return the signature, one parameter a line where it is long."""
    line = _one_line(name, value)
    if len(line) <= _WIDTH:
        return line
    signature = inspect.signature(value)
    parameters = [_plain(str(each)) for each in signature.parameters.values()]
    kinds = [each.kind for each in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), ")" + _returned(signature)])


def _one_line(name: str, value: Any) -> str:
    function = getattr(value, "__func__", value)
    signature = inspect.signature(function)
    if not inspect.isclass(value):
        parameters = [each for each in signature.parameters.values() if each.name not in {"self", "cls"}]
        signature = signature.replace(parameters=parameters)
    prefix = "async " if inspect.iscoroutinefunction(function) else ""
    shown = str(signature.replace(return_annotation=inspect.Signature.empty))
    return f"{prefix}{name}{_plain(shown)}{_returned(signature)}"


def _returned(signature: inspect.Signature) -> str:
    if signature.return_annotation in {inspect.Signature.empty, None}:
        return ""
    return f" -> {_plain(inspect.formatannotation(signature.return_annotation))}"


def _plain(text: str) -> str:
    """Return annotations without modules, members of enums by name, and defaults that are objects by their type."""
    members: list[str] = []

    def keep(match: re.Match[str]) -> str:
        members.append(match[1])
        return f"\0{len(members) - 1}\0"

    text = _QUALIFIED.sub(r"\1", _OBJECT.sub(r"\1", _MEMBER.sub(keep, text))).replace("'", '"')
    return re.sub(r"\0(\d+)\0", lambda match: members[int(match[1])], text)


def _first_paragraph(value: Any) -> str:
    """Return the first paragraph of a docstring; nothing for those that dataclasses write themselves."""
    text = inspect.cleandoc(getattr(value, "__doc__", None) or "").split("\n\n")[0]
    return "" if text.startswith(f"{getattr(value, '__name__', '')}(") else text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
