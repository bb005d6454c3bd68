"""A real RabbitMQ for tests: Debian's package with private ports and files.

Each node has its own directory and its own epmd.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import aiormq
from aiormq.abc import ChannelFrame
from aiormq.exceptions import AMQPError
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from faregate.benchmarks.ports import free_port
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE, retry_queue
from faregate.wire.queues import PUBLIC_QUEUES, RETRY_DELAYS_SECONDS
from support.certificates import make_certificate
from support.servers import in_memory, require_program

__all__ = ["RabbitServer", "delete_queues", "publish_nameless", "require_rabbitmq"]

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The actual server script: /usr/sbin/rabbitmq-server must be run by root or by the user rabbitmq, and switches to the latter."""


def require_rabbitmq() -> None:
    """Skip, or fail in CI, where the package is not installed."""
    require_program(SERVER, package="rabbitmq-server")
    require_program("epmd", package="rabbitmq-server")


class RabbitServer:
    """One node; `start` and `stop` may be repeated on the same data."""

    def __init__(self, *, tls: bool = False) -> None:
        """`tls`: listen for TLS only, with a certificate that `url` trusts."""
        self.directory = Path(tempfile.mkdtemp(prefix="fg-rabbitmq-", dir=in_memory()))
        self._certificate = make_certificate(self.directory) if tls else None
        self.port, self._distribution_port, self._epmd_port = free_port(), free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._configure()

    @property
    def url(self) -> str:
        if self._certificate is not None:
            return f"amqps://guest:guest@127.0.0.1:{self.port}/?cafile={self._certificate.certificate}"
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def start(self, timeout_seconds: float = 300) -> None:
        """Start the node and wait until it answers, which can take long on a busy machine."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        if self._epmd is None:
            command = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = subprocess.Popen(command, env=self._environment, **quiet)  # type: ignore[call-overload]
        with (self.directory / "out").open("ab") as output:
            self._server = subprocess.Popen(
                [str(SERVER)], env=self._environment, stdout=output, stderr=output, start_new_session=True
            )
        end = time.monotonic() + timeout_seconds
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"RabbitMQ did not start:\n{(self.directory / 'out').read_text()[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the node in an orderly way; its data are kept."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        self._server = None

    def kill(self) -> None:
        """Kill the node, as a power failure does."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait(10)
        self._server = None

    def control_environment(self) -> dict[str, str]:
        """Return the environment in which a plain `rabbitmqctl` speaks to this node."""
        return {**self._environment, "PATH": f"{SERVER.parent}{os.pathsep}{os.environ['PATH']}"}

    def freeze(self) -> None:
        """Suspend the node: connections stay open, nothing answers."""
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGSTOP)
        while not all(state == "T" for state in _states(self._server.pid)):
            time.sleep(0.01)  # a thread that runs on another processor stops when it next enters the kernel

    def thaw(self) -> None:
        assert self._server is not None
        os.killpg(self._server.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop everything and remove the data."""
        self.stop()
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait(10)
            self._epmd = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _configure(self) -> None:
        (self.directory / "rabbitmq.conf").write_text(
            f"{self._listener()}loopback_users = none\nlog.console = false\n"
            "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 512MB\n"
        )
        (self.directory / "enabled_plugins").write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "USER": pwd.getpwuid(os.getuid()).pw_name,
            "RABBITMQ_NODENAME": f"faregate{self.port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _listener(self) -> str:
        address = f"127.0.0.1:{self.port}"
        if self._certificate is None:
            return f"listeners.tcp.1 = {address}\n"
        files = (
            f"ssl_options.certfile = {self._certificate.certificate}\nssl_options.keyfile = {self._certificate.key}\n"
        )
        return f"listeners.tcp = none\nlisteners.ssl.1 = {address}\n{files}"

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), self._knock() as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return probe.recv(1) != b""
        return False

    def _knock(self) -> socket.socket:
        probe = socket.create_connection(("127.0.0.1", self.port), 0.5)
        if self._certificate is None:
            return probe
        context = ssl.create_default_context(cafile=str(self._certificate.certificate))
        return context.wrap_socket(probe, server_hostname="127.0.0.1")


async def delete_queues(url: str, *more: str) -> None:
    """Delete all queues of Faregate and their messages."""
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel()
        retries = [retry_queue(delay) for delay in RETRY_DELAYS_SECONDS]
        for name in [*PUBLIC_QUEUES, DEAD_QUEUE, *retries, *more]:
            with contextlib.suppress(AMQPError):
                await channel.queue_delete(name)
    finally:
        await connection.close()


async def publish_nameless(url: str, queue: str, body: bytes) -> None:
    """Publish without any properties, as the simplest clients do (aiormq itself always adds a message id)."""
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=False)
        frames: list[Any] = [Basic.Publish(routing_key=queue), ContentHeader(body_size=len(body)), ContentBody(body)]
        await connection.write_queue.put(ChannelFrame.marshall(channel_number=channel.number, frames=frames))
        await channel.queue_declare(queue, passive=True)  # answered after the publish
    finally:
        await connection.close()


def _states(group: int) -> list[str]:
    """Return the states of all threads of a process group."""
    found: list[str] = []
    for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group:
                found.append(state)
    return found
