"""Families of models, by their names. Pure."""

import re

from faregate.wire.model_names import canonical_model

__all__ = ["family_of"]

_SIZES = frozenset(
    (
        *("nano", "micro", "tiny", "mini", "lite", "small", "flash", "haiku", "fast", "instant"),
        *("medium", "sonnet", "plus", "turbo", "large", "pro", "opus", "max", "ultra", "premier"),
    )
)
_RELEASE = re.compile(r"latest|preview|\d{4}|\d{6}|\d{8}|\d+(x\d+)?b")
_DATE = re.compile(r"-20\d\d-\d\d-\d\d")
_PART = re.compile(r"[-:]")


def family_of(model: str, provider: str | None = None) -> str:
    """Return the name of a model without words of size, dates and numbers of parameters.

    `gpt-4o-mini` belongs to `gpt-4o`, `gemini-2.5-flash-lite` to `gemini-2.5`, `claude-haiku-4-5` to `claude-4-5`. Any other word
    (`audio`, `search`, `codex`) makes another family: such models do other work.
    """
    name = _DATE.sub("", canonical_model(model, provider)[0])
    words = [word for word in _PART.split(name) if word and word not in _SIZES and not _RELEASE.fullmatch(word)]
    return "-".join(words)
