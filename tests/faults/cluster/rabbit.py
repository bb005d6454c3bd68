"""RabbitMQ cluster of three nodes, each on its own machine."""

import asyncio
import os
import pwd
import signal
import subprocess
from pathlib import Path

from faults.cluster.network import Network
from support.rabbitmq import SERVER

__all__ = ["RabbitCluster"]

_STARTING_SECONDS = 240
_CONFIG = """
listeners.tcp.1 = {address}:5672
loopback_users = none
log.console = false
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MB
cluster_partition_handling = pause_minority
net_ticktime = {net_ticktime}
cluster_formation.peer_discovery_backend = classic_config
{peers}
"""


class RabbitCluster:
    """Three nodes; a minority stops to serve, as a deployment should be configured."""

    def __init__(self, network: Network, nodes: tuple[str, ...], directory: Path, *, net_ticktime: int = 12) -> None:
        self._network = network
        self.nodes = nodes
        self._directory = directory
        self._net_ticktime = net_ticktime

    @property
    def urls(self) -> str:
        """The value of `FAREGATE_BROKER_URL`."""
        return ",".join(map(self.url, self.nodes))

    def url(self, node: str) -> str:
        return f"amqp://guest:guest@{self._network.address(node)}:5672/"

    async def open(self) -> None:
        """Start all nodes, the first one first: the others join it."""
        for number, node in enumerate(self.nodes):
            self.start(node)
            if number == 0:
                await self._until_it_answers(node)
        for node in self.nodes:
            await self._until_it_answers(node)
        await self.until_whole()

    def start(self, node: str) -> None:
        home = self._directory / node
        if not home.exists():
            self._configure(node, home)
        with (home / "out").open("ab") as output:
            subprocess.Popen(
                self._network.command(node, str(SERVER)),
                env=self._environment(node), stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    async def control(self, node: str, program: str, *arguments: str) -> str:
        """Run a command of RabbitMQ on a node, and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *self._network.command(node, str(SERVER.parent / program), "-q", *arguments),
            env=self._environment(node),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                said, _ = await process.communicate()
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            return "no answer"
        return said.decode(errors="replace")

    async def leader(self, queue: str, ask: str) -> str:
        """Return the node that leads a queue, as `ask` knows it."""
        table = await self.control(ask, "rabbitmqctl", "list_queues", "name", "leader", "--no-table-headers")
        for line in table.splitlines():
            name, _, leader = line.partition("\t")
            if name == queue:
                return next(node for node in self.nodes if self._name(node) == leader.strip())
        raise RuntimeError(f"no leader of {queue}: {table}")

    async def move_leader(self, queue: str, ask: str, to: str) -> None:
        code = (
            f'rabbit_quorum_queue:transfer_leadership(element(2, rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, '
            f"<<\"{queue}\">>))), '{self._name(to)}')."
        )
        await self.control(ask, "rabbitmqctl", "eval", code)

    async def until_whole(self) -> None:
        """Wait until all nodes are one cluster."""
        async with asyncio.timeout(_STARTING_SECONDS):
            while not await self.is_whole():
                await asyncio.sleep(1)

    async def is_whole(self) -> bool:
        """Whether the first node sees all the others."""
        running = await self.control(self.nodes[0], "rabbitmqctl", "eval", "rabbit_mnesia:cluster_nodes(running).")
        return all(self._name(node) in running for node in self.nodes)

    async def _until_it_answers(self, node: str) -> None:
        async with asyncio.timeout(_STARTING_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self._network.address(node), 5672)
                except OSError:
                    await asyncio.sleep(0.2)
                else:
                    writer.close()
                    return

    def _name(self, node: str) -> str:
        return f"rabbit@{self._network.address(node)}"

    def _configure(self, node: str, home: Path) -> None:
        home.mkdir(parents=True)
        cookie = home / ".erlang.cookie"
        cookie.write_text("faregatecluster")
        cookie.chmod(0o400)
        peers = "\n".join(
            f"cluster_formation.classic_config.nodes.{number} = {self._name(each)}"
            for number, each in enumerate(self.nodes, start=1)
        )
        text = _CONFIG.format(address=self._network.address(node), peers=peers, net_ticktime=self._net_ticktime)
        (home / "rabbitmq.conf").write_text(text)
        (home / "enabled_plugins").write_text("[].\n")

    def _environment(self, node: str) -> dict[str, str]:
        home = self._directory / node
        return {
            "PATH": f"{SERVER.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "USER": pwd.getpwuid(os.getuid()).pw_name,
            "RABBITMQ_NODENAME": self._name(node),
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
