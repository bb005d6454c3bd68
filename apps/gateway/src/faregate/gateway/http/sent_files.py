"""Files of pages, sent plain or compressed."""

import asyncio
import gzip
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["SentFiles"]

_KINDS = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}


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
        self._making = threading.Lock()

    async def answer(self, name: str, request: Request, headers: Mapping[str, str]) -> Response:
        """Return the file, 304 if the caller has it already, or 404; with `headers`."""
        if self._known is None:
            self._known = frozenset(await asyncio.to_thread(self._names))
        if name not in self._known:
            refused = {**headers, "cache-control": "no-cache"}
            return Response("File not found\n", status_code=404, media_type="text/plain", headers=refused)
        file = self._files.get(name)
        if file is None:
            file = await asyncio.to_thread(self._made_once, name)
        return _answer(file, request, headers)

    def _made_once(self, name: str) -> _File:
        with self._making:
            if name not in self._files:
                self._files[name] = _made(name, self._read(name))
            return self._files[name]


def _made(name: str, content: bytes) -> _File:
    tag = sha256(content).hexdigest()[:20]
    return _File(content, gzip.compress(content, 9, mtime=0), tag, _KINDS[name.rpartition(".")[2]])


def _answer(file: _File, request: Request, headers: Mapping[str, str]) -> Response:
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{file.tag}-gzip"' if zipped else f'"{file.tag}"'  # one for each form, as HTTP demands
    sent = {"vary": "accept-encoding", **headers, "etag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=sent)
    if not zipped:
        return Response(file.plain, media_type=file.media_type, headers=sent)
    return Response(file.zipped, media_type=file.media_type, headers={**sent, "content-encoding": "gzip"})
