"""Prefilter for secret patterns: one pass finds all hints.

A hint is a text without which its pattern cannot match. Nearly all texts have none, so their patterns are never tried; skipping
a pattern does not change the result.
"""

from collections.abc import Sequence

from ahocorasick_rs import AhoCorasick, Implementation

from faregate.core.redaction.secret_values import SecretPattern

__all__ = ["Hints"]

_LONG_WORD = 12
_DIGIT, _CAPITAL, _OTHER = b"0Aa"
_SHAPE = bytes(_DIGIT if chr(n) in "0123456789 .-" else _CAPITAL if chr(n).isupper() else _OTHER for n in range(128))
_SHAPES = _SHAPE + bytes([_OTHER]) * 128


class Hints:
    """The hints of some patterns."""

    def __init__(self, patterns: Sequence[SecretPattern]) -> None:
        self.patterns = tuple(patterns)
        self._words = sorted({hint for pattern in patterns for hint in pattern.hints})
        self._automaton = AhoCorasick(self._words, implementation=Implementation.DFA)
        self._unhinted = tuple(pattern for pattern in patterns if not pattern.hints)

    def candidates(self, text: str) -> Sequence[SecretPattern]:
        """Return the patterns that may find something in `text`, in their order."""
        lowered = text.lower() if text.isascii() else _lowered(text)
        matches = self._find(lowered)
        shape = text.encode().translate(_SHAPES) if text.isascii() else None
        worth = [pattern for pattern in self._unhinted if _has_shape(pattern, text, shape)]
        if not matches and not worth:
            return ()
        found = {self._words[number] for number, _, _ in matches}
        return [pattern for pattern in self.patterns if pattern in worth or _is_hinted(pattern, found, lowered)]

    def _find(self, lowered: str) -> Sequence[tuple[int, int, int]]:
        try:
            return self._automaton.find_matches_as_indexes(lowered, overlapping=True)
        except UnicodeEncodeError:  # an unpaired surrogate
            return self._find(lowered.encode(errors="replace").decode())


def _lowered(text: str) -> str:
    """Replace all letters that a case-insensitive expression matches with `i`, `k` or `s` by these."""
    return text.casefold().replace("\u0131", "i").replace("i\u0307", "i")


def _has_shape(pattern: SecretPattern, text: str, shape: bytes | None) -> bool:
    if shape is not None and pattern.shape not in shape:
        return False
    return (pattern.look or pattern.expression).search(text) is not None


def _is_hinted(pattern: SecretPattern, found: set[str], lowered: str) -> bool:
    hints = [hint for hint in pattern.hints if hint in found]
    if not hints or (pattern.also and not any(hint in lowered for hint in pattern.also)):
        return False
    if not pattern.unbroken:
        return True
    words = " ".join([word for word in lowered.split() if len(word) >= _LONG_WORD])
    return any(hint in words for hint in hints)
