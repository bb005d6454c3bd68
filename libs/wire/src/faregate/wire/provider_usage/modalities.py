"""Modalities of Gemini, and the canonical names of their counts."""

from collections.abc import Mapping
from typing import Any, cast

from faregate.wire.provider_usage.counts import Counts, Json, either_case

__all__ = ["add_modalities", "is_modality"]

_MODALITIES = {"TEXT": None, "AUDIO": "audio", "IMAGE": "image", "VIDEO": "video", "DOCUMENT": "image"}


def is_modality(text: str) -> bool:
    """Return whether a text is the name of a modality and nothing else."""
    return _plain(text) in _MODALITIES


def add_modalities(details: Any, pattern: str, counts: Counts) -> None:
    """Add the counts of `details` by modality; text tokens are the rest of the total."""
    if not isinstance(details, list):
        return
    for detail in cast("list[Any]", details):
        if not isinstance(detail, Mapping):
            continue
        get = either_case(cast("Json", detail))
        kind = _MODALITIES.get(_plain(str(get("modality"))))
        if kind is not None:
            counts.add(pattern.format(kind), get("tokenCount"))


def _plain(text: str) -> str:
    return text.rpartition(".")[2].upper()
