"""Canonical names of models and providers. Pure."""

from functools import lru_cache

__all__ = ["canonical_model", "canonical_provider", "plain_model"]

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "groq": "groq",
    "mistral": "mistral",
    "mistralai": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "vertex_ai": "google",
    "x-ai": "x-ai",
    "xai": "x-ai",
}
"""Providers by the prefixes of model names, as in `openai/gpt-4o` or `openai:gpt-4o`."""

_MODEL_PATH_OWNER = "publishers/"


def plain_model(name: str) -> str:
    """Return `gemini-2.5-pro` for `models/gemini-2.5-pro` and `publishers/google/models/gemini-2.5-pro`."""
    head, found, rest = name.rpartition("models/")
    return rest if found and rest and (not head or head.endswith("/")) else name


def canonical_provider(provider: str) -> str:
    """Return the canonical name of a provider: in lower case, and `google` for `gemini` or `vertex_ai`."""
    name = provider.strip().lower()
    return _PROVIDERS.get(name, name)


@lru_cache(maxsize=4096)
def canonical_model(model: str, provider: str | None = None) -> tuple[str, str | None]:
    """Return the canonical name of a model, and its provider: `provider` if given, else the prefix of the name.

    Case and a provider or API path before the name are ignored: `GPT-4o`, `openai/gpt-4o` and `models/gpt-4o` are
    `gpt-4o`. A suffix (a date, a variant) makes a different model.
    """
    name = model.strip().lower()
    bare = plain_model(name)
    named = _owner_of_path(name) if bare != name else None
    while (found := _prefixed(bare)) is not None:
        owner, bare = found
        named = named or owner
    return bare, canonical_provider(provider) if provider else named


def _owner_of_path(name: str) -> str | None:
    _, found, rest = name.partition(_MODEL_PATH_OWNER)
    return _PROVIDERS.get(rest.partition("/")[0]) if found else None


def _prefixed(name: str) -> tuple[str, str] | None:
    for mark in "/:":
        prefix, found, rest = name.partition(mark)
        if found and rest and prefix in _PROVIDERS:
            return _PROVIDERS[prefix], plain_model(rest)
    return None
