"""Errors of insights."""

from uuid import UUID

from faregate.core.errors import NotFoundError

__all__ = [
    "UnknownAnomalyError",
    "UnknownBudgetError",
    "UnknownIncidentError",
    "UnknownObjectiveError",
    "UnknownSegmentError",
]


class UnknownAnomalyError(NotFoundError):
    """No anomaly has this id."""

    def __init__(self, anomaly_id: UUID | str) -> None:
        super().__init__(f"there is no anomaly {anomaly_id}; GET /api/analytics/anomalies lists them", param="id")


class UnknownBudgetError(NotFoundError):
    """No budget has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no budget {name!r}; GET /api/budgets lists them", param="name")


class UnknownIncidentError(NotFoundError):
    """No incident has this id, or its kept answer is older than results are kept."""

    def __init__(self, incident_id: UUID | str) -> None:
        super().__init__(
            f"there is no incident {incident_id}; ask GET /api/analytics/incident again, and use the id of its answer",
            param="id",
        )


class UnknownObjectiveError(NotFoundError):
    """No objective has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no objective {name!r}; GET /api/objectives lists them", param="name")


class UnknownSegmentError(NotFoundError):
    """No segment rule has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no segment {name!r}; GET /api/analytics/segments/rules lists them", param="name")
