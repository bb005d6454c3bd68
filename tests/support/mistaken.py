"""Servers to be wrong about: PostgreSQL on TCP with passwords and TLS, and one that says it is older than it is."""

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import asyncpg
import pytest

from faregate.benchmarks.ports import free_port
from faregate.core.db import embedded
from faregate.core.db.embedded import EmbeddedServer
from support.certificates import make_certificate
from support.servers import require_program

__all__ = ["TcpServer", "old_server", "tcp_server"]

_HBA = """
host    all postgres 127.0.0.1/32 trust
hostssl all tls_only 127.0.0.1/32 trust
host    all me,nobody_here 127.0.0.1/32 scram-sha-256
"""
_MAJOR = 15
_PROGRAMS = Path(f"/usr/lib/postgresql/{_MAJOR}/bin")
_SSL_REQUEST = 80877103


@dataclass(frozen=True)
class TcpServer:
    """A PostgreSQL on loopback: `me` has the password `hunter2`, `tls_only` may connect by TLS only."""

    port: int

    def url(self, login: str = "me:hunter2", database: str = "postgres", options: str = "") -> str:
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}{options}"

    async def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.url("postgres"), ssl=False)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def tcp_server(directory: Path) -> Generator[TcpServer]:
    """Run Debian's server with TLS and a certificate that is its own authority."""
    require_program(_PROGRAMS / "postgres", package=f"postgresql-{_MAJOR}")
    cluster = _cluster(directory)
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off",
        "ssl": "on", "ssl_cert_file": "certificate.pem", "ssl_key_file": "key.pem",
    }  # fmt: skip
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    owner: dict[str, Any] = embedded._as_owner()
    with (directory / "tcp.log").open("ab") as log:
        process = subprocess.Popen[bytes](
            [str(_PROGRAMS / "postgres"), "-D", str(cluster), *flags], stdout=log, stderr=log, cwd="/", **owner
        )
    try:
        _wait_for(cluster, process, directory / "tcp.log")
        yield TcpServer(port)
    finally:
        process.terminate()
        process.wait(30)


def _cluster(directory: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:  # the programs of our wheel are built without TLS
        patch.setattr(embedded, "MAJOR_VERSION", _MAJOR)
        patch.setattr(embedded, "postgres_program", _PROGRAMS.joinpath)
        server = EmbeddedServer(directory, durable=False)
        server.start_now()
        server.stop_now()
    cluster = directory / f"postgres{_MAJOR}"
    (cluster / "pg_hba.conf").write_text(_HBA)
    made = make_certificate(directory)
    for file in (made.certificate, made.key):
        copy = cluster / file.name
        shutil.copy(file, copy)
        copy.chmod(0o600)
        shutil.chown(copy, cluster.stat().st_uid)
    return cluster


def _wait_for(cluster: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    while embedded._status(cluster) != "ready":
        assert process.poll() is None, log.read_text()
        sleep(0.02)


@contextmanager
def old_server(version: str) -> Generator[int]:
    """Run a server that speaks the start of PostgreSQL's protocol and says that it is `version`; return its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_answer_all, args=(listening, version), daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listening.close()


def _answer_all(listening: socket.socket, version: str) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            _answer(connection, version)


def _answer(connection: socket.socket, version: str) -> None:
    while True:
        head = connection.recv(8)
        if len(head) < 8:
            return
        length, code = struct.unpack("!ii", head)
        if code == _SSL_REQUEST:
            connection.sendall(b"N")
            continue
        connection.recv(length - 8)
        said = {"server_version": version, "client_encoding": "UTF8", "integer_datetimes": "on"}
        messages = [_message(b"R", struct.pack("!i", 0))]
        messages += [_message(b"S", f"{name}\0{value}\0".encode()) for name, value in said.items()]
        messages += [_message(b"K", struct.pack("!ii", 1, 1)), _message(b"Z", b"I")]
        connection.sendall(b"".join(messages))
        connection.recv(1)
        return


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
