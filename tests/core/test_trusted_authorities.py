"""Authorities that clients of HTTP trust."""

from pathlib import Path

import httpx2
import pytest
from pytest_mock import MockerFixture

from faregate.core.runtime.trusted_authorities import trusted_authorities
from support.certificates import make_certificate


async def test_each_file_of_authorities_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture
) -> None:
    read = mocker.spy(httpx2, "create_ssl_context")
    found = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv("SSL_CERT_FILE", str(make_certificate(tmp_path / name).certificate))
        found.append([await trusted_authorities() for _ in range(3)])
    (one, *ones), (other, *others) = found

    assert all(each is one for each in ones)
    assert all(each is other for each in others)
    assert [len(each.get_ca_certs()) for each in (one, other)] == [1, 1]
    assert one is not other
    assert read.call_count == 2
