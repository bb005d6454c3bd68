"""Model names without the path that Google's APIs put before them."""

__all__ = ["plain_model"]


def plain_model(name: str) -> str:
    """Return `gemini-2.5-pro` for `models/gemini-2.5-pro` and `publishers/google/models/gemini-2.5-pro`."""
    head, found, rest = name.rpartition("models/")
    return rest if found and rest and (not head or head.endswith("/")) else name
