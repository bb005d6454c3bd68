"""Persisted queries: texts that clients name by their SHA-256 hash.

Registered ones come from a file and are known from the start. Others are learned: a client that is told that its hash is unknown
sends the text with the hash once.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from faregate.core.errors import ConfigurationError, InvalidError, MalformedError, NotFoundError
from faregate.core.runtime.bounded_memory import BoundedCache
from faregate.gateway.errors import ForbiddenError
from faregate.wire import exact_json

__all__ = ["UNKNOWN_HASH", "Documents", "registered_queries"]

UNKNOWN_HASH = "PersistedQueryNotFound"
"""The message by which clients of Apollo's protocol know that they must send the text."""

_LEARNED_BYTES = 4 * 1024 * 1024
_LEARNED = 2_000
_MANIFEST = "apollo-persisted-query-manifest"


class Documents:
    """The known texts; with `only_registered`, no other query runs."""

    def __init__(self, registered: Mapping[str, str], *, only_registered: bool = False) -> None:
        self._registered = registered
        self._only_registered = only_registered
        self._learned: BoundedCache[str, str] = BoundedCache(limit_bytes=_LEARNED_BYTES, entries=_LEARNED, size_of=len)

    def text(self, query: str | None, sha256_hash: str | None) -> str:
        """Return the text of a request.

        Raises:
            NotFoundError: the hash is unknown. ForbiddenError: only registered queries may run.
            InvalidError: there is neither text nor hash, or they do not belong together.
        """
        if sha256_hash is not None and query is not None and _hash(query) != sha256_hash:
            raise InvalidError(
                "sha256Hash is not the SHA-256 of query; hash its UTF-8 bytes and send the hash in hexadecimal digits",
                param="extensions.persistedQuery.sha256Hash",
            )
        if query is None and sha256_hash is None:
            raise InvalidError("query is missing; send the text, or extensions.persistedQuery", param="query")
        name = sha256_hash if sha256_hash is not None else _hash(query or "")
        if name in self._registered:
            return self._registered[name]
        if self._only_registered:
            raise ForbiddenError(
                "Only registered queries may run here; ask an operator to add this one to FAREGATE_GRAPHQL_QUERIES",
                param="query",
            )
        found = query if query is not None else self._learned.get(name)
        if found is None:
            raise NotFoundError(UNKNOWN_HASH, param="extensions.persistedQuery.sha256Hash")
        return found

    def learn(self, text: str, sha256_hash: str | None) -> None:
        """Remember the text of a valid query that came with its hash."""
        if sha256_hash is not None and sha256_hash not in self._registered:
            self._learned[sha256_hash] = text


def registered_queries(path: Path | None) -> Mapping[str, str]:
    """Return the queries of a file by hash: `{"<hash>": "<text>"}`, a list of texts, or the manifest of Apollo's tools.

    Raises:
        ConfigurationError: the file cannot be read, or holds something else.
    """
    if path is None:
        return {}
    try:
        content = exact_json.loads(path.read_bytes())
    except (OSError, MalformedError) as error:
        raise ConfigurationError(f"FAREGATE_GRAPHQL_QUERIES: {path} cannot be read: {error}") from None
    texts = _texts(content)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError(
            f"FAREGATE_GRAPHQL_QUERIES: {path} must hold an object of hashes and queries, a list of queries, or a manifest of "
            f"the format {_MANIFEST}"
        )
    return {_hash(text): text for text in texts}


def _texts(content: Any) -> list[Any]:
    if isinstance(content, list):
        return cast("list[Any]", content)
    if not isinstance(content, dict):
        return []
    fields = cast("dict[str, Any]", content)
    if fields.get("format") != _MANIFEST:
        return list(fields.values())
    operations = fields.get("operations")
    return [exact_json.mapping(each).get("body") for each in cast("list[Any]", operations or [])]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
