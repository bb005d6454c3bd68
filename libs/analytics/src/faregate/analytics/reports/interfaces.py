"""Seam through which reports are mailed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from faregate.analytics.reports.values import ReportAttachment

__all__ = ["IReportMailer", "ReportMail"]


@dataclass(frozen=True, slots=True)
class ReportMail:
    """One mail for one recipient; `html` refers to `images` as `cid:<name>`."""

    to: str
    subject: str
    text: str
    html: str
    message_id: str
    images: Sequence[ReportAttachment] = ()
    files: Sequence[ReportAttachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@runtime_checkable
class IReportMailer(Protocol):
    """Hands mails to a mail server."""

    @property
    def sender(self) -> str:
        """The address of the sender, perhaps with a name."""
        ...

    async def mail(self, mail: ReportMail) -> None:
        """Return once the server has accepted `mail`.

        Raises:
            MailRefusedError: the server refused the recipient or the mail for good.
            FaregateError: it was not accepted; trying again later may help.
        """
        ...
