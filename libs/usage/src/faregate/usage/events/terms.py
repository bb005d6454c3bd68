"""Values that events must not have: negative amounts, reserved sources. Pure."""

import re
from typing import Any
from unicodedata import normalize

from faregate.core.errors import InvalidError

__all__ = ["CORRECT_IT", "NOT_NEGATIVE", "RESERVED", "check_source", "is_reserved"]

CORRECT_IT = "to take back or lower what was counted, correct its event: POST /api/usage-events/corrections"
NOT_NEGATIVE = f"must be 0 or more; {CORRECT_IT}"

_PREFIX = "faregate:"
RESERVED = (
    f"names a reserved source: no source may begin with '{_PREFIX}', in any case. Send the event under a "
    "source of yours"
)
_CORRECTED_BY_MONEY = (
    "the events of a use follow its charge and cannot be corrected; change the charge instead: "
    "POST /api/transactions/{transaction_id}/refund, or POST /api/wallets/{owner_id}/adjustments"
)
_SPACES = re.compile(r"\s+")


def is_reserved(source: Any) -> bool:
    """Tell whether a source begins with the reserved prefix, or with something that looks like it.

    Case, spaces and other forms of the same letters (full width) are ignored.
    """
    if not isinstance(source, str) or ":" not in (plain := source if source.isascii() else normalize("NFKC", source)):
        return False
    return _SPACES.sub("", plain).casefold().startswith(_PREFIX)


def check_source(source: str | None) -> None:
    """Refuse a correction of an event with a reserved source.

    Raises:
        InvalidError: the source is reserved; the charge must be refunded or adjusted instead.
    """
    if is_reserved(source):
        raise InvalidError(_CORRECTED_BY_MONEY, param="source")
