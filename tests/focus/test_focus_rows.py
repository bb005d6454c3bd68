"""Rows of FOCUS: exact sums, and the rules of the specification."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.analytics.bills.token_parts import TokenPart
from faregate.analytics.focus.columns import FocusVersion, columns_of, mandatory_of
from faregate.analytics.focus.files import FocusWriter, check_file
from faregate.analytics.focus.rows import refund_row, use_rows
from faregate.analytics.focus.validator import FocusInvalidError
from faregate.analytics.focus.values import Issuer, SettledLine, SettledUse, UseRefund

ISSUER = Issuer("Example", Decimal("0.01"))
AT = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
NAMES = [column.name for column in columns_of(FocusVersion.V1_2)]

counts = st.integers(0, 10**9)
costs = st.none() | st.decimals(0, 1000, places=12)
parts = st.lists(
    st.builds(TokenPart, st.sampled_from(["input_tokens", "output_tokens", "web_searches"]), counts, costs), max_size=4
)
lines = st.lists(
    st.builds(
        SettledLine,
        model=st.none() | st.sampled_from(["gpt-4o", "=cmd"]),
        provider=st.none() | st.just("openai"),
        service_tier=st.none() | st.just("batch"),
        unit=st.none() | st.just("image"),
        quantity=st.none() | st.decimals(0, 100, places=3),
        parts=parts,
        credits=st.integers(0, 10**14),
        credit_price_usd=st.sampled_from([Decimal("0.01"), Decimal("0.0333333333333333333333")]),
        price_version=st.just("v1"),
    ),
    max_size=3,
)


@st.composite
def uses(draw: st.DrawFn) -> SettledUse:
    made = draw(lines)
    consumed = sum(line.credits for line in made) + draw(st.integers(0, 10**9))
    charged = draw(st.integers(0, consumed))
    return SettledUse(
        "k1", draw(st.sampled_from(["ada", "org:acme"])), None, "ada", "chat", "Chat", consumed, charged, AT, made
    )


@given(uses(), st.integers(1, 10**12))
def test_rows_sum_to_the_price_and_the_charge_and_are_valid(use: SettledUse, refunded: int) -> None:
    writer = FocusWriter()
    rows = list(use_rows(use, ISSUER))
    for row in [*rows, refund_row(UseRefund(use, refunded, AT, "blurred"), ISSUER)]:
        writer.add(row)

    assert sum(row["PricingQuantity"] for row in rows) == Decimal(use.consumed) / 1_000_000
    assert sum(row["PricingCurrencyEffectiveCost"] for row in rows) == Decimal(use.charged) / 1_000_000
    assert check_file(writer.done().content) == len(rows) + 1


def test_a_refund_of_an_earlier_month_is_a_correction() -> None:
    use = SettledUse("k1", "ada", None, "ada", "chat", None, 5, 5, AT, ())
    same = refund_row(UseRefund(use, 5, AT, None), ISSUER)
    later = refund_row(UseRefund(use, 5, datetime(2026, 11, 1, tzinfo=UTC), None), ISSUER)

    assert (same["ChargeClass"], later["ChargeClass"]) == (None, "Correction")
    assert same["BilledCost"] == later["BilledCost"] == Decimal("-0.00000005")


GOOD = dict.fromkeys(NAMES, None) | {
    **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), "0.02"),
    **dict.fromkeys(("BillingPeriodStart", "ChargePeriodStart"), "2026-11-01T00:00:00Z"),
    **dict.fromkeys(("BillingPeriodEnd", "ChargePeriodEnd"), "2026-11-01T01:00:00Z"),
    **dict.fromkeys(("ListUnitPrice", "ContractedUnitPrice"), "0.01"),
    **dict.fromkeys(("PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice"), "1"),
    "BillingAccountId": "ada",
    "BillingAccountType": "User",
    "BillingCurrency": "USD",
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "ConsumedQuantity": "7",
    "ConsumedUnit": "Tokens",
    "PricingQuantity": "2",
    "PricingUnit": "Credits",
    "PricingCurrency": "Credits",
    "PricingCurrencyEffectiveCost": "2",
    **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceName"), "Example"),
    "ServiceCategory": "AI and Machine Learning",
    "ServiceSubcategory": "Generative AI",
    "SkuId": "s",
    "SkuPriceId": "s",
    "PricingCategory": "Standard",
    "x_FeatureKey": "chat",
    "x_UsageKey": "k",
    "x_UserId": "ada",
}


def file_of(**changes: str | None) -> bytes:
    cells: dict[str, str | None] = GOOD | changes
    quoted = ['"' + (value or "").replace('"', '""') + '"' if value else "" for value in cells.values()]
    return f"{','.join(cells)}\n{','.join(quoted)}\n".encode()


def test_a_good_row_is_valid() -> None:
    assert check_file(file_of()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"BilledCost": None}, "BilledCost must not be null"),
        ({"BilledCost": "1,5"}, "'1,5' is not a number"),
        ({"BilledCost": "+1"}, "is not a number"),
        ({"BilledCost": "1E+2"}, "is not a number"),
        ({"ListUnitPrice": "-1"}, "ListUnitPrice must not be below 0"),
        ({"ChargeCategory": "usage"}, "'usage' is none of Usage"),
        ({"ChargeClass": "Refund"}, "'Refund' is none of Correction"),
        ({"ChargePeriodStart": "2026-11-01 00:00:00"}, "must be of the form"),
        ({"ChargePeriodStart": "2026-13-01T00:00:00Z"}, "is no time"),
        ({"ChargePeriodEnd": "2026-11-01T00:00:00Z"}, "ChargePeriodEnd must be after ChargePeriodStart"),
        ({"BillingCurrency": "Credits"}, "ISO 4217"),
        ({"ListCost": "0.021"}, "ListCost must be ListUnitPrice times PricingQuantity"),
        ({"ContractedCost": "0.1"}, "ContractedCost must be"),
        ({"SkuId": None}, "SkuId must not be null for usage"),
        ({"ConsumedUnit": None}, "ConsumedQuantity and ConsumedUnit"),
        ({"ConsumedUnit": None, "ConsumedQuantity": None}, "ConsumedQuantity must not be null"),
        ({"SubAccountId": "ada"}, "SubAccountId and SubAccountType"),
        ({"SkuPriceDetails": "{"}, "is not JSON"),
        ({"SkuPriceDetails": '{"a":{}}'}, "single values"),
        ({"SkuPriceId": None, "ChargeClass": "Correction", "SkuMeter": "x"}, "SkuMeter must be null"),
        ({"ServiceName": " Example"}, "begin or end with a blank"),
        ({"ChargeCategory": "Purchase"}, "Usage-Based for a purchase"),
    ],
)
def test_each_rule_finds_its_fault(changes: dict[str, str | None], said: str) -> None:
    with pytest.raises(FocusInvalidError) as refused:
        check_file(file_of(**changes))

    assert said in refused.value.detail
    assert "row 1" in refused.value.detail


@pytest.mark.parametrize("name", sorted(mandatory_of(FocusVersion.V1_2)))
def test_each_mandatory_column_must_be_there(name: str) -> None:
    heading = ",".join(each for each in NAMES if each != name)
    with pytest.raises(FocusInvalidError, match=f"the column {name} is missing"):
        check_file(heading.encode())


def test_columns_of_ones_own_stand_last_and_begin_with_x() -> None:
    with pytest.raises(FocusInvalidError, match="begin with x_"):
        check_file(",".join(["x_Mine", *NAMES]).encode())
    with pytest.raises(FocusInvalidError, match="Mine is no column"):
        check_file(",".join(["Mine", *NAMES]).encode())
    with pytest.raises(FocusInvalidError, match="row 1: 1 cells"):
        check_file((",".join(NAMES) + "\nx\n").encode())


@given(uses())
def test_a_file_of_1_4_names_host_and_service_provider_instead(use: SettledUse) -> None:
    writer = FocusWriter(FocusVersion.V1_4)
    for row in use_rows(use, ISSUER):
        writer.add(row)
    content = writer.done().content

    assert check_file(content, FocusVersion.V1_4) > 0
    assert {"HostProviderName", "ServiceProviderName"} <= mandatory_of(FocusVersion.V1_4)
    with pytest.raises(FocusInvalidError, match="the column ProviderName is missing"):
        check_file(content)
