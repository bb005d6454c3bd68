"""Alerts by e-mail."""

from collections.abc import Sequence

from faregate.analytics.quotas.errors import DeliveryError
from faregate.analytics.quotas.values import Alert
from faregate.analytics.quotas.wording import sentence, subject
from faregate.worker.mail import Mail, Mailer

__all__ = ["EmailChannel"]


class EmailChannel:
    """Mails each alert to the recipients of the deployment and of the quota; sends nothing if there are none."""

    name = "email"

    def __init__(self, mailer: Mailer, recipients: Sequence[str]) -> None:
        self._mailer = mailer
        self._recipients = recipients

    async def deliver(self, alert: Alert) -> None:
        to = sorted({*self._recipients, *alert.emails})
        if not to:
            if alert.test:
                raise DeliveryError("no recipients: set FAREGATE_ALERT_EMAILS, or give --email")
            return
        about = {
            "quota": f"Quota {alert.quota_id}, alert {alert.id}",
            "anomaly": f"Anomaly {alert.id}",
            "budget": f"Budget {alert.owner_id}, alert {alert.id}",
            "objective": f"Objective {alert.owner_id}, alert {alert.id}",
        }[alert.about]
        text = f"{sentence(alert)}\n\n{about}, {alert.fired_at:%Y-%m-%d %H:%M:%S} UTC\n"
        await self._mailer.send(Mail(to, subject(alert), text, message_id=f"alert-{alert.id}@faregate"))
