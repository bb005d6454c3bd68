"""Files with secrets are readable by their owner only, whatever the umask and old mode."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from faregate.analytics.quotas.log_channel import FileChannel
from faregate.client.transport.spool import Entry, SettlementSpool
from faregate.core.runtime.private_files import make_private_directory, private_file
from faregate.usage.events.event import UsageEvent
from faregate.usage.events.spool import EventSpool


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private(tmp_path: Path) -> None:
    with private_file(tmp_path / "new") as file:
        file.write(b"secret")

    assert _mode(tmp_path / "new") == 0o600
    assert (tmp_path / "new").read_bytes() == b"secret"


def test_an_open_file_is_made_private_and_kept_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"one")
    path.chmod(0o666)
    with private_file(path, append=True) as file:
        file.write(b"two")
    kept = path.read_bytes()
    with private_file(path) as file:
        file.write(b"three")

    assert (kept, path.read_bytes(), _mode(path)) == (b"onetwo", b"three", 0o600)


def test_an_exclusive_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").touch()

    with pytest.raises(FileExistsError):
        private_file(tmp_path / "there", exclusive=True)


def test_created_directories_are_private_and_existing_ones_keep_their_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")
    make_private_directory(tmp_path)

    assert [_mode(path) for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o700, 0o700]


def test_the_alert_log_is_private(tmp_path: Path) -> None:
    FileChannel(tmp_path / "logs" / "alerts.log")._append(b"{}\n")

    assert (_mode(tmp_path / "logs"), _mode(tmp_path / "logs" / "alerts.log")) == (0o700, 0o600)


def test_the_spool_of_usage_events_is_private(tmp_path: Path) -> None:
    EventSpool(tmp_path / "spool").add([UsageEvent(user_id="ada", meter="api", quantity=1)])

    (file,) = (tmp_path / "spool").iterdir()
    assert (_mode(tmp_path / "spool"), _mode(file)) == (0o700, 0o600)


def test_the_spool_of_the_client_and_its_refused_entries_are_private(tmp_path: Path) -> None:
    spool, entry = SettlementSpool(tmp_path / "spool"), Entry("/api/x", {"user_id": "ada"})
    spool.append(entry)
    spool.refuse(entry, "no")
    spool.close()

    assert {_mode(file) for file in (tmp_path / "spool").iterdir()} == {0o600}
