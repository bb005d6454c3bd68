"""The command that asks for advisories tells what it found, and never takes silence for none."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from advisories import Answer, ask, locked, report

ENTRY = {"id": "PYSEC-1", "summary": "Bad\nvery", "fixed_in": ["2.0"], "withdrawn": None}


@contextmanager
def index(body: bytes, status: int = 200) -> Generator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_what_the_index_tells_is_listed_and_fails() -> None:
    told = {"vulnerabilities": [ENTRY, {**ENTRY, "id": "PYSEC-2", "withdrawn": "2026-01-01"}]}
    with index(json.dumps(told).encode()) as url:
        lines, status = report([ask("a", "1.0", index=url)])

    assert lines == ["a 1.0: PYSEC-1 (fixed in 2.0) Bad", "1 advisories of 1 releases; 0 could not be asked for"]
    assert status == 1


def test_none_is_said_only_when_every_release_was_asked_for() -> None:
    with index(b'{"vulnerabilities": []}') as url:
        clean = ask("a", "1.0", index=url)
    with index(b"gone", 404) as url:
        missing = ask("b", "1.0", index=url)
    with index(b"<html>") as url:
        nonsense = ask("c", "1.0", index=url)
    with index(b"{}") as url:
        silent = ask("d", "1.0", index=url)
    away = ask("e", "1.0", index="http://127.0.0.1:1")

    assert report([clean])[1] == 0
    assert {report([clean, each])[1] for each in (missing, nonsense, silent, away)} == {2}
    assert "the index answers 404" in report([missing])[0][0]
    assert report([])[1] == 2
    assert report([Answer("a", "1", ["X"]), missing])[1] == 1


def test_every_locked_release_of_an_index_is_asked_for() -> None:
    found = dict(locked(Path(__file__).parent.parent / "uv.lock"))

    assert {"starlette", "asyncpg", "aiormq", "redis"} <= found.keys()
    assert "faregate" not in found
    assert locked(Path(__file__).parent.parent / "uv.lock", ["asyncpg"]) == [("asyncpg", found["asyncpg"])]
