"""HTTP connection to the gateway, with retries and a circuit breaker."""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any

import httpx2

from faregate.client.errors import FaregateError, InvalidError, UnavailableError, error_of
from faregate.client.transport.call import HttpCall
from faregate.client.transport.per_loop import PerLoop
from faregate.client.transport.retrying import RETRIED_STATUSES, CircuitBreaker, Retry
from faregate.wire import exact_json

__all__ = ["GatewayConnection"]


class GatewayConnection:
    """Connections to one gateway, a pool for each event loop; the circuit breaker is shared by all loops."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout_seconds: float,
        retry: Retry,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InvalidError(f"base_url must begin with http:// or https://, not {base_url[:20]!r}", param="base_url")
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            raise InvalidError("api_key must be the key as it was issued: fg_ and ASCII characters", param="api_key")
        self._retry = retry
        self._breaker = CircuitBreaker()
        self._base_url = base_url
        self._api_key = api_key
        self._timeout = httpx2.Timeout(timeout_seconds, connect=min(timeout_seconds, 2.0))
        self._transport = transport
        self._tls = httpx2.create_ssl_context() if transport is None else None
        self._pools = PerLoop(self._new_pool, httpx2.AsyncClient.aclose)
        self._closed = False

    async def post(self, call: HttpCall) -> Mapping[str, Any]:
        """Send `call` and return the answer's `data`.

        Raises:
            FaregateError: the gateway refused the call.
            UnavailableError: no usable answer within the attempts and the total time.
        """
        return await self._answer("POST", call)

    async def get(self, path: str) -> Mapping[str, Any]:
        """Read `path` and return the answer's `data`; see `post`."""
        return await self._answer("GET", HttpCall(path, None))

    async def _answer(self, method: str, call: HttpCall) -> Mapping[str, Any]:
        if self._closed:
            raise UnavailableError("this client is closed")
        if not self._breaker.admits():
            raise UnavailableError(
                "the last calls to the gateway failed; the circuit breaker is open, try again in a few seconds",
            )
        try:
            async with asyncio.timeout(self._retry.total_seconds):
                data = await self._repeated(method, call)
        except TimeoutError:
            self._breaker.failed()
            raise UnavailableError("the gateway did not answer in time") from None
        except UnavailableError:
            self._breaker.failed()
            raise
        except FaregateError:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return data

    async def aclose(self) -> None:
        """Close all connections."""
        self._closed = True
        await self._pools.aclose()
        if self._transport is not None:
            await self._transport.aclose()

    def reopen(self) -> None:
        """Accept calls again after `aclose`."""
        self._closed = False

    def _new_pool(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self._base_url,
            headers={
                "x-server-api-key": self._api_key,
                "content-type": "application/json",
                "user-agent": "faregate-client",
            },
            timeout=self._timeout,
            verify=self._tls or True,
            transport=_Shared(self._transport) if self._transport is not None else None,
        )

    async def _repeated(self, method: str, call: HttpCall) -> Mapping[str, Any]:
        pool = await self._pools.get()
        content = exact_json.dumps(call.body) if method == "POST" else None
        for attempt in count(1):
            retry_after_seconds = None
            try:
                response = await pool.request(method, call.path, content=content, headers=dict(call.headers))
                if response.is_success:
                    return _data_in(response)
                failure = error_of(response.status_code, _json_in(response))
                retry_after_seconds = _retry_after_seconds(response)
                repeat = response.status_code in RETRIED_STATUSES
            except httpx2.TransportError as error:
                failure = UnavailableError(f"the gateway cannot be reached: {error!r}")
                repeat = True
            if not repeat or attempt >= self._retry.attempts:
                raise failure
            await asyncio.sleep(self._retry.pause_seconds(attempt, retry_after_seconds=retry_after_seconds))
        raise AssertionError  # pragma: no cover  `count` does not end


class _Shared(httpx2.AsyncBaseTransport):
    """A transport that was given to the client: the pools of all loops use it, and none of them closes it."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await self._transport.handle_async_request(request)


def _json_in(response: httpx2.Response) -> Any:
    try:
        return exact_json.loads_lenient(response.content)
    except ValueError:
        return None


def _data_in(response: httpx2.Response) -> Mapping[str, Any]:
    data = exact_json.mapping(_json_in(response)).get("data")
    if not isinstance(data, Mapping):
        failure = UnavailableError(
            f"the server at {response.url} did not answer as a Faregate gateway does; check the base URL"
        )
        failure.status = response.status_code
        raise failure
    return exact_json.mapping(data)


def _retry_after_seconds(response: httpx2.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdigit() else None
