"""Users and keys for tests: tokens signed by hand, and an identity provider."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.serving import serving

__all__ = ["SECRET", "Provider", "bearer", "running_provider", "token"]

SECRET = "a-secret-of-at-least-32-characters"


def token(
    sub: str = "ada", *, secret: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **claims: Any
) -> str:
    now = int(time.time())
    content = {"sub": sub, "iat": now, "exp": now + 600, **claims}
    return jwt.encode({k: v for k, v in content.items() if v is not None}, secret, algorithm, headers=headers)


def bearer(sub: str = "ada", **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(sub, **claims)}", "x-server-api-key": ""}


class Provider:
    """An identity provider: RSA keys by id, published or not, reachable or not."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.published: list[dict[str, Any]] = []
        self.up = True
        self.fetches = 0
        self.url = ""

    def add(self, kid: str, *, bits: int = 2048) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.keys[kid] = key
        public = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
        self.published.append({**public, "kid": kid, "use": "sig"})

    def token(self, kid: str, sub: str = "ada", **claims: Any) -> str:
        return token(sub, secret=self.keys[kid], algorithm="RS256", headers={"kid": kid}, **claims)

    async def serve(self, _request: Request) -> Response:
        self.fetches += 1
        return JSONResponse({"keys": self.published}) if self.up else Response(status_code=503)


@asynccontextmanager
async def running_provider() -> AsyncGenerator[Provider]:
    provider = Provider()
    app = Starlette(routes=[Route("/jwks", provider.serve)])
    async with serving(uvicorn.Config(app, port=0, log_config=None)) as url:
        provider.url = f"{url}/jwks"
        yield provider
