"""A pgbouncer in transaction mode in front of the tests' PostgreSQL."""

import asyncio
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from faregate.benchmarks.ports import free_port
from support.gateways import listening
from support.servers import require_program

__all__ = ["pgbouncer"]


@asynccontextmanager
async def pgbouncer(server_url: str, *, user: str = "", **options: str) -> AsyncGenerator[str]:
    """Run pgbouncer; yield the address of the server through it, with the same database.

    Three connections to the server are shared, so that one client's transactions do not stay on one. `user`: the role that they
    have, if it is not that of `server_url`.
    """
    require_program("/usr/sbin/pgbouncer", package="pgbouncer")
    parts, port = urlsplit(server_url), free_port()
    host = (parse_qs(parts.query).get("host") or [parts.hostname or ""])[0]
    password = f" password={parts.password}" if parts.password and not user else ""
    settings = {
        "listen_addr": "127.0.0.1", "listen_port": str(port), "auth_type": "any", "pool_mode": "transaction",
        "default_pool_size": "3", "max_client_conn": "200", "unix_socket_dir": "", **options,
    }  # fmt: skip
    text = (
        f"[databases]\n* = host={host} port={parts.port or 5432} user={user or parts.username or 'postgres'}{password}\n"
        "[pgbouncer]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    owner = pwd.getpwuid(Path(host).stat().st_uid).pw_name if host.startswith("/") else "nobody"
    as_other = ["-u", owner] if os.getuid() == 0 else []  # it must not run as root, and must reach the socket
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as ini:
        ini.write(text)
        ini.flush()
        Path(ini.name).chmod(0o644)
        process = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", *as_other, ini.name], stderr=subprocess.DEVNULL)
        try:
            await listening(port)
            yield f"postgresql://{user or parts.username or 'postgres'}@127.0.0.1:{port}{parts.path}"
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)
