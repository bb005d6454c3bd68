"""Feature logs: the redacted record of every request to a feature."""

from typing import TYPE_CHECKING

from faregate.wire.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from faregate.feature_log.container import FeatureLogContainer
    from faregate.feature_log.errors import FeatureLogError, LogSealedError, UnknownLogError
    from faregate.feature_log.interfaces import IFeatureNames
    from faregate.feature_log.service import FeatureLogService
    from faregate.feature_log.values import FeatureLog, FeatureNames, LogEntry, LogFilter, LogPage, Recorded
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "container": ["FeatureLogContainer"],
            "errors": ["FeatureLogError", "LogSealedError", "UnknownLogError"],
            "interfaces": ["IFeatureNames"],
            "service": ["FeatureLogService"],
            "values": ["FeatureLog", "FeatureNames", "LogEntry", "LogFilter", "LogPage", "Recorded"],
        },
    )

__all__ = [
    "FeatureLog",
    "FeatureLogContainer",
    "FeatureLogError",
    "FeatureLogService",
    "FeatureNames",
    "IFeatureNames",
    "LogEntry",
    "LogFilter",
    "LogPage",
    "LogSealedError",
    "Recorded",
    "UnknownLogError",
]
