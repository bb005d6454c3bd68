"""Rules of reports: due times, periods, numbers, pages."""

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.analytics.answers.service import ComparedPeriod
from faregate.analytics.question.filters import Filters, TimeRange
from faregate.analytics.question.range_before import range_before
from faregate.analytics.reports.checking import check_report
from faregate.analytics.reports.content import html
from faregate.analytics.reports.content.charts import bars_png, bars_svg
from faregate.analytics.reports.content.figures import ReportFigures
from faregate.analytics.reports.content.html import html_of
from faregate.analytics.reports.content.numbers import change, money, rounded, span_of
from faregate.analytics.reports.content.page import page_of
from faregate.analytics.reports.content.text import text_of
from faregate.analytics.reports.repository import delivery_id_of, message_id_of
from faregate.analytics.reports.schedule import last_due, next_due, period_before, period_of_day
from faregate.analytics.reports.values import ReportKind, ReportScope, ReportSpec
from faregate.analytics.values import Breakdown, Measures, Point, TopUser, UsageMetrics
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.core.values.time_zones import known_time_zones, time_zone
from faregate.wire.ids import new_uuid7

WEEKLY = ReportSpec("team", ReportKind.WEEKLY, ("ops@example.com",))
ZONES = sorted(known_time_zones())
SPECS = st.builds(
    ReportSpec,
    name=st.just("r"),
    kind=st.sampled_from(ReportKind),
    recipients=st.just(("a@b.example",)),
    timezone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    weekday=st.integers(1, 7),
    month_day=st.integers(1, 28),
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("spec", "now", "due", "first", "end"),
    [
        (WEEKLY, "2026-06-15T06:59", "2026-06-15T07:00", "2026-06-08T00:00", "2026-06-15T00:00"),
        (WEEKLY, "2026-06-15T07:00", "2026-06-22T07:00", "2026-06-15T00:00", "2026-06-22T00:00"),
        (replace(WEEKLY, weekday=5), "2026-06-15T07:00", "2026-06-19T07:00", "2026-06-12T00:00", "2026-06-19T00:00"),
        (replace(WEEKLY, kind=ReportKind.DAILY, hour=0), "2026-06-15T07:00", "2026-06-16T00:00", "2026-06-15T00:00", "2026-06-16T00:00"),
        (replace(WEEKLY, kind=ReportKind.MONTHLY), "2026-06-15T07:00", "2026-07-01T07:00", "2026-06-01T00:00", "2026-07-01T00:00"),
        (replace(WEEKLY, kind=ReportKind.MONTHLY, month_day=3), "2026-02-28T07:00", "2026-03-03T07:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        (replace(WEEKLY, timezone="Asia/Kolkata"), "2026-06-15T00:00", "2026-06-15T01:30", "2026-06-07T18:30", "2026-06-14T18:30"),
        # the clocks of Berlin skip 02:00 to 03:00 on 29 March: the report is sent at 03:00 summer time
        (replace(WEEKLY, kind=ReportKind.DAILY, hour=2, timezone="Europe/Berlin"), "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-27T23:00", "2026-03-28T23:00"),
        # and the day itself has 23 hours
        (replace(WEEKLY, kind=ReportKind.DAILY, timezone="Europe/Berlin"), "2026-03-29T12:00", "2026-03-30T05:00", "2026-03-28T23:00", "2026-03-29T22:00"),
    ],
)  # fmt: skip
def test_a_report_is_due_at_its_hour_and_about_the_days_before(
    spec: ReportSpec, now: str, due: str, first: str, end: str
) -> None:
    at = [datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (now, due, first, end)]
    period = period_before(spec, at[1])

    assert next_due(spec, at[0]) == at[1]
    assert (period.start, period.end) == (at[2], at[3])


@given(SPECS, MOMENTS)
@settings(max_examples=100, deadline=None)
def test_periods_of_successive_reports_adjoin_and_are_over_when_due(spec: ReportSpec, now: datetime) -> None:
    last, due = last_due(spec, now), next_due(spec, now)
    before, after = period_before(spec, last), period_before(spec, due)

    assert last <= now < due
    assert next_due(spec, last) == due
    assert last_due(spec, due) == due
    assert before.start < before.end == after.start
    assert after.end <= due + timedelta(hours=24 if spec.hour == 0 else 0)  # a skipped midnight lasts up to a day


@given(SPECS, MOMENTS)
@settings(max_examples=50, deadline=None)
def test_the_period_of_a_day_contains_it(spec: ReportSpec, now: datetime) -> None:
    day = now.astimezone(time_zone(spec.timezone)).date()
    period = period_of_day(spec, day)

    assert period.start <= now < period.end
    assert period_before(spec, next_due(spec, period.end - timedelta(microseconds=1))).start in {period.start, period_before(spec, last_due(spec, period.end)).start}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"recipients": ()}, "recipients"),
        ({"recipients": ("not an address",)}, "recipients"),
        ({"recipients": ("a@b.example\nBcc: thief@x.example",)}, "recipients"),
        ({"recipients": ("Ada <ada@b.example>",)}, "recipients"),
        ({"recipients": ("a@b.example", "A@B.example")}, "recipients"),
        ({"recipients": tuple(f"a{n}@b.example" for n in range(51))}, "recipients"),
        ({"hour": 24}, "hour"),
        ({"weekday": 0}, "weekday"),
        ({"month_day": 29}, "month_day"),
        ({"timezone": "Europe/Berlinn"}, "timezone"),
        ({"owner": "acme"}, "owner"),
        ({"scope": ReportScope.USER}, "owner"),
        ({"filters": Filters(user_id="ada")}, "filters"),
        ({"name": "sk-proj-abcdefghijklmnopqrstuvwx"}, "name"),
    ],
)
def test_a_wrong_field_is_named(wrong: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_report(replace(WEEKLY, **wrong))  # type: ignore[arg-type]

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("now", "before", "shown"),
    [(110, 100, "+10.0 %"), (95, 100, "-5.0 %"), (100, 100, "±0 %"), (5, 0, "\u2013"), (0, 0, "\u2013"), (5, -10, "+150.0 %")],
)  # fmt: skip
def test_a_change_has_a_sign_and_needs_a_base(now: int, before: int, shown: str) -> None:
    assert change(now, before) == shown


def test_small_amounts_are_not_shown_as_zero() -> None:
    assert [rounded(Decimal(each)) for each in ("0", "0.000001", "-0.004", "1234.565")] == ["0", "<0.01", ">-0.01", "1,234.57"]  # fmt: skip
    assert [money(Decimal(each)) for each in ("0", "0.000001", "12.3")] == ["0.00 USD", "<0.01 USD", "12.30 USD"]


@pytest.mark.parametrize(
    ("first", "end", "shown"),
    [
        ("2026-06-14", "2026-06-15", "14 Jun 2026"),
        ("2026-06-08", "2026-06-15", "8 \u2013 14 Jun 2026"),
        ("2026-06-29", "2026-07-06", "29 Jun \u2013 5 Jul 2026"),
        ("2025-12-29", "2026-01-05", "29 Dec 2025 \u2013 4 Jan 2026"),
        ("2026-02-01", "2026-03-01", "February 2026"),
    ],
)
def test_a_span_names_its_last_day(first: str, end: str, shown: str) -> None:
    days = [datetime.combine(date.fromisoformat(each), datetime.min.time(), UTC) for each in (first, end)]

    assert span_of(TimeRange(days[0], days[1])) == shown


def test_a_message_id_leads_back_to_its_delivery() -> None:
    number = new_uuid7()

    assert delivery_id_of(f"<{message_id_of(number, 'ours.example')}>") == number
    assert [delivery_id_of(each) for each in ("report-x@y", f"alert-{number}@faregate", "")] == [None, None, None]


def sums(credits: int, requests: int = 1, **more: Any) -> Measures:
    return Measures(facts=requests, requests=requests, credits=credits, charged=credits, **more)


def figures(spec: ReportSpec = WEEKLY, *, parts: int = 3, credits: int = 7_000_000) -> ReportFigures:
    start = datetime(2026, 6, 8, tzinfo=UTC)
    period = TimeRange(start, start + timedelta(days=7))
    total = UsageMetrics(sums(credits, 7, cost=10**12, errors=1), 2, Decimal(100), Decimal(950), Decimal(999))
    series = [Point(start + timedelta(days=n), sums(credits // 7), 1) for n in range(7)]
    features = [Breakdown(f"f{n}", sums(credits // parts)) for n in range(parts)]
    users = [TopUser("<b>ada</b>", None, sums(credits), start)] if spec.scope is not ReportScope.USER else []
    before = UsageMetrics(Measures(), 0, None, None, None)
    usage = ComparedPeriod(total, before, series, {"feature": features}, users)
    earlier = range_before(period, now=period.end)
    return ReportFigures(spec, period, earlier, usage, "day", None, Decimal("0.01"), start)


def test_without_a_base_no_change_is_claimed() -> None:
    page = page_of(figures())

    assert {tile.change for tile in page.tiles} == {"\u2013"}
    assert page.headline == "7.00 credits, 7 requests"


def test_only_the_business_sees_cost_and_margin() -> None:
    business = page_of(figures())
    customer = page_of(figures(replace(WEEKLY, scope=ReportScope.ORGANIZATION, owner="acme")))
    said = text_of(customer, footer="", unsubscribe=None, link=None)

    assert {"Provider cost", "Margin"} <= {tile.label for tile in business.tiles}
    assert "Cost" in business.tables[0].columns
    assert "USD" not in said
    assert customer.about == "organization acme"


def test_what_is_not_listed_is_summed_so_that_the_rows_add_up() -> None:
    table = page_of(figures(parts=10, credits=10_000_000)).tables[0]

    assert [row[0] for row in table.rows] == [*(f"f{n}" for n in range(6)), "4 others"]
    assert sum(Decimal(row[2]) for row in table.rows) == 10
    assert table.rows[-1][2] == "4.00"


def test_text_and_html_say_the_same_numbers_and_escape_what_comes_from_outside() -> None:
    page = page_of(figures())
    text = text_of(page, footer="why", unsubscribe="https://u.example/1", link=None)
    html = html_of(page, footer="why", unsubscribe="https://u.example/1", link=None)

    for tile in page.tiles:
        assert tile.value in text
        assert tile.value.replace("<", "&lt;") in html
    for table in page.tables:
        for row in table.rows:
            assert all(cell in text for cell in row)
    assert "<b>ada" not in html
    assert "&lt;b&gt;ada&lt;/b&gt;" in html
    assert "https://u.example/1" in text
    assert 'href="https://u.example/1"' in html


def test_the_html_is_made_for_mail_programs() -> None:
    """Styles are inlined, nothing is loaded, Gmail does not clip it, and the rules for dark colours stay in the head."""
    html = html_of(
        page_of(figures(parts=10)), footer="why", unsubscribe="https://u.example/1", link="https://d.example"
    )

    assert len(html.encode()) < 102_000
    assert "prefers-color-scheme: dark" in html
    assert 'class="number" style="' in html
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org/1999/xhtml", "").replace("http-equiv", "")
    assert html.count("<link") == html.count("@import") == html.count("url(") == 0
    assert 'src="cid:chart.png"' in html
    assert 'alt="Credits per day. The most were 1.00 on Mon 8 Jun."' in html


def test_a_chart_has_a_bar_for_each_value_and_no_text() -> None:
    svg = bars_svg([0, 5, 10, -3])

    assert svg.count("<rect") == 2
    assert 'height="268.00"' in svg
    assert "<text" not in svg
    assert bars_png([1, 2, 3])[:8] == b"\x89PNG\r\n\x1a\n"
    assert bars_svg([]).count("<rect") == 0


@pytest.mark.parametrize("missing", ["mrml", "css_inline", "resvg_py"])
def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    html._inliner.cache_clear()
    page = page_of(figures())

    with pytest.raises(MissingExtraError, match=r"faregate\[reports\]"):
        bars_png(page.chart.values)
        html_of(page, footer="", unsubscribe=None, link=None)


def test_without_use_the_mail_says_so_and_has_no_chart() -> None:
    page = page_of(figures(credits=0))
    quiet = replace(page, chart=replace(page.chart, values=[0] * 7, summary="There was no use."))

    assert "cid:" not in html_of(quiet, footer="", unsubscribe=None, link=None)
    assert "There was no use." in text_of(quiet, footer="", unsubscribe=None, link=None)
