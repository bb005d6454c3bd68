"""Calls to a gateway, and the seam that makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["HttpCall", "IGateway"]


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One POST to the gateway; safe to repeat, because its body names the id of what it creates."""

    path: str
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class IGateway(Protocol):
    """Something that answers the calls of the credits process: a gateway over HTTP, or the libraries in this process."""

    async def post(self, call: HttpCall) -> Mapping[str, Any]:
        """Return the `data` of the answer.

        Raises:
            FaregateError: the call was refused.
            UnavailableError: there was no usable answer; the call may be repeated.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
