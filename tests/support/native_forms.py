"""Usage as providers and frameworks report it: what the gateway and the client must read alike."""

from typing import Any

OPENAI_CHAT: dict[str, Any] = {
    "model": "gpt-4o",
    "service_tier": "flex",
    "choices": [{"message": {"content": "secret"}}],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "total_tokens": 1300,
        "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 200},
    },
}
OPENAI_RESPONSES: dict[str, Any] = {
    "object": "response",
    "model": "gpt-5",
    "usage": {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 800},
        "output_tokens": 300,
        "output_tokens_details": {"reasoning_tokens": 200},
    },
}
ANTHROPIC: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 7,
        "server_tool_use": {"web_search_requests": 2},
        "service_tier": "standard",
    },
}
GEMINI: dict[str, Any] = {
    "modelVersion": "gemini-2.5-pro",
    "usageMetadata": {
        "promptTokenCount": 1000,
        "candidatesTokenCount": 100,
        "thoughtsTokenCount": 200,
        "cachedContentTokenCount": 600,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 900}, {"modality": "AUDIO", "tokenCount": 100}],
    },
}
BEDROCK: dict[str, Any] = {
    "usage": {"inputTokens": 10, "outputTokens": 7, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 50}
}
LITELLM: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "custom_llm_provider": "anthropic",
    "response_cost": 0,
    "usage": {
        "prompt_tokens": 160,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 100},
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
    },
}
LANGCHAIN: dict[str, Any] = {
    "response_metadata": {"model_name": "gpt-4o"},
    "usage_metadata": {
        "input_tokens": 1000,
        "output_tokens": 300,
        "total_tokens": 1300,
        "input_token_details": {"cache_read": 800, "cache_creation": 50},
        "output_token_details": {"reasoning": 200},
    },
}
PYDANTIC_AI: dict[str, Any] = {
    "input_tokens": 1000,
    "output_tokens": 300,
    "cache_read_tokens": 800,
    "details": {"reasoning_tokens": 200},
}
OTEL_NEW: dict[str, Any] = {
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.usage.cache_read.input_tokens": 800,
    "gen_ai.usage.cache_write.input_tokens": 50,
}
OTEL_OLD: dict[str, Any] = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.completion_tokens": 300,
    "gen_ai.usage.cache_creation.input_tokens": 50,
}

FORMS = {name: form for name, form in vars().items() if name.isupper()}
"""Each form by its name."""
