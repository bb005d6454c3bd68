"""Controller of `/api/privacy`: export and erasure of personal data."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from faregate.feature_log.errors import LogSealedError
from faregate.feature_log.privacy import PrivacyService, UnknownPersonError
from faregate.gateway.http.operation import Audit, Call, Controller, operation
from faregate.gateway.schemas.privacy import EraseBody, ErasedAnswer, ExportAnswer, ExportQuery
from faregate.gateway.security.auth import Scope

__all__ = ["PrivacyController"]


class PrivacyController(Controller):
    """Privacy over HTTP."""

    def __init__(self, privacy: PrivacyService) -> None:
        self._privacy = privacy

    @operation(
        "POST",
        "/api/privacy/erase",
        scope=Scope.OPS_WRITE,
        answer=ErasedAnswer,
        errors=(UnknownPersonError, LogSealedError),
    )
    async def erase(self, call: Call, body: EraseBody) -> ErasedAnswer:
        """Erase the personal data of a user; sums and counts stay.

        The user's row, the bodies of their logs (also in archives), metadata and messages are erased. Stop the user's traffic
        first.
        """
        erased = await self._privacy.erase(body.erased_name)
        call.noted.update(erased.target)
        return ErasedAnswer(erased=erased.rows)

    @operation(
        "GET",
        "/api/privacy/export",
        scope=Scope.PRIVACY_READ,
        answer=ExportAnswer,
        errors=(UnknownPersonError, LogSealedError),
        audit=Audit.PERSONAL,
    )
    async def export(self, query: ExportQuery) -> ExportAnswer:
        """Return all data about a user."""
        records: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        async for kind, record in self._privacy.export(query.user_id):
            records[kind].append(record)
        return ExportAnswer(user_id=query.user_id, records=records)
