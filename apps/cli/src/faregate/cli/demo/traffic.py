"""Traffic of LLM requests, recorded or generated. Pure.

Recorded traffic is a CSV file of real requests; generated traffic follows realistic distributions from a seed.
"""

import csv
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from faregate.core.errors import InvalidError

__all__ = ["MODELS", "TrafficRequest", "generate", "read_requests"]

MODELS = (
    ("gpt-4o-mini", 0.42, 6.2, 5.2),
    ("gpt-4o", 0.18, 6.8, 5.6),
    ("claude-sonnet-4-5", 0.16, 7.4, 6.0),
    ("gemini-2.5-flash", 0.14, 7.0, 5.5),
    ("o3", 0.06, 6.5, 6.8),
    ("gpt-4.1-nano", 0.04, 5.5, 4.2),
)
"""Model, share of the traffic, and the logarithms of the median token counts in and out."""


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """One request: user, model, token counts, and its time in seconds after the first request."""

    number: int
    user_id: str
    model: str
    input_tokens: int
    output_tokens: int
    at_seconds: float


def generate(*, count: int, users: Sequence[str], seed: int) -> list[TrafficRequest]:
    """Return `count` generated requests: Poisson arrivals, log-normal token counts, a few users with most of the requests."""
    rng = random.Random(seed)  # noqa: S311  traffic, not secrets
    weights = [1 / (rank + 1) ** 0.7 for rank in range(len(users))]
    models = rng.choices(MODELS, [share for _, share, _, _ in MODELS], k=count)
    at = 0.0
    requests: list[TrafficRequest] = []
    for number, (model, _, median_in, median_out) in enumerate(models):
        at += rng.expovariate(20)
        tokens_in, tokens_out = (max(1, round(math.exp(rng.gauss(mu, 0.8)))) for mu in (median_in, median_out))
        (user,) = rng.choices(users, weights)
        requests.append(TrafficRequest(number, user, model, tokens_in, tokens_out, at))
    return requests


def read_requests(path: Path, *, model: str, users: Sequence[str], seed: int) -> list[TrafficRequest]:
    """Return the requests of a CSV with the columns TIMESTAMP, ContextTokens, GeneratedTokens and optionally Model and User.

    Requests without a user are assigned to `users`, in the same way for the same seed; those without a model get `model`.

    Raises:
        InvalidError: the file lacks a column, or a line cannot be read; the text says which.
    """
    rng = random.Random(seed)  # noqa: S311
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = {name.lower(): name for name in reader.fieldnames or ()}
        missing = [name for name in ("timestamp", "contexttokens", "generatedtokens") if name not in names]
        if missing:
            raise InvalidError(f"{path} lacks the column {missing[0]!r}; it has {', '.join(names) or 'none'}")
        lines = list(_lines(reader, names, path))
    if not lines:
        raise InvalidError(f"{path} holds no requests")
    first = min(moment for moment, *_ in lines)
    return [
        TrafficRequest(
            number, user or rng.choice(users), named or model, tokens_in, tokens_out, (at - first).total_seconds()
        )
        for number, (at, tokens_in, tokens_out, named, user) in enumerate(lines)
    ]


def _lines(
    reader: Iterable[dict[str, str]], names: dict[str, str], path: Path
) -> Iterator[tuple[datetime, int, int, str, str]]:
    for number, row in enumerate(reader, start=2):
        try:
            yield (
                datetime.fromisoformat(row[names["timestamp"]][:26]),
                int(row[names["contexttokens"]]),
                int(row[names["generatedtokens"]]),
                row[names["model"]] if "model" in names else "",
                row[names["user"]] if "user" in names else "",
            )
        except (ValueError, TypeError) as error:
            raise InvalidError(f"{path} line {number}: {error}") from None
