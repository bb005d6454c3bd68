"""Messages of a campaign, and the state that they must lead to.

Both follow from a seed and are computed without code of Faregate.


Prices are those of a model that has long been in the price list: 2.5 USD per million tokens in, 10 out, plus 20 %
margin, at 0.01 USD per credit: 300 micro-credits per token in, 1200 per token out.
"""

import base64
import json
import random
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FEATURE", "MODEL", "POOR_MICROS", "RICH_MICROS", "Chunk", "Expected", "Traffic"]

FEATURE, MODEL = "chat", "gpt-4o"
MULTIMODEL_QUEUE, FLAT_QUEUE = "credits_process_end_multimodel_queue", "credits_process_end_queue"
IN_MICROS, OUT_MICROS = 300, 1200
RICH_MICROS, POOR_MICROS = 100_000_000_000_000, 5_000_000

_STARTS, _CALLS = (0.3, 300), (0.03, 20)
"""Share and highest number of uses per chunk that have a hold, and that are settled by HTTP; both are slow."""

RICH, POOR = 450, 50
"""Number of wallets with enough credits, and with too few. The latter get no holds, so that their final balances do not
depend on the order of settlement."""


@dataclass
class Chunk:
    """Messages by their route, and the holds to open before they are published."""

    number: int
    starts: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    broker: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    outbox: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    gateway: list[tuple[bool, dict[str, Any]]] = field(default_factory=list[tuple[bool, dict[str, Any]]])

    @property
    def size(self) -> int:
        return len(self.broker) + len(self.outbox) + len(self.gateway)

    def dump(self) -> str:
        return json.dumps(
            {
                "starts": self.starts,
                "broker": [[queue, base64.b64encode(body).decode()] for queue, body in self.broker],
                "outbox": [[queue, base64.b64encode(body).decode()] for queue, body in self.outbox],
                "gateway": self.gateway,
            }
        )

    @staticmethod
    def load(number: int, text: str) -> "Chunk":
        data = json.loads(text)
        unpacked = {way: [(queue, base64.b64decode(body)) for queue, body in data[way]] for way in ("broker", "outbox")}
        return Chunk(number, [tuple(start) for start in data["starts"]], gateway=data["gateway"], **unpacked)


@dataclass
class Expected:
    """State that must result.

    Attributes:
        uses: user of each settled key, and its possible prices (two if there are two bodies for the key).
        contenders: two bodies of a key by their price; the one that is not settled must be a dead letter.
        abandoned: keys that were started and never settled.
        poison: unreadable bodies, which must be dead letters.
        granted: micro-credits of each user.
    """

    uses: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict[str, tuple[str, tuple[int, ...]]])
    contenders: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    abandoned: dict[str, str] = field(default_factory=dict[str, str])
    poison: set[bytes] = field(default_factory=set[bytes])
    granted: dict[str, int] = field(default_factory=dict[str, int])


class Traffic:
    """Makes chunks, determined by a seed, and records the state that they must lead to."""

    def __init__(self, seed: int, *, chunk_size: int = 400, ttl_seconds: int = 2) -> None:
        self.expected = Expected()
        self.expected.granted |= {f"rich{n}": RICH_MICROS for n in range(RICH)}
        self.expected.granted |= {f"poor{n}": POOR_MICROS for n in range(POOR)}
        self.counts = dict.fromkeys(("messages", "duplicates", "conflicts", "poison", "arrays", "started"), 0)
        self._random = random.Random(seed)
        self._chunk_size = chunk_size
        self._short_ttl = ttl_seconds
        self._number = 0
        self._uses = 0
        self._again: list[tuple[str, bytes]] = []

    def chunk(self) -> Chunk:
        """Make the next chunk: new uses, repeated ones and unreadable bodies, in random order."""
        self._number += 1
        chunk = Chunk(self._number)
        while chunk.size < self._chunk_size:
            self._add(chunk)
        for messages in (chunk.broker, chunk.outbox):
            self._random.shuffle(messages)
        self.counts["messages"] += chunk.size
        return chunk

    def _add(self, chunk: Chunk) -> None:
        draw = self._random.random()
        if draw < 0.01:
            chunk.broker.append((MULTIMODEL_QUEUE, self._poison()))
        elif draw < 0.014:
            chunk.broker += self._contended()
        elif draw < 0.08 and self._again:
            self.counts["duplicates"] += 1
            chunk.broker.append(self._random.choice(self._again))
        elif draw < 0.10:
            chunk.broker.append((MULTIMODEL_QUEUE, self._array()))
        elif draw < 0.11:
            key, user = self._named(rich=True)
            self.expected.abandoned[key] = user
            chunk.starts.append((key, user, self._short_ttl))
        else:
            self._add_use(chunk)

    def _add_use(self, chunk: Chunk) -> None:
        body = self._use(chunk)
        draw = self._random.random()
        if draw < self._share(_CALLS):
            chunk.gateway.append((self._random.random() < 0.5, body))
            return
        flat = self._random.random() < 0.2
        if flat:
            line = body.pop("usages")[0]
            body |= line
        message = (FLAT_QUEUE if flat else MULTIMODEL_QUEUE, _json(body))
        (chunk.outbox if draw > 0.9 else chunk.broker).append(message)
        if self._random.random() < 0.1:
            self._again = [*self._again[-2000:], message]

    def _use(self, chunk: Chunk | None = None) -> dict[str, Any]:
        key, user = self._named(rich=self._random.random() < 0.95)
        body, micros = self._body(key, user)
        self.expected.uses[key] = (user, (micros,))
        if chunk is not None and user.startswith("rich") and self._random.random() < self._share(_STARTS):
            self.counts["started"] += 1
            chunk.starts.append((key, user, self._short_ttl if self._random.random() < 0.2 else 3600))
        return body

    def _share(self, bounds: tuple[float, int]) -> float:
        share, most = bounds
        return min(share, most / self._chunk_size)

    def _contended(self) -> list[tuple[str, bytes]]:
        """Return two bodies for one key: the first to arrive is settled, the other is dead-lettered."""
        self.counts["conflicts"] += 1
        key, user = self._named(rich=True)
        (one, price), (other, other_price) = self._body(key, user), self._body(key, user)
        if price == other_price:
            return []
        self.expected.uses[key] = (user, (price, other_price))
        self.expected.contenders[key] = {price: _json(one), other_price: _json(other)}
        return [(MULTIMODEL_QUEUE, _json(one)), (MULTIMODEL_QUEUE, _json(other))]

    def _array(self) -> bytes:
        """Return several uses in one message, sometimes with an unreadable item."""
        self.counts["arrays"] += 1
        items = [self._use() for _ in range(self._random.randint(2, 6))]
        if self._random.random() < 0.1:
            bad: dict[str, Any] = {"user_id": "rich0", "item": self._number_of_use()}
            self.counts["poison"] += 1
            self.expected.poison.add(_json(bad))
            items.insert(self._random.randrange(len(items)), bad)
        return _json(items)

    def _poison(self) -> bytes:
        number = self._number_of_use()
        self.counts["poison"] += 1
        good, _ = self._body(f"poison-{number}", "rich0")
        line = good["usages"][0]
        body = self._random.choice(
            [
                b"not json %d" % number,
                b"\xff\xfe%d" % number,
                b'"a text %d"' % number,
                b"[" * 300 + b"%d" % number,
                _json({**good, "usages": "many"}),
                _json({**good, "usages": [{**line, "input_tokens": -1}]}),
                _json({**good, "usages": [{**line, "input_tokens": 10**12}]}),
                _json({**good, "user_id": "org:acme"}),
                _json({**good, "feature_endpoint_value": "unheard-of"}),
                b'{"user_id":"rich0","user_id":"rich%d"}' % number,
            ]
        )
        self.expected.poison.add(body)
        return body

    def _body(self, key: str, user: str) -> tuple[dict[str, Any], int]:
        tokens_in, tokens_out = self._random.randint(1, 4000), self._random.randint(0, 800)
        line = {"ai_model": MODEL, "input_tokens": tokens_in, "output_tokens": tokens_out}
        body = {"user_id": user, "feature_endpoint_value": FEATURE, "usage_key": key, "usages": [line]}
        return body, tokens_in * IN_MICROS + tokens_out * OUT_MICROS

    def _named(self, *, rich: bool) -> tuple[str, str]:
        user = f"rich{self._random.randrange(RICH)}" if rich else f"poor{self._random.randrange(POOR)}"
        return f"use-{self._number_of_use()}", user

    def _number_of_use(self) -> int:
        self._uses += 1
        return self._uses


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
