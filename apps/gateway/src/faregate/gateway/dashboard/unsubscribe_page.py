"""Page on which a recipient of reports unsubscribes, without signing in."""

from html import escape
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from faregate.analytics.reports.delivering import UNSUBSCRIBE_PATH
from faregate.analytics.reports.service import ReportService
from faregate.analytics.reports.values import Recipient, RecipientState

__all__ = ["unsubscribe_routes"]

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_LONGEST_FORM = 10_000


def unsubscribe_routes(reports: ReportService) -> list[BaseRoute]:
    """Return the routes of the link in each mail. A mail program posts to it in one click (RFC 8058); a person who follows it is
    asked first, because programs that scan mails follow links, too.
    """

    async def ask(request: Request) -> Response:
        token = _token(request)
        return _page(await reports.recipient(token) if token is not None else None)

    async def answer(request: Request) -> Response:
        token = _token(request)
        wanted = await _form(request)
        if token is None or wanted is None:
            return _page(None)
        return _page(await reports.set_subscribed(token, subscribed=b"subscribe=again" in wanted))

    path = f"{UNSUBSCRIBE_PATH}/{{token}}"
    return [Route(path, ask, methods=["GET"]), Route(path, answer, methods=["POST"])]


def _token(request: Request) -> UUID | None:
    try:
        return UUID(request.path_params["token"])
    except ValueError:
        return None


async def _form(request: Request) -> bytes | None:
    """Return the body, whatever it says: any POST unsubscribes, unless it asks for mails again; None if it is too long."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > _LONGEST_FORM:
            return None
    return found


def _page(found: tuple[str, Recipient] | None) -> Response:
    if found is None:
        return _html(
            "This link is not valid", "<p>The report may have been deleted. You receive no mail of it.</p>", 404
        )
    name, recipient = found
    who = f"<strong>{escape(recipient.address)}</strong>"
    what = f"<strong>{escape(name)}</strong>"
    if recipient.state is RecipientState.UNSUBSCRIBED:
        text = f"<p>{who} no longer receives the report {what}.</p>"
        return _html("You are unsubscribed", text + _button("subscribe=again", "Receive it again"))
    text = f"<p>{who} receives the report {what} by mail.</p>"
    return _html("Unsubscribe from this report?", text + _button("List-Unsubscribe=One-Click", "Unsubscribe"))


def _button(field: str, label: str) -> str:
    name, _, value = field.partition("=")
    return (
        f'<form method="post"><input type="hidden" name="{name}" value="{value}">'
        f'<button class="primary">{label}</button></form>'
    )


def _html(title: str, content: str, status: int = 200) -> Response:
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" '
        'href="/dashboard/assets/app.css"></head><body><main class="sign-in"><div class="card">'
        f"<h1>{title}</h1>{content}</div></main></body></html>"
    )
    return HTMLResponse(page, status, headers=_HEADERS)
