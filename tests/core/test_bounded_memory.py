"""In-memory caches are bounded by bytes, however long the callers' names are."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from faregate.core.redaction.records import Redactor, looks_like_credential
from faregate.core.redaction.scrubbing import clean_metadata, is_credential
from faregate.core.redaction.secret_names import secrecy_of
from faregate.core.runtime.bounded_memory import BoundedCache, bounded_cache
from faregate.feature_log.routes import endpoint_template
from faregate.feature_log.sealing import Sealer
from faregate.usage.tracking.visitors import device_of

_REDACTOR = Redactor()
_SEALER = Sealer()

POURED: list[tuple[str, Callable[[str], object]]] = [
    ("secrecy_of", secrecy_of),
    ("redaction", lambda name: _REDACTOR.value({name: 1})),
    ("metadata", lambda name: clean_metadata({name: 1})),
    ("is_credential", is_credential),
    ("looks_like_credential", looks_like_credential),
    ("endpoint_template", lambda name: endpoint_template(f"/a/{name}", "ada")),
    ("index of e-mails", _SEALER.index),
    ("user agents", device_of),
]


def _names(count: int, length: int) -> Iterator[str]:
    return (f"{number} ".ljust(length, "x") for number in range(count))


@pytest.mark.parametrize("pour", [pytest.param(pour, id=name) for name, pour in POURED])
def test_distinct_large_names_take_little_memory(pour: Callable[[str], object]) -> None:
    """200 names of 250 kB, 50 MB together."""
    pour("warm")
    tracemalloc.start()
    for name in _names(200, 250_000):
        pour(name)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2_000_000


def test_the_cache_is_cleared_before_it_exceeds_its_bytes() -> None:
    """Also with keys of several parts; an entry larger than the bound is not stored."""
    memory: BoundedCache[tuple[str, str | None], int] = BoundedCache(limit_bytes=100_000, entries=1000)
    for number, name in enumerate(_names(5000, 900)):
        memory[name, None] = number
        assert memory.get((name, None)) == number
        assert memory.size_bytes <= 100_000
    memory["y" * 200_000, None] = 1

    assert memory.get(("y" * 200_000, None)) is None


def test_the_cache_holds_at_most_its_number_of_entries() -> None:
    memory: BoundedCache[int, str] = BoundedCache(limit_bytes=10**9, entries=10)
    memory.update(dict.fromkeys(range(1000), "x"))

    assert len(memory) <= 10


def test_results_for_long_texts_are_not_cached() -> None:
    asked: list[str] = []

    @bounded_cache(entries=10, longest=5)
    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    assert [length("abc"), length("abc"), length("abcdefg"), length("abcdefg")] == [3, 3, 7, 7]
    assert asked == ["abc", "abcdefg", "abcdefg"]
