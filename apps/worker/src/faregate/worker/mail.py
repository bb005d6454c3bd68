"""E-mail over SMTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from faregate.core.errors import ConfigurationError, EngineUnavailableError, InvalidError

__all__ = ["Attachment", "Mail", "Mailer"]

_TIMEOUT_SECONDS = 20
_STARTTLS = {"auto": None, "required": True, "never": False}


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment of a mail; `media_type` such as `text/csv`."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail; `html` is shown by most mail programs, `text` by the others."""

    to: Sequence[str]
    subject: str
    text: str
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    message_id: str | None = None


class Mailer:
    """Sends mails through the server at `url`: `smtp://` or `smtps://`, with user and password if it requires them."""

    def __init__(self, url: str, sender: str) -> None:
        self._options = _options(url)
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """Return once the server has accepted `mail` for all recipients.

        Raises:
            EngineUnavailableError: it did not accept it, or not for all recipients.
            InvalidError: an address or the subject contains characters that a header cannot hold.
        """
        from aiosmtplib import SMTPException, send

        message = _message(mail, self._sender)
        try:
            refused, _ = await send(message, recipients=list(mail.to), timeout=_TIMEOUT_SECONDS, **self._options)
        except (TimeoutError, SMTPException, OSError) as error:
            raise EngineUnavailableError(f"the mail server did not accept the mail: {error}") from error
        if refused:
            raise EngineUnavailableError(f"the mail server refused the recipients {', '.join(sorted(refused))}")


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = ", ".join(mail.to)
        message["Subject"] = mail.subject
        if mail.message_id:
            message["Message-ID"] = f"<{mail.message_id}>"
    except ValueError as error:
        raise InvalidError(f"the mail cannot be addressed: {error}", param="to") from error
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        kind, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, maintype=kind, subtype=subtype, filename=attachment.name)
    return message


def _options(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    wanted = parse_qs(parts.query).get("starttls", ["auto"])[0]
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or wanted not in _STARTTLS:
        raise ConfigurationError(
            "FAREGATE_SMTP_URL must be such as smtp://mail.example.com:587, perhaps with user:secret@ before the host, "
            "and ?starttls=required"
        )
    encrypted = parts.scheme == "smtps"
    return {
        "hostname": parts.hostname,
        "port": parts.port or (465 if encrypted else 587 if parts.username else 25),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "use_tls": encrypted,
        "start_tls": None if encrypted else _STARTTLS[wanted],
    }
