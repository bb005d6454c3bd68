"""A composed mail as one page for browsers. Pure."""

import base64

from faregate.analytics.reports.values import UNSUBSCRIBE_MARK, ComposedReport

__all__ = ["page_for_browser"]


def page_for_browser(report: ComposedReport) -> str:
    """Return the HTML with its images in it; the link to unsubscribe leads nowhere."""
    html = report.html.replace(UNSUBSCRIBE_MARK, "#")
    for image in report.images:
        data = base64.b64encode(image.content).decode()
        html = html.replace(f"cid:{image.name}", f"data:{image.media_type};base64,{data}")
    return html
