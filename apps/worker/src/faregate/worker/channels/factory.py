"""Alert channels of the settings."""

from collections.abc import Sequence

from pydantic import SecretStr

from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.log_channel import FileChannel, LogChannel
from faregate.core.clock import IClock
from faregate.core.errors import ConfigurationError
from faregate.core.settings import Settings
from faregate.worker.channels.email import EmailChannel
from faregate.worker.channels.webhook import SlackChannel, WebhookChannel
from faregate.worker.mail import Mailer

__all__ = ["make_channels"]


def make_channels(settings: Settings, clock: IClock) -> Sequence[IAlertChannel]:
    """Return the log channel and the other channels that `settings` configure.

    Raises:
        ConfigurationError: the settings of a channel are incomplete.
    """
    channels: list[IAlertChannel] = [LogChannel()]
    if settings.alert_log_file is not None:
        channels.append(FileChannel(settings.alert_log_file))
    if settings.smtp_url is not None:
        channels.append(EmailChannel(Mailer(_secret(settings.smtp_url), settings.mail_from), _recipients(settings)))
    elif _recipients(settings):
        raise ConfigurationError("FAREGATE_ALERT_EMAILS is set, but no mail server: set FAREGATE_SMTP_URL, too")
    if settings.alert_webhook_url is not None:
        if settings.alert_webhook_secret is None:
            raise ConfigurationError("FAREGATE_ALERT_WEBHOOK_URL needs FAREGATE_ALERT_WEBHOOK_SECRET (whsec_…), too")
        channels.append(WebhookChannel(settings.alert_webhook_url, _secret(settings.alert_webhook_secret), clock))
    if settings.alert_slack_url is not None:
        channels.append(SlackChannel(settings.alert_slack_url))
    return channels


def _recipients(settings: Settings) -> list[str]:
    return [address.strip() for address in settings.alert_emails.split(",") if address.strip()]


def _secret(value: SecretStr) -> str:
    return value.get_secret_value()
