"""Rotations and failures of the identity provider: known keys stay valid for a bounded time, and no answer causes an outage."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import configure_logging
from faregate.gateway.errors import UnauthenticatedError
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.security.tokens import TokenRules, Tokens
from support.apps import open_gateway, settings_for
from support.people import token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def published(key: Any, kid: Any, **more: Any) -> dict[str, Any]:
    algorithm: Any = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, **more}


GOOD = published(RSA, "one")


class Liar:
    """Answers each request with the bytes that are set, after `pause`."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = b""
        self.pause = 0.0
        self.asked = 0
        self.publish(GOOD)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.say(json.dumps({"keys": keys}).encode())

    def say(self, body: bytes, status: str = "200 OK", more: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n"
        self.answer = head.encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            if not self.pause:
                writer.write(self.answer)
                await writer.drain()
            for number in range(len(self.answer) if self.pause else 0):
                writer.write(self.answer[number : number + 1])
                await writer.drain()
                await asyncio.sleep(self.pause)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def lying() -> AsyncGenerator[Liar]:
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    try:
        yield liar
    finally:
        server.close()


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    async with lying() as liar:
        yield liar


def tokens(liar: Liar, **options: Any) -> Tokens:
    given = {"cool_down_seconds": 0, "refresh_seconds": 0, "timeout_seconds": 1.5, **options}
    return Tokens(KeySet(liar.url, **given), TokenRules(["RS256", "ES256"]))


def signed(key: Any = RSA, kid: Any = "one", algorithm: str = "RS256") -> str:
    return token("ada", secret=key, algorithm=algorithm, headers={"kid": kid})


async def is_accepted(known: Tokens, text: str) -> bool:
    try:
        return (await known.principal(text)).user_id == "ada"
    except UnauthenticatedError:
        return False


LIES: dict[str, Callable[[Liar], None]] = {
    "HTML": lambda liar: liar.say(b"<html>sign in</html>"),
    "a redirect": lambda liar: liar.say(b"", "302 Found", "location: http://127.0.0.1:1/\r\n"),
    "an error": lambda liar: liar.say(b"{}", "500 Internal Server Error"),
    "no object": lambda liar: liar.say(b"[]"),
    "no keys": lambda liar: liar.publish(),
    "keys of no use": lambda liar: liar.publish(
        {"kty": "oct", "k": "AAAA", "kid": "one"}, {"kty": "RSA", "kid": "one"}
    ),
    "keys of wrong types": lambda liar: liar.say(b'{"keys": [1, null, "x", [], {"kid": []}, {"kty": 7}]}'),
    "no list of keys": lambda liar: liar.say(b'{"keys": {"one": 1}}'),
    "nested without end": lambda liar: liar.say(b"[" * 200_000),
    "a long number": lambda liar: liar.say(b'{"keys": ' + b"9" * 10_000 + b"}"),
    "too large": lambda liar: liar.say(b" " * 1_000_000 + b'{"keys": []}'),
    "no UTF-8": lambda liar: liar.say(b'{"keys": "\xff"}'),
    "another protocol": lambda liar: setattr(liar, "answer", b"SSH-2.0-OpenSSH_9.6\r\n"),
    "nothing": lambda liar: setattr(liar, "answer", b""),
    "a trickle": lambda liar: setattr(liar, "pause", 0.05),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_known_keys_stay_valid_and_unknown_ones_are_refused_whatever_the_provider_answers(
    liar: Liar, lie: Callable[[Liar], None]
) -> None:
    known = tokens(liar)
    assert await is_accepted(known, signed())
    lie(liar)
    began = monotonic()

    assert not await is_accepted(known, signed(OTHER, "two"))
    assert await is_accepted(known, signed())
    assert monotonic() - began < 6


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_without_a_first_valid_answer_people_get_a_retryable_error(
    liar: Liar, lie: Callable[[Liar], None]
) -> None:
    lie(liar)
    with pytest.raises(EngineUnavailableError):
        await tokens(liar).principal(signed())


async def test_a_withdrawn_key_is_refused_once_the_keys_are_fetched_again(liar: Liar) -> None:
    known = tokens(liar)
    assert await is_accepted(known, signed())
    liar.publish(published(OTHER, "two"))
    assert await is_accepted(known, signed(OTHER, "two"))

    assert not await is_accepted(known, signed())


async def test_keys_stay_valid_for_a_bounded_time_while_fetches_fail(liar: Liar) -> None:
    known = tokens(liar, kept_seconds=0.2)
    assert await is_accepted(known, signed())
    liar.say(b"", "500 Internal Server Error")
    assert await is_accepted(known, signed())
    async with asyncio.timeout(5):
        with pytest.raises(EngineUnavailableError):
            while True:
                await known.principal(signed())
                await asyncio.sleep(0.02)


async def test_a_flood_of_unknown_ids_delays_a_rotation_by_at_most_the_pause(liar: Liar) -> None:
    """Tokens with a known key do not wait for the fetch."""
    known = tokens(liar, cool_down_seconds=0.3)
    assert await is_accepted(known, signed())
    liar.publish(GOOD, published(OTHER, "two"))
    async with asyncio.timeout(5):
        while not await is_accepted(known, signed(OTHER, "two")):
            for number in range(50):
                assert not await is_accepted(known, signed(OTHER, f"made-up-{number}"))
            assert await is_accepted(known, signed())

    assert liar.asked <= 4


async def test_rsa_and_ec_keys_can_be_published_together_and_are_not_confused(liar: Liar) -> None:
    liar.publish(GOOD, published(EC, "ec"))
    known = tokens(liar)

    assert await is_accepted(known, signed())
    assert await is_accepted(known, signed(EC, "ec", "ES256"))
    assert not await is_accepted(known, signed(EC, "one", "ES256"))
    assert not await is_accepted(known, signed(RSA, "ec"))
    assert not await is_accepted(known, token("ada", secret=RSA, algorithm="RS256")), "two keys, and none named"


@pytest.mark.parametrize(
    "entry",
    [
        published(RSA, "one", alg="HS256"),
        published(RSA, "one", alg="none"),
        published(RSA, "one", use="enc"),
        published(RSA, ["one"]),
        published(rsa.generate_private_key(public_exponent=65537, key_size=1024), "one"),  # noqa: S505
    ],
)
async def test_a_key_that_is_not_for_signatures_is_ignored(liar: Liar, entry: dict[str, Any]) -> None:
    liar.publish(published(OTHER, "two"), entry)

    assert not await is_accepted(tokens(liar), signed())


async def test_a_published_private_key_does_not_invalidate_the_others(liar: Liar) -> None:
    liar.publish({**json.loads(RSAAlgorithm.to_jwk(RSA)), "kid": "one"})

    assert await is_accepted(tokens(liar), signed())


@pytest.mark.parametrize("header", [b"[" * 9_000, b'{"alg":' * 1_500, b'{"alg":"RS256","kid":{"a":1}}', b"\xff", b""])
async def test_a_malicious_token_header_is_refused(liar: Liar, header: bytes) -> None:
    text = base64.urlsafe_b64encode(header).decode().rstrip("=")

    assert not await is_accepted(tokens(liar), f"{text}.e30.c2ln")


async def test_a_key_set_that_cannot_be_used_is_reported_once_with_the_fix(liar: Liar) -> None:
    good = await KeySet(liar.url).check()
    liar.say(b"<html>")
    with pytest.raises(EngineUnavailableError) as refused:
        await KeySet(liar.url.replace("http://", "http://user:hunter2@") + "?token=hunter2").check()

    assert good == 1
    assert refused.value.detail == (
        f"{liar.url}: the answer is not JSON, so users' tokens are not accepted; correct FAREGATE_JWKS_URL, or mend the identity "
        "provider"
    )


async def test_a_gateway_starts_without_its_identity_provider_and_logs_why(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(style="json", level="warning")
    async with open_gateway(settings_for(database_url, jwks_url="http://127.0.0.1:1/jwks")) as gateway:
        said = ""
        async with asyncio.timeout(20):
            while "jwks_unusable" not in said:
                assert (await gateway.get("/healthz")).status == 200
                said += "".join(capsys.readouterr())
                await asyncio.sleep(0.01)

    assert "nothing listens there (connection refused)" in said
