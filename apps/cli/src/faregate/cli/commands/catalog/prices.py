"""`faregate prices`: prices of models, and overrides of them."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from faregate.cli.shared.auditing import audited
from faregate.cli.shared.options import Actor, Output, decimal_of, moment_of
from faregate.cli.shared.output import console, print_done, print_json, print_table
from faregate.cli.shared.session import actor as actor_of
from faregate.cli.shared.session import with_library
from faregate.core.errors import InvalidError
from faregate.usage.values import ModelUsage

if TYPE_CHECKING:
    from faregate.worker.container import WorkerContainer

__all__ = ["prices"]

prices = App(name="prices", help="Show, set and quote prices, and price parked lines.")

Provider = Annotated[str | None, Parameter(help="The model's provider, where the model's name does not determine it.")]
At = Annotated[str | None, Parameter(help="The moment that the price applies at; now by default.")]


@prices.command
def show(
    model: str, *, provider: Provider = None, tier: str | None = None, at: At = None, output: Output = "table"
) -> None:
    """Print the price of a model that is in force, and its overrides."""
    moment = moment_of(at, param="at") if at else None
    found = with_library(
        lambda lib: lib.price_service().effective(model, provider=provider, service_tier=tier, at=moment)
    )
    if output == "json":
        print_json(
            {
                "model": found.model,
                "provider": found.provider,
                "prices": found.prices,
                "price_version": found.price_version,
                "margin_percent": found.margin_percent,
            }
        )
        return
    console.print(f"{found.model} ({found.provider}), {found.price_version}, margin {found.margin_percent} %")
    print_table("USD", ["price", "value"], [(name, str(value)) for name, value in found.prices.items()])
    rows = [
        (o.number, o.provider, o.effective_from, o.effective_to, o.withdrawn_at, str(dict(o.prices)))
        for o in found.overrides
    ]
    if rows:
        print_table("Overrides", ["number", "provider", "from", "to", "withdrawn", "prices"], rows)


@prices.command(name="set")
@audited("prices.put_price", target=("model",))
def set_price(
    model: str,
    *price: str,
    provider: Provider = None,
    tier: str | None = None,
    margin: Annotated[str | None, Parameter(help="Margin on the model in percent; 'none' removes it.")] = None,
    effective_from: str | None = None,
    effective_to: str | None = None,
    note: str | None = None,
    actor: Actor = None,
    output: Output = "table",
) -> None:
    """Override prices, such as `input_mtok=2.5 output_mtok=10` (USD per million), and set the margin on a model."""
    from faregate.usage.features.documents import PriceDocument, read_document

    fields: dict[str, Any] = {"provider": provider, "service_tier": tier, "note": note}
    if price:
        fields["prices"] = dict(_pair(item) for item in price)
    if margin is not None:
        fields["margin_percent"] = None if margin == "none" else decimal_of(margin, param="margin")
    for name, value in (("effective_from", effective_from), ("effective_to", effective_to)):
        if value is not None:
            fields[name] = moment_of(value, param=name)
    document = read_document(PriceDocument, fields, name="price")
    added = with_library(lambda lib: lib.price_service().set(model, document, actor=actor_of(actor)))
    sentence = f"{added.version} for {model}" if added else f"margin on {model} set"
    print_done(sentence, {"model": model, "version": added.version if added else None}, output)


@prices.command
@audited("prices.withdraw", target=("number",))
def withdraw(number: int, *, actor: Actor = None, output: Output = "table") -> None:
    """Withdraw an override; lines that it has priced keep their price."""
    with_library(lambda lib: lib.price_service().withdraw(number, actor=actor_of(actor)))
    print_done(f"override {number} withdrawn", {"withdrawn": number}, output)


@prices.command
def quote(
    model: str,
    *counts: str,
    provider: Provider = None,
    tier: str | None = None,
    at: At = None,
    output: Output = "table",
) -> int:
    """Print what a use would cost, such as `input_tokens=1000 output_tokens=100`; exit 1 if no price is known."""
    tokens = {name: int(amount) for name, amount in map(_pair, counts)}
    usage = ModelUsage(model, provider=provider, tokens=tokens, service_tier=tier)
    moment = moment_of(at, param="at") if at else None
    line = with_library(lambda lib: lib.price_service().quote(usage, at=moment))
    if output == "json":
        print_json(
            {name: value for name, value in asdict(line).items() if name != "usage"} | {"unpriced": line.unpriced}
        )
    elif line.unpriced:
        console.print(f"no price is known for {model}; set one with `faregate prices set`")
    else:
        console.print(
            f"{line.credits.normalize():f} credits: {line.provider_cost_usd} USD ({line.provider}, {line.price_version}), "
            f"margin {line.margin_percent} %"
        )
    return 1 if line.unpriced else 0


@prices.command
def check(*, output: Output = "table") -> int:
    """List the uses that wait for a price; exit 1 if there are any."""
    found = with_library(lambda lib: lib.repricer().parked())
    if output == "json":
        print_json([asdict(use) for use in found])
    elif not found:
        console.print("every line has a price")
    else:
        rows = [(use.usage_key, use.settled_at, use.lines, ", ".join(use.models)) for use in found]
        print_table("Waiting for a price", ["usage key", "settled", "lines", "models"], rows)
    return 1 if found else 0


@prices.command
@audited("prices.reprice", target=("model", "usage_key"), apart=True)
def reprice(
    *,
    model: str | None = None,
    usage_key: str | None = None,
    by_parts: Annotated[
        bool, Parameter(help="Also price lines whose counts contradict each other, each part on its own.")
    ] = False,
    output: Output = "table",
    actor: Actor = None,
) -> None:
    """Price the parked lines that can be priced now, and say why the others still wait; safe to repeat."""

    async def work(lib: WorkerContainer) -> Any:
        return await lib.repricer().run(model=model, usage_key=usage_key, by_parts=by_parts, actor=actor_of(actor))

    done = with_library(work)
    if output == "json":
        print_json([asdict(use) for use in done])
        return
    if not done:
        console.print("no line waits for a price")
        return
    rows = [(use.usage_key, use.lines, use.charged, use.waiting, "\n".join(use.reasons) or None) for use in done]
    print_table("Priced now", ["usage key", "lines", "charged", "still waiting", "why"], rows)


def _pair(text: str) -> tuple[str, Decimal]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidError(f"{text!r} is not of the form name=value, such as input_mtok=2.5", param="price")
    return name, decimal_of(value, param=name)
