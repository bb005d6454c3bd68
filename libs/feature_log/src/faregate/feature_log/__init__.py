"""Feature logs: the redacted record of every request to a feature."""

from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.errors import FeatureLogError, LogSealedError, UnknownLogError
from faregate.feature_log.interfaces import IFeatureNames
from faregate.feature_log.service import FeatureLogService
from faregate.feature_log.values import FeatureLog, FeatureNames, LogEntry, LogFilter, LogPage, Recorded

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
