"""E-mail over SMTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from faregate.analytics.reports.errors import MailRefusedError
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
    """One mail; `html` is shown by most mail programs, `text` by the others; it refers to `images` as `cid:<name>`."""

    to: Sequence[str]
    subject: str
    text: str
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    message_id: str | None = None
    images: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Mailer:
    """Sends mails through the server at `url`: `smtp://` or `smtps://`, with user and password if it requires them."""

    def __init__(self, url: str, sender: str) -> None:
        self._options = _options(url)
        self._sender = sender

    @property
    def sender(self) -> str:
        """The address of the sender, perhaps with a name."""
        return self._sender

    async def send(self, mail: Mail) -> None:
        """Return once the server has accepted `mail` for all recipients.

        Raises:
            MailRefusedError: the server refused the only recipient, or the mail, for good.
            EngineUnavailableError: it did not accept it, or not for all recipients.
            InvalidError: an address or the subject contains characters that a header cannot hold.
        """
        from aiosmtplib import SMTPException, send

        message = _message(mail, self._sender)
        try:
            refused, _ = await send(message, recipients=list(mail.to), timeout=_TIMEOUT_SECONDS, **self._options)
        except (TimeoutError, SMTPException, OSError) as error:
            if len(mail.to) == 1 and (reason := _refusal(error)) is not None:
                raise MailRefusedError(f"the mail server refused the mail: {reason}") from error
            raise EngineUnavailableError(f"the mail server did not accept the mail: {error}") from error
        if refused:
            raise EngineUnavailableError(f"the mail server refused the recipients {', '.join(sorted(refused))}")


def _refusal(error: Exception) -> str | None:
    """Return what the server said if it refused the recipient or the mail for good; None if another attempt may help.

    A refusal by policy (5.7.x, such as "relaying denied") is about the sender or the server, which can be put right.
    """
    from aiosmtplib import SMTPDataError, SMTPRecipientRefused, SMTPRecipientsRefused

    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]
    if not isinstance(error, SMTPRecipientRefused | SMTPDataError) or not 500 <= error.code < 600:
        return None
    return None if error.message.startswith("5.7.") else f"{error.code} {error.message}"


def _message(mail: Mail, sender: str) -> EmailMessage:
    message = EmailMessage()
    try:
        message["From"] = sender
        message["To"] = ", ".join(mail.to)
        message["Subject"] = mail.subject
        if mail.message_id:
            message["Message-ID"] = f"<{mail.message_id}>"
        for name, value in mail.headers.items():
            message[name] = value
    except ValueError as error:
        raise InvalidError(f"the mail cannot be addressed: {error}", param="to") from error
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
        shown: Any = message.get_body(("html",))
        for image in mail.images:
            kind, _, subtype = image.media_type.partition("/")
            shown.add_related(
                image.content, maintype=kind, subtype=subtype, cid=f"<{image.name}>", disposition="inline"
            )
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
