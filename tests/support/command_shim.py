"""Executable `faregate` for shells: asks the command server for a process, and lives and ends as that does.

Runs without site packages (`python -IS`), so that a start takes milliseconds. Signals are passed on; if the shim itself is killed,
the server kills the process.
"""

import json
import os
import signal
import socket
import sys


def main() -> int:
    """Run the command, and return its exit code."""
    address, arguments = sys.argv[1], sys.argv[2:]
    order = {"arguments": arguments, "environment": dict(os.environ), "directory": os.getcwd()}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        socket.send_fds(server, [json.dumps(order).encode()], [0, 1, 2])
        pid = int(server.recv(20))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, lambda sent, _: os.kill(pid, sent))
        for descriptor in (0, 1, 2):
            os.close(descriptor)  # a reader sees the end of the output when the process ends
        return int(server.recv(20) or b"-9")


if __name__ == "__main__":
    code = main()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)
