"""Files of pages, sent plain or compressed."""

import asyncio
import gzip
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["SentFiles"]

_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain", "html": "text/html"}


@dataclass(frozen=True, slots=True)
class _File:
    plain: bytes
    zipped: bytes
    tag: str
    media_type: str


class SentFiles:
    """Files by name; `names` and `read` are called in a thread, once for each file.

    To compress a large one takes a tenth of a second, in which the event loop would serve nobody.
    """

    def __init__(self, names: Callable[[], Collection[str]], read: Callable[[str], bytes]) -> None:
        self._names = names
        self._read = read
        self._known: frozenset[str] | None = None
        self._files: dict[str, _File] = {}

    async def answer(self, name: str, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the file, 304 if the caller has it already, or 404; with `headers`."""
        if self._known is None:
            self._known = frozenset(await asyncio.to_thread(self._names))
        if name not in self._known:
            return Response("File not found\n", status_code=404, media_type="text/plain", headers=headers)
        if name not in self._files:
            self._files[name] = await asyncio.to_thread(self._made, name)
        return _answer(self._files[name], request, headers)

    def _made(self, name: str) -> _File:
        content = self._read(name)
        tag = f'"{sha256(content).hexdigest()[:20]}"'
        return _File(content, gzip.compress(content, 9, mtime=0), tag, _KINDS[name.rpartition(".")[2]])


def _answer(file: _File, request: Request, headers: Mapping[str, str]) -> Response:
    sent = {"vary": "accept-encoding", **headers, "etag": file.tag}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=sent)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.plain, media_type=file.media_type, headers=sent)
    return Response(file.zipped, media_type=file.media_type, headers={**sent, "content-encoding": "gzip"})
