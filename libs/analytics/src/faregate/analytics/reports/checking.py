"""Checks of a subscription's fields. Pure."""

import re
from collections.abc import Iterable

from faregate.analytics.quotas.periods import check_timezone
from faregate.analytics.reports.values import FILTER_NAMES, ReportScope, ReportSpec
from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import CREDENTIAL, is_credential
from faregate.wire.ids import check_external_id

__all__ = ["MOST_RECIPIENTS", "check_address", "check_report"]

MOST_RECIPIENTS = 50
_LONGEST_ADDRESS = 254
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\\[\]]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


def check_report(spec: ReportSpec) -> None:
    """Raise `InvalidError` unless `spec` is valid."""
    if is_credential(check_external_id(spec.name, param="name")):
        raise InvalidError(f"name {CREDENTIAL}", param="name")
    if (spec.owner is None) != (spec.scope is ReportScope.BUSINESS):
        problem = "must be left out for the whole business" if spec.owner else f"must name the {spec.scope}"
        raise InvalidError(f"owner {problem}", param="owner")
    if spec.owner is not None:
        check_external_id(spec.owner, param="owner")
    _check_recipients(spec.recipients)
    _check_time(spec)
    unknown = sorted(set(spec.filters.given) - set(FILTER_NAMES))
    if unknown:
        raise InvalidError(f"filters must be among {', '.join(FILTER_NAMES)}, not {unknown[0]}", param="filters")


def check_address(address: str, *, param: str) -> str:
    """Return `address`, or raise `InvalidError` unless it is one mail address without a name."""
    if len(address) > _LONGEST_ADDRESS or not address.isascii() or not _ADDRESS.fullmatch(address):
        raise InvalidError(f"{param} must be an address such as ops@example.com", param=param)
    return address


def _check_recipients(addresses: Iterable[str]) -> None:
    given = [check_address(address, param="recipients").lower() for address in addresses]
    if not 1 <= len(given) <= MOST_RECIPIENTS:
        raise InvalidError(f"recipients must be from 1 to {MOST_RECIPIENTS} addresses", param="recipients")
    if len(set(given)) < len(given):
        raise InvalidError("recipients must not name an address twice", param="recipients")


def _check_time(spec: ReportSpec) -> None:
    check_timezone(spec.timezone)
    bounds = {"hour": (spec.hour, 0, 23), "weekday": (spec.weekday, 1, 7), "month_day": (spec.month_day, 1, 28)}
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise InvalidError(f"{name} must be from {least} to {most}", param=name)
