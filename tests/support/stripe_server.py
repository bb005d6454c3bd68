"""A small server that speaks the calls of Stripe's API that Faregate makes, and shows a page on which a checkout is paid.

It keeps idempotency keys, pages its lists, and refuses what Stripe would refuse of these calls. What it would report it keeps as
signed events; a test delivers them.
"""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs
from urllib.request import Request, urlopen

from support.stripe_events import signed

__all__ = ["API_KEY", "StripeServer", "stripe_server"]

API_KEY = "sk_test_of_the_tests"


class _Refused(Exception):  # noqa: N818
    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass
class StripeServer:
    """What the server knows. `declines` is the code with which charges are declined; `outages` calls are answered 500 first."""

    url: str = ""
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    declines: str | None = None
    outcome: str = "succeeded"
    outages: int = 0
    lost_answers: int = 0
    webhook: str | None = None
    before_answer: Callable[[], None] | None = None
    answers: dict[str, tuple[str, Any]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def reset(self) -> None:
        """Forget everything but the address."""
        vars(self).update(vars(StripeServer(self.url)))

    def add_event(self, kind: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an event, and deliver it if there is a webhook."""
        event = {
            "id": f"evt_s{next(self.numbers)}",
            "object": "event",
            "api_version": "2026-10-29.dahlia",
            "created": int(time.time()),
            "type": kind,
            "data": {"object": dict(found)},
        }
        self.events.append(event)
        if self.webhook is not None:
            delivery = signed(event)
            headers = {"stripe-signature": delivery.signature, "content-type": "application/json"}
            with urlopen(Request(self.webhook, delivery.body, headers)):  # noqa: S310
                pass
        return event

    def pay(self, session_id: str) -> str:
        """Pay a checkout as its customer; return the address to which the browser goes."""
        session = self.sessions[session_id]
        number = next(self.numbers)
        data = session["payment_intent_data"]
        intent = self._intent(
            number, session["amount_total"], data["metadata"], session["customer"] or f"cus_{number}", f"pm_{number}"
        )
        intent["setup_future_usage"] = data.get("setup_future_usage")
        self.intents[intent["id"]] = intent
        session |= {"payment_intent": intent["id"], "payment_status": "paid", "status": "complete"}
        self.add_event("payment_intent.succeeded", intent)
        self.add_event("checkout.session.completed", session)
        address: str = session["success_url"]
        return address

    def answer(self, method: str, path: str, fields: Mapping[str, Any], key: str | None) -> Any:
        """Answer one call."""
        self.calls.append(f"{method} {path}")
        if self.before_answer is not None:
            self.before_answer()
        if self.outages:
            self.outages -= 1
            raise _Refused(500, {"type": "api_error", "message": "try again"})
        if key is not None and key in self.answers:
            asked, kept = self.answers[key]
            if asked != json.dumps(fields, sort_keys=True):
                raise _Refused(400, {"type": "idempotency_error", "message": "the key was used for another request"})
            return kept
        made = self._made(method, path, fields)
        if key is not None:
            self.answers[key] = json.dumps(fields, sort_keys=True), made
        if self.lost_answers and method == "POST":
            self.lost_answers -= 1
            self.answers.clear()  # as if a day had passed
            raise _Refused(409, {"type": "api_error", "code": "lock_timeout", "message": "try again"})
        return made

    def _made(self, method: str, path: str, fields: Mapping[str, Any]) -> Any:
        match method, path.split("/")[2:]:
            case "POST", ["checkout", "sessions"]:
                return self._open_session(fields)
            case "POST", ["payment_intents"]:
                return self._charge(fields)
            case "GET", ["payment_intents"]:
                mine = [each for each in self.intents.values() if each["customer"] == fields["customer"]]
                return _listed(mine[::-1], path, fields)
            case "GET", ["payment_intents", name]:
                return self.intents[name]
            case "POST", ["refunds"]:
                return self._refund(fields)
            case "POST", ["payment_methods", name, "detach"]:
                self.detached.append(name)
                return {"id": name, "object": "payment_method"}
            case "GET", ["events"]:
                wanted = [
                    each
                    for each in self.events
                    if each["created"] >= int(fields["created"]["gte"]) and each["type"] in fields["types"]
                ]
                return _listed(wanted[::-1], path, fields)
            case _:
                raise _Refused(404, {"type": "invalid_request_error", "message": f"unknown call {method} {path}"})

    def _open_session(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        name = f"cs_{next(self.numbers)}"
        (item,) = fields["line_items"]
        session = {
            **fields,
            "id": name,
            "object": "checkout.session",
            "amount_total": int(item["price_data"]["unit_amount"]),
            "currency": item["price_data"]["currency"],
            "customer": fields.get("customer"),
            "payment_intent": None,
            "payment_status": "unpaid",
            "expires_at": int(time.time()) + 86_400,
            "url": f"{self.url}/pay/{name}",
        }
        self.sessions[name] = session
        return session

    def _charge(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        assert (fields["off_session"], fields["confirm"]) == ("true", "true")
        intent = self._intent(
            next(self.numbers), int(fields["amount"]), fields["metadata"], fields["customer"], fields["payment_method"]
        )
        self.intents[intent["id"]] = intent
        if self.declines is not None:
            error = {"code": "card_declined", "decline_code": self.declines, "message": "Your card was declined."}
            intent |= {"status": "requires_payment_method", "amount_received": 0, "last_payment_error": error}
            self.add_event("payment_intent.payment_failed", intent)
            raise _Refused(402, {"type": "card_error", "payment_intent": intent, **error})
        if self.outcome != "succeeded":
            intent |= {"status": self.outcome, "amount_received": 0}
            return intent
        self.add_event("payment_intent.succeeded", intent)
        return intent

    def _intent(self, number: int, amount: int, metadata: Any, customer: str, method: str) -> dict[str, Any]:
        return {
            "id": f"pi_s{number}",
            "object": "payment_intent",
            "amount": amount,
            "amount_received": amount,
            "customer": customer,
            "payment_method": method,
            "metadata": metadata,
            "status": "succeeded",
            "setup_future_usage": None,
        }

    def _refund(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        intent = self.intents[fields["payment_intent"]]
        before = sum(each["amount"] for each in self.refunds if each["payment_intent"] == intent["id"])
        amount = int(fields.get("amount", intent["amount"] - before))
        refund = {
            "id": f"re_{next(self.numbers)}",
            "object": "refund",
            "amount": amount,
            "payment_intent": intent["id"],
            "status": "succeeded",
        }
        self.refunds.append(refund)
        charge = {
            "id": f"ch_{intent['id']}",
            "object": "charge",
            "amount": intent["amount"],
            "amount_refunded": before + amount,
            "payment_intent": intent["id"],
        }
        self.add_event("refund.created", refund)
        self.add_event("charge.refunded", charge)
        return refund


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stripe: StripeServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith("/pay/"):
            self._page(path)
        else:
            self._answer("GET", path, query)

    def do_POST(self) -> None:
        path, _, _ = self.path.partition("?")
        text = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if path.startswith("/pay/"):
            self.send_response(303)
            self.send_header("location", self.server.stripe.pay(path.rpartition("/")[2]))
            self.end_headers()
        else:
            self._answer("POST", path, text)

    def _page(self, path: str) -> None:
        back = self.server.stripe.sessions[path.rpartition("/")[2]]["cancel_url"]
        form = f'<form method=post><button id=pay>Pay</button></form><a id=back href="{back}">Back</a>'
        self._send(200, "text/html", f"<!doctype html><html lang=en><title>Pay</title>{form}".encode())

    def _answer(self, method: str, path: str, text: str) -> None:
        try:
            if self.headers.get("authorization") != f"Bearer {API_KEY}":
                raise _Refused(401, {"type": "invalid_request_error", "message": "Invalid API Key provided"})
            stripe = self.server.stripe
            status, body = 200, stripe.answer(method, path, _nested(text), self.headers.get("idempotency-key"))
        except _Refused as refused:
            status, body = refused.status, {"error": dict(refused.error)}
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def stripe_server() -> Generator[StripeServer]:
    """Run the server on a free port."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.stripe = StripeServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.stripe
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listed(found: list[dict[str, Any]], path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of two objects, so that the client has to turn pages."""
    after = next((n + 1 for n, each in enumerate(found) if each["id"] == fields.get("starting_after")), 0)
    return {"object": "list", "url": path, "has_more": len(found) > after + 2, "data": found[after : after + 2]}


def _nested(text: str) -> dict[str, Any]:
    """Return the fields of a form as Stripe's client writes them: `a[b][0][c]=d`."""
    found: dict[str, Any] = {}
    for name, (value, *_) in parse_qs(text, keep_blank_values=True).items():
        head, *rest = name.replace("]", "").split("[")
        place, key = found, head
        for part in rest:
            place = place.setdefault(key, {})
            key = part
        place[key] = value
    return {name: _lists(value) for name, value in found.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(each) for key, each in value.items()}
    return list(inner.values()) if all(key.isdigit() for key in inner) and inner else inner
