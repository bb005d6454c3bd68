"""Texts of failures to fetch the key set of the identity provider."""

import json
import socket
import ssl
from urllib.parse import urlsplit, urlunsplit

import httpx2

__all__ = ["key_set_problem"]

_FIX = "correct FAREGATE_JWKS_URL, or mend the identity provider"


def key_set_problem(error: BaseException, url: str) -> str:
    """Return one sentence with the URL (without its user and query), what was wrong, and the fix."""
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return f"{shown}: {_reason(error)}, so users' tokens are not accepted; {_FIX}"


def _reason(error: BaseException) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"it answers with status {error.response.status_code} instead of a key set"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "the answer is not JSON"
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return "no answer in time"
    if isinstance(error, ValueError):
        return str(error)
    return _network_reason(error)


def _network_reason(error: BaseException) -> str:
    """Return the reason of the first error in the chain of causes that says one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there (connection refused)"
        cause = cause.__cause__ or cause.__context__
    return f"it cannot be fetched ({type(error).__name__})"
