"""Token types of a usage line, and their costs. Pure.

The types do not contain each other, as on the bills of providers: what was read from a cache is not also input. The costs of the
types sum to the cost of the line exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from faregate.usage.pricing.line import Rates

__all__ = [
    "CACHE_READ",
    "CACHE_WRITE",
    "CACHE_WRITE_1H",
    "INPUT",
    "OUTPUT",
    "LineCost",
    "TokenPart",
    "shares",
    "token_parts",
]

INPUT = "input_tokens"
"""What was sent to the model, without what was read from a cache or written to one."""
CACHE_READ = "cache_read_tokens"
CACHE_WRITE = "cache_write_tokens"
"""What was written to a cache for five minutes, or for a time that nobody named."""
CACHE_WRITE_1H = "cache_write_1h_tokens"
OUTPUT = "output_tokens"
"""What the model produced, reasoning included."""

_TYPES = (INPUT, CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H, OUTPUT)
_FINEST = Decimal("1E-18")
_EXACT = Context(prec=60)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class TokenPart:
    """One type of tokens (or another count, such as `web_searches`) of a line; `cost_usd` is None if the line has no price."""

    type: str
    count: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class LineCost:
    """What a line cost in all, and its input and output as far as they are known."""

    total: Decimal | None
    input: Decimal | None = None
    output: Decimal | None = None


def token_parts(tokens: Mapping[str, int], cost: LineCost, rates: Rates | None) -> list[TokenPart]:
    """Return the types of a line; `rates` divide the cost, and where they are not known, input and output do.

    A cost without a count, such as a price per request, is a part of the type `requests`.
    """
    counts = _counts(tokens)
    if cost.total is None:
        return [TokenPart(name, count, None) for name, count in counts.items()]
    weights = _weights(tokens, rates) or _known_sides(counts, cost)
    names = [*counts, *(name for name in weights if name not in counts)]
    if not names:
        return [TokenPart("requests", 1, cost.total)] if cost.total else []
    divided = shares(cost.total, [weights.get(name, _NOTHING) for name in names])
    return [TokenPart(name, counts.get(name, 1), part) for name, part in zip(names, divided, strict=True)]


def shares(total: Decimal, weights: list[Decimal], *, quantum: Decimal = _FINEST) -> list[Decimal]:
    """Divide `total` by `weights`, in multiples of `quantum`; the largest takes the rest, so that the sum is exact.

    Weights that sum to the total are the shares. Without any weight the first takes all.
    """
    whole = sum(weights, _NOTHING)
    if whole == total and quantum == _FINEST:
        return list(weights)
    largest = max(range(len(weights)), key=lambda place: weights[place])
    made = [
        _NOTHING if not whole else _EXACT.divide(_EXACT.multiply(total, each), whole).quantize(quantum, ROUND_DOWN)
        for each in weights
    ]
    made[largest] = _EXACT.subtract(total, _sum(made[:largest] + made[largest + 1 :]))
    return made


def _sum(amounts: list[Decimal]) -> Decimal:
    total = _NOTHING
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def _counts(tokens: Mapping[str, int]) -> dict[str, int]:
    read, written_1h = tokens.get(CACHE_READ, 0), tokens.get(CACHE_WRITE_1H, 0)
    written = max(tokens.get(CACHE_WRITE, 0), written_1h + tokens.get("cache_write_5m_tokens", 0))
    found = {
        INPUT: max(tokens.get(INPUT, 0) - read - written, 0),
        CACHE_READ: read,
        CACHE_WRITE: written - written_1h,
        CACHE_WRITE_1H: written_1h,
        OUTPUT: tokens.get(OUTPUT, 0),
    }
    others = {name: count for name, count in tokens.items() if not name.endswith("_tokens")}
    return {name: count for name, count in (found | others).items() if count}


def _weights(tokens: Mapping[str, int], rates: Rates | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for rate, _, amount in rates.card.amounts(tokens, by_parts=True) if rates is not None else ():
        name = _type_of(rate.count, rate.direction)
        found[name] = found.get(name, _NOTHING) + amount
    return found


def _type_of(count: str, direction: str) -> str:
    """Return the type that a rate's count belongs to: audio read from a cache is a read from a cache."""
    if not count.endswith("_tokens"):
        return count
    if count.startswith("cache_"):
        written = CACHE_WRITE_1H if "_1h_" in count else CACHE_WRITE
        return CACHE_READ if "read" in count else written
    return OUTPUT if direction == "output" else INPUT


def _known_sides(counts: Mapping[str, int], cost: LineCost) -> dict[str, Decimal]:
    """Return the cost of input divided by tokens, and that of output."""
    inputs = {name: count for name, count in counts.items() if name in _TYPES and name != OUTPUT}
    divided = shares(cost.input or _NOTHING, [Decimal(count) for count in inputs.values()]) if inputs else []
    return dict(zip(inputs, divided, strict=True)) | ({OUTPUT: cost.output or _NOTHING} if OUTPUT in counts else {})
