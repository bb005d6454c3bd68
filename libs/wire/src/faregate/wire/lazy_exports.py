"""Names that a package exports, imported at their first use (PEP 562).

A package lists each exported name three times: in `__all__`, as an import under `TYPE_CHECKING`, for type checkers, and in
the mapping given to `lazy_exports`, for the interpreter. A test holds the three to the same names.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of `package`, which exports the names of each of its `modules`.

    A name is looked up in its module once; afterwards it is an ordinary attribute of the package.
    """
    module_of = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return load, names
