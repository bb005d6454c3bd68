"""PostgreSQL with failover: Patroni and etcd on three machines, and HAProxy with PgBouncer on a fourth.

PostgreSQL 15, Patroni, etcd, HAProxy and PgBouncer are Debian's.
"""

import asyncio
import json
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from faults.cluster.network import Network

__all__ = ["PROGRAMS", "PatroniCluster"]

PROGRAMS = {
    "/usr/bin/patroni": "patroni",
    "/usr/bin/etcd": "etcd-server",
    "/usr/sbin/haproxy": "haproxy",
    "/usr/sbin/pgbouncer": "pgbouncer",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
}
"""Programs of a PostgreSQL with failover, and the packages that bring them."""

_STARTING_SECONDS = 300
TTL_SECONDS = 20
"""Patroni's shortest: a primary that is not heard of for so long is replaced."""

_HAPROXY = """
defaults
  mode tcp
  timeout connect 4s
  timeout client 1h
  timeout server 1h
  timeout check 3s
frontend primary
  bind 127.0.0.1:5000
  default_backend servers
backend servers
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 3 rise 1 on-marked-down shutdown-sessions
{servers}
"""
_PGBOUNCER = """
[databases]
* = host=127.0.0.1 port=5000 user=postgres
[pgbouncer]
listen_addr = {address}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 20
server_connect_timeout = 4
server_login_retry = 1
unix_socket_dir =
"""


class PatroniCluster:
    """A primary and two standbys; `synchronous`: a commit is confirmed when a standby has it as well."""

    def __init__(
        self, network: Network, nodes: tuple[str, ...], gate: str, directory: Path, *, synchronous: bool = True
    ) -> None:
        self._network = network
        self.nodes = nodes
        self._gate = gate
        self._directory = directory
        self._synchronous = synchronous
        self._user = pwd.getpwnam("postgres")

    def url(self, database: str) -> str:
        """The value of `FAREGATE_DATABASE_URL` without a pooler: all servers."""
        hosts = ",".join(f"{self._network.address(node)}:5432" for node in self.nodes)
        return f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"

    def pooler_url(self, database: str) -> str:
        return f"postgresql://postgres@{self._network.address(self._gate)}:6432/{database}"

    async def open(self) -> None:
        self._directory.chmod(0o755)
        for node in self.nodes:
            self._configure(node)
            self.start(node)
        async with asyncio.timeout(_STARTING_SECONDS):
            while not await self.is_whole():
                await asyncio.sleep(0.5)
        self._open_gate()

    def start(self, node: str) -> None:
        """Start etcd and Patroni on a machine; Patroni starts PostgreSQL."""
        home = self._directory / node
        for name, command in (
            ("etcd", ["/usr/bin/etcd", "--config-file", str(home / "etcd.json")]),
            ("patroni", ["/usr/bin/patroni", str(home / "patroni.json")]),
        ):
            self._run(node, home / f"{name}.log", *command)

    async def primary(self) -> str | None:
        """Return the machine whose server accepts writes, or None while there is none."""
        for node in self.nodes:
            if await self._says(node, "/primary"):
                return node
        return None

    async def standbys(self) -> list[str]:
        """Return the machines whose servers follow the primary, the synchronous one first."""
        found = [node for node in self.nodes if await self._says(node, "/replica")]
        synchronous = [node for node in found if await self._says(node, "/synchronous")]
        return sorted(found, key=lambda node: node not in synchronous)

    async def is_whole(self) -> bool:
        """Whether there is a primary that streams to all standbys."""
        primary = await self.primary()
        if primary is None or len(await self.standbys()) != len(self.nodes) - 1:
            return False
        url = f"postgresql://postgres@{self._network.address(primary)}:5432/postgres"
        try:
            connection = await asyncpg.connect(url, timeout=3)
        except (OSError, asyncpg.PostgresError):
            return False
        try:
            states = "select array_agg(sync_state::text) from pg_stat_replication where state = 'streaming'"
            found: list[str] = await connection.fetchval(states, timeout=3) or []
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()
        return len(found) == len(self.nodes) - 1 and ("sync" in found) == self._synchronous

    async def switch_over(self) -> str | None:
        """Ask Patroni to make another server the primary."""
        primary = await self.primary()
        async with httpx2.AsyncClient(timeout=60) as http:
            url = f"http://{self._network.address(primary or self.nodes[0])}:8008/switchover"
            await http.post(url, json={"leader": primary})
        return primary

    async def _says(self, node: str, path: str) -> bool:
        try:
            async with httpx2.AsyncClient(timeout=2) as http:
                return (await http.get(f"http://{self._network.address(node)}:8008{path}")).status_code == 200
        except httpx2.TransportError:
            return False

    def _run(self, machine: str, log: Path, *command: str) -> None:
        identity = ["setpriv", f"--reuid={self._user.pw_uid}", f"--regid={self._user.pw_gid}", "--clear-groups"]
        environment = {"PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin", "HOME": str(log.parent), "LANG": "C.UTF-8"}
        with log.open("ab") as output:
            subprocess.Popen(
                self._network.command(machine, *identity, *command),
                env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def _configure(self, node: str) -> None:
        home = self._directory / node
        home.mkdir()
        shutil.chown(home, "postgres", "postgres")
        (home / "etcd.json").write_text(json.dumps(self._etcd(node, home)))
        (home / "patroni.json").write_text(json.dumps(self._patroni(node, home)))

    def _etcd(self, node: str, home: Path) -> dict[str, Any]:
        address = self._network.address(node)
        members = ",".join(f"{each}=http://{self._network.address(each)}:2380" for each in self.nodes)
        return {
            "name": node,
            "data-dir": str(home / "etcd"),
            "listen-client-urls": f"http://{address}:2379",
            "advertise-client-urls": f"http://{address}:2379",
            "listen-peer-urls": f"http://{address}:2380",
            "initial-advertise-peer-urls": f"http://{address}:2380",
            "initial-cluster": members,
            "initial-cluster-state": "new",
            "heartbeat-interval": 300,
            "election-timeout": 3000,
            "enable-v2": True,
            "logger": "zap",
        }

    def _patroni(self, node: str, home: Path) -> dict[str, Any]:
        address = self._network.address(node)
        subnet = address.rpartition(".")[0]
        return {
            "scope": "faregate",
            "name": node,
            "restapi": {"listen": f"{address}:8008", "connect_address": f"{address}:8008"},
            # With etcd's v3 API, Patroni 3.0.2 once made a server that had been cut off the primary beside the one that had
            # replaced it; we suspect a late write of the leader's key without a comparison.
            "etcd": {"hosts": [f"{self._network.address(each)}:2379" for each in self.nodes]},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_SECONDS,
                    "loop_wait": 2,
                    "retry_timeout": 5,
                    "maximum_lag_on_failover": 16 * 1024**2,
                    "synchronous_mode": self._synchronous,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": self._parameters()},
                },
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
                "pg_hba": [f"host {kind} all {subnet}.0/24 trust" for kind in ("all", "replication")],
            },
            "postgresql": {
                "listen": f"{address}:5432",
                "connect_address": f"{address}:5432",
                "data_dir": str(home / "data"),
                "bin_dir": "/usr/lib/postgresql/15/bin",
                "pgpass": str(home / "pgpass"),
                "parameters": {"unix_socket_directories": str(home)},
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "authentication": {
                    "superuser": {"username": "postgres", "password": "postgres"},
                    "replication": {"username": "replicator", "password": "replicator"},
                    "rewind": {"username": "rewinder", "password": "rewinder"},
                },
            },
        }

    def _parameters(self) -> dict[str, Any]:
        return {
            "max_connections": 200,
            "shared_buffers": "64MB",
            "wal_log_hints": "on",
            "fsync": "on",
            "synchronous_commit": "on" if self._synchronous else "local",
            "wal_sender_timeout": "5s",
            "wal_receiver_timeout": "5s",
            "wal_keep_size": "1GB",  # a server that comes back must find what it missed
        }

    def _open_gate(self) -> None:
        home = self._directory / self._gate
        home.mkdir()
        shutil.chown(home, "postgres", "postgres")
        servers = "\n".join(
            f"  server {node} {self._network.address(node)}:5432 check port 8008" for node in self.nodes
        )
        (home / "haproxy.cfg").write_text(_HAPROXY.format(servers=servers))
        (home / "pgbouncer.ini").write_text(_PGBOUNCER.format(address=self._network.address(self._gate)))
        self._run(self._gate, home / "haproxy.log", "/usr/sbin/haproxy", "-db", "-f", str(home / "haproxy.cfg"))
        self._run(self._gate, home / "pgbouncer.log", "/usr/sbin/pgbouncer", str(home / "pgbouncer.ini"))
