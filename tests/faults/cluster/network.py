"""Machines of a cluster as network namespaces, on a bridge that the test makes and removes.

A machine that is cut off sends and receives nothing, and nobody gets an answer that says so: packets are lost in silence, as by a
pulled cable or a dead switch. Needs root.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["HOST", "Network", "namespaces_problem"]

HOST = "host"
"""The machine on which the test, the gateways and the workers run."""

_NOWHERE = "02:00:00:00:00:01"
"""A hardware address that no machine has: a switch drops what is sent to it."""


def namespaces_problem() -> str | None:
    """Return why no network namespace can be made here, or None."""
    name = f"fgprobe{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", name], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"machines are network namespaces, which need root and `apt-get install iproute2` ({error})"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


class Network:
    """A bridge, and a namespace with one address for each machine."""

    def __init__(self, machines: Sequence[str]) -> None:
        self._prefix = f"fg{os.getpid() % 100_000}"
        self._bridge = f"{self._prefix}b"
        self._subnet = f"10.77.{os.getpid() % 250 + 1}"
        self.machines = tuple(machines)

    def address(self, machine: str) -> str:
        return f"{self._subnet}.{1 if machine == HOST else 11 + self.machines.index(machine)}"

    def open(self) -> None:
        self.close()
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.address(HOST)}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        for machine in self.machines:
            namespace, cable = self._namespace(machine), self._cable(machine)
            _ip("netns", "add", namespace)
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", cable, "master", self._bridge, "up")
            _ip("addr", "add", f"{self.address(machine)}/24", "dev", "eth0", namespace=namespace)
            _ip("link", "set", "eth0", "up", namespace=namespace)
            _ip("link", "set", "lo", "up", namespace=namespace)

    def close(self) -> None:
        """End what runs on the machines, and remove them. Safe to repeat."""
        for machine in self.machines:
            if (Path("/run/netns") / self._namespace(machine)).exists():
                self.signal(machine, signal.SIGCONT)
                self.kill(machine)
                _ip("netns", "del", self._namespace(machine))
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "del", self._bridge)

    def command(self, machine: str, *command: str) -> list[str]:
        """Return the command that runs `command` on a machine."""
        return ["ip", "netns", "exec", self._namespace(machine), *command]

    def signal(self, machine: str, number: signal.Signals, *, of: str = "") -> None:
        """Send a signal to all processes of a machine, or to those of one program."""
        for pid in self._processes(machine):
            with contextlib.suppress(OSError):
                if of in Path(f"/proc/{pid}/comm").read_text():
                    os.kill(pid, number)

    def kill(self, machine: str) -> None:
        """End all processes of a machine, as a crash of its kernel does."""
        deadline = time.monotonic() + 20
        while self._processes(machine):
            self.signal(machine, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes of {machine} do not end")
            time.sleep(0.02)

    def unplug(self, machine: str) -> None:
        """Cut a machine off from everybody."""
        _ip("link", "set", self._cable(machine), "nomaster")

    def plug(self, machine: str) -> None:
        _ip("link", "set", self._cable(machine), "master", self._bridge)

    def sever(self, one: str, other: str) -> None:
        """Lose what two machines send each other; both still reach the rest."""
        for here, there in ((one, other), (other, one)):
            _ip(
                "neigh", "replace", self.address(there), "lladdr", _NOWHERE, "nud", "permanent", "dev", self._device(here),
                namespace=self._inside(here),
            )  # fmt: skip

    def mend(self, one: str, other: str) -> None:
        for here, there in ((one, other), (other, one)):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("neigh", "del", self.address(there), "dev", self._device(here), namespace=self._inside(here))

    def _processes(self, machine: str) -> list[int]:
        told = subprocess.run(
            ["ip", "netns", "pids", self._namespace(machine)], capture_output=True, check=False, text=True
        )
        return [int(pid) for pid in told.stdout.split() if not _is_zombie(int(pid))]

    def _namespace(self, machine: str) -> str:
        return f"{self._prefix}{machine}"

    def _cable(self, machine: str) -> str:
        return f"{self._prefix}v{machine}"

    def _device(self, machine: str) -> str:
        return self._bridge if machine == HOST else "eth0"

    def _inside(self, machine: str) -> str | None:
        return None if machine == HOST else self._namespace(machine)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _ip(*arguments: str, namespace: str | None = None) -> None:
    inside = ["-n", namespace] if namespace is not None else []
    subprocess.run(["ip", *inside, *arguments], check=True, capture_output=True)
