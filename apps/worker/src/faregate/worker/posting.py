"""HTTP posts to checked addresses."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from faregate.core.runtime.trusted_authorities import trusted_authorities
from faregate.core.webhooks.egress import Egress, Target

if TYPE_CHECKING:
    import httpx2

__all__ = ["PostError", "Poster"]


class PostError(Exception):
    """The receiver did not answer; the message says why."""


class Poster:
    """Posts to the address that `egress` has checked, with the host name of the URL.

    Redirects are not followed, proxies of the environment are not used, and only the status of the answer is read.
    """

    def __init__(self, egress: Egress, *, timeout_seconds: float) -> None:
        self._egress = egress
        self._timeout_seconds = timeout_seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Return the status of the receiver's answer.

        Raises:
            UnsafeUrlError: the address must not be called. PostError: there was no answer in time.
        """
        import httpx2  # slow to import, and needed only to post

        try:
            async with asyncio.timeout(self._timeout_seconds):
                trusted = await trusted_authorities()
                target = await self._egress.target(url)
                return await self._post(target, body, headers, trusted)
        except TimeoutError:
            raise PostError(f"no answer within {self._timeout_seconds:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as failure:
            raise PostError(type(failure).__name__) from failure

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str], trusted: ssl.SSLContext) -> int:
        import httpx2

        given = httpx2.URL(target.url)
        port = f":{target.port}" if given.port is not None else ""
        sent = {"host": f"{target.host}{port}", "content-type": "application/json", "user-agent": "Faregate", **headers}
        async with (
            self._client(trusted) as http,
            http.stream(
                "POST",
                given.copy_with(host=target.address),
                content=body,
                headers=sent,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            return answer.status_code

    def _client(self, trusted: ssl.SSLContext) -> "httpx2.AsyncClient":
        import httpx2

        return httpx2.AsyncClient(
            verify=trusted, timeout=self._timeout_seconds, follow_redirects=False, trust_env=False
        )
