"""Listening sockets of servers."""

import socket

from faregate.core.errors import ConfigurationError

__all__ = ["listening_socket"]


def listening_socket(host: str, port: int, *, fix: str) -> socket.socket:
    """Return a socket bound to an address, so that a port in use is reported before anything starts.

    Raises:
        ConfigurationError: the address cannot be used; the text ends with `fix`.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(f"cannot listen on {host}:{port} ({error.strerror}); {fix}") from None
    return bound
