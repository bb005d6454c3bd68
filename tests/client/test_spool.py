"""Durability and limits of the spool."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.client.transport.outage import Outage, OutageDebts
from faregate.client.transport.spool import Entry, SettlementSpool, SpoolFullError
from faregate.wire import exact_json


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the files of every spool at the end of the test."""
    made: list[SettlementSpool] = []
    original = SettlementSpool.__init__

    def noted(self: SettlementSpool, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(SettlementSpool, "__init__", noted)
    yield
    for spool in made:
        spool.close()


def _entry(key: str, debt: str = "0") -> Entry:
    return Entry("/api/credits-process/end-multimodel", {"usage_key": key}, "chat", Decimal(debt))


def _keys(spool: SettlementSpool) -> list[str]:
    return [entry.body["usage_key"] for entry in spool.waiting()]


def test_another_process_reads_the_entries_of_a_killed_one(tmp_path: Path) -> None:
    """`os._exit` runs no exit handlers: only data on disk survives."""
    code = (
        "import os, sys; from pathlib import Path; from faregate.client.transport.spool import Entry, SettlementSpool\n"
        "spool = SettlementSpool(Path(sys.argv[1]))\n"
        "for number in range(3): spool.append(Entry('/p', {'usage_key': str(number)}))\n"
        "os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 9

    assert _keys(SettlementSpool(tmp_path)) == ["0", "1", "2"]


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(min_value=1, max_value=60), at=st.integers(min_value=0, max_value=59))
def test_only_an_incomplete_or_damaged_line_is_lost(
    cut: int, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool = SettlementSpool(directory)
    for key in ("a", "b"):
        spool.append(_entry(key))
    spool.close()
    (path,) = directory.glob("*.spool")
    whole = path.read_bytes()

    path.write_bytes(whole[:-cut])
    torn = SettlementSpool(directory)
    assert _keys(torn) == ["a"]
    torn.close()

    damaged = bytearray(whole)
    damaged[at] ^= 1
    path.write_bytes(bytes(damaged))
    assert _keys(SettlementSpool(directory)) == ["b"]


def test_two_processes_sharing_a_directory_keep_their_own_files(tmp_path: Path) -> None:
    one, other = SettlementSpool(tmp_path), SettlementSpool(tmp_path)
    one.append(_entry("mine"))

    assert other.oldest() is None
    one.close()
    segment = other.oldest()
    assert segment is not None
    assert segment.entries == (_entry("mine"),)


def test_delivered_entries_are_deleted_and_later_ones_are_kept(tmp_path: Path) -> None:
    spool = SettlementSpool(tmp_path)
    spool.append(_entry("a"))
    segment = spool.oldest()
    spool.append(_entry("b"))
    assert segment is not None
    spool.done(segment)

    assert _keys(spool) == ["b"]
    spool.close()
    assert _keys(SettlementSpool(tmp_path)) == ["b"]


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_full_spool_raises(tmp_path: Path, on_disk: bool) -> None:
    spool = SettlementSpool(tmp_path if on_disk else None, limit_bytes=300)
    spool.append(_entry("a"))
    spool.append(_entry("b"))
    with pytest.raises(SpoolFullError):
        spool.append(_entry("c"))
    segment = spool.oldest()
    assert segment is not None
    spool.done(segment)

    spool.append(_entry("c"))
    assert _keys(spool) == ["c"]


def test_permanently_refused_entries_are_stored_with_the_reason(tmp_path: Path) -> None:
    SettlementSpool(tmp_path).refuse(_entry("a"), "hold_mismatch: another user's")

    said = exact_json.loads((tmp_path / "refused.jsonl").read_bytes())
    assert said["reason"] == "hold_mismatch: another user's"
    assert said["body"] == {"usage_key": "a"}


def test_only_the_owner_may_read_the_spool(tmp_path: Path) -> None:
    """Settlements hold user ids."""
    spool = SettlementSpool(tmp_path / "spool")
    spool.append(_entry("a"))

    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


@given(
    limit=st.decimals(min_value=0, max_value=50, places=6),
    estimates=st.lists(st.none() | st.decimals(min_value=0, max_value=20, places=6), max_size=12),
    settled=st.sets(st.integers(min_value=0, max_value=11)),
)
def test_the_debt_never_exceeds_its_limit(limit: Decimal, estimates: list[Decimal | None], settled: set[int]) -> None:
    book = OutageDebts({"chat": Outage.open(debt_limit_credits=limit, credits_per_use=1)})
    for number, estimate in enumerate(estimates):
        before = book.total("chat")
        admitted = book.admit("chat", str(number), estimate)
        wanted = Decimal(1) if estimate is None else estimate
        assert admitted == (limit > 0 and before + wanted <= limit)
        assert book.total("chat") == before + (wanted if admitted else 0) <= max(limit, Decimal(0))
        if number in settled:
            book.settled(str(number))
            assert book.of(str(number)) == 0
    assert not book.admit("paper", "p", None)


def test_debts_in_the_spool_count_after_a_restart(tmp_path: Path) -> None:
    spool = SettlementSpool(tmp_path)
    spool.append(_entry("a", debt="2.5"))
    spool.close()

    owed = [(entry.body["usage_key"], entry.feature, entry.debt) for entry in SettlementSpool(tmp_path).waiting()]
    book = OutageDebts({"chat": Outage.open(debt_limit_credits=3)}, owed)
    assert book.total("chat") == Decimal("2.5")
    assert not book.admit("chat", "b", Decimal(1))
