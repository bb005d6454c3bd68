"""Signature check of Stripe's webhooks, on the raw body."""

from collections.abc import Sequence

from faregate.core.errors import MissingExtraError
from faregate.credit.errors import WebhookSignatureError

__all__ = ["TOLERANCE_SECONDS", "check_signature"]

TOLERANCE_SECONDS = 300


def check_signature(body: bytes, header: str | None, secrets: Sequence[str]) -> None:
    """Raise unless one of the secrets has signed the body within the last five minutes.

    Raises:
        WebhookSignatureError: the header is missing, wrong or too old.
        MissingExtraError: `faregate[stripe]` is not installed.
    """
    try:
        from stripe import SignatureVerificationError, WebhookSignature
    except ModuleNotFoundError as error:
        raise MissingExtraError("Receiving Stripe's webhooks", "stripe") from error
    problem = "no Stripe-Signature header" if not header else "none of the webhook secrets has signed it"
    for secret in secrets:
        try:
            WebhookSignature.verify_header(  # pyright: ignore[reportUnknownMemberType]
                body, header, secret, TOLERANCE_SECONDS
            )
        except (SignatureVerificationError, UnicodeDecodeError) as error:
            problem = "it is too old" if "tolerance" in str(error) else problem
        else:
            return
    raise WebhookSignatureError(problem)
