"""Faults of the machines of a cluster: what befalls them, and what mends them."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from faults.cluster.network import HOST, Network
from faults.cluster.patroni import TTL_SECONDS, PatroniCluster
from faults.cluster.rabbit import RabbitCluster

__all__ = ["Act", "Fault", "PostgresFaults", "RabbitFaults"]

_ALONE = "cut off from the other servers only"
"""Callers still reach it."""

Act = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """One fault of one machine.

    Attributes:
        seconds: how long it lasts before it is mended.
        choose: returns the machine at the moment.
        quorum: whether the cluster can serve meanwhile, so that the time limit for it to be back holds.
    """

    name: str
    seconds: float
    choose: Callable[[], Awaitable[str]]
    befall: Act
    mend: Act
    quorum: bool = True


class RabbitFaults:
    """Faults of a RabbitMQ cluster."""

    def __init__(self, network: Network, cluster: RabbitCluster) -> None:
        self._network = network
        self._cluster = cluster

    def all(self) -> Sequence[Fault]:
        network, nodes = self._network, self._cluster.nodes
        leader, follower = self._leader, self._follower
        return (
            Fault("the leader's node killed", 20, leader, _kill(network), self._start),
            Fault("the leader's node frozen", 30, leader, _freeze(network), _thaw(network)),
            Fault("the leader's node cut off from everybody", 40, leader, _unplug(network), _plug(network)),
            Fault(f"the leader's node {_ALONE}", 40, leader, _sever(network, nodes), _rejoin(network, nodes)),
            Fault("another node killed", 15, follower, _kill(network), self._start),
            Fault("leadership moved to another node", 5, leader, self._move, _nothing),
            Fault("disk alarm on one node", 15, follower, self._raise_alarm, self._clear_alarm),
            Fault("two of three nodes killed", 15, leader, self._kill_two, self._start_two, quorum=False),
        )

    def unplugged(self, node: str) -> Fault:
        """The fault of the control: what is sent to this node meanwhile is lost."""

        async def chosen() -> str:
            return node

        return Fault(
            "the publishers' node cut off from everybody", 25, chosen, _unplug(self._network), _plug(self._network)
        )

    async def _leader(self) -> str:
        for node in self._cluster.nodes:
            try:
                return await self._cluster.leader(SETTLE_MULTIMODEL_QUEUE, node)
            except RuntimeError:
                continue
        raise RuntimeError("no node knows the leader of the queue")

    async def _follower(self) -> str:
        return self._next(await self._leader())

    async def restart(self, node: str) -> None:
        """Kill and start a node, as whoever runs the cluster does with one that does not come back to it."""
        await _kill(self._network)(node)
        self._cluster.start(node)

    async def _start(self, node: str) -> None:
        self._cluster.start(node)

    async def _move(self, node: str) -> None:
        await self._cluster.move_leader(SETTLE_MULTIMODEL_QUEUE, node, self._next(node))

    async def _raise_alarm(self, node: str) -> None:
        await self._cluster.control(node, "rabbitmqctl", "set_disk_free_limit", "1000000GB")

    async def _clear_alarm(self, node: str) -> None:
        await self._cluster.control(node, "rabbitmqctl", "set_disk_free_limit", "50MB")

    async def _kill_two(self, node: str) -> None:
        for each in (node, self._next(node)):
            await _kill(self._network)(each)

    async def _start_two(self, node: str) -> None:
        for each in (node, self._next(node)):
            self._cluster.start(each)

    def _next(self, node: str) -> str:
        nodes = self._cluster.nodes
        return nodes[(nodes.index(node) + 1) % len(nodes)]


class PostgresFaults:
    """Faults of a PostgreSQL with failover."""

    def __init__(self, network: Network, cluster: PatroniCluster) -> None:
        self._network = network
        self._cluster = cluster

    def all(self) -> Sequence[Fault]:
        network, nodes, primary = self._network, self._cluster.nodes, self._primary
        lasting = TTL_SECONDS + 15
        return (
            Fault("the primary's machine killed", lasting, primary, _kill(network), self._start),
            Fault("the primary's machine frozen", lasting, primary, _freeze(network), _thaw(network)),
            Fault("the primary cut off from everybody", lasting, primary, _unplug(network), _plug(network)),
            Fault(f"the primary {_ALONE}", lasting, primary, _sever(network, nodes), _rejoin(network, nodes)),
            Fault("the synchronous standby killed", 15, self._synchronous_standby, _kill(network), self._start),
            Fault("the primary's processes killed", 10, primary, self._crash_server, _nothing),
            Fault("the primary changed by switchover", 10, primary, self._switch_over, _nothing),
        )

    async def _primary(self) -> str:
        async with asyncio.timeout(60):
            while (found := await self._cluster.primary()) is None:
                await asyncio.sleep(0.2)
        return found

    async def _synchronous_standby(self) -> str:
        return (await self._cluster.standbys())[0]

    async def _start(self, node: str) -> None:
        self._cluster.start(node)

    async def _crash_server(self, node: str) -> None:
        self._network.signal(node, signal.SIGKILL, of="postgres")

    async def _switch_over(self, _node: str) -> None:
        await self._cluster.switch_over()


def _kill(network: Network) -> Act:
    async def act(machine: str) -> None:
        await asyncio.to_thread(network.kill, machine)

    return act


def _freeze(network: Network) -> Act:
    async def act(machine: str) -> None:
        await asyncio.to_thread(network.signal, machine, signal.SIGSTOP)

    return act


def _thaw(network: Network) -> Act:
    async def act(machine: str) -> None:
        await asyncio.to_thread(network.signal, machine, signal.SIGCONT)

    return act


def _unplug(network: Network) -> Act:
    async def act(machine: str) -> None:
        await asyncio.to_thread(network.unplug, machine)

    return act


def _plug(network: Network) -> Act:
    async def act(machine: str) -> None:
        await asyncio.to_thread(network.plug, machine)

    return act


def _sever(network: Network, machines: Sequence[str]) -> Act:
    """Cut a machine off from the others of its cluster; callers on `HOST` still reach it."""
    assert HOST not in machines

    async def act(machine: str) -> None:
        for other in machines:
            if other != machine:
                await asyncio.to_thread(network.sever, machine, other)

    return act


def _rejoin(network: Network, machines: Sequence[str]) -> Act:
    async def act(machine: str) -> None:
        for other in machines:
            if other != machine:
                await asyncio.to_thread(network.mend, machine, other)

    return act


async def _nothing(_machine: str) -> None:
    return
