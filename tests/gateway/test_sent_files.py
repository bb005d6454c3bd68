"""Files of pages: read and compressed once, out of everybody's way."""

import asyncio
import gzip
import threading

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from faregate.gateway.http.sent_files import SentFiles
from faregate.gateway.openapi import pages
from support.apps import Gateway

CONTENT = b"let fare = 5;\n" * 100


class Place:
    """A directory with one file, and who read it."""

    def __init__(self) -> None:
        self.readers = list[threading.Thread]()
        files = SentFiles(lambda: ["a.js"], self.read)

        async def file(request: Request) -> Response:
            return await files.answer(request.path_params["name"], request, {"cache-control": "public, max-age=60"})

        transport = httpx2.ASGITransport(Starlette(routes=[Route("/{name}", file)]))
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://gateway", headers={"accept-encoding": ""})

    def read(self, _name: str) -> bytes:
        self.readers.append(threading.current_thread())
        return CONTENT


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_file_is_read_once_and_in_a_thread(place: Place) -> None:
    got = await asyncio.gather(*(place.http.get("/a.js") for _ in range(3)))

    assert [(each.status_code, each.content) for each in got] == [(200, CONTENT)] * 3
    assert len(place.readers) == 1, "also by calls at once"
    assert place.readers[0] is not threading.current_thread()


async def test_who_has_it_is_sent_nothing_and_who_can_unzip_less(place: Place) -> None:
    plain = await place.http.get("/a.js")
    same = await place.http.get("/a.js", headers={"if-none-match": plain.headers["etag"]})
    async with place.http.stream("GET", "/a.js", headers={"accept-encoding": "gzip"}) as zipped:
        body = b"".join([part async for part in zipped.aiter_raw()])

    assert (same.status_code, same.content) == (304, b"")
    assert (zipped.headers["content-encoding"], gzip.decompress(body)) == ("gzip", CONTENT)
    assert {each.headers["vary"] for each in (plain, same, zipped)} == {"accept-encoding"}
    assert {each.headers["cache-control"] for each in (plain, same, zipped)} == {"public, max-age=60"}
    assert plain.headers["etag"] != zipped.headers["etag"]
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_an_unknown_name_is_not_read(place: Place) -> None:
    answer = await place.http.get("/secret.txt")

    assert (answer.status_code, answer.text) == (404, "File not found\n")
    assert answer.headers["cache-control"] == "no-cache"
    assert place.readers == []


async def test_others_are_served_while_the_document_is_built(gateway: Gateway) -> None:
    """It takes most of a second: the starts of that second waited for it."""
    pages._document.cache_clear()
    document = asyncio.create_task(gateway.http.get("/openapi.json"))
    other = asyncio.create_task(gateway.http.get("/healthz"))
    first, _ = await asyncio.wait({document, other}, return_when=asyncio.FIRST_COMPLETED)
    built = await document

    assert first == {other}
    assert (built.status_code, (await other).status_code) == (200, 200)
