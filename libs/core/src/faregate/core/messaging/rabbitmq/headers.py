"""Conversion of received headers to a form that can be published."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from pamqp import encode

from faregate.core.logging import get_logger

__all__ = ["DROPPED", "kept_headers"]

log = get_logger(__name__)

DROPPED = "x-dropped-headers"
"""The header that names the headers that a copy had to drop."""

_BUDGET_BYTES = 64 * 1024
"""Maximum size of a publisher's headers in a copy. All properties must fit one frame (128 KiB), and copies have additional
headers.
"""

_NAMES_LIMIT = 20
_NAME_LIMIT = 100
_TEXT_LIMIT = 1_000


def kept_headers(headers: Mapping[str, Any], *, ours: AbstractSet[str]) -> dict[str, Any]:
    """Return `headers` in a form that can be published: values that AMQP can encode, the smallest first if they are too large.

    A value that pamqp decodes and cannot encode again becomes a byte array or text. `ours` are never dropped.
    """
    sized = {name: (value, len(coded)) for name, (value, coded) in ((n, _coded(v)) for n, v in headers.items())}
    kept = {name: value for name, (value, _) in sized.items() if name in ours}
    foreign = sorted((size + len(name.encode()), name) for name, (_, size) in sized.items() if name not in ours)
    left, dropped = _BUDGET_BYTES, list[str]()
    for size, name in foreign:
        left -= size
        if left < 0:
            dropped.append(name)
        else:
            kept[name] = sized[name][0]
    if dropped:
        log.warning(
            "headers_dropped", count=len(dropped), names=[name[:_NAME_LIMIT] for name in dropped[:_NAMES_LIMIT]]
        )
        kept[DROPPED] = [name[:_NAME_LIMIT] for name in dropped[:_NAMES_LIMIT]]
    return kept


def _coded(value: Any) -> tuple[Any, bytes]:
    """Return a value that can be published, and its bytes."""
    given = bytearray(value) if isinstance(value, bytes) else value
    try:
        return given, encode.encode_table_value(given)
    except Exception:  # noqa: BLE001  pamqp raises several kinds, even for values that it has decoded
        text = repr(value)[:_TEXT_LIMIT]
        return text, text.encode(errors="replace")
