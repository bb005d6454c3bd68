"""Evidence of satisfaction. Pure."""

from faregate.analytics.insights.asking import evidence_of
from faregate.analytics.insights.feedback.rank_correlation import LEAST_PAIRS
from faregate.analytics.insights.feedback.satisfaction import LEAST_RATED, LEAST_RATERS
from faregate.analytics.insights.feedback.values import SatisfactionBy
from faregate.analytics.insights.values import Evidence
from faregate.analytics.question.filters import Question

__all__ = ["satisfaction_evidence"]


def satisfaction_evidence(asked: Question, by: SatisfactionBy, *, uses: int) -> Evidence:
    """Return the evidence of satisfaction from rated `uses`."""
    return evidence_of(
        asked,
        method=f"mean scores (1 to 5) by {by}; `unhappy` is the fraction of 1 and 2; correlations are Spearman's, of ranks",
        sample=uses,
        sampled="uses with feedback",
        uncertainty="95 % intervals: means by standard error, fractions by Wilson, correlations by Bonett and Wright",
        limits=[
            f"groups with fewer than {LEAST_RATED} scores, or from fewer than {LEAST_RATERS} users, are left out",
            f"correlations from fewer than {LEAST_PAIRS} uses are left out; a correlation is no cause",
            "only people who give feedback are counted, and some give more than others: they need not be like all users",
            *(["a use of several models counts for each of them"] if by == "model" else []),
            *(["`price` is the credits of a use, in four bands with about as many uses"] if by == "price" else []),
        ],
    )
