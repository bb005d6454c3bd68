"""Usage objects of providers and frameworks, for gateway and client tests.

Gateway and client must read them in the same way.
"""

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

GEMINI_LIVE: dict[str, Any] = {
    "model": "models/gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 200,
        "responseTokenCount": 4700,
        "totalTokenCount": 4900,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 200}],
        "responseTokensDetails": [{"modality": "TEXT", "tokenCount": 4700}],
    },
}
XAI: dict[str, Any] = {
    "model": "grok-4-0709",
    "usage": {
        "prompt_tokens": 30,
        "completion_tokens": 300,
        "total_tokens": 830,
        "completion_tokens_details": {"reasoning_tokens": 500, "audio_tokens": 0},
        "num_sources_used": 0,
    },
}
VERCEL_4: dict[str, Any] = {
    "model": "gpt-5",
    "usage": {"promptTokens": 10_000, "completionTokens": 500, "totalTokens": 10_500},
    "providerMetadata": {
        "openai": {"reasoningTokens": 200, "cachedPromptTokens": 8_000, "logprobs": [{"token": "secret"}]}
    },
}
VERCEL_4_ANTHROPIC: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "usage": {"promptTokens": 10, "completionTokens": 7, "totalTokens": 17},
    "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 50, "cacheReadInputTokens": 100}},
}
VERCEL_4_BEDROCK: dict[str, Any] = {
    "usage": {"promptTokens": 10, "completionTokens": 7, "totalTokens": 17},
    "experimental_providerMetadata": {"bedrock": {"usage": {"cacheReadInputTokens": 100, "cacheWriteInputTokens": 50}}},
}
VERCEL_4_DEEPSEEK: dict[str, Any] = {
    "usage": {"promptTokens": 10_000, "completionTokens": 500, "totalTokens": 10_500},
    "providerMetadata": {"deepseek": {"promptCacheHitTokens": 8_000, "promptCacheMissTokens": 2_000}},
}
VERCEL_5_ANTHROPIC: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "totalUsage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17, "cachedInputTokens": 100},
    "providerMetadata": {
        "anthropic": {
            "usage": {"input_tokens": 10, "cache_creation_input_tokens": 50, "service_tier": "secret"},
            "cacheCreationInputTokens": 50,
            "container": {"id": "secret"},
        }
    },
}
VERCEL_4_STEPS: dict[str, Any] = {
    "usage": {"promptTokens": 10, "completionTokens": 7, "totalTokens": 17},
    "response": {"id": "msg_2", "modelId": "claude-sonnet-4-5"},
    "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 20, "cacheReadInputTokens": 70}},
    "steps": [
        {
            "text": "secret",
            "usage": {"promptTokens": 6, "completionTokens": 3, "totalTokens": 9},
            "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 30, "cacheReadInputTokens": 30}},
        },
        {
            "text": "secret",
            "usage": {"promptTokens": 4, "completionTokens": 4, "totalTokens": 8},
            "providerMetadata": {"anthropic": {"cacheCreationInputTokens": 20, "cacheReadInputTokens": 70}},
        },
    ],
}
VERCEL_5_CACHED_BESIDE: dict[str, Any] = {
    "usage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17, "cachedInputTokens": 100},
}
VERCEL_5: dict[str, Any] = {
    "model": "gpt-5",
    "usage": {"inputTokens": 10_000, "outputTokens": 500, "totalTokens": 10_500, "cachedInputTokens": 8_000},
}
VERCEL_6: dict[str, Any] = {
    "model": "gpt-5",
    "totalUsage": {
        "inputTokens": 10_000,
        "inputTokenDetails": {"noCacheTokens": 2_000, "cacheReadTokens": 8_000, "cacheWriteTokens": 0},
        "outputTokens": 500,
        "outputTokenDetails": {"textTokens": 300, "reasoningTokens": 200},
        "totalTokens": 10_500,
        "cachedInputTokens": 8_000,
        "reasoningTokens": 200,
    },
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}
VERCEL_PROVIDER: dict[str, Any] = {
    "model": "gpt-5",
    "usage": {
        "inputTokens": {"total": 10_000, "noCache": 2_000, "cacheRead": 8_000, "cacheWrite": 0},
        "outputTokens": {"total": 500, "text": 300, "reasoning": 200},
    },
}
OPENLLMETRY: dict[str, Any] = {
    "gen_ai.system": "Anthropic",
    "gen_ai.response.model": "claude-sonnet-4-5",
    "gen_ai.usage.prompt_tokens": 160,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.usage.cache_read_input_tokens": 100,
    "gen_ai.usage.cache_creation_input_tokens": 50,
    "llm.usage.total_tokens": 167,
}
OPENINFERENCE: dict[str, Any] = {
    "attributes": {
        "llm.model_name": "gpt-5",
        "llm.provider": "openai",
        "llm.token_count.prompt": 10_000,
        "llm.token_count.completion": 500,
        "llm.token_count.total": 10_500,
        "llm.token_count.prompt_details.cache_read": 8_000,
        "llm.token_count.completion_details.reasoning": 200,
    },
    "llm.model_name": "gpt-5",
}
LANGCHAIN_ANTHROPIC: dict[str, Any] = {
    "response_metadata": {"model_name": "claude-sonnet-4-5"},
    "usage_metadata": {
        "input_tokens": 160,
        "output_tokens": 7,
        "total_tokens": 167,
        "input_token_details": {
            "cache_read": 100,
            "cache_creation": 0,
            "ephemeral_5m_input_tokens": 30,
            "ephemeral_1h_input_tokens": 20,
        },
    },
}
BEDROCK_CACHE: dict[str, Any] = {
    "usage": {
        "inputTokens": 10,
        "outputTokens": 7,
        "totalTokens": 167,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 50,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 30}, {"ttl": "1h", "inputTokens": 20}],
    }
}
OPENAI_CHAT_IMAGE: dict[str, Any] = {
    "model": "gpt-4o",
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 300,
        "total_tokens": 1300,
        "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": 765, "text_tokens": 235},
    },
}
OPENAI_IMAGES: dict[str, Any] = {
    "model": "gpt-image-1",
    "usage": {
        "input_tokens": 60,
        "input_tokens_details": {"image_tokens": 40, "text_tokens": 20},
        "output_tokens": 1056,
        "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
        "total_tokens": 1116,
    },
}
OPENAI_RESPONSES_IMAGE: dict[str, Any] = {
    "object": "response",
    "model": "gpt-image-1",
    "usage": {
        "input_tokens": 60,
        "input_tokens_details": {"cached_tokens": 0, "image_tokens": 40, "text_tokens": 20},
        "output_tokens": 1056,
        "output_tokens_details": {"reasoning_tokens": 0, "image_tokens": 1056, "text_tokens": 0},
        "total_tokens": 1116,
    },
}
OPENAI_REALTIME: dict[str, Any] = {
    "response": {
        "usage": {
            "input_tokens": 100,
            "output_tokens": 40,
            "total_tokens": 140,
            "input_token_details": {
                "audio_tokens": 60,
                "text_tokens": 40,
                "cached_tokens": 30,
                "cached_tokens_details": {"audio_tokens": 20, "text_tokens": 10},
            },
            "output_token_details": {"audio_tokens": 30, "text_tokens": 10},
        }
    }
}
OPENAI_WEB_SEARCH: dict[str, Any] = {
    "object": "response",
    "model": "gpt-5",
    "output": [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "secret"}},
        {"type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "secret"}},
        {"type": "web_search_call", "status": "completed"},
        {"type": "message", "content": [{"type": "output_text", "text": "secret"}]},
    ],
    "usage": {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300},
}
OPENROUTER: dict[str, Any] = {
    "model": "nobody/knows-this-model",
    "usage": {
        "prompt_tokens": 194,
        "completion_tokens": 2,
        "total_tokens": 196,
        "cost": 0.00095,
        "cost_details": {"upstream_inference_cost": None},
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    },
}
COHERE_1: dict[str, Any] = {
    "meta": {
        "api_version": {"version": "1"},
        "billed_units": {"input_tokens": 5, "output_tokens": 418},
        "tokens": {"input_tokens": 71, "output_tokens": 418},
    }
}
COHERE_2: dict[str, Any] = {
    "usage": {
        "billed_units": {"input_tokens": 5, "output_tokens": 418},
        "tokens": {"input_tokens": 71, "output_tokens": 418},
    }
}
COHERE_RERANK: dict[str, Any] = {"results": [], "meta": {"billed_units": {"search_units": 1}}}
OLLAMA: dict[str, Any] = {
    "model": "llama3.2",
    "done": True,
    "total_duration": 10706818083,
    "prompt_eval_count": 26,
    "eval_count": 259,
}
OPENAI_AGENTS: dict[str, Any] = {
    "requests": 2,
    "input_tokens": 10_000,
    "input_tokens_details": {"cached_tokens": 8_000},
    "output_tokens": 500,
    "output_tokens_details": {"reasoning_tokens": 200},
    "total_tokens": 10_500,
}
PYDANTIC_AI_RUN: dict[str, Any] = {
    "input_tokens": 1000,
    "cache_write_tokens": 50,
    "cache_read_tokens": 800,
    "input_audio_tokens": 10,
    "cache_audio_read_tokens": 5,
    "output_tokens": 300,
    "details": {"reasoning_tokens": 200},
    "requests": 1,
    "tool_calls": 0,
}
TRANSCRIPTION: dict[str, Any] = {"text": "secret", "usage": {"type": "duration", "seconds": 13}}

FORMS = {name: form for name, form in vars().items() if name.isupper()}
"""Each form by its name."""
