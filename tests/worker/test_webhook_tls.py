"""Webhooks over TLS: sent to the checked address, with the host name of the URL, only if the certificate is valid for it."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from faregate.core.clock import SystemClock
from faregate.core.webhooks import egress
from faregate.core.webhooks.egress import Egress
from faregate.worker import posting
from faregate.worker.webhooks import WebhookDeliverer
from support.apps import Gateway, open_gateway, settings_for
from support.certificates import Certificate, make_certificate

NAME = "hooks.example.com"


class TlsReceiver:
    """Records the requested server name and the headers of each post."""

    def __init__(self, own: Certificate) -> None:
        self.names: list[str | None] = []
        self.heads: list[str] = []
        self.port = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(own.certificate, own.key)
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(own: Certificate) -> AsyncGenerator[TlsReceiver]:
    receiver = TlsReceiver(own)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=receiver.context)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Resolve the name, which no other resolver knows; return the lookups."""
    names: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        names.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(egress, "_resolve", resolve)
    return names


async def deliver(gateway: Gateway, port: int) -> Any:
    """Send one event to the name; return its entry in the log of deliveries."""
    body = {"url": f"https://{NAME}:{port}/hook", "events": ["credits.low"]}
    made = (await gateway.post("/api/webhooks", body)).data
    await gateway.put("/api/wallets/ada", {"low_balance": 5})
    await gateway.grant("ada", 10)
    await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
    await WebhookDeliverer(gateway.database, Egress(allow_private=True), SystemClock()).deliver_due()
    (delivery,) = (await gateway.get(f"/api/webhooks/{made['id']}/deliveries")).data
    return delivery


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Return a certificate that is the only one this process trusts."""
    own = make_certificate(tmp_path, NAME)
    trust(own, monkeypatch)
    return own


def trust(own: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trusted() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(own.certificate))

    monkeypatch.setattr(posting, "trusted_authorities", trusted)


async def test_it_connects_to_the_checked_address_with_the_host_name_of_the_url(
    database_url: str, trusted: Certificate, asked: list[str]
) -> None:
    async with (
        open_gateway(settings_for(database_url, webhook_allow_private=True)) as gateway,
        receiving(trusted) as receiver,
    ):
        delivery = await deliver(gateway, receiver.port)

        assert (delivery["status"], receiver.names) == ("delivered", [NAME])
        assert asked == [NAME] * 2  # once at creation, and once for the delivery
        assert f"\r\nhost: {NAME}:{receiver.port}\r\n" in receiver.heads[0].lower()


@pytest.mark.parametrize("name", [NAME, "other.example.com"])
async def test_a_receiver_without_a_trusted_certificate_gets_nothing(
    database_url: str, trusted: Certificate, tmp_path: Path, name: str
) -> None:
    assert trusted.certificate.exists()
    (tmp_path / "theirs").mkdir()
    async with (
        open_gateway(settings_for(database_url, webhook_allow_private=True)) as gateway,
        receiving(make_certificate(tmp_path / "theirs", name)) as receiver,
    ):
        delivery = await deliver(gateway, receiver.port)

        assert (delivery["status"], receiver.heads) == ("pending", [])


async def test_a_receiver_with_a_certificate_of_another_name_gets_nothing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_certificate(tmp_path, "other.example.com")
    trust(own, monkeypatch)
    async with (
        open_gateway(settings_for(database_url, webhook_allow_private=True)) as gateway,
        receiving(own) as receiver,
    ):
        delivery = await deliver(gateway, receiver.port)

        assert (delivery["status"], receiver.heads) == ("pending", [])
