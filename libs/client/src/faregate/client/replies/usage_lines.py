"""Usage lines of a settlement, made of observed replies. Pure."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from faregate.client.values import ModelUsage
from faregate.wire.provider_usage import Reading

__all__ = ["LINES_LIMIT", "UNKNOWN_MODEL", "Lines", "ObservedReply", "lines_of", "merged"]

log = logging.getLogger("faregate.client")

LINES_LIMIT = 100
"""Maximum number of lines of one settlement."""

UNKNOWN_MODEL = "unknown"
"""The model of a line whose model is not known; the gateway keeps such lines unpriced until they are priced."""


@dataclass
class ObservedReply:
    """One reply. Until it reports its usage, its output is estimated from its content and its input from the request.

    Attributes:
        request_tokens: estimated tokens of the request; None if the request was not observed.
        chunks: number of chunks with content.
        content_tokens: estimated tokens of the content received.
        total: the total that the provider reported, where it contradicts `counts`; `counts` are as reported.
        cost: the cost that the provider reported, in USD.
        final: the usage was reported.
        without_usage: the reply is complete, or cannot be read, and its usage will never be known.
    """

    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    total: int | None = None
    cost: Decimal | None = None
    final: bool = False
    request_tokens: int | None = None
    chunks: int = 0
    content_tokens: int = 0
    without_usage: bool = False

    def fill(self, reading: Reading) -> None:
        """Set the counts as reported, so that the gateway itself compares them with the total."""
        reported = dict(reading.counts)
        if reading.missing_tokens:
            reported["output_tokens"] -= reading.missing_tokens
        self.counts = {**self.counts, **reported}
        self.total = reading.contradicted_total
        self.cost = reading.reported_cost_usd or self.cost

    def line(self) -> ModelUsage:
        """Return the line of this reply; without counts nothing is known of it."""
        totals = {"input_tokens": 0, "output_tokens": 0}
        return ModelUsage(
            self.model or UNKNOWN_MODEL,
            provider=self.provider,
            service_tier=self.service_tier,
            tokens={**totals, **self.counts} if self.counts else {},
            total_tokens=self.total,
            reported_cost_usd=self.cost,
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that a use is settled with.

    Attributes:
        estimated: some counts are estimated, because a reply broke off before it reported its usage, or never reported it.
        unread: models of replies whose usage is not known, not even by an estimate; each is an unpriced line.
    """

    usages: Sequence[ModelUsage]
    estimated: bool = False
    unread: Sequence[str] = ()


def lines_of(replies: Sequence[ObservedReply], counted: Sequence[ModelUsage], estimate: Sequence[ModelUsage]) -> Lines:
    """Return the lines of the settlement.

    The input of a reply without usage is taken from the `estimate` for its model, else from its request; its output is
    estimated from the content received. A reply of which nothing is known becomes a line of the model `unknown`, which the
    gateway keeps unpriced.

    Args:
        counted: lines that the host counted itself.
    """
    unread: list[str] = []
    unfinished = [reply for reply in replies if not reply.final]
    for reply in replies:
        _name(reply, estimate)
    for reply in unfinished:
        if not _estimate(reply, estimate):
            unread.append(reply.model or UNKNOWN_MODEL)
            reply.model, reply.provider = UNKNOWN_MODEL, None
    usages = merged([*counted, *(reply.line() for reply in replies)])
    return Lines(usages, estimated=len(unfinished) > len(unread), unread=tuple(unread))


def merged(lines: Sequence[ModelUsage]) -> list[ModelUsage]:
    """Return at most 100 lines.

    Up to 100 lines are returned unchanged, because prices may depend on the size of a single call. Of more, the lines of one
    model are added up. Lines whose reported total exceeds their counts are not added to lines whose total is below their
    counts: the differences would cancel out.
    """
    if len(lines) <= LINES_LIMIT:
        return list(lines)
    sums: dict[tuple[object, ...], ModelUsage] = {}
    for line in lines:
        key = (
            *(line.model, line.provider, line.service_tier),
            *(_gap(line), line.reported_cost_usd is None),
        )
        sums[key] = _sum(sums[key], line) if key in sums else line
    return list(sums.values())


def _gap(line: ModelUsage) -> int | None:
    """Return -1 if the reported total is below the counts, 0 if equal, 1 if above, and None without a total."""
    if not line.total_tokens:
        return None
    read = line.input_tokens + line.output_tokens
    return (line.total_tokens > read) - (line.total_tokens < read)


def _sum(one: ModelUsage, other: ModelUsage) -> ModelUsage:
    names = {**one.tokens, **other.tokens}
    totals, costs = (one.total_tokens, other.total_tokens), (one.reported_cost_usd, other.reported_cost_usd)
    return replace(
        one,
        total_tokens=None if None in totals else sum(filter(None, totals)),
        reported_cost_usd=None if None in costs else sum(filter(None, costs), Decimal(0)),
        tokens={name: one.tokens.get(name, 0) + other.tokens.get(name, 0) for name in names},
    )


def _name(reply: ObservedReply, estimate: Iterable[ModelUsage]) -> None:
    """Give a reply without a model the model of the estimate, so that its usage is not lost."""
    if reply.model is not None:
        return
    reply.model = next((line.model for line in estimate), UNKNOWN_MODEL)
    log.warning("a reply names no model; it is settled as %s: give `model=` where you observe it", reply.model)


def _estimate(reply: ObservedReply, estimate: Iterable[ModelUsage]) -> bool:
    """Estimate what a reply did not report; return whether anything is known of it."""
    expected = {line.model: line for line in estimate}
    known = expected.get(reply.model or UNKNOWN_MODEL)
    if known is None and len(expected) == 1:
        known = next(iter(expected.values()))
    request_tokens = known.input_tokens if known is not None else reply.request_tokens
    output_tokens = max(reply.chunks, reply.content_tokens, reply.counts.get("output_tokens", 0))
    if reply.without_usage and not output_tokens and known is not None:
        output_tokens = known.output_tokens
    if "input_tokens" not in reply.counts and request_tokens:
        reply.counts["input_tokens"] = request_tokens
    counts = {**reply.counts, "output_tokens": output_tokens}
    reply.counts = {name: number for name, number in counts.items() if number}
    log.warning("a reply of %s did not report its usage; %s is assumed", reply.model, reply.counts or "nothing")
    return bool(reply.counts) and not (reply.without_usage and known is None and not output_tokens)
