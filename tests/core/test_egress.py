"""Webhook addresses: sixty that must not be called, and those that may."""

from collections.abc import Sequence

import pytest

from faregate.core.egress import Egress, UnsafeUrlError, is_public

BAD_TEXT = [
    "", "hooks.example.com", "//example.com/x", "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com:70/_", "javascript:alert(1)",
    "https://", "https:///path", "https://user@example.com/", "https://user:pw@example.com/", "https://example.com:22/", "https://example.com:6379/", "https://example.com:99999/",
    "https://example.com:x/", "https://example.com/#a", "https://exa mple.com/", "https://example.com/\r\nHost: x", "https://example.com\\@127.0.0.1/", "https://ex\u0430mple.com/", "https://[::1", "HTTPS://example.com:80/",
]  # fmt: skip
BAD_ADDRESS = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0.0.1/", "https://0x7f000001/", "https://0/", "https://0.0.0.0/", "https://localhost/",
    "https://10.0.0.1/", "https://10.255.255.255/", "https://172.16.0.1/", "https://172.31.255.255/", "https://192.168.0.1/", "https://100.64.0.1/", "https://100.127.255.255/",
    "https://169.254.169.254/latest/meta-data/", "https://169.254.0.1/", "https://192.0.0.1/", "https://192.0.2.1/", "https://198.18.0.1/", "https://198.51.100.1/", "https://203.0.113.1/",
    "https://224.0.0.1/", "https://239.255.255.255/", "https://240.0.0.1/", "https://255.255.255.255/", "https://[::]/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[::ffff:169.254.169.254]/", "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[fec0::1]/", "https://[ff02::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/", "https://[2001:db8::1]/", "https://[::127.0.0.1]/", "https://[100::1]/",
]  # fmt: skip


def test_the_corpus_has_more_than_sixty() -> None:
    assert len({*BAD_TEXT, *BAD_ADDRESS}) >= 60


@pytest.mark.parametrize("url", BAD_TEXT)
def test_a_wrong_text_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(UnsafeUrlError):
        Egress().check(url)


@pytest.mark.parametrize("url", BAD_ADDRESS)
async def test_an_address_inside_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(UnsafeUrlError):
        await Egress().target(url)


@pytest.mark.parametrize(
    "answers", [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["93.184.215.14", "::1"], [], ["::ffff:10.0.0.1"]]
)
async def test_every_address_of_a_name_must_be_public(answers: Sequence[str]) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return answers

    with pytest.raises(UnsafeUrlError):
        await Egress(resolve=resolve).target("https://rebind.example.com/")


async def test_a_name_is_resolved_once_and_connected_to_what_was_checked() -> None:
    """A name server that answers differently the second time gains nothing: it is not asked again."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    target = await Egress(resolve=resolve).target("https://rebind.example.com:8443/hook?x=1")

    assert (target.address, target.host, target.port, asked) == (
        "93.184.215.14",
        "rebind.example.com",
        8443,
        ["rebind.example.com"],
    )


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


async def test_a_deployment_may_trust_its_own_network() -> None:
    assert (await Egress(allow_private=True).target("http://127.0.0.1:9000/x")).port == 9000
    with pytest.raises(UnsafeUrlError):
        Egress(allow_private=True).check("file:///etc/passwd")
