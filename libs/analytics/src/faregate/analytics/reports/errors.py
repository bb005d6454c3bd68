"""Errors of reports."""

from faregate.core.errors import FaregateError, NotFoundError

__all__ = ["MailRefusedError", "UnknownReportDeliveryError", "UnknownReportError"]


class UnknownReportError(NotFoundError):
    """No report subscription has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no report {name!r}; GET /api/reports lists them", param="name")


class UnknownReportDeliveryError(NotFoundError):
    """No mail of a report has this `Message-ID`."""

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"no report was mailed as {message_id!r}; send the header Message-ID of the mail that came back",
            param="message_id",
        )


class MailRefusedError(FaregateError):
    """The mail server refused the recipient or the mail for good; trying again would change nothing."""

    code = "unavailable"
