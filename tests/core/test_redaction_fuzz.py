"""Redaction of ten thousand random payloads: no error, no secret kept, counts unchanged."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import reduce
from operator import getitem
from typing import Any, cast

from faregate.core.redaction.records import Redactor
from faregate.wire import exact_json

PAYLOADS, SEED = 10_000, 11
CANARY = "c4n4ryc4n4ry"
NAMES = ["password", "apiKey", "X-Auth-Token", "client_secret", "Set-Cookie", "pin", "refresh-token", "sessionId"]
COUNTS = ["max_tokens", "input_tokens", "total_tokens", "cached_tokens", "max_completion_tokens", "token_count"]
PLAIN = ["model", "messages", "user", "content", "role", "text", "items", "ünïcode ☂", "", "0", "usage", "details"]
ODD = [b"bytes", {1, 2}, object(), float("nan"), Decimal("1e400"), 10**400, range(3), (1, (2,)), "\ud800", "\x00"]
LOOKS: list[Callable[[random.Random], str]] = [
    lambda rng: f"sk-proj-{CANARY}{rng.randrange(10**12):012d}",
    lambda rng: f"see Bearer {CANARY}{rng.randrange(10**6)}",
    lambda _: f"eyJhbGciOiJIUzI1NiJ9.{CANARY}abcdef.{CANARY}",
    lambda _: f"https://u:{CANARY}@host/path",
    lambda rng: f"/x?page={rng.randrange(9)}&access_token={CANARY}",
    lambda _: exact_json.dumps({"deep": [{"password": CANARY}]}).decode(),
    lambda _: f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    lambda _: f"mail {CANARY}@example.com now",
    lambda _: f"password={CANARY}",
]


def payload(rng: random.Random, depth: int = 0) -> Any:
    """Return a random value with secrets and counts anywhere."""
    kind = rng.randrange(10) if 0 < depth < 5 else 6 + rng.randrange(4) if depth else 0
    if kind < 4:
        return dict(_item(rng, depth) for _ in range(rng.randrange(2, 6)))
    if kind < 6:
        return [payload(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == 6:
        return rng.choice(LOOKS)(rng)
    if kind == 7:
        return rng.choice(ODD)
    return rng.choice([None, True, rng.randrange(10**6), rng.random(), "plain words", Decimal("0.10")])


def _item(rng: random.Random, depth: int) -> tuple[Any, Any]:
    kind = rng.randrange(6)
    if kind == 0:
        secret = rng.choice([CANARY, {"value": CANARY}, [CANARY, [CANARY]], f"  {CANARY}\n"])
        return rng.choice(NAMES), secret
    if kind == 1:
        return rng.choice(COUNTS), rng.randrange(1, 10**6)
    if kind == 2:
        return rng.choice(LOOKS)(rng), payload(rng, depth + 1)
    return rng.choice(PLAIN), payload(rng, depth + 1)


def counted(value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Return the counts of a value by path, except below names of secrets."""
    if isinstance(value, Mapping):
        for name, item in cast("Mapping[Any, Any]", value).items():
            if name in COUNTS:
                yield (name,), item
            elif name in PLAIN:
                yield from (((name, *path), count) for path, count in counted(item))
    if isinstance(value, list) and not _may_be_pair(cast("list[Any]", value)):
        for place, item in enumerate(cast("list[Any]", value)):
            yield from (((place, *path), count) for path, count in counted(item))


def _may_be_pair(value: list[Any]) -> bool:
    """Whether a list is read as a name and its value, as headers are sent: after a secret name all of it is replaced."""
    return len(value) == 2 and isinstance(value[0], str)


def test_secrets_are_removed_from_random_payloads_and_counts_are_kept() -> None:
    rng, redactor = random.Random(SEED), Redactor()
    counts = secrets = 0
    for number in range(PAYLOADS):
        before = payload(rng)
        after = redactor.value(before)
        wanted = list(counted(before))
        counts += len(wanted)
        secrets += CANARY in repr(before)
        assert CANARY not in json.dumps(after, default=str), (number, before)
        assert [reduce(getitem, path, after) for path, _ in wanted] == [count for _, count in wanted], (number, before)
    assert secrets > PAYLOADS * 0.9
    assert counts > PAYLOADS
