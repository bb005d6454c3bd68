"""Faregate, one for each process: it opens at the first call."""

from faregate.host import SyncFaregate

FEATURES = {
    "translation": {"strategy": "fixed", "parameters": {"credits": 2}},
    "ai_chat_v1": {"strategy": "token_priced", "min_credits": 2},
}

fare = SyncFaregate(features=FEATURES)
