"""Advice in errors of the libraries, as commands instead of HTTP calls."""

import re
from collections.abc import Mapping

__all__ = ["HTTP_ONLY", "in_commands"]

_COMMANDS: Mapping[str, str] = {
    "PUT /api/wallets/{owner}": "faregate wallets set {owner}",
    "GET /api/wallets/{owner}/transactions": "faregate transactions {owner}",
    "POST /api/wallets/{owner}/adjustments": "faregate adjust {owner} CREDITS",
    "POST /api/transactions/{id}/refund": "faregate refund {id}",
    "PUT /api/organizations/{owner}": "faregate organizations set {owner}",
    "PUT /api/features/{key}": "faregate features apply FILE",
    "PUT /api/ingest-rules/{name}": "faregate ingest set {name} FILE",
    "GET /api/features": "faregate features list",
    "GET /api/plans": "faregate plans list",
    "GET /api/budgets": "faregate insights budgets",
    "GET /api/analytics/anomalies": "faregate insights anomalies",
    "GET /api/analytics/segments/rules": "faregate insights segment list",
    "GET /api/objectives": "faregate insights objectives",
    "GET /api/analytics/incident": "faregate insights incident",
    "GET /api/payments": "faregate payments list",
    "GET /api/keys": "faregate keys list",
    "GET /api/quotas": "faregate quotas status",
    "GET /api/reports": "faregate reports list",
    "GET /api/bills": "faregate bills list",
    "POST /api/bills": "faregate bills import SOURCE FILE",
}
"""The command that does what each HTTP call does; `{…}` matches one part of the path and is copied."""

HTTP_ONLY = frozenset(
    {
        "GET /api/views",
        "GET /api/webhooks",
        "GET /api/usage-events/fate",
        "POST /api/usage-events/corrections",
        "POST /api/usage",
    }
)
"""Calls that errors advise and for which there is no command: their advice is right as it is."""

_CALL = re.compile(
    r"(?P<call>(?:GET|POST|PUT|PATCH|DELETE) /api/[^\s;,()?]*[^\s;,()?.])"
    r'(?: \{"(?P<field>join|leave)": \["(?P<user>[^"]+)"\]\})?'
)
_PLACEHOLDER = re.compile(r"\{(\w+?)(?:_id)?\}")


def in_commands(text: str) -> str:
    """Return `text` with each HTTP call replaced by its command in backticks; a call without a command stays."""
    return _CALL.sub(_command, text)


def _command(found: re.Match[str]) -> str:
    for call, command in _COMMANDS.items():
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(call))
        matched = re.fullmatch(pattern, found["call"])
        if matched is not None:
            words = {name: _argument(value) for name, value in matched.groupdict().items()}
            more = f" --{found['field']} {found['user']}" if found["field"] else ""
            return f"`{command.format(**words)}{more}`"
    return found[0]


def _argument(part: str) -> str:
    """Return a part of a path as an argument; a placeholder, such as `{user_id}` or `…`, in capitals."""
    if part == "…":
        return "OWNER"
    return _PLACEHOLDER.sub(lambda name: name[1].upper(), part)
