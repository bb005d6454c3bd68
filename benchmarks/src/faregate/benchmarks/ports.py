"""Ports for servers that benchmarks and tests start."""

import os
import socket
from contextlib import suppress
from itertools import count

__all__ = ["free_port"]

_FIRST, _PORTS, _PORTS_OF_PROCESS = 15_000, 17_000, 61
_numbers = count()


def free_port() -> int:
    """Return an unused port of the loopback interface.

    It is not one of those that the system gives away, and processes that ask at the same time get different ones: until its
    server listens, somebody else's could.
    """
    while True:
        port = _FIRST + (os.getpid() * _PORTS_OF_PROCESS + next(_numbers)) % _PORTS
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
