"""Error pages: the meaning and remedy of each error code.

`error.type` of an answer links to them.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from faregate.core.errors import FaregateError
from faregate.gateway.errors import STATUS

__all__ = ["ErrorPage", "error_pages", "markdown"]

_FIXES: Mapping[str, str] = {
    "malformed": "Send JSON in UTF-8 without duplicate keys, NaN or more than 32 levels; `error.detail` says where the error is.",
    "invalid": "Read `error.fields`: it names each wrong field and what it must be. Nothing was written.",
    "unauthenticated": "Send a live server key (`x-server-api-key`) or a user's token (`Authorization: Bearer`).",
    "forbidden": "Use a credential that may make this call; people see their own data only.",
    "scope_missing": "Ask an administrator for a key with the scope in `error.scope`.",
    "not_found": "Check path and ids; the answer is the same for what belongs to another user.",
    "method_not_allowed": "Use one of the methods in the `Allow` header.",
    "unsupported_media_type": "Set `Content-Type` to a media type that the call accepts, in UTF-8, without `Content-Encoding`.",
    "too_large": "Send the body in parts; `error.limit` is the limit in bytes.",
    "key_conflict": "Use a new key for a new request; repeat a request with exactly the same body.",
    "rate_limited": "Wait `Retry-After` seconds. Spread calls, or ask for a higher limit.",
    "request_timeout": "Send the body faster, or in parts.",
    "unavailable": "Repeat the same call after a moment (`Retry-After`); all writes are safe to repeat.",
    "archive_damaged": "Restore from another copy; the file is not what its manifest says.",
    "configuration": "An operator must correct the setting that the log names; `faregate doctor` finds it.",
    "internal": "A defect of Faregate: report the `request_id`. It is safe to repeat the call.",
    "insufficient_credits": "Top up (`error.balance`, `error.required`) and repeat with the same usage key, or ask for less.",
    "wallet_frozen": "An operator froze this wallet; ask for it to be activated.",
    "wallet_closed": "An operator closed this wallet. It can be reopened: PUT it with `status` `active`.",
    "unknown_wallet": "A wallet is created on first use or by PUT; check the id (`org:<id>` for an organisation).",
    "unknown_usage_key": "Start first, or check the key; it is the `usage_key` of the answer to `start`.",
    "unknown_grant": "GET the wallet to list its grants.",
    "unknown_close": "Close the month first; GET /api/ledger/closes lists the closed months.",
    "not_closable": "Close months in order, each after its end; `catch_up` closes the open ones before it.",
    "unknown_transaction": "GET the wallet's transactions to find their ids.",
    "hold_mismatch": "Send the user and feature that the use was started with.",
    "already_settled": "Nothing: the use is settled. To correct it, make a refund or an adjustment.",
    "hold_closed": "Start again with a new usage key.",
    "not_refundable": "Refund at most the part of the original charge that is not refunded yet.",
    "member_limit": "The member's, user's or key's limit for the period is used up; raise it or wait for the next period.",
    "payment_declined": "Use another means of payment; automatic top-ups pause for an hour.",
    "payments_off": "The operator sets FAREGATE_STRIPE_API_KEY, FAREGATE_STRIPE_WEBHOOK_SECRET and FAREGATE_PACKAGES.",
    "no_payment_method": "Buy a package once with `save_payment_method`; then the payment method can be charged again.",
    "bad_signature": "Set FAREGATE_STRIPE_WEBHOOK_SECRET to the signing secret of this webhook; a proxy must not change the body.",
    "unknown_package": "Check `package`; `error.detail` lists the packages for sale, which FAREGATE_PACKAGES defines.",
    "unknown_purchase": "Check the id; GET /api/payments lists purchases.",
    "quota_exceeded": "Wait for the next period, or raise the quota.",
    "unknown_feature": "Check the key; `error.detail` names similar ones. GET /api/features lists all.",
    "feature_inactive": "An operator deactivated the feature; PUT /api/features/{key} with `active` true activates it.",
    "feature_not_allowed": "`error.detail` says who may use the feature: users of plans, members of organisations, certain users. "
    "Put the user on such a plan (PUT /api/wallets/{user_id}), send the `organization_id` that counts, or change `access` "
    "of the feature (PUT /api/features/{key}).",
    "unpriced": "Add a price override for the models in `error.models`, or allow unpriced models for the feature.",
    "unknown_organization": "Correct `organization_id`, or make the organisation with `PUT /api/organizations/{id}`.",
    "not_a_member": "Leave `organization_id` out, or let the user join; see `FAREGATE_ORGANIZATION_CLAIM`.",
    "unknown_plan": "GET /api/plans lists the plans; PUT one to define it.",
    "unknown_price": "Check model and provider, or give the model a price: PUT /api/prices/{model}.",
    "unknown_ingest_rule": "GET /api/ingest-rules lists the declared rules; PUT one to declare it.",
    "unknown_view": "GET /api/views lists your views and the shared ones; only the owner changes a view.",
    "unknown_portal_link": "Check the id; it is the `id` of the answer to POST /api/portal/links. Expired links are deleted.",
    "unknown_tenant": "Call the host name of your tenant, or send a key that it has issued; `faregate tenants list` shows both.",
    "tenant_suspended": "An operator of the deployment resumes it: `faregate tenants resume`.",
    "tenant_exists": "Choose another key, schema or host; `faregate tenants list` shows those that are taken.",
    "unknown_event": "Check `source` and `id`: they are compared exactly, including upper and lower case.",
    "already_corrected": "GET /api/usage-events/fate says what was done; correct the event that replaces it.",
    "unknown_log": "GET /api/feature-usage-logs lists the ids; a log that was removed permanently or archived is not found.",
    "log_sealed": "An operator must add the key that encrypted it to `FAREGATE_LOG_KEYS` again, after the current one.",
    "unknown_dead_letter": "GET /api/dead-letters lists them; this one may have been replayed or dropped meanwhile.",
    "unknown_key": "GET /api/keys lists the keys.",
    "too_many_keys": "Revoke the older key of this client first.",
    "unknown_webhook": "GET /api/webhooks lists the endpoints.",
    "unsafe_url": "Use a public https address; private targets must be allowed by the operator.",
}


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """One code of the closed list."""

    code: str
    status: int
    meaning: str
    fix: str


def error_pages() -> list[ErrorPage]:
    """Return one page for each code, in alphabetical order."""
    meanings = {error.code: _first_line(error) for error in reversed(list(_errors()))}
    meanings |= {"internal": "An unexpected error occurred; it has been logged."}
    return [
        ErrorPage(code, status, meanings.get(code, ""), _FIXES.get(code, "")) for code, status in sorted(STATUS.items())
    ]


def markdown() -> str:
    """Return the page of the documentation."""
    lines = [
        "# Errors",
        "",
        "Every error has an `error.code` from this closed list; `error.type` links here. `error.detail` is a sentence",
        "for people that names the field, the problem and the fix; further fields of `error` are values for programs.",
        "Errors are never stored for an `Idempotency-Key`: the same call may succeed later.",
    ]
    for page in error_pages():
        lines += ["", f'<a id="{page.code}"></a>', "", f"## `{page.code}` ({page.status})", "", page.meaning]
        lines += ["", f"**What to do:** {page.fix}"]
    return "\n".join([*lines, *_OF_THE_BROKER]) + "\n"


_OF_THE_BROKER = (
    "",
    '<a id="precondition_failed"></a>',
    "",
    "## `PRECONDITION_FAILED` (406, from RabbitMQ)",
    "",
    "A client declared a queue with other arguments than it has: `inequivalent arg 'x-queue-type' for queue …`. Faregate's",
    "public queues are quorum queues with a delivery limit; a client that asserts a plain durable queue is refused by the",
    "broker, and its channel is closed. Faregate receives nothing from it, and no message is lost.",
    "",
    "**What to do:** Publish without declaring, since gateway and worker declare the queues. Where the client cannot be",
    "changed, set `FAREGATE_QUEUE_TYPE=classic` for gateway and worker, stop them, delete the empty queues, and start them",
    "again.",
)


_MODULES = (
    "faregate.analytics.quotas.errors",
    "faregate.core.archive.archives",
    "faregate.core.access.key_store",
    "faregate.core.tenants.errors",
    "faregate.core.webhooks.endpoints",
    "faregate.credit.errors",
    "faregate.feature_log.errors",
    "faregate.usage.errors",
)


def _errors() -> Iterator[type[FaregateError]]:
    for module in _MODULES:
        import_module(module)
    found = [FaregateError]
    while found:
        error = found.pop(0)
        yield error
        found += error.__subclasses__()


def _first_line(error: type[FaregateError]) -> str:
    return (inspect.getdoc(error) or "").partition("\n\n")[0].replace("\n", " ")
