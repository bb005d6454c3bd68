"""SSRF guard: a hundred addresses that must not be called, and addresses that may."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from faregate.core.webhooks.egress import Egress, UnsafeUrlError
from faregate.core.webhooks.special_addresses import METADATA, SPECIAL, is_metadata, is_public

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
    "https://192.0.0.192/", "https://168.63.129.16/", "https://[3fff::1]/", "https://[2001:0:7f00:1::]/", "https://[2001:db8::1]/", "https://[::127.0.0.1]/", "https://[100::1]/",
]  # fmt: skip


CARRIED = [
    ("::ffff:{0}", "IPv4-mapped"), ("::{0}", "IPv4-compatible"), ("64:ff9b::{0}", "NAT64"), ("64:ff9b:1::{0}", "NAT64 of local use"),
    ("64:ff9b:1:{1}:{2}:{3}00::", "NAT64 of local use, RFC 6052"), ("2002:{1}:{4}::1", "6to4"), ("2001:0:{1}:{4}::1", "Teredo server"),
]  # fmt: skip


def carried(form: str, inner: str) -> str:
    """Write an IPv4 address as part of an IPv6 address."""
    one, two = inner_groups = [f"{int(ip_address(inner)) >> shift & 0xFFFF:04x}" for shift in (16, 0)]
    assert len(inner_groups) == 2
    return form.format(inner, one, f"00{two[:2]}", two[2:], two)


@pytest.mark.parametrize("url", BAD_TEXT)
def test_an_invalid_url_is_refused_before_the_name_is_resolved(url: str) -> None:
    with pytest.raises(UnsafeUrlError):
        Egress().check(url)


@pytest.mark.parametrize("url", BAD_ADDRESS)
async def test_a_private_address_is_refused_in_every_notation(url: str) -> None:
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


async def test_a_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    """A name server that gives a different second answer has no effect: it is not asked again."""
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


PUBLIC = [
    "93.184.215.14", "8.8.8.8", "192.0.1.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "223.255.255.255", "168.63.129.15",
    "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2001:4860:4860::8888", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    """Also with the prefix of a translator (NAT64), which networks without IPv4 use."""
    assert is_public(address)
    assert not is_metadata(address)


@pytest.mark.parametrize("block", [block for block, _ in (*SPECIAL, *METADATA)])
def test_no_address_of_a_registered_block_is_public(block: str) -> None:
    network = ip_network(block)
    for address in {network[0], network[1 % network.num_addresses], network[network.num_addresses // 2], network[-1]}:
        assert not is_public(str(address))


@pytest.mark.parametrize("address", ["192.0.0.192", "168.63.129.16", "3fff::1", "3fff:fff::1", "192.88.99.2", "5f00::1",
                                     "100:0:0:1::1", "64:ff9b:1::808:808", "2002:808:808::1", "192.0.0.9", "4000::1", "::8.8.8.8",
                                     "", "localhost", "1.2.3", "fe80::1%eth0"])  # fmt: skip
def test_addresses_that_python_wrongly_calls_public_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "inner", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "168.63.129.16", "192.0.0.192", "100.100.100.200"]
)
@pytest.mark.parametrize(("form", "kind"), CARRIED, ids=[kind for _, kind in CARRIED])
def test_an_ipv4_address_inside_an_ipv6_address_is_found(form: str, kind: str, inner: str) -> None:
    address = carried(form, inner)

    assert not is_public(address), kind
    assert is_metadata(address) == (inner not in {"127.0.0.1", "10.1.2.3"}), kind


def test_the_obfuscated_client_of_a_teredo_address_is_found() -> None:
    assert is_metadata("2001:0:808:808:0:0:5601:5601")  # 169.254.169.254, inverted


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.170.2"])
async def test_the_metadata_service_of_a_cloud_is_never_called(address: str) -> None:
    """Not even if private networks are allowed: it would return the machine's own credentials."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ["10.0.0.7", address]

    with pytest.raises(UnsafeUrlError, match="metadata"):
        await Egress(allow_private=True, resolve=resolve).target("http://hooks.internal/")


async def test_a_deployment_may_allow_private_networks() -> None:
    assert (await Egress(allow_private=True).target("http://127.0.0.1:9000/x")).port == 9000
    with pytest.raises(UnsafeUrlError):
        Egress(allow_private=True).check("file:///etc/passwd")
