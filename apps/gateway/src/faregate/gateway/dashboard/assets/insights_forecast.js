// The forecast, with its back-test and what earlier forecasts said.
import { get } from "./api.js";
import { choice, chosen } from "./choices.js";
import { fill, h, skeleton } from "./dom.js";
import * as fmt from "./format.js";
import { insightCard, named } from "./insight_card.js";
import { intervalChart } from "./interval_chart.js";
import { column, number } from "./listing.js";
import { filters } from "./question.js";
import { zone } from "./state.js";
import { table } from "./tables.js";
import { t } from "./texts.js";

const AMOUNTS = ["credits", "requests", "tokens", "cost"];
const UNITS = ["hour", "day", "week", "month"];
const PAST = { hour: 72, day: 42, week: 26, month: 18 };
const HOURS = { hour: 1, day: 24, week: 168, month: 744 };

// What was used in the periods before, so that the forecast stands beside it.
async function past(of, unit, points) {
  const end = new Date(points[0].period);
  const start = new Date(end.getTime() - PAST[unit] * HOURS[unit] * 3_600_000);
  const { data } = await get("/api/analytics/explore", { startDate: start.toISOString(), endDate: end.toISOString(), timezone: zone(), ...filters(), by: "status", top: 1, groupBy: unit, of });
  return data.periods.map((each, at) => ({ period: each, was: data.series[at] })).slice(1);
}

function result(data) {
  const { amount: of, unit } = data;
  const chart = h("div", {}, skeleton(true));
  const draw = (before) => fill(chart, intervalChart([...before, ...data.points], { of, unit }));
  past(of, unit, data.points).then(draw, () => draw([]));
  const shown = (key, label) => number(key, { label: t(label), show: (row) => fmt.estimate(of, row[key]) });
  const points = table([column("period", { label: t("period"), show: (row) => fmt.period(row.period, unit) }), shown("expected", "expected"), shown("low80", "low80"), shown("high80", "high80"), shown("low95", "low95"), shown("high95", "high95")], data.points, { quiet: true, caption: t("forecast_points"), name: "forecast" });
  return [h("p", {}, t("forecast_summary", { total: fmt.estimate(of, data.total), count: fmt.integer(data.points.length), unit: t(`unit_${unit}`) })), chart, named(t("table_twin"), "forecast", points), tests(data), earlier(data)];
}

function tests(data) {
  if (!data.tests.length) return null;
  const made = table([column("method", { label: t("evidence_method") }), number("error", { label: t("mean_error"), show: (row) => fmt.estimate(data.amount, row.error) }), number("ratio", { label: t("error_ratio"), show: (row) => fmt.percent(row.ratio) })], data.tests, { quiet: true, caption: t("back_test"), name: "back-test" });
  return [named(t("back_test"), "back-test", made), h("p", { className: "chart-summary" }, t("back_test_note", { method: data.tests[0].method, coverage: fmt.percent(data.coverage) }))];
}

function earlier(data) {
  if (!data.earlier.length) return null;
  const amount = (key, label) => number(key, { label: t(label), show: (row) => fmt.estimate(data.amount, row[key]) });
  return named(t("earlier_forecasts"), "earlier", table([column("madeAt", { label: t("evidence_made") }), number("periods", { label: t("period") }), amount("expected", "expected"), amount("came", "came"), amount("error", "mean_error"), number("held", { label: t("held_in_interval"), show: (row) => fmt.percent(row.held) })], data.earlier, { quiet: true, caption: t("earlier_forecasts"), name: "earlier" }));
}

export function cards() {
  const of = chosen("of", AMOUNTS);
  const unit = chosen("unit", UNITS, "day");
  return insightCard({ title: t("forecast_title", { of: t(`of_${of}`) }), about: t("about_forecast"), path: "/api/analytics/forecast", query: () => ({ of, groupBy: unit }), controls: () => [choice(t("amount"), "of", of, AMOUNTS.map((each) => [each, t(`of_${each}`)])), choice(t("unit"), "unit", unit, UNITS.map((each) => [each, t(`unit_${each}`)]))], show: result });
}
