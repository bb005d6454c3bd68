"""Columns of FOCUS 1.2 and 1.4. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FOCUS_COLUMNS", "FocusColumn", "FocusType", "FocusVersion", "columns_of", "mandatory_of"]


class FocusVersion(StrEnum):
    """A version of the specification. 1.4 names the entities that take part in other columns than 1.2."""

    V1_2 = "1.2"
    V1_4 = "1.4"


class FocusType(StrEnum):
    """The type of a column's values."""

    STRING = "String"
    DECIMAL = "Decimal"
    MOMENT = "Date/Time"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """One column.

    Attributes:
        allowed: the only values, if the specification lists them.
        negative: whether a number may be below 0.
    """

    name: str
    type: FocusType = FocusType.STRING
    nullable: bool = False
    allowed: Sequence[str] = ()
    negative: bool = True


_SERVICE_CATEGORIES = (
    *("AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools"),
    *("Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration"),
    *("Mobile", "Networking", "Security", "Storage", "Web", "Other"),
)
_SUBCATEGORIES = (
    *("AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing"),
    "Other (AI and Machine Learning)",
)


def _text(name: str, *, nullable: bool = False, allowed: Sequence[str] = ()) -> FocusColumn:
    return FocusColumn(name, nullable=nullable, allowed=allowed)


def _number(name: str, *, nullable: bool = False, negative: bool = True) -> FocusColumn:
    return FocusColumn(name, FocusType.DECIMAL, nullable, negative=negative)


def _price(name: str) -> FocusColumn:
    return _number(name, nullable=True, negative=False)


def _moment(name: str) -> FocusColumn:
    return FocusColumn(name, FocusType.MOMENT)


FOCUS_COLUMNS: Sequence[FocusColumn] = (
    _number("BilledCost"),
    _text("BillingAccountId"),
    _text("BillingAccountName", nullable=True),
    _text("BillingAccountType"),
    _text("BillingCurrency"),
    _moment("BillingPeriodEnd"),
    _moment("BillingPeriodStart"),
    _text("ChargeCategory", allowed=("Usage", "Purchase", "Tax", "Credit", "Adjustment")),
    _text("ChargeClass", nullable=True, allowed=("Correction",)),
    _text("ChargeDescription", nullable=True),
    _text("ChargeFrequency", allowed=("One-Time", "Recurring", "Usage-Based")),
    _moment("ChargePeriodEnd"),
    _moment("ChargePeriodStart"),
    _number("ConsumedQuantity", nullable=True),
    _text("ConsumedUnit", nullable=True),
    _number("ContractedCost"),
    _price("ContractedUnitPrice"),
    _number("EffectiveCost"),
    _text("HostProviderName"),
    _text("InvoiceIssuerName"),
    _number("ListCost"),
    _price("ListUnitPrice"),
    _text("PricingCategory", nullable=True, allowed=("Standard", "Dynamic", "Committed", "Other")),
    _text("PricingCurrency"),
    _price("PricingCurrencyContractedUnitPrice"),
    _number("PricingCurrencyEffectiveCost"),
    _price("PricingCurrencyListUnitPrice"),
    _number("PricingQuantity", nullable=True),
    _text("PricingUnit", nullable=True),
    _text("ProviderName"),
    _text("PublisherName"),
    _text("ResourceId", nullable=True),
    _text("ResourceName", nullable=True),
    _text("ResourceType", nullable=True),
    _text("ServiceCategory", allowed=_SERVICE_CATEGORIES),
    _text("ServiceName"),
    _text("ServiceProviderName"),
    _text("ServiceSubcategory", allowed=_SUBCATEGORIES),
    _text("SkuId", nullable=True),
    _text("SkuMeter", nullable=True),
    FocusColumn("SkuPriceDetails", FocusType.JSON, nullable=True),
    _text("SkuPriceId", nullable=True),
    _text("SubAccountId", nullable=True),
    _text("SubAccountName", nullable=True),
    _text("SubAccountType", nullable=True),
    _text("x_FeatureKey"),
    _text("x_Model", nullable=True),
    _text("x_ModelProvider", nullable=True),
    _text("x_PriceVersion", nullable=True),
    _number("x_ProviderCost", nullable=True),
    _text("x_TokenType", nullable=True),
    _text("x_UsageKey"),
    _text("x_UserId"),
)
"""All columns in their order: those of the specification by name, then our own."""

_ENTITIES = {
    FocusVersion.V1_2: frozenset({"ProviderName", "PublisherName"}),
    FocusVersion.V1_4: frozenset({"HostProviderName", "ServiceProviderName"}),
}
_MANDATORY = frozenset(
    """
    BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodStart BillingPeriodEnd ChargeCategory
    ChargeClass ChargeDescription ChargePeriodStart ChargePeriodEnd ContractedCost EffectiveCost InvoiceIssuerName ListCost
    PricingQuantity PricingUnit ServiceCategory ServiceName
    """.split()  # noqa: SIM905  nineteen quoted names are not easier to read
)


def columns_of(version: FocusVersion) -> Sequence[FocusColumn]:
    """Return the columns of a version in their order."""
    others = {name for known, names in _ENTITIES.items() if known is not version for name in names}
    return [column for column in FOCUS_COLUMNS if column.name not in others]


def mandatory_of(version: FocusVersion) -> frozenset[str]:
    """Return the columns that every data set of a version must have."""
    return _MANDATORY | _ENTITIES[version]
