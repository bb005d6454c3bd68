"""Views of the shop; who calls stands in the header `User`, in place of a login."""

from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from faregate.client import InsufficientCreditsError
from shop import credits
from shop.models import Order

PRICE = 2


@require_POST
def order(request: HttpRequest) -> JsonResponse:
    """Store an order; the worker charges for it if, and only if, the transaction commits."""
    user, title = request.headers["User"], request.POST["title"]
    if credits.fare.balance(user).free < PRICE:
        return JsonResponse({"error": "not enough credits"}, status=402)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            key = credits.fare.charge_on_commit(cursor, "translation", user, metadata={"title": title})
            Order.objects.create(user=user, title=title)
    except IntegrityError:
        return JsonResponse({"error": "you have ordered this title already"}, status=409)
    return JsonResponse({"usage_key": key}, status=201)


@require_POST
def chat(request: HttpRequest) -> JsonResponse:
    """Ask a model: credits are held while it runs, and charged by the tokens that its reply reports."""
    try:
        with credits.fare.use("ai_chat_v1", request.headers["User"]) as use:
            reply = call_model(request.POST["prompt"])
            use.observe(reply)
    except InsufficientCreditsError as refused:
        return JsonResponse({"error": refused.detail}, status=402)
    return JsonResponse({"answer": request.POST["prompt"].upper(), "credits": use.result.charged})


@require_GET
def balance(request: HttpRequest) -> JsonResponse:
    """Return the credits of the caller."""
    return JsonResponse({"credits": credits.fare.balance(request.headers["User"]).free})


def call_model(prompt: str) -> dict[str, object]:
    """A stand-in for the SDK of a model provider, whose replies look like this."""
    usage = {"prompt_tokens": len(prompt) * 200, "completion_tokens": 100}
    return {"object": "chat.completion", "model": "gpt-4o", "usage": usage}
