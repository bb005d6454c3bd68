"""Alerts by HTTP: signed webhooks and chat messages."""

from collections.abc import Mapping

from faregate.analytics.quotas.errors import DeliveryError
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.values import Alert
from faregate.analytics.quotas.wording import body_of, sentence
from faregate.core.clock import IClock
from faregate.core.webhooks import signing
from faregate.core.webhooks.egress import Egress, UnsafeUrlError
from faregate.wire import exact_json
from faregate.worker.posting import Poster, PostError

__all__ = ["SlackChannel", "WebhookChannel"]

_TIMEOUT_SECONDS = 10
_MARKS = {Level.EXCEEDED: ":red_circle:", Level.CRITICAL: ":large_orange_circle:", Level.WARNING: ":warning:"}
_NOTICE = ":hourglass_flowing_sand:"


class WebhookChannel:
    """Posts the event `usage.alert`, signed by Standard Webhooks; the id of the alert is the id of the message."""

    name = "webhook"

    def __init__(self, url: str, secret: str, clock: IClock, poster: Poster | None = None) -> None:
        self._poster = poster or _own_poster()
        self._url = url
        self._secret = signing.check_secret(secret, param="FAREGATE_ALERT_WEBHOOK_SECRET")
        self._clock = clock

    async def deliver(self, alert: Alert) -> None:
        body = exact_json.dumps(body_of(alert))
        headers = signing.signed_headers(
            [self._secret], message_id=f"alert_{alert.id}", at=self._clock.now(), body=body
        )
        await _post(self._poster, self._url, body, headers)


class SlackChannel:
    """Posts one line in the format of Slack's incoming webhooks, which Mattermost, Discord (`/slack`) and others accept, too."""

    name = "slack"

    def __init__(self, url: str, poster: Poster | None = None) -> None:
        self._poster = poster or _own_poster()
        self._url = url

    async def deliver(self, alert: Alert) -> None:
        text = f"{_MARKS.get(alert.level, _NOTICE)} {_escaped(sentence(alert))}"
        await _post(self._poster, self._url, exact_json.dumps({"text": text}), {})


def _own_poster() -> Poster:
    """Return a poster to addresses of the operator's settings, which may be private."""
    return Poster(Egress(allow_private=True), timeout_seconds=_TIMEOUT_SECONDS)


async def _post(poster: Poster, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        status = await poster.post(url, body, headers)
    except UnsafeUrlError as refusal:
        raise DeliveryError(refusal.detail) from refusal
    except PostError as failure:
        raise DeliveryError(f"the receiver does not answer: {failure}") from failure
    if not 200 <= status < 300:
        raise DeliveryError(f"the receiver answered {status}")


def _escaped(text: str) -> str:
    """Return `text` with the characters escaped that Slack would read as a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
