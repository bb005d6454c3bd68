"""ClickHouse's HTTP interface in front of its engine in process: `clickhouse_server.py FOLDER USER PASSWORD`, prints its port.

The engine, and so the SQL and its answers, are ClickHouse's own (`chdb`). The front speaks as documented: statement in `query` or in
the body, tables sent with it, parameters, the header of errors. It gives the engine sent tables as files.
"""

import re
import sys
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chdb import session

_OF_HTTP = ("wait_end_of_query", "cancel_http_readonly_queries_on_client_close")
_NOT_FOUND = {"60", "81"}
_REFUSED = "Code: 516. DB::Exception: {}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"


class Engine:
    """The engine; it runs one statement at a time."""

    def __init__(self, folder: str) -> None:
        open_session: Any = session.Session
        self._session = open_session(folder)
        self._lock = threading.Lock()
        self._files = Path(mkdtemp(dir=folder))
        self._set: dict[str, str] = {}

    def run(self, sql: str, given: dict[str, str], tables: dict[str, bytes]) -> bytes:
        files = [self._files / f"{threading.get_ident()}-{name}" for name in tables]
        for file, (name, rows) in zip(files, tables.items(), strict=True):
            file.write_bytes(rows)
            kind, structure = given.pop(f"{name}_format"), given.pop(f"{name}_structure")
            sql = sql.replace(f"from {name}", f"from file('{file}', '{kind}', '{structure}')")
        parameters = {name.removeprefix("param_"): given.pop(name) for name in list(given) if name.startswith("param_")}
        database = given.pop("database", "default")
        with self._lock:
            self._session.query(f"use {database}")
            for name, value in given.items():
                if name not in _OF_HTTP and self._set.get(name) != value:
                    self._session.query(f"set {name} = '{value}'")
                    self._set[name] = value
            return self._session.query(sql, params=parameters).bytes() or b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    engine: Engine
    login: tuple[str, str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        user, password = self.headers.get("x-clickhouse-user", "default"), self.headers.get("x-clickhouse-key", "")
        if (user, password) != self.login:
            self._answer(403, _REFUSED.format(user).encode(), "516")
            return
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        tables = self._tables(body)
        sql = given.pop("query", "") + ("" if tables else body.decode())
        try:
            self._answer(200, self.engine.run(sql, given, tables), None)
        except RuntimeError as error:
            code = (re.findall(r"Code: (\d+)", str(error)) or ["0"])[0]
            self._answer(404 if code in _NOT_FOUND else 500, str(error).encode(), code)

    def _tables(self, body: bytes) -> dict[str, bytes]:
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return {}
        parts = BytesParser(policy=HTTP).parsebytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + body)
        boundary = b"--" + parts.get_boundary("").encode()
        found: dict[str, bytes] = {}
        for part in body.split(boundary)[1:-1]:  # the parser of mails would change line ends within rows
            head, _, rows = part.partition(b"\r\n\r\n")
            (name,) = re.findall(rb'name="(\w+)"', head)[:1]
            found[name.decode()] = rows.removesuffix(b"\r\n")
        return found

    def _answer(self, status: int, body: bytes, code: str | None) -> None:
        self.send_response(status)
        self.send_header("X-ClickHouse-Server-Display-Name", "test")
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


if __name__ == "__main__":
    Handler.engine, Handler.login = Engine(sys.argv[1]), (sys.argv[2], sys.argv[3])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
