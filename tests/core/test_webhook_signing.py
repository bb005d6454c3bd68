"""Webhook signatures that any Standard Webhooks library verifies."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.core.errors import InvalidError
from faregate.core.webhooks import signing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers(**changed: str) -> dict[str, str]:
    made = signing.signed_headers([SECRET], message_id=ID, at=AT, body=BODY)
    return {**made, **{name.replace("_", "-"): value for name, value in changed.items()}}


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_official_test_vector_is_reproduced(secret: str) -> None:
    assert signing.sign(secret, message_id=ID, at=AT, body=BODY) == SIGNATURE


def test_a_signed_message_verifies() -> None:
    signing.verify(SECRET, headers=headers(), body=BODY, now=AT + timedelta(minutes=4))


def test_during_a_rotation_either_secret_verifies() -> None:
    old, new = signing.new_secret(), signing.new_secret()
    both = signing.signed_headers([new, old], message_id=ID, at=AT, body=BODY)

    for secret in (old, new):
        signing.verify(secret, headers=both, body=BODY, now=AT)


def test_one_of_several_signatures_must_match() -> None:
    """The official test: other signatures and versions in addition to the valid one are ignored."""
    other = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
    signatures = f"v1,{other} v2,{other} {SIGNATURE} v1,{other}"

    signing.verify(SECRET, headers=headers(webhook_signature=signatures), body=BODY, now=AT)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"webhook_id": ""}, "webhook-id"),
        ({"webhook_timestamp": ""}, "webhook-timestamp"),
        ({"webhook_timestamp": "hello"}, "webhook-timestamp"),
        ({"webhook_timestamp": str(10**30)}, "webhook-timestamp"),
        ({"webhook_signature": ""}, "webhook-signature"),
        ({"webhook_signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="}, "webhook-signature"),
        ({"webhook_signature": "v2," + SIGNATURE.removeprefix("v1,")}, "webhook-signature"),
        ({"webhook_signature": "v1,\u00fc"}, "webhook-signature"),
    ],
)
def test_missing_or_forged_signatures_are_refused(changed: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        signing.verify(SECRET, headers=headers(**changed), body=BODY, now=AT)

    assert refusal.value.param == named


@pytest.mark.parametrize("drift", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_too_old_and_too_new_are_refused(drift: timedelta) -> None:
    with pytest.raises(InvalidError, match="replay"):
        signing.verify(SECRET, headers=headers(), body=BODY, now=AT + drift)


@given(body=st.binary(max_size=200), flipped=st.integers(min_value=0))
def test_any_changed_byte_is_detected(body: bytes, flipped: int) -> None:
    made = signing.signed_headers([SECRET], message_id=ID, at=AT, body=body)
    signing.verify(SECRET, headers=made, body=body, now=AT)
    at = flipped % (len(body) + 1)
    forged = body + b"x" if at == len(body) else body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    with pytest.raises(InvalidError):
        signing.verify(SECRET, headers=made, body=forged, now=AT)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_short", "no base64 at all, whatever its length may be"])
def test_an_invalid_secret_is_refused(secret: str) -> None:
    with pytest.raises(InvalidError, match="whsec_"):
        signing.check_secret(secret)


def test_new_secrets_are_valid_and_distinct() -> None:
    assert signing.check_secret(signing.new_secret()) != signing.new_secret()
