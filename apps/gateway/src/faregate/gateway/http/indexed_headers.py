"""Request headers that are found by a dictionary lookup.

Starlette compares each header with the wanted name; a call asks for about ten.
"""

from typing import Any, TypeVar, overload

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

__all__ = ["IndexedHeaders", "IndexedRequest"]

T = TypeVar("T")


class IndexedHeaders(Headers):
    """Headers with an index; of a header that is sent several times, the first one counts, as in Starlette."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._first = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower().encode("latin-1")].decode("latin-1")

    def __contains__(self, key: Any) -> bool:
        return key.lower().encode("latin-1") in self._first

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...

    def get(self, key: str, /, default: Any = None) -> Any:
        found = self._first.get(key.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")


class IndexedRequest(Request):
    """A request with indexed headers."""

    @property
    def headers(self) -> IndexedHeaders:
        found: IndexedHeaders | None = getattr(self, "_indexed", None)
        if found is None:
            found = self._indexed = IndexedHeaders(self.scope)
        return found
