"""Views for business intelligence tools, as SQL over the tables."""

from collections.abc import Sequence
from enum import IntEnum

from faregate.analytics.bi.values import BiColumn, BiView
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.states import ChargeStatus, Flag, WalletStatus

__all__ = ["BI_VIEWS"]

_EVENT_KINDS = {0: "request", 1: "line", 2: "meter"}
_FLAGS = {
    Flag.LATE: "settled after its hold was voided or had expired",
    Flag.NO_HOLD: "settled without a start",
    Flag.OVER_HOLD: "cost more than its hold",
    Flag.SHORTFALL: "cost more than hold and free balance; see shortfall_credits",
    Flag.UNPRICED: "a line has no price yet",
    Flag.KEYLESS: "the call had no usage key",
    Flag.INCONSISTENT: "the provider's token counts contradict each other",
}


def _named(expression: str, names: dict[int, str]) -> str:
    cases = " ".join(f"when {number} then '{name}'" for number, name in names.items())
    return f"case {expression} {cases} end"


def _enum(expression: str, kind: type[IntEnum]) -> str:
    return _named(expression, {member.value: member.name.lower() for member in kind})


def _credits(expression: str) -> str:
    return f"({expression}) * 0.000001"


def _text(name: str, expression: str, comment: str) -> BiColumn:
    return BiColumn(name, "text", expression, comment)


def _amount(name: str, expression: str, comment: str) -> BiColumn:
    return BiColumn(name, "numeric", _credits(expression), f"{comment}, in credits")


def _usd(name: str, expression: str, comment: str) -> BiColumn:
    return BiColumn(name, "numeric", expression, f"{comment}, in US dollars; null if unknown")


def _count(name: str, expression: str, comment: str) -> BiColumn:
    return BiColumn(name, "bigint", expression, comment)


def _moment(name: str, expression: str, comment: str) -> BiColumn:
    return BiColumn(name, "timestamptz", expression, comment)


def _flag(flag: Flag, comment: str) -> BiColumn:
    return BiColumn(f"is_{(flag.name or '').lower()}", "boolean", f"(c.flags & {flag.value}) <> 0", comment)


_OWNER = "the owner's id: a user, or an organisation as org:<id>"
_USES = BiView(
    "uses",
    "One row per use that was started, settled or recorded.",
    [
        _text("usage_key", "c.usage_key", "identifies the use"),
        _text("user_id", "u.external_id", "who used the feature"),
        _text("organization_id", "o.external_id", "the organisation that the use belongs to, as org:<id>"),
        _text("payer_id", "p.external_id", "whose wallet pays: " + _OWNER),
        _text("feature_key", "c.feature_key", "the feature that was used"),
        _text("charging", "c.rule", "individual, pooled (the organisation pays) or recorded (nobody pays)"),
        _text("status", _enum("c.status", ChargeStatus), "open, settled, voided or expired"),
        _amount("held_credits", "c.hold", "what the hold sets or set aside"),
        _amount("consumed_credits", "c.consumed", "the price of the use, before corrections"),
        _amount("charged_credits", "c.charged", "what the payer paid, before corrections"),
        _amount("shortfall_credits", "c.shortfall", "the part of the price that could not be paid"),
        *(_flag(flag, comment) for flag, comment in _FLAGS.items()),
        _count("duration_ms", "c.duration_ms", "how long the use took, in milliseconds"),
        _text("close_reason", "c.close_reason", "why the hold was closed unused"),
        _moment("started_at", "c.created_at", "when the use was started, or recorded"),
        _moment("expires_at", "c.expires_at", "when the hold expires or would have expired"),
        _moment("closed_at", "c.closed_at", "when the hold was closed"),
        _moment("settled_at", "c.settled_at", "when the use was settled"),
    ],
    """faregate.charge c
    join faregate.subject u on u.subject_id = c.subject_id
    join faregate.subject p on p.subject_id = c.wallet_id
    left join faregate.subject o on o.subject_id = c.organization_id""",
)
_USAGE_LINES = BiView(
    "usage_lines",
    "One row per priced line of a use: a model call, or a quantity of a unit.",
    [
        _text("usage_key", "l.usage_key", "the use; see uses"),
        BiColumn("line_no", "integer", "l.line_no::integer", "place of the line in its use, from 0"),
        _text("model", "l.model", "the model, as the provider names it"),
        _text("provider", "l.provider", "the provider of the model"),
        _text("service_tier", "l.service_tier", "the tier that was priced, such as batch"),
        _text("unit", "l.unit", "unit of the quantity, if the line is no model call"),
        BiColumn("quantity", "numeric", "l.quantity", "number of units, if the line is no model call"),
        BiColumn("is_priced", "boolean", "l.provider_cost_usd is not null", "whether the provider's price was known"),
        _usd("provider_cost_usd", "l.provider_cost_usd", "what the provider charges"),
        _usd("input_cost_usd", "l.input_cost_usd", "the part of it for input"),
        _usd("output_cost_usd", "l.output_cost_usd", "the part of it for output"),
        _usd("reported_cost_usd", "l.reported_cost_usd", "the cost that the provider itself reported"),
        BiColumn("margin_percent", "numeric", "l.margin_percent", "margin on the provider's cost, in percent"),
        _usd("credit_price_usd", "l.credit_price_usd", "the price of one credit when the line was priced"),
        _amount("credits", "l.credits", "the price of the line"),
        _text("price_version", "l.price_version", "the version of the price that was applied"),
        _moment("settled_at", "l.settled_at", "when the use was settled"),
        _moment("repriced_at", "l.repriced_at", "when a line without a price was priced later"),
    ],
    "faregate.usage_line l",
)
_TOKENS = BiView(
    "usage_line_tokens",
    "One row per line and type of tokens.",
    [
        _text("usage_key", "l.usage_key", "the use; see uses"),
        BiColumn("line_no", "integer", "l.line_no::integer", "the line; see usage_lines"),
        _text("model", "l.model", "the model, as the provider names it"),
        _text("token_type", "t.key", "such as input_tokens, output_tokens, cache_read_tokens"),
        _count(
            "tokens", "t.value::bigint", "number of tokens of the type; types may contain each other, do not add them"
        ),
        _moment("settled_at", "l.settled_at", "when the use was settled"),
    ],
    """faregate.usage_line l cross join lateral jsonb_each_text(l.tokens) t
    where t.value ~ '^[0-9]+$'""",
)
_TRANSFERS = BiView(
    "transfers",
    "One row per movement of credits in the ledger; rows are never changed.",
    [
        _text("owner_id", "w.external_id", _OWNER),
        _count("seq", "t.seq", "number of the transfer in its wallet, from 1"),
        _text("kind", _enum("t.kind", TransferKind), "why credits moved: grant, charge, refund, expiry, …"),
        _text("debit_account", _enum("t.debit_account", Account), "the account that credits left"),
        _text("credit_account", _enum("t.credit_account", Account), "the account that credits entered"),
        _amount("credits", "t.amount", "the amount, never negative"),
        _amount(
            "wallet_change",
            f"case when t.debit_account = {Account.WALLET.value} then -t.amount "
            f"when t.credit_account = {Account.WALLET.value} then t.amount else 0 end",
            "what the transfer adds to the wallet's balance, negative if it takes",
        ),
        _amount("balance_after", "t.balance_after", "the wallet's balance after the transfer"),
        _count("corrects_seq", "t.corrects_seq", "the transfer that this one corrects"),
        _text("usage_key", "t.usage_key", "the use that it pays or corrects; see uses"),
        _text("operation_key", "t.operation_key", "key of the grant or correction"),
        _text("actor", "t.actor", "who made it, if a person or key did"),
        _text("reason", "coalesce(r.words, t.reason)", "the reason that was given"),
        _moment("effective_at", "t.effective_at", "when it counts"),
        _moment("created_at", "t.created_at", "when it was written"),
    ],
    """faregate.transfer t
    join faregate.subject w on w.subject_id = t.wallet_id
    left join faregate.transfer_reason r on r.wallet_id = t.wallet_id and r.seq = t.seq""",
)
_TRANSFER_GRANTS = BiView(
    "transfer_grants",
    "One row per transfer and grant that it takes from, or gives to.",
    [
        _text("owner_id", "w.external_id", _OWNER),
        _count("seq", "s.seq", "the transfer; see transfers"),
        BiColumn("grant_id", "uuid", "s.grant_id", "the grant; see grants"),
        _amount("credits", "s.amount", "what the transfer adds to the grant, negative if it takes"),
        _moment("created_at", "t.created_at", "when the transfer was written"),
    ],
    """faregate.grant_slice s
    join faregate.transfer t on t.wallet_id = s.wallet_id and t.seq = s.seq
    join faregate.subject w on w.subject_id = s.wallet_id""",
)
_GRANTS = BiView(
    "grants",
    "One row per grant of credits.",
    [
        BiColumn("grant_id", "uuid", "g.grant_id", "identifies the grant"),
        _text("owner_id", "w.external_id", _OWNER),
        _text("source", "g.source", "purchase, bonus, initial, refund, plan, opening or adjustment"),
        BiColumn("priority", "integer", "g.priority::integer", "smaller numbers are used first"),
        _amount("credits", "g.amount", "what was granted"),
        _amount("remaining_credits", "g.remaining", "what is left of it"),
        _amount("held_credits", "g.held", "what holds set aside of it"),
        _text("features", "array_to_string(g.features, ', ')", "the only features that may use it; null for all"),
        BiColumn("is_active", "boolean", "g.active", "whether it can be used now"),
        BiColumn("is_voided", "boolean", "g.voided", "whether it was taken back"),
        _text("every", "g.every", "the interval of its renewals"),
        _text("key", "g.key", "the key that it was granted under"),
        _text("actor", "g.actor", "who granted it"),
        _text("reason", "g.reason", "the reason that was given"),
        _moment("effective_at", "g.effective_at", "from when on it can be used"),
        _moment("expires_at", "g.expires_at", "when the rest of it expires"),
        _moment("next_renewal_at", "g.next_renewal_at", "when it is renewed next"),
        _moment("created_at", "g.created_at", "when it was granted"),
    ],
    "faregate.credit_grant g join faregate.subject w on w.subject_id = g.wallet_id",
)
_WALLETS = BiView(
    "wallets",
    "One row per wallet, as it is now.",
    [
        _text("owner_id", "s.external_id", _OWNER),
        _text(
            "owner_kind",
            "case when s.external_id like 'org:%' then 'organization' else 'user' end",
            "user or organization",
        ),
        _text("status", _enum("w.status", WalletStatus), "active, frozen or closed"),
        _text("plan", "w.plan", "the plan of the owner"),
        _amount("balance", "w.credits - w.debits", "credits granted and not used, held ones included"),
        _amount("held_credits", "w.held", "what holds set aside"),
        _amount("earmarked_credits", "w.earmarked", "credits that only some features may use"),
        _amount("credit_limit", "w.credit_limit", "how far below 0 the balance may go"),
        _moment("created_at", "w.created_at", "when the wallet was made"),
        _moment("changed_at", "w.changed_at", "when its balance last changed"),
    ],
    "faregate.wallet w join faregate.subject s on s.subject_id = w.wallet_id",
)
_USAGE_EVENTS = BiView(
    "usage_events",
    "One row per metered fact, the source of analytics; a correction adds a row with negative figures, so sums are exact.",
    [
        BiColumn("event_key", "uuid", "e.event_key", "identifies the fact"),
        BiColumn("version", "integer", "e.version::integer", "0, and one more with each replacement"),
        BiColumn("is_reversal", "boolean", "e.sign < 0", "whether the row takes an earlier one back"),
        _text("kind", _named("e.kind", _EVENT_KINDS), "request, line (a model call) or meter"),
        _moment("time", "e.time", "when it happened"),
        _text("user_id", "u.external_id", "who used it"),
        _text("organization_id", "o.external_id", "the organisation, as org:<id>"),
        _text("service", "e.service", "the service that reported it"),
        _text("feature_key", "e.feature_key", "the feature"),
        _text("usage_key", "e.usage_key", "the use that it belongs to; see uses"),
        _text("model", "e.model", "the model"),
        _text("provider", "e.provider", "the provider of the model"),
        _text("meter", "e.meter", "the meter, if the kind is meter"),
        BiColumn("quantity", "numeric", "e.quantity", "what the meter counted, in its unit"),
        _count("requests", "e.requests::bigint", "requests: 1, or -1 in a reversal"),
        _count("calls", "e.calls::bigint", "model calls: 1, or -1 in a reversal"),
        _count("input_tokens", "e.input_tokens", "tokens sent to the model"),
        _count("output_tokens", "e.output_tokens", "tokens that the model produced"),
        _amount(
            "credits", "e.credits", "the price: of a line, and of a request what its lines do not hold; sums are exact"
        ),
        _amount("charged_credits", "e.charged", "what the payer paid for the use; on its request only"),
        _usd("provider_cost_usd", "e.cost * 0.000000000001", "what the provider charges"),
        _count("latency_ms", "e.latency_ms::bigint", "how long it took, in milliseconds"),
        BiColumn("status", "integer", "e.status::integer", "HTTP status; 400 and above are errors"),
        _text("country", "e.country", "country of the user, as ISO 3166-1 alpha-2"),
        _text("device", "e.device", "device of the user"),
        _text("source", "e.source", "who sent the event; faregate:use and faregate:line for what was settled"),
        _text("external_id", "e.external_id", "the sender's id of the event"),
        _moment("received_at", "e.received_at", "when it was written"),
    ],
    """faregate.usage_event e
    join faregate.subject u on u.subject_id = e.subject_id
    left join faregate.subject o on o.subject_id = e.organization_id""",
)
_FEATURES = BiView(
    "features",
    "One row per feature that operators defined and that is in use.",
    [
        _text("feature_key", "f.key", "identifies the feature"),
        _text("name", "f.name", "its name for people"),
        _text("strategy", "f.strategy", "its pricing strategy"),
        _amount("min_credits", "f.min_credits", "what a wallet must have free to start it"),
        BiColumn("margin_percent", "numeric", "f.margin_percent", "its own margin, in percent; null for the default"),
        BiColumn("is_active", "boolean", "f.active", "whether it can be started"),
        _moment("updated_at", "f.updated_at", "when it was last changed"),
    ],
    "faregate.feature f where f.retired_at is null",
)
_MEMBERS = BiView(
    "organization_members",
    "One row per member of an organisation.",
    [
        _text("organization_id", "o.external_id", "the organisation, as org:<id>"),
        _text("organization_name", "g.name", "its name"),
        _text("charging_policy", "g.policy", "recorded: nobody pays; pooled: the organisation's wallet pays"),
        _text("user_id", "u.external_id", "the member"),
        _moment("since", "m.created_at", "when the member joined"),
    ],
    """faregate.member m
    join faregate.organization g on g.subject_id = m.organization_id
    join faregate.subject o on o.subject_id = m.organization_id
    join faregate.subject u on u.subject_id = m.subject_id""",
)
_BILL_LINES = BiView(
    "provider_bill_lines",
    "One row per line of a provider's bill that no later import has replaced.",
    [
        BiColumn("import_id", "uuid", "b.import_id", "the import that it is of"),
        BiColumn("line_no", "integer", "b.number", "place of the line in the file"),
        _text("provider", "b.provider", "the provider whose bill it is"),
        _text("model", "b.model", "the model, as the bill names it"),
        _text("token_type", "b.token_type", "the only type of tokens that the line is about; null for all"),
        _text("request_id", "b.request_id", "the provider's id of the request, if the line is about one"),
        _count("requests", "b.requests", "number of requests, if the bill tells it"),
        _usd("cost_usd", "b.cost_usd", "what is billed"),
        _moment("start_at", "b.start_at", "when the period begins that the line is about"),
        _moment("end_at", "b.end_at", "when it ends"),
        _moment("imported_at", "i.imported_at", "when it was imported"),
    ],
    """faregate.bill_line b join faregate.bill_import i using (import_id) where b.superseded_by is null""",
)

BI_VIEWS: Sequence[BiView] = (
    *(
        _USES,
        _USAGE_LINES,
        _TOKENS,
        _TRANSFERS,
        _TRANSFER_GRANTS,
        _GRANTS,
        _WALLETS,
        _USAGE_EVENTS,
        _FEATURES,
        _MEMBERS,
        _BILL_LINES,
    ),
)
"""All views. Columns may be added; none is renamed, removed, or given another type or meaning."""
