"""A mail server and an HTTP receiver, both real, in the test process."""

import asyncio
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ["MailServer", "Posted", "Receiver", "http_receiver", "mail_server"]


@dataclass
class MailServer:
    """Keeps received mail; refuses recipients at `refused.example`, and mails with the `answers` that are left."""

    url: str = ""
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list[str])
    _strike: tuple[Callable[[], None], str, int] | None = None

    def strike(self, kill: Callable[[], None], when: str, *, after: int) -> None:
        """Kill the sender of a later mail `before` this one is accepted or `after`; `after` more mails are accepted first."""
        self._strike = (kill, when, len(self.mails) + after)

    async def handle_RCPT(  # noqa: N802  aiosmtpd looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.endswith("@refused.example"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        kill, when, at = self._strike or (None, "", 0)
        if kill is not None and len(self.mails) >= at and when == "before":
            self._strike = None
            kill()
            return "451 not now"
        message = message_from_bytes(cast("bytes", envelope.content), policy=cast("Any", default))
        self.mails.append((list(envelope.rcpt_tos), cast("EmailMessage", message)))
        if kill is not None and len(self.mails) >= at:
            self._strike = None
            kill()
        return "250 OK"


@asynccontextmanager
async def mail_server(*, login: tuple[str, str] | None = None) -> AsyncGenerator[MailServer]:
    """Run a mail server on a free port; with `login` it accepts mail from that user only."""
    kept = MailServer()

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _kind: str, data: Any) -> AuthResult:
        wanted = (login[0].encode(), login[1].encode()) if login else None
        return AuthResult(
            success=isinstance(data, LoginPassword) and (data.login, data.password) == wanted, handled=False
        )

    def connection() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a login without encryption is fine on this machine
            return SMTP(
                kept,
                hostname="mail.test",
                authenticator=authenticate if login else None,
                auth_required=login is not None,
                auth_require_tls=False,
            )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    kept.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield kept
    finally:
        server.close()


@dataclass(frozen=True)
class Posted:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """The received requests, and the answers to give."""

    url: str = ""
    status: int = 204
    posts: list[Posted] = field(default_factory=list)


@contextmanager
def http_receiver() -> Generator[Receiver]:
    """Run an HTTP server on a free port that keeps every POST."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.posts.append(Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(kept.status)
            if kept.status == 302:
                self.send_header("location", kept.url + "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server names it so
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
