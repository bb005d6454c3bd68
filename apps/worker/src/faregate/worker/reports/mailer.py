"""Reports over SMTP."""

import asyncio

from faregate.analytics.reports.interfaces import ReportMail
from faregate.analytics.reports.values import ReportAttachment
from faregate.core.errors import ConfigurationError
from faregate.core.settings import Settings
from faregate.worker.mail import Attachment, Mail, Mailer

__all__ = ["SmtpReportMailer", "make_report_mailer"]

_CONNECTIONS = 4


class SmtpReportMailer:
    """Sends reports by the mail server of the settings, over a few connections at once.

    Without a server it raises, so that the delivery says what is missing.
    """

    def __init__(self, mailer: Mailer | None, sender: str) -> None:
        self._mailer = mailer
        self._sender = sender
        self._free = asyncio.Semaphore(_CONNECTIONS)

    @property
    def sender(self) -> str:
        return self._sender

    @property
    def configured(self) -> bool:
        """Whether the settings name a mail server."""
        return self._mailer is not None

    async def mail(self, mail: ReportMail) -> None:
        if self._mailer is None:
            raise ConfigurationError("no mail server is configured: set FAREGATE_SMTP_URL")
        message = Mail(
            [mail.to],
            mail.subject,
            mail.text,
            mail.html,
            [_attachment(file) for file in mail.files],
            mail.message_id,
            [_attachment(image) for image in mail.images],
            mail.headers,
        )
        async with self._free:
            await self._mailer.send(message)


def make_report_mailer(settings: Settings) -> SmtpReportMailer:
    """Return the mailer of the settings."""
    url = settings.smtp_url
    mailer = Mailer(url.get_secret_value(), settings.mail_from) if url is not None else None
    return SmtpReportMailer(mailer, settings.mail_from)


def _attachment(file: ReportAttachment) -> Attachment:
    return Attachment(file.name, file.media_type, file.content)
