"""Evidence of returns, savings and what-if calculations. Pure."""

from decimal import Decimal

from faregate.analytics.insights.asking import evidence_of
from faregate.analytics.insights.costs.hints import LEAST_LINES
from faregate.analytics.insights.costs.scenario import Proposal
from faregate.analytics.insights.costs.values import ReturnBy, ReturnSums
from faregate.analytics.insights.values import Evidence
from faregate.analytics.question.filters import Question

__all__ = ["returns_evidence", "savings_evidence", "what_if_evidence"]


def returns_evidence(asked: Question, by: ReturnBy, total: ReturnSums, price: Decimal, *, listed: int) -> Evidence:
    """Return the evidence of returns; `listed` is how many users are listed at most."""
    return evidence_of(
        asked,
        method=f"charged credits at {price:f} USD less the provider cost, by {by}, of uses whose calls are all priced",
        sample=total.uses,
        sampled="uses whose cost is known",
        uncertainty="exact sums of what was charged and what calls cost by their prices; providers' bills may differ",
        limits=[
            "credits count at the price of a credit, also those that were granted for nothing; refunds are not deducted",
            "uses that are only recorded are charged 0 and lower the return; `credits` is their price",
            f"{total.unpriced_uses} uses have a call without a price; they are apart, since their cost is not known",
            *(["plans are those that users have now"] if by == "plan" else []),
            *([f"lists the {listed} users with the lowest return"] if by == "user" else []),
        ],
    )


def savings_evidence(asked: Question, *, lines: int, others: int) -> Evidence:
    """Return the evidence of saving hints from `lines`; `others` were left out."""
    return evidence_of(
        asked,
        method="the tokens of priced lines at other prices of the price book, each day at its own; `rule` says which",
        sample=lines,
        sampled="priced lines of settled uses",
        uncertainty="exact for these tokens under the assumption of each hint; savings of several hints do not add up",
        limits=[
            f"features with fewer than {LEAST_LINES} lines of a model have no hint",
            "nothing is known of the quality of another model, of the text of prompts, and of how long a call may take",
            "a batch tier is only known where the price book has a price for it",
            f"{others} lines with audio, images, searches or contradicting counts are left out",
        ],
    )


def what_if_evidence(asked: Question, proposal: Proposal, *, uses: int, unpriced: int) -> Evidence:
    """Return the evidence of a what-if calculation; `unpriced` lines have no price under the proposal."""
    return evidence_of(
        asked,
        method="each line of each settled use priced again under the proposal, rounded up as a settlement rounds it",
        sample=uses,
        sampled="settled uses with lines",
        uncertainty="exact for these uses; that people would have used as much at other prices is an assumption",
        limits=[
            "uses without lines (fixed prices, debits) are not in it, and lines at a margin of -100 % keep it",
            "a use that was charged in full is charged in full; one that was not pays no more than it did",
            "plans are those that users have now; refunds are not deducted",
            f"{unpriced} lines have no price under the proposal and count as they were",
            *(["a proposed price of a model has no tiers"] if proposal.prices else []),
        ],
    )
